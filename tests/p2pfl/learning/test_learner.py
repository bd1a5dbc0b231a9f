import numpy as np
import pytest

from p2pfl.learning.learner import Evaluation, Schema

ONE = Evaluation(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), 2.0)
TWO = Evaluation(np.array([[1, 0, 1], [2, 2, 0], [0, 0, 5]]), 3.5)


def test_counts_of_two_nodes_add_up_to_the_pooled_figures() -> None:
    both = ONE + TWO

    assert both.count == 19
    assert both.accuracy == 15 / 19
    assert both.loss == 5.5 / 19
    # Per class 2 TP / (row + column): class 0: 8 / (6 + 6), class 1: 12 / (8 + 7), class 2: 10 / (5 + 6).
    assert both.macro_f1 == pytest.approx((8 / 12 + 12 / 15 + 10 / 11) / 3)


def test_macro_f1_leaves_out_classes_that_do_not_occur() -> None:
    assert ONE.macro_f1 == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_an_empty_evaluation_has_zero_everywhere() -> None:
    nothing = Evaluation(np.zeros((3, 3), dtype=np.int64), 0.0)

    assert (nothing.count, nothing.accuracy, nothing.loss, nothing.macro_f1) == (0, 0.0, 0.0, 0.0)


def test_a_schema_counts_scalars_and_empty_tensors() -> None:
    schema = Schema((("a", (2, 3), "float32"), ("b", (), "float32"), ("c", (0, 4), "float32")))

    assert schema.parameters == 7


def test_schemas_differ_by_name_shape_dtype_and_order_and_say_how_they_begin() -> None:
    a, b = ("a", (2, 3), "float32"), ("b", (4,), "float32")
    schemas = [
        Schema((a, b)),
        Schema((b, a)),
        Schema((a, ("b", (2, 2), "float32"))),
        Schema((a, ("b", (4,), "float16"))),
        Schema((a, ("c", (4,), "float32"))),
    ]

    assert len({schema.hash for schema in schemas}) == len(schemas)
    assert Schema((a, b)).hash == schemas[0].hash
    assert len(schemas[0].hash) == 8
    assert schemas[0].words == "10 parameters: a [2, 3], b [4]"
    assert Schema(tuple((f"t{n}", (1,), "float32") for n in range(9))).words.endswith("t3 [1], ...")
