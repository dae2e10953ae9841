from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tagifai.data import tables
from tagifai.data.blocks import Blocks
from tagifai.exceptions import DataError

ROWS = [("1", 'two\nlines, "quoted"\r'), ("2", ""), ("3", "NA"), ("4", '"'), ("5", "\n\n")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "labeled.csv"
    with found.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(("id", "text"))
        writer.writerows(ROWS)
    return found


@pytest.mark.parametrize(("size", "blocks"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_blocks_have_so_many_rows_whatever_the_texts_have_in_them(
    path: Path, size: int, blocks: int
) -> None:
    found = Blocks.from_csv(path, size)
    assert (found.rows, len(found)) == (5, blocks)
    read = [tuple(row) for n in range(blocks) for row in found.read([n]).to_numpy().tolist()]
    assert read == ROWS


def test_blocks_are_read_in_any_order(path: Path) -> None:
    assert Blocks.from_csv(path, 2).read([2, 0])["id"].tolist() == ["5", "1", "2"]


def test_all_rows_in_order_are_those_that_are_read_at_once(path: Path) -> None:
    pieces = list(Blocks.from_csv(path, 1).read_in_order(2))
    assert [piece["id"].tolist() for piece in pieces] == [["1", "2"], ["3", "4"], ["5"]]
    assert tables.read(path)["text"].tolist() == [t for p in pieces for t in p["text"]]


def test_a_file_that_is_replaced_meanwhile_is_refused(path: Path) -> None:
    blocks = Blocks.from_csv(path, 2)
    path.write_text('"id","text"\n"9","x"\n')
    with pytest.raises(DataError, match="was replaced while it was in use"):
        blocks.read([0])
