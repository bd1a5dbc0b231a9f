"""The garbage collector is as before after a run, however runs overlap."""

import gc

from simulations.agenda import RARELY, rare_garbage_collection


def test_runs_that_overlap_leave_the_garbage_collector_as_it_was() -> None:
    usual = gc.get_threshold()
    first, second = rare_garbage_collection(), rare_garbage_collection()

    first.__enter__()
    second.__enter__()
    assert gc.get_threshold() == RARELY
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)

    assert gc.get_threshold() == usual
