"""Whatever happens to six memberships: what must hold of each, always, and of all of them once it is over."""

from itertools import combinations, permutations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pfl.membership import State
from tests.p2pfl.membership_world import Weather, World

NAMES = "abcdef"
PAIRS = ["".join(pair) for pair in combinations(NAMES, 2)]
names = st.sampled_from(NAMES)
pairs = st.sampled_from(PAIRS)
ways = st.sampled_from(list(permutations(NAMES, 2)))


class Memberships(RuleBasedStateMachine):
    """Crash, restart, pause, cut, heal; lost, doubled, late heartbeats."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(NAMES)
        self.world.link_all()
        self.ranks: dict[tuple[str, str], tuple[int, int]] = {}

    @rule(name=names)
    def crash(self, name: str) -> None:
        if name in self.world.nodes:
            self.world.kill(name)
            self._forget(name)

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.world.nodes:
            self.world.kill(name, says_goodbye=True)
            self._forget(name)

    @rule(name=names, incarnation=st.integers(1, 4))
    def restart(self, name: str, incarnation: int) -> None:
        if name not in self.world.nodes:
            self.world.begin(name, incarnation=incarnation)
            self.world.link(*(name + other for other in sorted(self.world.nodes) if other != name))

    @rule(name=names)
    def pause(self, name: str) -> None:
        if name in self.world.nodes:
            self.world.pause(name)

    @rule(name=names)
    def resume(self, name: str) -> None:
        self.world.resume(name)

    @rule(pair=pairs, is_unneeded=st.booleans())
    def cut(self, pair: str, is_unneeded: bool) -> None:
        if frozenset(pair) in self.world.links:
            self.world.cut(pair, is_unneeded=is_unneeded)

    @rule(pair=pairs)
    def heal(self, pair: str) -> None:
        if self.world.nodes.keys() >= set(pair) and frozenset(pair) not in self.world.links:
            self.world.link(pair)

    @rule(way=ways)
    def block(self, way: tuple[str, str]) -> None:
        self.world.blocked.add(way)

    @rule(way=ways)
    def unblock(self, way: tuple[str, str]) -> None:
        self.world.blocked.discard(way)

    @rule(loss=st.floats(0, 0.7), duplicate=st.floats(0, 0.5), late=st.floats(0, 0.5))
    def weather(self, loss: float, duplicate: float, late: float) -> None:
        self.world.weather = Weather(loss, duplicate, late, late_s=30.0)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 15.0, 40.0]))
    def tick(self, seconds: float) -> None:
        self.world.run(until_s=self.world.now_s + seconds)

    @invariant()
    def nobody_believes_itself_dead(self) -> None:
        assert all(node.table[name].state is State.ALIVE for name, node in self.world.nodes.items())

    @invariant()
    def beliefs_and_incarnations_only_rise(self) -> None:
        for name, node in self.world.nodes.items():
            for member, rumour in node.table.items():
                assert rumour.rank >= self.ranks.get((name, member), (0, 0))
                self.ranks[name, member] = rumour.rank

    @invariant()
    def queues_are_bounded(self) -> None:
        for node in self.world.nodes.values():
            assert max(node.sizes().values()) <= len(NAMES)

    def teardown(self) -> None:
        world = self.world
        for name in NAMES:
            world.resume(name)
        world.blocked.clear()
        world.weather = Weather()
        world.link_all()
        world.run(until_s=world.now_s + 60)
        assert world.agrees, world.rosters()

    def _forget(self, name: str) -> None:
        """Another life of a member starts with an empty table."""
        self.ranks = {key: rank for key, rank in self.ranks.items() if key[0] != name}


Memberships.TestCase.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
TestMemberships = Memberships.TestCase
