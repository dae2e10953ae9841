from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagifai.data.tables.values import list_label_names, read_label_names
from tagifai.exceptions import DataError
from tests.data.tables.reading import write


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"0": "neg", "1": "pos"}, {"0": "neg", "1": "pos"}),
        ({0: "neg", True: "cafe\u0301"}, {"0": "neg", "true": "café"}),
        (["neg", "pos "], {"0": "neg", "1": "pos"}),
    ],
)
def test_names_are_given_by_code_or_in_the_order_of_codes(
    names: Any, found: dict[str, str]
) -> None:
    assert list_label_names(names) == found


@pytest.mark.parametrize(
    "content",
    [
        "0\tvery bad\n1\tpos\n",
        "0 very bad\r\n\r\n 1  pos \r\n",
        "0,very bad\n1,pos\n",
        "\ufeff0;very bad\n1;pos",
        '{"0": "very bad", "1": "pos"}',
        '["very bad", "pos"]',
    ],
)
def test_a_file_has_a_code_and_a_name_a_line_or_is_json(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "mapping.txt", content)
    assert read_label_names(path, "x") == {"0": "very bad", "1": "pos"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0 neg\npos\n", "x: line 2 is 'pos', and has to be a code and a name."),
        ("0,\n", "x: line 1 is '0,', and has to be"),
        ('{"0": ', "x cannot be read (Expecting value"),
        (b"0 \xff\n", "x cannot be read ("),
    ],
)
def test_what_is_no_mapping_is_said_with_its_line(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_label_names(write(tmp_path / "mapping.txt", content), "x")
    assert str(caught.value).startswith(said)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="x cannot be read"):
        read_label_names(tmp_path / "nowhere.txt", "x")
