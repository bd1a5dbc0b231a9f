"""What a running daemon answers to its owner, command by command."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from node_daemon import reach
from node_daemon.assembly import Me, Work
from node_daemon.control import Command
from node_daemon.control_client import Json
from node_daemon.monitor import Monitor
from node_daemon.plan import Plan
from node_daemon.sections import Settings
from node_daemon.trust_file import TrustFile
from p2pfl.errors import TransportError
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
        reload_trust: Callable[[], Mapping[str, Json]],
        trust: Callable[[], TrustFile],
        hits: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._peer = peer
        self._monitor = monitor
        self._standing = standing
        self._stop = stop
        self._read_all = reload
        self._read_trust = reload_trust
        self._trust = trust
        self._hits = hits

    def commands(self) -> Mapping[str, Command]:
        """By name, for the control server."""
        return {
            "eval": self._eval,
            "id": self._id,
            "pause": self._pause,
            "peers": self._peers,
            "ping": self._ping,
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
            "counts": {**status.counts, **{f"links {word}": count for word, count in self._hits().items()}},
            **self._monitor.figures(),
        }

    async def _peers(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        found = self._peer.peers()
        paths = reach.paths_of(
            [row.address for row in found if row.address], self._standing.settings.network.static
        )
        rows: list[Json] = [{**asdict(row), "path": paths.get(row.address)} for row in found]
        problems: dict[str, Json] = dict(self._monitor.problems.all)
        return {"peers": rows, "pending": dict(self._peer.pending), "problems": problems}

    async def _id(self, _: Mapping[str, Json]) -> Mapping[str, Json]:
        return {"id": self._standing.me.id, "name": self._standing.me.name}

    async def _ping(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        rows = {row.id: row for row in self._peer.peers()}
        text = str(arguments.get("peer", ""))
        peer = reach.which(text, list(rows.values()), trust=self._trust(), me=self._standing.me.id)
        row = rows.get(peer)
        if row is None or row.version is None:  # it has not said anything: there is no link
            raise reach.no_link(row, peer, self._monitor.problems.of(peer))
        try:
            echoes = await self._peer.ping(peer)
        except TransportError as error:
            raise reach.no_answer(row, peer, error) from error
        return reach.facts_of(row, echoes, self._standing.settings.network.static)

    async def _reload(self, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
        return self._read_trust() if arguments.get("only") == "trust" else self._read_all()

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
