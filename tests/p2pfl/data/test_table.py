from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.data.table import MAX_CELL_CHARACTERS, read_csv
from p2pfl.errors import ConfigError

TEXT = "age,name,height\n31,ann,1.75\n42,bob,?\n53,cyd,-1e3\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "people.csv"


def test_the_first_line_names_the_columns(file: Path) -> None:
    file.write_text(TEXT)
    table = read_csv(file)

    assert list(table.columns) == ["age", "name", "height"]
    assert table.texts("name") == ["ann", "bob", "cyd"]
    assert table.numbers("age").tolist() == [31, 42, 53]
    np.testing.assert_array_equal(table.numbers("height"), [1.75, np.nan, -1000])
    assert list(table.lines) == [2, 3, 4]


def test_names_may_come_from_the_caller(file: Path) -> None:
    file.write_text("31,ann\n42,bob\n")

    assert read_csv(file, ["age", "name"]).texts("age") == ["31", "42"]


def test_rows_with_one_cell_more_than_names_begin_with_the_name_of_the_row(file: Path) -> None:
    file.write_text('"age","light"\n"140",31,2.5\n"141",42,3.5\n')
    table = read_csv(file)

    assert list(table.columns) == ["row", "age", "light"]
    assert table.numbers("light").tolist() == [2.5, 3.5]


def test_line_ends_of_any_kind_quotes_and_a_byte_order_mark_are_read(file: Path) -> None:
    file.write_bytes('\ufeffa,b\r\n"x, y",1\r\n"two\nlines",2\r\n'.encode())
    table = read_csv(file)

    assert list(table.columns) == ["a", "b"]
    assert table.texts("a") == ["x, y", "two\nlines"]
    assert list(table.lines) == [2, 4]


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "expected some text, found an empty file", "byte 0"),
        ("a,b\n1,2", "expected a line end, found the end of the file", "line 2"),
        ("a,b\n", "expected rows below the names", ""),
        ("a,b\n1,2\n3\n", "expected 2 cells, found 1", "line 3"),
        ("a,b\n1,2\n\n3,4\n", "expected 2 cells, found 0", "line 3"),
        ("a,b\n1,2\n3,4,5\n", "expected 2 cells, found 3", "line 3"),
        ("a,b\n1,2,3,4\n", "expected 2 cells, found 4", "line 2"),
        ("a,a\n1,2\n", "expected a name for each column, once, found ['a']", "line 1"),
        ('a,b\n"1"x,2\n', "expected cells separated by commas", "line 2"),
        ('a,b\n"1,2\n', "expected cells separated by commas", "line 2"),
        (f"a,b\n{'x' * 257},2\n", "expected cells of at most 256 characters, found one of 257", "line 2"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(file: Path, text: str, message: str, place: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_csv(file)
    assert message in caught.value.what
    assert caught.value.where == (f"{file}, {place}" if place else str(file))


def test_bytes_that_are_no_utf_8_are_named_by_their_offset(file: Path) -> None:
    file.write_bytes(b"a,b\n1,\xff\n")

    with pytest.raises(ConfigError, match="expected UTF-8, found byte 0xff") as caught:
        read_csv(file)
    assert caught.value.where == f"{file}, byte 6"


@pytest.mark.parametrize("cell", ["ann", "1_000", "inf", "1e999", "0x10", "1,5"])
def test_a_cell_that_is_no_number_is_named_by_line_and_column(file: Path, cell: str) -> None:
    file.write_text(f'age,b\n31,1\n"{cell}",2\n')

    with pytest.raises(ConfigError, match="expected a finite number") as caught:
        read_csv(file).numbers("age")
    assert caught.value.where == f"{file}, line 3, column age"


@given(cut=st.integers(0, len(TEXT) - 1))
def test_a_cut_file_is_refused_or_ends_with_a_whole_row(file: Path, cut: int) -> None:
    file.write_text(TEXT[:cut])
    try:
        table = read_csv(file)
    except ConfigError:
        return
    assert TEXT[cut - 1] == "\n"
    assert table.texts("name") == ["ann", "bob", "cyd"][: len(table)]


@given(st.text(alphabet='a1,"\n\r\x00é ?', max_size=60))
def test_any_text_is_a_table_or_an_error_of_the_operator(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    try:
        table = read_csv(file)
    except ConfigError:
        return
    assert all(len(table.texts(name)) == len(table) for name in table.columns)
    assert all(len(cell) <= MAX_CELL_CHARACTERS for name in table.columns for cell in table.texts(name))
