from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.data.blocks import GROUP_ROWS, Blocks, read_table, write_table

ROWS = [("1", 'two\nlines, "quoted"\r'), ("2", ""), ("3", "NA"), ("4", '"'), ("5", "\n\n")]


def make_table(rows: list[tuple[str, str]]) -> pyarrow.Table:
    return pyarrow.table({"id": [row[0] for row in rows], "text": [row[1] for row in rows]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "rows.parquet"
    write_table(found, [make_table(ROWS[:3]), make_table(ROWS[3:])])
    return found


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of several row groups, some of which are not full."""
    path = tmp_path_factory.mktemp("large") / "rows.parquet"
    numbers = [(str(number), "") for number in range(3 * GROUP_ROWS)]
    cuts = [0, 10, GROUP_ROWS + 500, 3 * GROUP_ROWS]
    write_table(path, [make_table(numbers[a:b]) for a, b in pairwise(cuts)])
    return path


@pytest.mark.parametrize(("size", "blocks"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_blocks_have_so_many_rows_whatever_the_texts_have_in_them(
    path: Path, size: int, blocks: int
) -> None:
    found = Blocks.from_path(path, size)
    assert (found.rows, len(found)) == (5, blocks)
    read = [tuple(row) for n in range(blocks) for row in found.read([n]).to_numpy().tolist()]
    assert read == ROWS


def test_blocks_are_read_in_any_order(path: Path) -> None:
    assert Blocks.from_path(path, 2).read([2, 0])["id"].tolist() == ["5", "1", "2"]


def test_all_rows_in_order_are_those_that_are_read_at_once(path: Path) -> None:
    pieces = list(Blocks.from_path(path, 1).read_in_order(2))
    assert [piece["id"].tolist() for piece in pieces] == [["1", "2"], ["3", "4"], ["5"]]
    assert read_table(path)["text"].tolist() == [t for p in pieces for t in p["text"]]
    assert [str(dtype) for dtype in read_table(path).dtypes] == ["str", "str"]


@settings(max_examples=40)
@given(data=st.data(), size=st.sampled_from([1, 7, 333, GROUP_ROWS, 2500]))
def test_blocks_across_row_groups_are_the_rows_of_their_numbers(
    large: Path, data: st.DataObject, size: int
) -> None:
    blocks = Blocks.from_path(large, size)
    numbers = data.draw(
        st.lists(st.integers(0, len(blocks) - 1), min_size=1, max_size=6, unique=True)
    )
    expected = [
        str(row)
        for number in numbers
        for row in range(number * size, min((number + 1) * size, blocks.rows))
    ]
    assert blocks.read(numbers)["id"].tolist() == expected


def test_what_is_written_at_once_or_by_pieces_has_the_same_rows(tmp_path: Path) -> None:
    for name, cuts in {"a": [ROWS], "b": [[row] for row in ROWS]}.items():
        write_table(tmp_path / name, map(make_table, cuts))
    assert read_table(tmp_path / "a").equals(read_table(tmp_path / "b"))
