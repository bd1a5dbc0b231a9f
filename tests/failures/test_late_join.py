"""A late joiner's model counts by its age: it does not drag the others back to the beginning."""

from tests.p2pfl.peer.crowd import Crowd

LOST = 1.0  # trainings: a joiner with a model of the others costs none, a fresh one some 2.4 of 40


async def test_late_join_is_not_over_weighted() -> None:
    crowd = Crowd(topology="full_mesh", rounds=0, members=3)
    veterans = [crowd.member(name, 0) for name in "abc"]
    newcomer = crowd.member("d", 0)
    for member in (*veterans, newcomer):
        member.log.most_kept = 2
        member.learner.takes_s = 0.005
    for member in veterans:
        member.start()
    for member in veterans:
        await member.until("round.done", 40)

    newcomer.start()
    await newcomer.until("round.done", 20)

    # Every training adds one: whose model is a mean of veterans' models has as much as it is old.
    for member in (*veterans, newcomer):
        model = member.peer.model
        assert model.params[0] > model.age - LOST
        await member.stop()
