"""The daemon: one node from its start to its end, in the foreground.

Everything that can be wrong with the configuration is found before a socket opens.  SIGTERM, Ctrl-C and
``p2pnode stop`` end it in order (checkpoint, good-bye, exit code 0) within ``STOP_S``; a second signal ends
it at once.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from node_daemon import assembly, banner, checkpoint, endings, reloading
from node_daemon.answers import Answers, Standing
from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.choices import check_choices, protocol_class
from node_daemon.config import Config
from node_daemon.control import ControlServer
from node_daemon.control_client import Json
from node_daemon.files import load_or_create_identity, locked
from node_daemon.journal import Journal
from node_daemon.list_check import check_lists, load_node_config, unlisted
from node_daemon.logs import file_handler, is_text, log_event, stream_handler
from node_daemon.loop_lag import LoopLag
from node_daemon.monitor import Monitor
from node_daemon.output import all_of
from node_daemon.paths import Paths, home_paths, user_paths
from node_daemon.plan import Plan, plan_of
from node_daemon.sections import Settings
from node_daemon.trust_file import TrustFile, nobody_listed, read_trust
from p2pfl.discovery.discovery import Discovery
from p2pfl.discovery.static import StaticDiscovery
from p2pfl.errors import ConfigError, P2PError, RemoteError
from p2pfl.identity.admission import Admission, NotAdmittedError
from p2pfl.identity.keys import network_id
from p2pfl.model import Checkpoint
from p2pfl.peer.peer import Peer, PeerOptions, Surroundings
from p2pfl.transports.event_loops import loop_factory
from p2pfl.transports.probe import PROBE
from p2pfl.transports.tcp import TcpTransport
from p2pfl.transports.tls import Security
from p2pfl.wire.gate import host_of
from p2pfl.wire.limits import Limits
from p2pfl.wire.throttle import Throttle

STOP_S = 9.0  # for checkpoint and good-byes; then the process ends all the same


@dataclass(frozen=True, slots=True)
class Manner:
    """How this start differs from others: from nothing, with a limit for company, until the last round."""

    is_fresh: bool = False
    wait_s: float | None = None
    is_until_finished: bool = False


def run(
    home: Path | None = None,
    *,
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    manner: Manner | None = None,
) -> int:
    """Run a node until it is stopped; the exit code.  Raises P2PError for what stops it before or during."""
    read = partial(load_node_config, flags, home=home, file=file)
    config = read()
    paths = home_paths(home) if home is not None else user_paths(config.settings.network.name)
    trust = read_trust(paths.trust)
    settings = config.settings
    assembly.check_host(settings, trust.mode)
    check_choices(config)
    plan = plan_of(settings)
    with locked(paths.state):
        _start_logging(settings, paths)
        daemon = Daemon(settings, paths, plan, trust=trust, manner=manner or Manner(), read=read)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(daemon.run())
        finally:
            for handler in logging.getLogger().handlers:
                handler.flush()  # before anything else is written to stderr


def _start_logging(settings: Settings, paths: Paths) -> None:
    """Lines for people or JSON on stderr, JSON in the log file; other libraries only when they warn."""
    name = settings.node.name
    handlers = [
        stream_handler(sys.stderr, node=name, format=settings.log.format),
        file_handler(paths.log, node=name),
    ]
    logging.basicConfig(handlers=handlers, level=logging.WARNING, force=True)
    logging.getLogger("p2pnode").setLevel(settings.log.level.upper())


class Daemon:
    """Composes a node, runs it, and answers its owner."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        plan: Plan,
        *,
        trust: TrustFile,
        manner: Manner,
        read: Callable[[], Config],
    ) -> None:
        self._settings = settings
        self._read_config = read
        self._paths = paths
        self._plan = plan
        self._trust = trust
        self._admission: Admission | None = None  # unless the mode is open
        self._manner = manner
        self._monitor = Monitor(Journal(paths.state), self._watch)
        self._writer = CheckpointWriter(paths.state, plan=plan.hash)
        self._peer: Peer | None = None
        self._standing: Standing | None = None
        self._failure: P2PError | None = None
        self._transport: TcpTransport
        self._discoveries: list[Discovery] = []
        self._is_stopping = False
        self._rounds = _Rounds()
        self._throttle = Throttle()

    async def run(self) -> int:
        """Take part until stopped; raises P2PError when company, a port or the disk is not to be had."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._compose()
        assert self._peer is not None
        assert self._standing is not None
        answers = Answers(
            self._peer,
            self._monitor,
            self._standing,
            stop=self._stop_as_told,
            reload=self._reload,
            reload_trust=lambda: self._change_trust(read_trust(self._paths.trust)),
            trust=lambda: self._trust,
            hits=lambda: {**self._transport.hits, **self._throttle.counts},
        )
        control = ControlServer(self._paths.socket, answers.commands())
        await control.start()
        lag = LoopLag(self._monitor.report)
        lag.start()
        if self._manner.wait_s is not None:
            loop.call_later(self._manner.wait_s, self._wait_ran_out, self._manner.wait_s)
        try:
            if not self._is_stopping:
                await self._peer.run()
        finally:
            lag.stop()
            await control.close()
        if self._failure is not None:
            raise self._failure
        status = self._peer.status()
        sent = {"bytes_sent": status.bytes_sent, "messages_sent": status.messages_sent}
        self._monitor.report("node.stopped", {"round": status.round, **sent})
        return 0

    def stop(self) -> None:
        """End in order: checkpoint, good-bye."""
        if self._is_stopping:
            return
        self._is_stopping = True
        asyncio.get_running_loop().call_later(STOP_S, self._give_up)
        if self._peer is not None:
            self._peer.stop()

    def _compose(self) -> None:
        """Load what is learned, take up the checkpoint, and make the peer."""
        settings, plan = self._settings, self._plan
        identity = load_or_create_identity(self._paths.identity.parent)
        check_lists(settings, self._trust, identity.id)
        number = assembly.node_number(settings, identity.id)
        work = assembly.make_work(settings, plan, number)
        parameters = work.learner.schema.parameters
        if self._manner.is_fresh:
            checkpoint.set_aside(self._paths.state)
        stored = checkpoint.load_newest(self._paths.state, plan=plan.hash, parameters=parameters)
        incarnation = checkpoint.next_incarnation(self._paths.state)
        me = assembly.Me(identity.id, settings.node.name, number, incarnation)
        membership = assembly.make_membership(me, is_deterministic=settings.node.deterministic)
        network = network_id(settings.network.name)
        security = None
        if self._trust.mode != "open":
            self._admission = assembly.make_admission(self._trust, self._paths)
            security = assembly.make_links_secure(identity, network, self._admission, paths=self._paths)
        node = assembly.make_node(
            settings,
            plan,
            me,
            work=work,
            membership=membership,
            trust=self._trust.trust,
            checkpoint=stored,
        )
        self._peer = Peer(
            node,
            membership,
            work.learner,
            greeting=assembly.make_greeting(me, plan, network=network, schema=work.learner.schema),
            surroundings=self._surroundings(parameters, security),
            options=_options(settings, stored, limits=lambda: self._settings.limits),
        )
        resumed = None if stored is None else stored.round
        self._rounds.evaluated = resumed or 0  # a run that had finished is not evaluated again
        self._standing = Standing(me, settings, plan, work=work, mode=self._trust.mode, resumed_round=resumed)

    def _surroundings(self, parameters: int, security: Security | None) -> Surroundings:
        network = self._settings.network
        self._transport = TcpTransport(
            assembly.listen_host(self._settings, self._trust.mode),
            network.port,
            bodies=protocol_class(self._settings).bodies,
            parameters=parameters,
            limits=self._settings.limits,
            refused=self._refused,
            security=security,
        )
        self._discoveries = assembly.make_discoveries(self._settings)
        return Surroundings(
            self._transport,
            self._discoveries,
            store=self._store,
            report=self._monitor.report,
            renumber=partial(checkpoint.raise_incarnation, self._paths.state),
            admission=self._admission,
        )

    def _store(self, found: Checkpoint) -> None:
        self._writer.write(found)

    def _refused(self, address: str, error: RemoteError) -> None:
        if error.code == PROBE:
            self._monitor.report("peer.probed", {"address": address})
            return
        peer = error.peer if isinstance(error, NotAdmittedError) else ""
        now_s = asyncio.get_running_loop().time()
        count = self._throttle.note(error.code, peer or host_of(address).name, now_s)
        if count == 0:
            return
        facts: dict[str, object] = {"address": address} | ({"count": count} if count > 1 else {})
        if peer and self._trust.mode == "list":
            words = f"asks to exchange models; to allow it: p2pnode trust add {peer}"
            self._monitor.report("peer.pending", {"peer": peer, **facts, "problem": words})
            return
        self._monitor.report("peer.refused", {**facts, "code": error.code, "problem": str(error)})

    def _watch(self, event: str, facts: Mapping[str, object]) -> None:
        """Follow what the peer reports: the address, the traffic, and whether all rounds are done."""
        assert self._peer is not None
        assert self._standing is not None
        if event == "node.listening":
            self._standing.address = str(facts["address"])
            if is_text(self._settings.log.format, sys.stderr):
                sys.stderr.write(banner.text(self._standing, self._paths))
            problem = nobody_listed(self._trust)
            if problem and self._settings.network.min_peers > 1:  # else it is meant to be alone
                self._monitor.report("trust.empty", {"problem": problem})
        elif event == "state.degraded" and self._settings.node.strict_disk:
            self._end(endings.disk_failed(str(facts["problem"]), state=self._paths.state))
        elif event == "train.failed" and facts.get("rolled_back"):
            self._end(endings.not_finite(str(facts["problem"]), self._settings))
        elif event == "round.done":
            status = self._peer.status()
            self._monitor.sample(status.bytes_sent, status.bytes_received)
        elif event == "roster.changed":
            self._warn_of_unlisted(facts.get("joined"))
        self._rounds.note(event, facts)
        if self._manner.is_until_finished and self._rounds.are_done:
            asyncio.get_running_loop().call_soon(self.stop)

    def _reload(self) -> Mapping[str, Json]:
        """Put into force what can be while the node runs; raises ConfigError, with all as it was."""
        trust = read_trust(self._paths.trust)
        assert self._standing is not None
        wanted = self._read_config().settings
        found = reloading.changes(self._settings, wanted, modes=(self._trust.mode, trust.mode))
        settings = reloading.taken_up(self._settings, wanted)
        StaticDiscovery(settings.network.static)  # refuses what is no address, before anything is changed
        self._transport.change_limits(settings.limits)
        self._settings = self._standing.settings = settings
        for discovery in self._discoveries:
            if isinstance(discovery, StaticDiscovery):
                discovery.change(settings.network.static)
        logging.getLogger("p2pnode").setLevel(settings.log.level.upper())
        if trust.mode == self._trust.mode:
            self._change_trust(trust)
        self._monitor.report("config.reloaded", reloading.report(found))
        return {"mode": self._trust.mode, **reloading.answer(found)}

    def _end(self, failure: P2PError | None) -> None:
        """Stop if there is a reason; the first one is said."""
        if failure is not None:
            self._failure = self._failure or failure
            self.stop()

    def _warn_of_unlisted(self, joined: object) -> None:
        """Members that others brought in: the graph has edges with them, along which nothing may go."""
        members = [str(member) for member in joined] if isinstance(joined, list) else []
        for member in unlisted(self._settings, self._trust, members):
            words = f"takes part, but not all edges of the graph are allowed: p2pnode trust add {member}"
            self._monitor.report("peer.unlisted", {"peer": member, "problem": words})

    def _change_trust(self, found: TrustFile) -> Mapping[str, Json]:
        assert self._peer is not None
        if found.mode != self._trust.mode:
            raise ConfigError(
                f"the mode has changed from {self._trust.mode} to {found.mode}",
                where=str(self._paths.trust),
                fix="p2pnode stop, then start again",
            )
        self._trust = found
        self._peer.change_trust(found.trust)
        self._monitor.report("trust.changed", {"mode": found.mode})
        return {"mode": found.mode}

    def _hung_up(self) -> None:
        try:
            self._reload()
        except P2PError as error:
            self._monitor.report("config.unchanged", {"problem": "; ".join(map(str, all_of(error)))})

    def _signalled(self, number: int) -> None:
        if self._is_stopping:
            _end_at_once(128 + number)
        self._stop_as_told()

    def _stop_as_told(self) -> None:
        words = "checkpoint, then good-bye to the peers (Ctrl-C again: at once)"
        log_event(logging.getLogger("p2pnode"), logging.INFO, "node.stopping", msg=words)
        self.stop()

    def _wait_ran_out(self, wait_s: float) -> None:
        assert self._peer is not None
        status = self._peer.status()
        if status.state != "waiting" or self._is_stopping:
            return
        self._end(endings.nobody_came(status, wanted=self._settings.network.min_peers, wait_s=wait_s))

    def _give_up(self) -> None:
        log_event(logging.getLogger("p2pnode"), logging.ERROR, "node.stopping", msg="took too long; ended")
        _end_at_once(1)


@dataclass(slots=True)
class _Rounds:
    """Whether the last round is over and evaluated."""

    evaluated: int = 0
    finished: int | None = None

    def note(self, event: str, facts: Mapping[str, object]) -> None:
        """Take up what the peer reports."""
        number = facts.get("round")
        if not isinstance(number, int):
            return
        if event == "round.done":
            self.evaluated = number
        elif event == "run.finished":
            self.finished = number

    @property
    def are_done(self) -> bool:
        return self.finished is not None and self.evaluated >= self.finished


def _options(settings: Settings, stored: Checkpoint | None, *, limits: Callable[[], Limits]) -> PeerOptions:
    options = PeerOptions(evaluate_every=settings.node.evaluate_every, limits=limits)
    if stored is None:
        return options
    return replace(options, model=stored.model, state=stored.state, round=stored.round)


def _end_at_once(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)
