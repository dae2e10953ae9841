from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagifai.data.projects import read_projects
from tagifai.data.tables.reader import TableFile
from tagifai.exceptions import DataError
from tests.data.tables.reading import write

PROJECTS = "id,created_on,title,description\n"
ROWS = {
    "projects": "id,title,description\n1,A,a\n2,B,b\n3,C,c\n",
    "tags": "id,tag\n1,x\n2,x\n3,x\n",
}


def join(folder: Path, **contents: str | bytes) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows of two tables; the other one is as in `ROWS`."""
    files = {
        name: TableFile(write(folder / f"{name}.csv", content), f"data.{name}: {name}.csv")
        for name, content in {**ROWS, **contents}.items()
    }
    return read_projects(files)


def refuse(folder: Path, **contents: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        join(folder, **contents)
    (name,) = contents
    message = str(caught.value)
    assert message.startswith(f"data.{name}: {name}.csv")
    return message.removeprefix(f"data.{name}: {name}.csv")


def test_every_field_is_the_text_that_it_is(tmp_path: Path) -> None:
    rows, counts = join(
        tmp_path,
        projects=b'\xef\xbb\xbfid,title,description\r\nNA,"a ""b"", c\nd",\r\n007,NA,1.50\r\n',
        tags="id,tag\nNA,null\n007,nan\n8,x\n",
    )
    assert rows.to_dict("list") == {
        "id": ["NA", "007"],
        "title": ['a "b", c\nd', "NA"],
        "description": ["", "1.50"],
        "tag": ["null", "nan"],
    }
    assert counts == {"projects": 2, "tags": 3}


IDS = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip),
    min_size=1, max_size=4, unique=True,
)  # fmt: skip


@given(IDS.filter(lambda ids: "id" not in ids))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    tags = pd.DataFrame({"id": ids, "tag": ids}, dtype="str")
    projects = tags.rename(columns={"tag": "title"}).assign(description="d")
    contents = {
        name: table.to_csv(index=False, lineterminator="\n")
        for name, table in (("tags", tags), ("projects", projects))
    }
    rows, _ = join(tmp_path_factory.mktemp("tables"), **contents)
    assert rows["id"].tolist() == rows["title"].tolist() == rows["tag"].tolist() == ids


def test_other_columns_are_left_out_and_dates_are_there_if_the_table_has_them(
    tmp_path: Path,
) -> None:
    rows, _ = join(
        tmp_path,
        projects="notes,description,tag,created_on,title,id,notes\nn,d,x,2020-01-01,t,1,m\n",
        tags="tag,id,title\nz,1,T\n",
    )
    assert rows.to_dict("records") == [
        {"id": "1", "created_on": "2020-01-01", "title": "t", "description": "d", "tag": "z"}
    ]


def test_a_wanted_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert " has 2 columns 'tag'." in refuse(tmp_path, tags="id,tag,tag\n1,a,b\n")


def test_dates_may_have_a_time_and_a_zone(tmp_path: Path) -> None:
    dates = ["2020-02-17 06:41:45", "2020-02-17", "2020-02-17T06:41:45+02:00"]
    rows = "".join(f"{number},{date},a,b\n" for number, date in enumerate(dates, 1))
    assert join(tmp_path, projects=PROJECTS + rows)[0]["created_on"].tolist() == dates


def test_tables_without_a_common_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        join(tmp_path, tags="id,tag\n7,x\n")
    said = "data.projects: projects.csv: no id is in data.tags: tags.csv, so nothing can be joined."
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,tag\n1,\xe9\n", " is not utf-8 in line 2 (byte 0xe9)"),
        ("", " is empty."),
        ("id,tag\n", " has no rows."),
        ('id,tag\n1,"a\n', ": a quoted field that begins in line 2 never ends."),
        ("id,tag\n1,a,b\n", ": line 2 has 3 fields, and the first row has 2."),
        ("id,tag\n1,a\n2,b,c\n", ": line 3 has 3 fields, and the first row has 2."),
        ("id,tag\n1\n2,b\n", ": line 2 has 1 field, and the first row has 2."),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert refuse(tmp_path, tags=content).startswith(said)


@pytest.mark.parametrize(
    ("name", "header", "missing", "hint"),
    [
        ("tags", "id,tags", "tag", "Did you mean 'tags'?"),
        ("tags", "x,tag", "id", "It has: x, tag."),
        ("projects", "id,title,descripton", "description", "Did you mean 'descripton'?"),
        ("projects", "id,description", "title", "It has: id, description."),
    ],
)
def test_a_missing_column_is_named_beside_those_that_there_are(
    tmp_path: Path, name: str, header: str, missing: str, hint: str
) -> None:
    message = refuse(tmp_path, **{name: f"{header}\n{'1' + ',x' * header.count(',')}\n"})
    assert f" has no column '{missing}'" in message
    assert hint in message


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1,a\n1,b\n2,c\n", "id not unique in data row 1, 2."),
        ("1,a\n ,b\n", "id blank in data row 2."),
        ("1,a\n2,\n3, \n", "tag blank in data row 2, 3."),
    ],
)
def test_a_broken_rule_of_tags_is_named_with_its_rows(
    tmp_path: Path, rows: str, reason: str
) -> None:
    assert refuse(tmp_path, tags="id,tag\n" + rows) == f": {reason}"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1,2020-01-01,a,b\n2,tomorrow-ish,a,b\n", "created_on not a date in data row 2."),
        ("1,,a,b\n", "created_on not a date in data row 1."),
        ("1,2020-13-01,a,b\n", "created_on not a date in data row 1."),
        ("1,2020-01-01,a,b\n2,2020-01-01, , \n", "title and description both blank in data row 2."),
        ("1,2020-01-01,,\n", "title and description both blank in data row 1."),
        ("1,2020-01-01,a,b\n1,2020-01-01,a,b\n", "id not unique in data row 1, 2."),
    ],
)
def test_a_broken_rule_of_projects_is_named_once_with_its_rows(
    tmp_path: Path, rows: str, reason: str
) -> None:
    assert refuse(tmp_path, projects=PROJECTS + rows) == f": {reason}"


def test_all_broken_rules_are_told_at_once(tmp_path: Path) -> None:
    said = refuse(tmp_path, tags="id,tag\n1,a\n1,\n")
    assert said == ": id not unique in data row 1, 2; tag blank in data row 2."


def test_five_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    five, seven = ("id,tag\n" + "".join(f"{i},\n" for i in range(n)) for n in (5, 7))
    assert refuse(tmp_path, tags=five) == ": tag blank in data row 1, 2, 3, 4, 5."
    assert refuse(tmp_path, tags=seven) == ": tag blank in data row 1, 2, 3, 4, 5 and 2 more."
