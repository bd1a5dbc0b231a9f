from pathlib import Path

import numpy as np
import pytest

from p2pfl.data.tabular import tabular
from p2pfl.errors import ConfigError
from tests.p2pfl.data.small_files import OWNERS, real_data, write_csv

# Ten rows each of two owners; the label is told by x, and y is missing in some.
ROWS = [
    f"{who},{x},{'?' if x in (2, 7) else 10 * x + shift},{x % 2}"
    for who, shift in (("a", 0), ("b", 1000))
    for x in range(10)
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["who,x,y,label", *ROWS]) + "\n")
    return path


def test_each_owner_keeps_its_share_of_every_label_for_tests(tmp_path: Path) -> None:
    data = tabular(path=str(write_csv(tmp_path / "t.csv")), label="ill", owner="who", test_share=0.25)
    assert data.train.owner is not None
    assert data.test.owner is not None

    assert sorted(set(data.train.owner.tolist())) == list(OWNERS)
    for owner in OWNERS:
        for label in (0, 1):
            train = ((data.train.owner == owner) & (data.train.labels == label)).sum()
            test = ((data.test.owner == owner) & (data.test.labels == label)).sum()
            assert abs(test - 0.25 * (train + test)) <= 0.5
    assert data.classes == 2
    assert data.train.inputs.shape[1] == 2
    assert data.train.inputs.dtype == np.float32


def test_the_split_is_always_the_same(file: Path) -> None:
    one, two = (tabular(path=str(file), label="label", owner="who") for _ in range(2))

    assert one.test.inputs.tobytes() == two.test.inputs.tobytes()


def test_a_gap_is_filled_with_the_mean_of_its_owner_s_training_rows(file: Path) -> None:
    data = tabular(path=str(file), label="label", owner="who", scale="none")
    assert data.train.owner is not None
    assert data.test.owner is not None

    for owner in "ab":
        train, test = data.train.inputs[data.train.owner == owner], data.test.inputs[data.test.owner == owner]
        is_gap = np.isin(train[:, 0], (2, 7))
        mean = train[~is_gap, 1].mean()
        np.testing.assert_allclose(train[is_gap, 1], mean, rtol=1e-6)
        np.testing.assert_allclose(test[np.isin(test[:, 0], (2, 7)), 1], mean, rtol=1e-6)


def test_an_owner_without_any_value_of_a_column_takes_the_mean_of_all(tmp_path: Path) -> None:
    rows = [f"a,{x},?,{x % 2}" for x in range(10)] + [f"b,{x},5,{x % 2}" for x in range(10)]
    (tmp_path / "t.csv").write_text("\n".join(["who,x,y,label", *rows]) + "\n")
    data = tabular(path=str(tmp_path / "t.csv"), label="label", owner="who", scale="none")

    assert set(data.train.inputs[:, 1].tolist()) == {5.0}


@pytest.mark.parametrize("scale", ["owner", "all"])
def test_training_rows_have_mean_0_and_deviation_1_of_whom_the_scale_says(file: Path, scale: str) -> None:
    data = tabular(path=str(file), label="label", owner="who", scale=scale)
    owner = data.train.owner
    assert owner is not None
    groups = [owner == "a", owner == "b"] if scale == "owner" else [np.ones(len(owner), dtype=bool)]

    for is_mine in groups:
        np.testing.assert_allclose(data.train.inputs[is_mine].mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(data.train.inputs[is_mine].std(axis=0), 1, atol=1e-6)
    assert abs(data.test.inputs.mean()) > 1e-3  # no test row had a say


def test_a_change_of_a_test_row_changes_no_other_row(file: Path) -> None:
    before = tabular(path=str(file), label="label", owner="who")
    lines = file.read_text().splitlines()
    changed = 0
    for number in range(1, len(lines)):
        who, _, y, label = lines[number].split(",")
        file.write_text("\n".join([*lines[:number], f"{who},99999,{y},{label}", *lines[number + 1 :]]) + "\n")
        after = tabular(path=str(file), label="label", owner="who")
        if (after.test.inputs > 1000).any():
            changed += 1
            np.testing.assert_array_equal(after.train.inputs, before.train.inputs)
    assert changed == len(before.test)


def test_incomplete_rows_may_be_dropped(file: Path) -> None:
    data = tabular(path=str(file), label="label", owner="who", incomplete="drop", scale="none")

    assert len(data.train) + len(data.test) == 16
    assert not np.isin(data.train.inputs[:, 0], (2, 7)).any()


def test_several_files_have_one_owner_each_unless_a_column_names_them(tmp_path: Path) -> None:
    paths = [str(write_csv(tmp_path / f"{name}.csv", rows=60)) for name in ("north", "south")]
    by_file = tabular(path=paths, label="ill", leave_out=["who"])
    by_column = tabular(path=paths, label="ill", owner="who")

    assert by_file.train.owner is not None
    assert by_column.train.owner is not None
    assert sorted(set(by_file.train.owner.tolist())) == ["north", "south"]
    assert sorted(set(by_column.train.owner.tolist())) == list(OWNERS)
    assert tabular(path=paths[:1], label="ill", leave_out="who").train.owner is None


def test_test_rows_may_come_from_files_of_their_own(tmp_path: Path) -> None:
    train, test = (write_csv(tmp_path / f"{name}.csv", rows=rows) for name, rows in (("a", 60), ("b", 30)))
    data = tabular(path=str(train), test_path=str(test), label="ill", owner="who")

    assert (len(data.train), len(data.test)) == (60, 30)


def test_a_category_becomes_one_input_per_value_seen_in_training(tmp_path: Path) -> None:
    lines = [f"{'red' if x % 3 else 'blue'},{x % 2}" for x in range(40)] + ["?,0", "?,1"]
    (tmp_path / "t.csv").write_text("\n".join(["colour,label", *lines]) + "\n")
    data = tabular(path=str(tmp_path / "t.csv"), label="label", categories=["colour"])
    rows = {tuple(row) for row in np.concatenate([data.train.inputs, data.test.inputs]).tolist()}

    assert rows == {(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)}


def test_a_category_that_is_a_number_has_one_spelling(tmp_path: Path) -> None:
    for name, spelling in (("a", "{}.0"), ("b", "{}")):
        lines = [f"{spelling.format(x % 3)},{x % 2}" for x in range(30)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["kind,label", *lines]) + "\n")
    paths = [str(tmp_path / f"{name}.csv") for name in "ab"]
    data = tabular(path=paths, label="label", categories=["kind"])

    assert data.train.inputs.shape[1] == 3


def test_classes_are_the_distinct_labels_in_order(tmp_path: Path) -> None:
    for labels in (["-1", "1", "10"], ["ant", "bee", "cat"]):
        rows = [f"{x},{labels[x % 3]}" for x in range(30)]
        (tmp_path / "t.csv").write_text("\n".join(["x,label", *rows]) + "\n")
        data = tabular(path=str(tmp_path / "t.csv"), label="label", scale="none")

        assert data.classes == 3
        np.testing.assert_array_equal(data.train.labels, data.train.inputs[:, 0].astype(int) % 3)


def test_a_number_becomes_two_classes_by_a_limit(tmp_path: Path) -> None:
    rows = [f"{x},{x / 10}" for x in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["x,score", *rows]) + "\n")
    data = tabular(path=str(tmp_path / "t.csv"), label="score", positive_above=1.0, scale="none")

    np.testing.assert_array_equal(data.train.labels, data.train.inputs[:, 0] > 10)


def test_arrays_give_the_same_samples_as_the_same_table_in_text(tmp_path: Path, file: Path) -> None:
    cells = [row.replace("?", "nan").split(",") for row in ROWS]
    who, x, y, label = zip(*cells, strict=True)
    arrays = {
        "who": np.array(who),
        "x": np.array(x, float),
        "y": np.array(y, float),
        "label": np.array(label, int),
    }
    np.savez_compressed(tmp_path / "t.npz", **arrays)  # type: ignore[arg-type]
    from_text, from_arrays = (
        tabular(path=str(path), label="label", owner="who") for path in (file, tmp_path / "t.npz")
    )

    assert from_text.train.inputs.tobytes() == from_arrays.train.inputs.tobytes()
    assert from_text.test.labels.tolist() == from_arrays.test.labels.tolist()


@pytest.mark.parametrize(
    ("options", "message", "where"),
    [
        ({"label": "lable"}, "unknown column 'lable'; known: label, who, x, y", "table.csv"),
        ({"owner": "hospital"}, "unknown column 'hospital'", "table.csv"),
        ({"leave_out": ["x", "z"]}, "unknown column 'z'", "table.csv"),
        ({"leave_out": ["x", "y"]}, "no column is left to learn from", "table.csv"),
        ({"owner": ""}, "expected a finite number, found 'a'", "table.csv, line 2, column who"),
        ({"owner": "y"}, "expected a value in every row, found '?'", "table.csv, line 4, column y"),
        ({"incomplete": "guess"}, "incomplete must be one of impute, drop, not 'guess'", "task.incomplete"),
        ({"scale": "much"}, "scale must be one of owner, all, none", "task.scale"),
        ({"test_share": 1.0}, "test_share must be a number between 0 and 1", "task.test_share"),
        ({"test_share": 0.01}, "20 complete rows leave none for tests", "task.test_share"),
        (
            {"label": "who", "owner": "", "positive_above": 1.0},
            "needs labels that are numbers",
            "positive_above",
        ),
        ({"path": []}, "path names no file", "task.path"),
        ({"path": 3}, "path must be text or a list of texts", "task.path"),
        ({"columns": ["a", "b"]}, "expected 2 cells, found 4", "table.csv, line 1"),
    ],
)
def test_what_is_wrong_is_named(file: Path, options: dict[str, object], message: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tabular(**{"path": str(file), "label": "label", "owner": "who", **options})  # type: ignore[arg-type]
    assert message in caught.value.what
    assert where in caught.value.where


def test_files_with_other_columns_are_refused(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("who,x,label\na,1,0\n")

    with pytest.raises(ConfigError, match=r"other.csv has other columns than .*table.csv"):
        tabular(path=[str(file), str(other)], label="label", owner="who")


HEART = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"]
HEART += ["slope", "ca", "thal", "num"]
HOSPITALS = {"cleveland": (303, 303), "hungarian": (294, 261), "switzerland": (123, 46), "va": (200, 130)}


@pytest.mark.slow
def test_four_hospitals_have_the_published_counts() -> None:
    folder = real_data("heart-disease")
    files = [str(folder / f"processed.{hospital}.data") for hospital in HOSPITALS]
    whole = tabular(path=files, columns=HEART, label="num", positive_above=0)
    complete = tabular(
        path=files,
        columns=HEART,
        label="num",
        positive_above=0,
        leave_out=["slope", "ca", "thal"],
        incomplete="drop",
        test_share=1 / 3,
    )

    for place, data in enumerate((whole, complete)):
        assert data.train.owner is not None
        assert data.test.owner is not None
        owner = np.concatenate([data.train.owner, data.test.owner])
        counts = {hospital: int((owner == f"processed.{hospital}").sum()) for hospital in HOSPITALS}
        assert counts == {hospital: numbers[place] for hospital, numbers in HOSPITALS.items()}
        assert np.isfinite(data.train.inputs).all()
    labels = np.concatenate([whole.train.labels, whole.test.labels])
    assert int(labels.sum()) == 139 + 106 + 115 + 149
    assert len(complete.train) + len(complete.test) == 740


@pytest.mark.slow
def test_room_occupancy_has_the_published_shares() -> None:
    folder = real_data("occupancy")
    data = tabular(
        path=str(folder / "datatraining.txt"),
        test_path=[str(folder / "datatest.txt"), str(folder / "datatest2.txt")],
        label="Occupancy",
        leave_out=["row", "date"],
        scale="all",
    )

    assert (len(data.train), len(data.test)) == (8143, 2665 + 9752)
    assert data.train.inputs.shape[1] == 5
    assert round(float(data.train.labels.mean()), 3) == 0.212
