import gc
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pfl.wire.limits import Limits
from p2pfl.wire.pool import BufferPool, Lease

CAPACITY = 64


def leased(pool: BufferPool, owner: str = "anna") -> Lease:
    lease = pool.lease(owner, capacity=CAPACITY, size_bytes=40)
    assert lease is not None
    return lease


def received(pool: BufferPool, owner: str = "anna") -> NDArray[np.uint8]:
    lease = leased(pool, owner)
    lease.memory[:] = bytes(range(40))
    return lease.complete()


def address(array: NDArray[np.generic]) -> int:
    return array.ctypes.data


def quiet() -> None:
    """Nobody waits."""


def test_the_array_handed_out_is_what_was_received_and_read_only() -> None:
    array = received(BufferPool(Limits(), quiet))

    assert array.tobytes() == bytes(range(40))
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_a_buffer_is_used_again_once_its_array_has_been_collected() -> None:
    pool = BufferPool(Limits(), quiet)
    first = received(pool)
    place = address(first)

    second = received(pool)
    assert address(second) != place
    del first

    assert address(received(pool)) == place


def test_a_view_of_a_view_keeps_the_buffer_from_being_used_again() -> None:
    pool = BufferPool(Limits(), quiet)
    array = received(pool)
    place = address(array)
    view = array[:40].view(np.float32)[2:]
    memory = memoryview(view.data)
    del array
    gc.collect()

    assert address(received(pool)) != place
    assert view.tobytes() == bytes(range(8, 40))
    del view
    assert pool.held("anna") == 1  # the memoryview alone
    del memory
    assert pool.held("anna") == 0


def test_no_more_bodies_are_in_transit_than_the_limit_says() -> None:
    pool = BufferPool(Limits(inbound_models=2), quiet)
    first, _second = leased(pool, "anna"), leased(pool, "bert")

    assert pool.lease("cleo", capacity=CAPACITY, size_bytes=40) is None
    array = first.complete()

    assert pool.lease("cleo", capacity=CAPACITY, size_bytes=40) is not None
    assert array.size == 40


def test_one_peer_cannot_occupy_more_than_its_share() -> None:
    pool = BufferPool(Limits(held_models=2), quiet)
    kept = [received(pool, "anna"), received(pool, "anna")]

    assert pool.lease("anna", capacity=CAPACITY, size_bytes=40) is None
    assert pool.lease("bert", capacity=CAPACITY, size_bytes=40) is not None
    kept.pop()
    assert pool.lease("anna", capacity=CAPACITY, size_bytes=40) is not None


def test_whoever_was_told_to_wait_is_called_once_when_a_buffer_returns() -> None:
    calls: list[int] = []
    pool = BufferPool(Limits(held_models=1), lambda: calls.append(threading.get_ident()))
    array = received(pool)
    assert calls == []  # nobody waited

    assert pool.lease("anna", capacity=CAPACITY, size_bytes=40) is None
    kept = [array]
    del array
    collector = threading.Thread(target=kept.clear)
    collector.start()
    collector.join()

    assert calls == [collector.ident]


def test_an_abandoned_buffer_returns_at_once() -> None:
    pool = BufferPool(Limits(inbound_models=1), quiet)
    leased(pool).abandon()

    assert pool.held("anna") == 0
    assert pool.lease("anna", capacity=CAPACITY, size_bytes=40) is not None


def test_only_so_many_spare_buffers_are_kept() -> None:
    pool = BufferPool(Limits(spare_models=2), quiet)
    arrays = [received(pool, str(peer)) for peer in range(5)]
    places = {address(array) for array in arrays}
    keeper = [np.empty(CAPACITY, np.uint8) for _ in range(5)]  # takes the memory that was given back
    arrays.clear()
    pool.held("anyone")
    keeper += [np.empty(CAPACITY, np.uint8) for _ in range(5)]

    again = [received(pool, str(peer)) for peer in range(4)]

    assert len({address(array) for array in again} & places) == 2


def test_a_buffer_of_another_size_is_not_used() -> None:
    pool = BufferPool(Limits(), quiet)
    place = address(received(pool))  # collected at once
    small = pool.lease("anna", capacity=CAPACITY // 2, size_bytes=CAPACITY // 2)

    assert small is not None
    assert address(small.complete()) != place
