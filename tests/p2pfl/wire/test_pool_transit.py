"""Of each peer one body is on its way at a time, however many links it has."""

from p2pfl.wire.limits import Limits
from p2pfl.wire.pool import BufferPool


def test_one_peer_does_not_take_the_places_of_the_others() -> None:
    freed: list[None] = []
    pool = BufferPool(Limits(), lambda: freed.append(None))
    first = pool.lease("anna", capacity=8, size_bytes=8)
    assert first is not None
    assert pool.lease("anna", capacity=8, size_bytes=8) is None
    assert pool.lease("bert", capacity=8, size_bytes=8) is not None
    body = first.complete()

    assert len(freed) == 1
    assert pool.lease("anna", capacity=8, size_bytes=8) is not None
    assert body.size == 8
