from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tagifai.config.schema import TableConfig
from tagifai.data import labeled
from tagifai.exceptions import DataError

CONTENT = "key,title,body,stars,part\na,One,first,5,train\nb,Two,second,1,Dev\nc,Three,,5,test\n"


def rows(folder: Path, contents: dict[str, str], **settings: Any) -> labeled.LabeledRows:
    """Return the rows of files with these contents, by the setting that names them."""
    paths = {}
    for key, content in contents.items():
        paths[key] = folder / f"{key}.csv"
        paths[key].write_text(content)
    named: dict[str, Any] = {key: str(path) for key, path in paths.items()}
    source = TableConfig(**named, **{"text": ["title", "body"], "label": "stars", **settings})
    return labeled.read_rows(source, {key: (path.name, path) for key, path in paths.items()})


def table(folder: Path, content: str = CONTENT, **settings: Any) -> pd.DataFrame:
    return rows(folder, {"path": content}, **settings).table


def refused(folder: Path, content: str, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        table(folder, content, **settings)
    return str(caught.value)


def test_texts_are_joined_labels_are_names_and_rows_are_numbered(tmp_path: Path) -> None:
    assert table(tmp_path).to_dict("list") == {
        "id": ["1", "2", "3"],
        "text": ["One first", "Two second", "Three "],
        "tag": ["5", "1", "5"],
    }


def test_ids_and_parts_are_taken_from_their_columns(tmp_path: Path) -> None:
    found = table(tmp_path, id="key", split="part")
    assert found["id"].tolist() == ["a", "b", "c"]
    assert found["split"].tolist() == ["train", "val", "test"]


def test_files_of_parts_follow_one_another(tmp_path: Path) -> None:
    other = "title,body,stars\nFour,x,1\n"
    found = rows(tmp_path, {"path": CONTENT, "test_path": other})
    assert found.table["split"].tolist() == ["train", "train", "train", "test"]
    assert found.table["id"].tolist() == ["1", "2", "3", "4"]
    assert found.rows_read == {"path": 3, "test_path": 1}


def test_rows_without_a_label_are_refused_with_their_numbers_or_left_out(tmp_path: Path) -> None:
    content = "title,body,stars\na,,1\nb,, \nc,,2\nd,,\n"
    assert refused(tmp_path, content) == (
        "data.path: path.csv: data row 2, 4: no label in 'stars' (2 of 4 rows). Leave such rows out"
        " with data.unlabeled=drop."
    )
    found = rows(tmp_path, {"path": content}, unlabeled="drop")
    assert (found.table["id"].tolist(), found.unlabeled) == (["1", "3"], 2)


def test_a_table_without_any_label_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, "title,body,stars\na,,\n", unlabeled="drop")
    assert "no label in 'stars' (1 of 1 rows)" in said


def test_ids_that_are_there_twice_are_shown(tmp_path: Path) -> None:
    said = refused(tmp_path, "key,title,body,stars\nx,a,,1\ny,b,,2\nx,c,,1\n", id="key")
    assert "data row 1, 3: the id 'x' is there 2 times (1 ids are not unique)" in said


def test_a_blank_id_is_shown(tmp_path: Path) -> None:
    said = refused(tmp_path, "key,title,body,stars\nx,a,,1\n ,b,,2\n", id="key")
    assert "data row 2: 'key' is blank" in said


def test_a_part_that_is_none_is_shown(tmp_path: Path) -> None:
    said = refused(tmp_path, CONTENT.replace("Dev", "later"), split="part")
    assert "data row 2: 'part' is 'later', and has to be train, val" in said


def test_parts_without_train_rows_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, CONTENT.replace("train", "test"), split="part")
    assert said == "data.path: path.csv: no row has 'part' = train."


def test_a_name_that_says_no_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reviews"
    path.write_text(CONTENT)
    with pytest.raises(DataError, match=r"Set .* to csv, tsv, jsonl or parquet"):
        labeled.read_rows(TableConfig(path=str(path)), {"path": (str(path), path)})


def test_of_many_rows_the_first_are_shown(tmp_path: Path) -> None:
    content = "title,body,stars\n" + "a,,\n" * 7 + "b,,1\n"
    assert "data row 1, 2, 3, 4, 5 and 2 more: no label" in refused(tmp_path, content)


# --- a piece at a time -------------------------------------------------------------------------


def pieces(folder: Path, contents: dict[str, str], size: int, **settings: Any) -> pd.DataFrame:
    paths = {key: folder / f"{key}.csv" for key in contents}
    for key, content in contents.items():
        paths[key].write_text(content)
    named: dict[str, Any] = {key: str(path) for key, path in paths.items()}
    source = TableConfig(**named, **{"text": ["title", "body"], "label": "stars", **settings})
    found = labeled.read_chunks(
        source, {key: (path.name, path) for key, path in paths.items()}, size
    )
    return pd.concat([piece.table for piece in found], ignore_index=True)


PARTS_OF_FIVE = {"path": CONTENT, "test_path": "key,title,body,stars\nd,Four,x,1\ne,Five,y,1\n"}


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("settings", [{}, {"id": "key"}, {"unlabeled": "drop"}])
def test_pieces_are_the_rows_that_are_read_at_once(
    tmp_path: Path, size: int, settings: dict[str, Any]
) -> None:
    whole = rows(tmp_path, PARTS_OF_FIVE, **settings).table
    pd.testing.assert_frame_equal(pieces(tmp_path, PARTS_OF_FIVE, size, **settings), whole)


@pytest.mark.parametrize("size", [1, 2, 9])
def test_ids_that_are_in_two_pieces_or_files_are_shown(tmp_path: Path, size: int) -> None:
    contents = {"path": CONTENT, "test_path": "key,title,body,stars\nz,,,1\nb,,,1\n"}
    with pytest.raises(DataError) as caught:
        pieces(tmp_path, contents, size, id="key")
    said = "data.path: path.csv: data row 2: the id 'b' is there 2 times (1 ids are not unique)"
    assert said in str(caught.value)


def test_a_row_of_a_later_piece_without_a_label_is_shown(tmp_path: Path) -> None:
    content = {"path": "title,body,stars\na,,1\nb,,2\nc,,3\nd,,\n"}
    with pytest.raises(DataError, match=r"data row 4: no label in 'stars' \(1 of the first 4 rows"):
        pieces(tmp_path, content, 2)
    assert len(pieces(tmp_path, content, 2, unlabeled="drop")) == 3


def test_pieces_without_any_label_or_train_row_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no label in 'stars' \(2 of 2 rows\)"):
        pieces(tmp_path, {"path": "title,body,stars\na,,\nb,,\n"}, 1, unlabeled="drop")
    with pytest.raises(DataError, match="no row has 'part' = train"):
        pieces(tmp_path, {"path": CONTENT.replace("train", "test")}, 1, split="part")
