"""Layers of settings, one per source, and where in its source each value stands.

A layer is a nested dict of plain values; keys are addressed by dotted paths (``network.port``).
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from node_daemon.files import read_checked
from node_daemon.sections import OptionValue, Settings, fields_of
from p2pfl.errors import ConfigError

PREFIX = "P2PNODE_"
SEPARATOR = "__"
ENVIRONMENT = "environment"
CONFIG_VARIABLE = "P2PNODE_CONFIG"
# Sections, or tables in them, whose further keys are the options of an item.
OPTION_TABLES = ("topology", "protocol", "task", "data.options")

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Layer:
    """The values of one source; ``text`` is the file's, to find the line of a key."""

    origin: str
    values: Values
    text: str = ""
    is_trusted: bool = True  # False: found in the working folder, not named by the operator

    def where(self, key: str) -> str:
        """Where the value of ``key`` stands, for people."""
        if self.origin == ENVIRONMENT:
            return variable_of(key)
        line = find_line(self.text, key)
        return f"{self.origin}, line {line}" if line else self.origin


class Variables(Settings, BaseSettings):
    """The settings as pydantic-settings reads them from variables; never made, since we merge ourselves."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)


def variable_of(key: str) -> str:
    """The variable that sets a dotted key."""
    return PREFIX + key.upper().replace(".", SEPARATOR)


def find_line(text: str, key: str) -> int | None:
    """The line of a TOML text where a dotted key is set, or its table begins; None when in doubt."""
    found: list[int] = []
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w.\-\"' ]+?)\s*\]", line)
        assignment = re.match(r"\s*([\w.\-\"']+)\s*=", line)
        if header:
            table = _plain(header[1])
            name = table
        elif assignment:
            name = ".".join(part for part in (table, _plain(assignment[1])) if part)
        else:
            continue
        if name == key:
            found.append(number)
    return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[\"' ]", "", name)


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Dotted paths of all values that are not tables."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def nest(flat: Mapping[str, object]) -> Values:
    """The inverse of ``flatten``."""
    values: Values = {}
    for key, value in flat.items():
        *tables, name = key.split(".")
        table = values
        for part in tables:
            inner = table.setdefault(part, {})
            assert isinstance(inner, dict), key
            table = inner
        table[name] = value
    return values


def merge(weaker: Mapping[str, object], stronger: Mapping[str, object]) -> Values:
    """Key by key; where both have a table, the tables are merged."""
    merged = dict(weaker)
    for key, value in stronger.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def file_layer(path: Path, *, is_trusted: bool = True) -> Layer:
    """Read a TOML file; paths in it are relative to its folder.

    Raises ConfigError for a file that is no TOML, or that another user could have written.
    """
    try:
        text = read_checked(path).decode("utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigError("there is no such config file", where=str(path), fix="p2pnode init") from error
    except UnicodeDecodeError as error:
        raise ConfigError("the config file is not UTF-8 text", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=str(path), fix="correct the file") from error
    return Layer(str(path), _with_absolute_paths(values, path.parent), text, is_trusted)


def _with_absolute_paths(values: Values, folder: Path) -> Values:
    """``path = "x.csv"`` of any section means the file beside the config file, wherever the node starts."""
    result = dict(values)
    for name, section in values.items():
        if isinstance(section, dict) and isinstance(section.get("path"), str):
            result[name] = section | {"path": str((folder / section["path"]).absolute())}
    return result


def environment_layer() -> Layer:
    """The variables ``P2PNODE_SECTION__KEY``; unknown ones are left to ``unknown_variables``.

    Raises ConfigError for a table that is not JSON.
    """
    source = EnvSettingsSource(Variables, env_prefix=PREFIX, env_nested_delimiter=SEPARATOR)
    try:
        values = dict(source())
    except SettingsError as error:
        name = re.search(r'field "(\w+)"', str(error))
        raise ConfigError(
            "a variable for a whole section must hold JSON",
            where=variable_of(name[1]) if name else ENVIRONMENT,
            fix="set single keys: P2PNODE_SECTION__KEY=value",
        ) from error
    known = set(known_keys())
    flat = {key: value for key, value in flatten(values).items() if key in known or is_option(key)}
    for key, value in flat.items():
        if isinstance(value, str) and is_option(key):
            flat[key] = _decoded(value)
    return Layer(ENVIRONMENT, nest(flat))


def is_option(key: str) -> bool:
    """Whether a dotted key is an option of an item, whose names are known only to the item."""
    table, _, name = key.rpartition(".")
    if table not in OPTION_TABLES:
        return False
    return table == "data.options" or name not in fields_of(table)


def _decoded(text: str) -> OptionValue:
    """The number, truth value or list that an option's text means; otherwise the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | list) else text


def known_keys() -> list[str]:
    """Dotted paths of all settings; options of items are not among them."""
    sections = [name for name in Settings.model_fields if fields_of(name)]
    return ["config_version", *(f"{name}.{key}" for name in sections for key in fields_of(name))]


def unknown_variables() -> list[str]:
    """``P2PNODE_`` variables of the environment that name no setting."""
    known = set(known_keys())
    unknown = []
    for variable in os.environ:
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        key = variable.removeprefix(PREFIX).lower().replace(SEPARATOR, ".")
        if key not in known and not is_option(key):
            unknown.append(variable)
    return sorted(unknown)
