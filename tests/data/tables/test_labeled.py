from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tagifai.data.tables.labeled import LabeledReader
from tagifai.data.tables.options import ReadOptions
from tagifai.data.tables.reader import TableFile
from tagifai.exceptions import DataError
from tests.data.tables.reading import SIZES, write

CONTENT = "key,title,body,stars,part\na,One,first,5,train\nb,Two,second,1,Dev\nc,Three,,5,test\n"
OTHER = "key,title,body,stars\nd,Four,x,1\ne,Five,y,1\n"


def load(
    folder: Path,
    *files: tuple[str, str | None],
    drop: bool = False,
    rows: int = 20_000,
    notes: Counter[str] | None = None,
    **options: Any,
) -> dict[str, list[str]]:
    """Return the labelled rows of files with these contents and parts."""
    tables = {}
    for number, (content, part) in enumerate(files):
        path = write(folder / f"{number}.csv", content)
        tables[str(number)] = TableFile(path, f"data.path: {number}.csv", part)
    given: dict[str, Any] = {"text": ("title", "body"), "label": "stars", "format": "csv"}
    seen: Counter[str] = Counter() if notes is None else notes
    reader = LabeledReader(tables, ReadOptions(**given | options), drop, rows, seen)
    found: dict[str, list[str]] = {}
    for chunk in reader.read():
        for name, values in chunk.columns.items():
            found.setdefault(name, []).extend(values)
    return found


def refuse(folder: Path, *files: tuple[str, str | None], **more: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, *files, **more)
    return str(caught.value)


def test_texts_are_joined_labels_are_names_and_rows_are_numbered(tmp_path: Path) -> None:
    assert load(tmp_path, (CONTENT, None)) == {
        "id": ["1", "2", "3"],
        "text": ["One first", "Two second", "Three "],
        "tag": ["5", "1", "5"],
    }


def test_ids_and_parts_are_taken_from_their_columns(tmp_path: Path) -> None:
    found = load(tmp_path, (CONTENT, None), id="key", split="part")
    assert found["id"] == ["a", "b", "c"]
    assert found["split"] == ["train", "val", "test"]


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("options", [{}, {"id": "key"}, {"drop": True}])
def test_files_of_parts_follow_one_another_however_much_is_read_at_a_time(
    tmp_path: Path, rows: int, options: dict[str, Any]
) -> None:
    found = load(tmp_path, (CONTENT, "train"), (OTHER, "test"), rows=rows, **options)
    assert found["split"] == ["train", "train", "train", "test", "test"]
    assert found["id"] == (list("abcde") if "id" in options else list("12345"))
    assert found["text"] == ["One first", "Two second", "Three ", "Four x", "Five y"]


# --- labels ------------------------------------------------------------------------------------


def labels(folder: Path, *values: str, **options: Any) -> list[str]:
    rows = "".join(f"a,b,{value}\n" for value in values)
    return load(folder, (f"title,body,stars\n{rows}", None), **options)["tag"]


def test_labels_are_the_characters_that_the_file_has(tmp_path: Path) -> None:
    values = ["01", "1", "1.0", "1e3", "true", "True", "NA", "null", "#a", '"x, y"']
    assert labels(tmp_path, *values) == [*values[:-1], "x, y"]


def test_labels_that_look_alike_to_the_last_dot_are_one_class(tmp_path: Path) -> None:
    alike = ["caf\u00e9", "cafe\u0301", "ca\u200bf\u00e9", "\ufeffcaf\u00e9 ", "caf\u00e9\u00ad"]
    assert set(labels(tmp_path, *alike)) == {"café"}
    assert labels(tmp_path, "pos", "POS", "1", "1.0", "a b", "a  b") == [
        *("pos", "POS", "1", "1.0", "a b", "a  b")
    ]


def test_codes_have_the_names_that_are_given_and_names_are_taken_too(tmp_path: Path) -> None:
    names = (("0", "neg"), ("1", "pos"))
    assert labels(tmp_path, "1", " 0 ", "pos", label_names=names) == ["pos", "neg", "pos"]
    said = refuse(tmp_path, ("title,body,stars\na,b,2\n", None), label_names=names)
    expected = "data.path: 0.csv: the label '2' is not in data.label_names, which has: 0, 1."
    assert said == expected


@pytest.mark.parametrize("rows", SIZES)
def test_rows_without_a_label_are_refused_with_their_lines_or_left_out(
    tmp_path: Path, rows: int
) -> None:
    content = 'title,body,stars\na,,\n"b\nb",,\nc,,2\nd,,\u200b \n'
    found = load(tmp_path, (content, None), drop=True, rows=rows)
    assert (found["id"], found["tag"]) == (["3"], ["2"])
    assert refuse(tmp_path, (content, None), rows=rows).startswith("data.path: 0.csv: line 2")
    assert "line 2, line 3, line 6: no label in 'stars' (3 of the first 4 rows)." in refuse(
        tmp_path, (content, None)
    )
    late = "title,body,stars\n" + "a,,1\n" * 20 + "b,,\n"
    assert refuse(tmp_path, (late, None), rows=rows) == (
        "data.path: 0.csv: line 22: no label in 'stars' (1 of the first 21 rows). Leave such rows"
        " out with data.unlabeled=drop."
    )


def test_of_many_rows_the_first_are_shown(tmp_path: Path) -> None:
    content = "title,body,stars\n" + "a,,\n" * 7 + "b,,1\n"
    said = "line 2, line 3, line 4, line 5, line 6 and 2 more: no label in 'stars' (7 of the first"
    assert said in refuse(tmp_path, (content, None))


@pytest.mark.parametrize("rows", SIZES)
def test_a_table_without_any_label_is_refused(tmp_path: Path, rows: int) -> None:
    content = "title,body,stars\na,,\nb,,\n"
    said = refuse(tmp_path, (content, None), drop=True, rows=rows)
    assert said == "data.path: 0.csv: no label in 'stars' (2 of 2 rows)."


def test_what_is_said_to_be_missing_is_no_label(tmp_path: Path) -> None:
    assert labels(tmp_path, "NA", "x", "None", drop=True, missing=("NA",)) == ["x", "None"]


def test_rows_without_a_text_are_noted(tmp_path: Path) -> None:
    notes: Counter[str] = Counter()
    content = "title,body,stars\na,,1\n,,2\n \t,\u2003,2\n"
    load(tmp_path, (content, None), notes=notes, rows=1)
    assert notes == {"Rows without a text": 2}


# --- parts -------------------------------------------------------------------------------------


def test_parts_are_spelled_in_several_ways(tmp_path: Path) -> None:
    spelled = ["train", "TRAINING", " val ", "valid", "Validation", "dev", "test"]
    content = "title,body,stars,part\n" + "".join(f"a,b,1,{part}\n" for part in spelled)
    found = load(tmp_path, (content, None), split="part")
    assert found["split"] == ["train", "train", "val", "val", "val", "val", "test"]


@pytest.mark.parametrize("rows", SIZES)
def test_a_part_that_is_none_is_shown_with_its_line(tmp_path: Path, rows: int) -> None:
    content = CONTENT.replace("Dev", "later")
    said = refuse(tmp_path, (content, None), split="part", rows=rows)
    assert said.startswith("data.path: 0.csv: line 3: 'part' is 'later', and has to be train, val")


@pytest.mark.parametrize("rows", SIZES)
def test_parts_without_train_rows_are_refused(tmp_path: Path, rows: int) -> None:
    content = CONTENT.replace("train", "test")
    said = refuse(tmp_path, (content, None), split="part", rows=rows)
    assert said == "data.path: 0.csv: no row has 'part' = train."
    said = refuse(tmp_path, (content, "test"), rows=rows)
    assert said == "data.path: 0.csv: no train rows."


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", SIZES)
def test_ids_that_are_there_twice_are_shown_with_their_lines(tmp_path: Path, rows: int) -> None:
    content = "key,title,body,stars\nx,a,,1\ny,b,,2\n x ,c,,1\n"
    said = refuse(tmp_path, (content, None), id="key", rows=rows)
    assert said == (
        "data.path: 0.csv: line 2 and data.path: 0.csv: line 4: the id 'x' is there 2 times (1 ids"
        " are not unique). Ids tell rows apart; leave data.id out to number the rows."
    )


@pytest.mark.parametrize("rows", SIZES)
def test_ids_are_unique_within_a_part_and_no_further(tmp_path: Path, rows: int) -> None:
    files = [(CONTENT, "train"), (CONTENT, "test")]
    assert load(tmp_path, *files, id="key", rows=rows)["id"] == list("abcabc")
    said = refuse(tmp_path, (CONTENT, None), (OTHER + "b,,,1\n", None), id="key", rows=rows)
    assert "0.csv: line 3 and data.path: 1.csv: line 4: the id 'b' is there 2 times" in said


def test_a_blank_id_is_shown(tmp_path: Path) -> None:
    content = "key,title,body,stars\nx,a,,1\n ,b,,2\n"
    said = refuse(tmp_path, (content, None), id="key")
    assert said == (
        "data.path: 0.csv: line 3: 'key' is blank. Leave data.id out to number the rows."
    )
