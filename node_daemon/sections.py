"""The sections of ``p2pnode.toml``: which keys exist, what they may be, and what they are for.

A description here is what ``init`` writes beside the key and what an error quotes.
"""

import socket
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from p2pfl.registry import names
from p2pfl.wire.limits import Limits

DEFAULT_PORT = 7964
MAX_STATIC_PEERS = 1024
MAX_NAME_CHARACTERS = 64
NETWORK_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"

OptionValue: TypeAlias = bool | int | float | str | list[bool | int | float | str]


def _host_name() -> str:
    """The computer's own name without its domain, as the node's name when none is given."""
    return socket.gethostname().partition(".")[0][:MAX_NAME_CHARACTERS] or "node"


def _no_truth_value(value: object) -> object:
    """TOML's true is not the number 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _split_commas(value: object) -> object:
    """A list in one environment variable: ``tcp://a:1,tcp://b:2``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _known(kind: str) -> str:
    """The registered names of a kind, for the description of a setting."""
    return ", ".join(names(kind))


Whole: TypeAlias = Annotated[int, BeforeValidator(_no_truth_value)]
Words: TypeAlias = Annotated[list[str], NoDecode, BeforeValidator(_split_commas)]


class Section(BaseModel):
    """A section whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemSection(BaseModel):
    """A section that chooses an item by name; every other key is an option of that item."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, OptionValue]

    @property
    def options(self) -> Mapping[str, OptionValue]:
        """The item's options, as given."""
        return dict(self.__pydantic_extra__)


class NodeSection(Section):
    """This node."""

    name: str = Field(
        default_factory=_host_name,
        min_length=1,
        max_length=MAX_NAME_CHARACTERS,
        description="what people call this node; by default the name of the computer",
    )
    number: Whole | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="addresses the random draws; by default made from the node id",
    )
    deterministic: bool = Field(
        default=False,
        description="same bytes every time; slower: no deadline fires, and who is killed is waited for",
    )
    device: str = Field(
        "cpu", pattern=r"^(cpu|cuda(:\d+)?|mps)$", description="where training runs: cpu or cuda"
    )
    evaluate_every: Whole = Field(
        1, ge=0, le=2**31, description="rounds from one evaluation of the model to the next; 0: never"
    )

    strict_disk: bool = Field(
        default=False,
        description="end (exit code 5) when a checkpoint cannot be written; else go on in memory",
    )

    not_finite: Literal["roll_back", "stop"] = Field(
        "roll_back", description="when training gives NaN or infinity: take the model before, or stop"
    )

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must consist of printable characters")
        return name


class NetworkSection(Section):
    """Which network this node belongs to, and how it finds the others."""

    name: str = Field(
        "default",
        pattern=NETWORK_NAME,
        description="nodes of one network have the same; a-z, 0-9 and -, at most 32",
    )
    host: str | None = Field(
        None,
        min_length=1,
        description="address to listen on; by default all, and in mode open the loopback alone",
    )
    insecure: bool = Field(
        default=False,
        description="true, in mode open: listen to other machines, without encryption or access control",
    )
    port: Whole = Field(DEFAULT_PORT, ge=0, le=65535, description="TCP port; 0 takes a free one")
    static: Words = Field(
        default_factory=list,
        max_length=MAX_STATIC_PEERS,
        description='addresses of peers that mDNS does not find: ["tcp://192.168.1.31:7964"]',
    )
    mdns: bool = Field(default=True, description="find peers on the local network")
    min_peers: Whole = Field(
        2, ge=1, le=4096, description="start when so many nodes are there, this one included"
    )
    seed: Whole = Field(
        0,
        ge=0,
        lt=2**63,
        description="of the graph, the initial model and all random draws; equal on all nodes",
    )


class TopologySection(ItemSection):
    """Who sends to whom."""

    name: str = Field(
        "ring",
        description="p2pnode topology list shows all; by default, in mode list, trust: the lists themselves",
    )


class ProtocolSection(ItemSection):
    """How models are exchanged."""

    name: str = Field("gossip_averaging", description=_known("protocol"))
    rounds: Whole | None = Field(
        None,
        ge=0,
        le=2**31,
        description="rounds, or hops of a token; 0 is for ever; by default what the protocol suggests",
    )


class TaskSection(ItemSection):
    """What is learned."""

    name: str = Field("digits", description=f"{_known('task')}, or my_module:task")


class DataSection(Section):
    """Which part of the data this node has."""

    path: str | None = Field(None, min_length=1, description="a file with this node's own training data")
    part: Whole | None = Field(None, ge=0, description="this node's part of the task's data set, from 0")
    parts: Whole | None = Field(
        None, ge=1, le=100_000, description="into how many parts the data set is split"
    )
    partition: str = Field("dirichlet", description=_known("partition"))
    options: dict[str, OptionValue] = Field(
        default_factory=dict, description="options of the partition: {alpha = 0.5}"
    )
    seed: Whole | None = Field(None, ge=0, lt=2**63, description="of the partition; by default network.seed")

    @model_validator(mode="after")
    def _is_one_choice(self) -> "DataSection":
        if self.path is not None and self.part is not None:
            raise ValueError("path and part exclude each other; give one of them")
        if (self.part is None) != (self.parts is None):
            raise ValueError("part and parts belong together; give both, as in part = 2, parts = 5")
        if self.part is not None and self.parts is not None and self.part >= self.parts:
            raise ValueError(f"part = {self.part} is outside 0 to {self.parts - 1} (parts = {self.parts})")
        return self


class LogSection(Section):
    """What the daemon writes about itself."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="text, json, or auto: text on a terminal"
    )


@pydantic_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class LimitsSection(Limits):
    """What is accepted from one peer, and kept for one."""


class Settings(Section):
    """All settings of a node, validated; their sources are merged in ``node_daemon.config``."""

    config_version: Literal[1] = 1
    node: NodeSection = Field(default_factory=NodeSection)
    network: NetworkSection = Field(default_factory=NetworkSection)
    topology: TopologySection = Field(default_factory=TopologySection)
    protocol: ProtocolSection = Field(default_factory=ProtocolSection)
    task: TaskSection = Field(default_factory=TaskSection)
    data: DataSection = Field(default_factory=DataSection)
    log: LogSection = Field(default_factory=LogSection)
    limits: LimitsSection = Field(default_factory=LimitsSection)


def fields_of(section: str) -> Mapping[str, FieldInfo]:
    """The known keys of a section; of what is no section, none."""
    field = Settings.model_fields.get(section)
    kind = None if field is None else field.annotation
    fields: Mapping[str, FieldInfo] = getattr(kind, "model_fields", getattr(kind, "__pydantic_fields__", {}))
    return fields
