"""One round of gossip averaging under way, and the weighted mean that ends it."""

from collections.abc import Mapping

from p2pfl.events import Neighbourhood
from p2pfl.model import Model
from p2pfl.protocols.protocol import Setup

MODEL = "model"  # the kind of message that carries a round's model


class Exchange:
    """One round under way: its neighbourhood, and how far the exchange has come."""

    __slots__ = ("awaited", "has_sent", "is_void", "neighbourhood", "trained", "waited_for")

    def __init__(
        self, neighbourhood: Neighbourhood, trained: Model | None = None, has_sent: set[str] | None = None
    ) -> None:
        self.neighbourhood = neighbourhood
        self.trained = trained  # None while training
        self.is_void = False  # the training under way: a later model has come
        self.has_sent = set() if has_sent is None else has_sent
        self.awaited: set[str] = set()  # now
        self.waited_for: set[str] = set()  # at some time


def mixed(setup: Setup, exchange: Exchange, arrived: Mapping[str, Model]) -> Model:
    """The mean of the round; the weight of who is missing returns to the node itself.

    Summed in the order of the sender ids, its own at its place; the age is the largest.
    """
    hood, own = exchange.neighbourhood, exchange.trained
    assert own is not None
    if not arrived:
        return own
    weights = {sender: hood.receive_weights[sender] for sender in arrived}
    absent = [weight for sender, weight in sorted(hood.receive_weights.items()) if sender not in arrived]
    weights[setup.me] = hood.self_weight + sum(absent)
    models = {**arrived, setup.me: own}
    order = sorted(models)
    params = setup.aggregate([models[each].params for each in order], [weights[each] for each in order])
    return Model(params, max(model.age for model in models.values()), own.weight)
