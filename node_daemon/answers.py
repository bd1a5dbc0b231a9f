"""What a running daemon answers to its owner, command by command."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from node_daemon.assembly import Me, Work
from node_daemon.control import Command
from node_daemon.control_client import Json
from node_daemon.monitor import Monitor
from node_daemon.plan import Plan
from node_daemon.sections import Settings
from p2pfl.peer.peer import Peer


@dataclass(slots=True)
class Standing:
    """What is fixed for one start of the node; the address is known once it listens."""

    me: Me
    settings: Settings
    plan: Plan
    work: Work
    mode: str = "list"
    resumed_round: int | None = None
    address: str = ""


class Answers:
    """The commands of the control socket."""

    def __init__(
        self,
        peer: Peer,
        monitor: Monitor,
        standing: Standing,
        *,
        stop: Callable[[], None],
        reload: Callable[[], Mapping[str, Json]],
    ) -> None:
        self._peer = peer
        self._monitor = monitor
        self._standing = standing
        self._stop = stop
        self._read_again = reload

    def commands(self) -> Mapping[str, Command]:
        """By name, for the control server."""
        return {
            "eval": self._eval,
            "id": self._id,
            "pause": self._pause,
            "peers": self._peers,
            "reload": self._reload,
            "resume": self._resume,
            "status": self._status,
            "stop": self._end,
        }

    async def _status(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        status = self._peer.status()
        self._monitor.sample(status.bytes_sent, status.bytes_received)
        me, settings, plan = self._standing.me, self._standing.settings, self._standing.plan
        return {
            "name": me.name,
            "id": me.id,
            "pid": os.getpid(),
            "incarnation": me.incarnation,
            "network": settings.network.name,
            "address": self._standing.address,
            "mode": self._standing.mode,
            "topology": settings.topology.name,
            "protocol": settings.protocol.name,
            "task": settings.task.name,
            "rounds": plan.rounds,
            "plan": plan.hash.hex(),
            "plan_words": plan.words,
            "resumed_round": self._standing.resumed_round,
            **asdict(status),
            **self._monitor.figures(),
        }

    async def _peers(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        rows: list[Json] = [asdict(row) for row in self._peer.peers()]
        return {"peers": rows, "pending": dict(self._peer.pending)}

    async def _id(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        return {"id": self._standing.me.id, "name": self._standing.me.name}

    async def _reload(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        return self._read_again()

    async def _pause(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        self._peer.pause()
        return {"state": self._peer.status().state}

    async def _resume(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        self._peer.resume()
        return {"state": self._peer.status().state}

    async def _end(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        self._stop()
        return {"state": "stopping", "pid": os.getpid()}

    async def _eval(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        """The present model on the test set, by a learner of its own: training goes on meanwhile."""
        model, number = self._peer.model, self._peer.status().round
        found = await asyncio.get_running_loop().run_in_executor(
            None, self._standing.work.judge.evaluate, model
        )
        return {
            "round": number,
            "age": model.age,
            "accuracy": found.accuracy,
            "macro_f1": found.macro_f1,
            "loss": found.loss,
            "count": found.count,
            "confusion": found.confusion.tolist(),
        }
