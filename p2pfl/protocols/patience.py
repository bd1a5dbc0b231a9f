"""How long a round waits for a silent neighbour: as long as its own recent behaviour justifies.

Measured is the lag of each sender, from the moment at which *this* node began the round to the sender's word
of it, over its last ``WINDOW`` rounds; a round that had already been overtaken counts too, so that a sender
that is slow but alive widens its own window and is waited for again.  How long this node trains itself does
not enter, and however late it is, it gives everybody some time after its own model is ready: what has arrived
meanwhile may not have been handled yet.

A sender is waited for until its median lag is over, and then for the largest of ``deviations`` times its
spread (1.4826 MAD, the standard deviation of a normal distribution; unlike the running mean deviation of RFC
6298 it forgives half the window anything), once more a whole round of it, and ``FLOOR_S``, which hides the
hiccups of disks and schedulers.  The first time it is silent it gets ``MARGIN`` times its worst lag in the
window, if that is more.  Each further round in which nothing at all has come from it halves the wait, so that
somebody who has died behind a link that stays up costs no more than about two such waits altogether; any word
of it sets that back.  Who is not known yet (fewer than ``LEAST_KNOWN`` lags) gets the whole ``bound_s``,
halved likewise; nobody is ever waited for longer than that after this node's own model is ready.

Who waits itself is silent without being dead, and whoever waits for it must not take it for that: else the
nodes that have lost nobody run away from those that have.  So a node that waits longer than usual says
``waiting``, in words, to those that it sends to, twice in the time that they give it at the least; a word
that comes while it is awaited gives its sender that time anew.  The words also tell a receiver that has not
got the model of that round that it is lost, and a receiver that is ahead says so.

Who was stopped itself while it waited (suspended, or starved) finds its timer overdue, and what has arrived
meanwhile unread: it waits anew, once per step, as if its own model were ready only now.

References: Jacobson, "Congestion avoidance and control", SIGCOMM 1988; RFC 6298; Leys et al., "Detecting
outliers: do not use standard deviation around the mean, use absolute deviation around the median", Journal of
Experimental Social Psychology 49(4), 2013; Chen, Toueg, Aguilera, "On the quality of service of failure
detectors", IEEE Transactions on Computers 51(5), 2002.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence, Set
from math import inf, isinf, isnan

from p2pfl.detection.patience import LAG_S
from p2pfl.errors import ConfigError
from p2pfl.events import Neighbourhood, SetTimer, View

ROUND_TIMEOUT_S = 30.0
DEVIATIONS = 6.0
WINDOW = 16  # lags per sender, and beginnings of rounds
LEAST_KNOWN = 4  # lags below which nothing is known of a sender
FLOOR_S = 1.0  # the least minimum of RFC 6298, too
MARGIN = 1.5  # times the worst lag: who was late once may be so again
NORMAL = 1.4826  # a normal distribution's standard deviation, in MAD
WAITING_KIND = "waiting"  # words only: "I have shared my model of this round, and wait for others"
LEAST_S = 1e-3  # a shorter rest is none: it might be lost in the rounding of the time
MAX_HALVINGS = 30
ANYBODY = ""  # awaited by who has neighbours, and a link to none of them


class Patience:
    """The lags of one node's senders; ``at`` says the time before anything else is said or asked.

    A step is a round, or one of ``phases`` exchanges of a round, each with lags of its own.
    ``bound_s`` = 0 waits for ever; ``deviations`` = infinity always waits for the whole bound.
    """

    def __init__(self, bound_s: float, deviations: float, *, phases: int = 1) -> None:
        _check("round_timeout_s", bound_s, what="waiting time", fix="seconds above 0, or 0 to wait for ever")
        _check(
            "patience_deviations", deviations, what="number of deviations", fix="0 or more; inf waits for all"
        )
        self.now_s = 0.0
        self.late: Counter[str] = Counter()  # sender -> models of rounds that this node had left behind
        self._bound_s = 0.0 if isinf(bound_s) else bound_s
        self._deviations = deviations
        self._phases = phases
        self._lags: dict[str, list[deque[float]]] = {}  # per phase, in seconds
        self._heard: dict[str, int] = {}  # the latest step of each sender
        self._silent: Counter[str] = Counter()  # rounds in a row without a word
        self._begun: dict[int, float] = {}  # step -> when this node began it, in order
        self._step = 0
        self._ready_s = 0.0
        self._least_s = 0.0  # until then everybody is waited for who has not been silent
        self._heard_s: dict[str, float] = {}  # when the last word of a sender came
        self._trainings_s: deque[float] = deque(maxlen=WINDOW)  # of this node, and its waits
        self._waits_s: deque[float] = deque(maxlen=WINDOW)
        self._speak_s = inf  # when to say that it waits
        self._due: dict[str, float] = {}  # of those who are waited for in this step
        self._timer_s: float | None = None
        self._was_stopped = False  # in this step, while it waited

    def at(self, now_s: float) -> None:
        """So late it is; if the timer should have fired long ago, this node itself was stopped."""
        self.now_s = now_s
        if self._timer_s is None or now_s - self._timer_s <= LAG_S or self._was_stopped:
            return
        self._was_stopped = True
        self._begun[self._step] += now_s - self._timer_s
        self._wait_from_now()
        self._speak_s = now_s + self._pause_s()

    @property
    def is_bounded(self) -> bool:
        """Does any wait ever end by itself?"""
        return self._bound_s > 0

    def begin(self, step: int) -> None:
        """This node begins a step; who has come as far already has no lag."""
        if self._begun:
            self._waits_s.append(self.now_s - self._ready_s)
        self._step = step
        self._begun[step] = self.now_s
        if len(self._begun) > WINDOW:
            del self._begun[next(iter(self._begun))]
        for sender, heard in self._heard.items():
            if heard >= step:
                self._note(sender, step, 0.0)
        self.ready()

    def ready(self) -> None:
        """This node has nothing left to do in the step but to wait."""
        self._wait_from_now()
        self._speak_s = inf
        self._was_stopped = False

    def _wait_from_now(self) -> None:
        self._ready_s = self.now_s
        self._least_s = self.now_s + min(FLOOR_S, self._bound_s)
        self._timer_s = None
        self._due.clear()

    def hear(self, sender: str, step: int) -> None:
        """A word of a sender has come: it is in this step."""
        self._silent.pop(sender, None)
        self._heard_s[sender] = self.now_s
        self._due.pop(sender, None)  # it may be worth a longer wait now
        if step <= self._heard.get(sender, -1):
            return
        self._heard[sender] = step
        if step <= self._step and self._begun:
            begun_s = self._begun.get(step)
            if begun_s is None and step < next(iter(self._begun)):
                begun_s = self._begun[next(iter(self._begun))]
            if begun_s is not None:  # None: a round that this node has skipped
                self._note(sender, step, self.now_s - begun_s)

    def meet(self, senders: Iterable[str]) -> None:
        """Links with these have come up: whatever they did before, they are alive."""
        for sender in senders:
            self._silent.pop(sender, None)
            self._due.pop(sender, None)

    def leave_out(self, senders: Iterable[str]) -> None:
        """The step ends without these."""
        self._silent.update(sender for sender in senders if sender != ANYBODY)

    def keep_only(self, senders: Set[str]) -> None:
        """Forget everybody else."""
        known: tuple[dict[str, list[deque[float]]] | dict[str, int] | dict[str, float], ...]
        known = (self._lags, self._heard, self._heard_s, self._silent, self.late)
        for table in known:
            for sender in [each for each in table if each not in senders]:
                del table[sender]

    def rest_s(self, awaited: Set[str]) -> float:
        """How much longer to wait for them: 0 when all are overdue, infinity without a bound."""
        if not self.is_bounded:
            return inf
        rest_s = self._until_s(awaited, inf) - self.now_s
        return rest_s if rest_s > LEAST_S else 0.0

    def wait(self, name: str, awaited: Set[str]) -> list[SetTimer] | None:
        """The timer for the end of the wait or the next word, unless one is set that is early enough.

        None when nobody is awaited, or all who are are overdue.
        """
        if not awaited:
            return None
        if not self.is_bounded:
            return []
        is_early = self.now_s + LEAST_S < self._least_s and not self._silent
        if is_early and self._timer_s is not None and self._timer_s <= self._least_s:
            return []
        enough_s = self.now_s + LEAST_S
        return None if self._until_s(awaited, enough_s) <= enough_s else self.timer(name, awaited)

    def timer(self, name: str, awaited: Set[str]) -> list[SetTimer]:
        """The timer for the end of the wait or the next word, if none is set for that or an earlier time."""
        if isinf(self._speak_s):
            if self._ready_s > self._begun[self._step]:
                self._trainings_s.append(self._ready_s - self._begun[self._step])
            usual_s = _median(self._waits_s) if self._waits_s else 0.0
            self._speak_s = self._ready_s + usual_s + self._pause_s()
        due_s = min(self._until_s(awaited, self._speak_s), self._speak_s)
        if self._timer_s is not None and self._timer_s <= due_s + LEAST_S:
            return []
        self._timer_s = due_s
        return [SetTimer(name, max(due_s - self.now_s, 0.0))]

    def fired(self) -> bool:
        """The timer has run out: is it time to say that this node waits?"""
        self._timer_s = None
        if self.now_s < self._speak_s - LEAST_S:
            return False
        self._speak_s = self.now_s + self._pause_s()
        return True

    def _until_s(self, awaited: Set[str], enough_s: float) -> float:
        """When the last of them is overdue, or a time after ``enough_s`` when one of them still is not."""
        if enough_s < self._least_s and not awaited <= self._silent.keys():
            return self._least_s
        due, until_s = self._due, -inf
        for sender in awaited:
            if sender not in due:
                due[sender] = self._due_s(sender)
            until_s = max(until_s, due[sender])
            if until_s > enough_s:
                break
        return until_s

    def _pause_s(self) -> float:
        """The time between two words: half of what a receiver of this node gives it at the least."""
        return max(FLOOR_S, _median(self._trainings_s) if self._trainings_s else 0.0) / 2

    def _note(self, sender: str, step: int, lag_s: float) -> None:
        lags = self._lags.get(sender)
        if lags is None:
            lags = self._lags[sender] = [deque(maxlen=WINDOW) for _ in range(self._phases)]
        lags[step % self._phases].append(lag_s)

    def _due_s(self, sender: str) -> float:
        """When this node goes on without a sender."""
        latest_s = self._ready_s + self._bound_s
        if isinf(self._deviations) or sender == ANYBODY:
            return latest_s
        silent = min(self._silent[sender], MAX_HALVINGS)
        part = 0.5**silent
        phases = self._lags.get(sender, [])
        lags = phases[self._step % self._phases] if phases else ()
        if len(lags) < LEAST_KNOWN:
            return self._ready_s + self._bound_s * part
        usual_s, spread_s = median_and_spread(lags)
        whole_s = sum(_median(each) for each in phases if each)
        more_s = max(self._deviations * spread_s, whole_s, FLOOR_S)
        begun_s = self._begun[self._step]
        due_s = max(begun_s + usual_s * part, self._ready_s) + more_s * part
        if not silent:
            due_s = max(due_s, begun_s + MARGIN * max(lags))
        heard_s = self._heard_s.get(sender, -inf)
        if heard_s > begun_s:
            due_s = max(due_s, heard_s + whole_s + more_s)  # it has the next training before it
        return min(due_s, latest_s)


def linked_senders(begun: Neighbourhood, view: View, round: int) -> tuple[set[str], bool]:
    """The senders of a round that may be waited for, and whether there are some but a link to none of them.

    ``begun`` is the neighbourhood with which the round began; who is no sender any more is not waited for.
    """
    now = view.neighbourhood(round).receive_weights
    senders = {each for each in begun.receive_weights if each in view.accepted and each in now}
    linked = senders & view.live
    return linked, bool(senders) and not linked


def _check(name: str, value: float, *, what: str, fix: str) -> None:
    if isnan(value) or value < 0:
        raise ConfigError(f"{name} = {value} is no {what}", where=f"[protocol] {name}", fix=fix)


def median_and_spread(lags: Sequence[float]) -> tuple[float, float]:
    """The median and 1.4826 times the median distance from it, of at least one lag."""
    usual = _median(lags)
    return usual, NORMAL * _median([abs(lag - usual) for lag in lags])


def _median(values: Collection[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
