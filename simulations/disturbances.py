"""What happens to real daemons while they run: signals and new starts, as their journals reach rounds."""

import signal
from collections.abc import Callable, Mapping

from simulations.homes import begin_with_company
from simulations.processes import Processes
from simulations.round_faults import Triggers


class Disturbances:
    """Carries out ``triggers`` on daemons: crash is SIGKILL, leave SIGTERM, suspend SIGSTOP, resume SIGCONT.

    Who is restarted goes on from its checkpoint, who joins begins anew; neither waits for all the others.
    """

    def __init__(self, processes: Processes, triggers: Triggers) -> None:
        self._processes = processes
        self._triggers = triggers
        self._suspended: set[int] = set()
        self._verbs: Mapping[str, Callable[[int], None]] = {
            "crash": processes.kill,
            "leave": self._leave,
            "suspend": self._suspend,
            "resume": self._resume,
            "restart": self._restart,
            "join": self._join,
        }

    @property
    def are_over_for_all(self) -> bool:
        """Have all daemons that are there, and not suspended, finished their rounds?"""
        daemons = self._processes.daemons
        return all(d.is_done or d.number in self._suspended for d in daemons if d.is_running)

    def look(self) -> None:
        """Do what the rounds that the daemons have done since call for."""
        if self._triggers.are_over:
            return
        for daemon in self._processes.daemons:
            if daemon.round:
                for verb, node in self._triggers.done(daemon.number, daemon.round):
                    self._verbs[verb](node)

    def _leave(self, node: int) -> None:
        self._processes.send_signal(node, signal.SIGTERM)  # the others go on while it says good-bye

    def _suspend(self, node: int) -> None:
        self._suspended.add(node)
        self._processes.send_signal(node, signal.SIGSTOP)

    def _resume(self, node: int) -> None:
        self._suspended.discard(node)
        self._processes.send_signal(node, signal.SIGCONT)

    def _restart(self, node: int) -> None:
        daemon = self._processes.daemons[node]
        if daemon.is_running and not daemon.is_expected_to_end:
            return  # it is up
        self._processes.wait_ended(node)
        begin_with_company(daemon.home)
        self._processes.restart(node)

    def _join(self, node: int) -> None:
        daemon = self._processes.daemons[node]
        if daemon.is_running and not daemon.is_expected_to_end:
            return
        self._processes.wait_ended(node)
        daemon.forget_model()
        self._restart(node)
