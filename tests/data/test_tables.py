from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagifai.data.tables import read, read_validated
from tagifai.exceptions import DataError

PROJECTS = "id,created_on,title,description\n"


def csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(name: str, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_validated(name, path)
    message = str(caught.value)
    assert str(path) in message
    return message


def test_every_field_is_the_string_that_it_is(tmp_path: Path) -> None:
    table = read(csv(tmp_path, 'id,tag\nNA,null\n007,1.50\n"",nan\n'))
    assert table.to_dict("list") == {"id": ["NA", "007", ""], "tag": ["null", "1.50", "nan"]}


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert list(read(csv(tmp_path, b"\xef\xbb\xbfid,tag\n1,a\n")).columns) == ["id", "tag"]


def test_quotes_commas_and_line_ends_inside_fields_are_kept(tmp_path: Path) -> None:
    table = read(csv(tmp_path, 'id,tag\r\n1,"a ""b"", c\nd"\r\n'))
    assert table["tag"].tolist() == ['a "b", c\nd']


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip),
        min_size=1, max_size=4, unique=True,
    )
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path: Path, ids: list[str]) -> None:
    path = tmp_path / "table.csv"
    table = pd.DataFrame({"id": ids, "tag": ids}, dtype=str)
    table.to_csv(path, index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(read(path), table)


def test_another_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table\.csv is not UTF-8 .*Convert it first"):
        read(csv(tmp_path, b"id,tag\n1,\xe9\n"))


@pytest.mark.parametrize("content", ["", 'id,tag\n1,"a\n'])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match=r"table\.csv is not a CSV table with a header line"):
        read(csv(tmp_path, content))


@pytest.mark.parametrize("rows", ["1,a,b\n", "1,a,\n2,b,\n", "1,a\n2,b,c\n", "1,a,b\n2,c\n"])
def test_a_row_with_too_many_fields_is_refused_and_shifts_no_column(
    tmp_path: Path, rows: str
) -> None:
    with pytest.raises(DataError, match=r"table\.csv is not a CSV table with a header line"):
        read(csv(tmp_path, "id,tag\n" + rows))


def test_a_row_with_too_few_fields_is_filled_with_nothing(tmp_path: Path) -> None:
    assert read(csv(tmp_path, "id,tag\n1\n2,b\n"))["tag"].tolist() == ["", "b"]


def test_a_column_that_is_there_twice_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    tags = read_validated("tags", csv(tmp_path, "id,tag,tag\n1,a,b\n"))
    assert (tags["id"].tolist(), tags["tag"].tolist()) == (["1"], ["a"])


def test_a_lone_carriage_return_in_quotes_is_kept(tmp_path: Path) -> None:
    assert read(csv(tmp_path, 'id,tag\n1,"a\rb"\n'))["tag"].tolist() == ["a\rb"]


def test_tables_that_keep_the_rules_are_returned_whole(tmp_path: Path) -> None:
    tags = read_validated("tags", csv(tmp_path, "id,tag,extra\n1,a,\n2,a,x\n"))
    assert tags.to_dict("list") == {"id": ["1", "2"], "tag": ["a", "a"], "extra": ["", "x"]}
    projects = read_validated("projects", csv(tmp_path, "id,title,description\n1,a,\n2,,b\n"))
    assert projects["title"].tolist() == ["a", ""]


def test_dates_may_have_a_time_and_a_zone(tmp_path: Path) -> None:
    rows = "1,2020-02-17 06:41:45,a,b\n2,2020-02-17,a,b\n3,2020-02-17T06:41:45+02:00,a,b\n"
    assert len(read_validated("projects", csv(tmp_path, PROJECTS + rows))) == 3


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
    message = refusal(name, csv(tmp_path, f"{header}\n{header}\n"))
    assert f"data.{name}: " in message
    assert f"has no column '{missing}'" in message
    assert hint in message


def test_a_header_alone_is_refused(tmp_path: Path) -> None:
    assert "has a header line and no rows" in refusal("tags", csv(tmp_path, "id,tag\n"))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1,a\n1,b\n2,c\n", "id not unique in data row 1, 2."),
        ("1,a\n ,b\n", "id blank in data row 2."),
        ("1,a\n2,\n3, \n", "tag blank in data row 2, 3."),
        ("1,a\n2\n", "tag blank in data row 2."),
    ],
)
def test_a_broken_rule_of_tags_is_named_with_its_rows(
    tmp_path: Path, rows: str, reason: str
) -> None:
    assert refusal("tags", csv(tmp_path, "id,tag\n" + rows)).endswith(f": {reason}")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1,2020-01-01,a,b\n2,tomorrow-ish,a,b\n", "created_on not a date in data row 2"),
        ("1,,a,b\n", "created_on not a date in data row 1"),
        ("1,2020-13-01,a,b\n", "created_on not a date in data row 1"),
        ("1,2020-01-01,a,b\n2,2020-01-01, , \n", "title and description both blank in data row 2"),
        ("1,2020-01-01,a,b\n1,2020-01-01,a,b\n", "id not unique in data row 1, 2"),
    ],
)
def test_a_broken_rule_of_projects_is_named_with_its_rows(
    tmp_path: Path, rows: str, reason: str
) -> None:
    assert reason in refusal("projects", csv(tmp_path, PROJECTS + rows))


def test_all_broken_rules_are_told_at_once(tmp_path: Path) -> None:
    message = refusal("tags", csv(tmp_path, "id,tag\n1,a\n1,\n"))
    assert "id not unique in data row 1, 2" in message
    assert "tag blank in data row 2" in message


def test_a_rule_of_the_whole_row_is_told_once(tmp_path: Path) -> None:
    message = refusal("projects", csv(tmp_path, PROJECTS + "1,2020-01-01,,\n"))
    assert message.endswith(": title and description both blank in data row 1.")


def test_five_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    five, seven = ("id,tag\n" + "".join(f"{i},\n" for i in range(n)) for n in (5, 7))
    assert refusal("tags", csv(tmp_path, five)).endswith("tag blank in data row 1, 2, 3, 4, 5.")
    assert refusal("tags", csv(tmp_path, seven)).endswith("in data row 1, 2, 3, 4, 5 and 2 more.")
