from __future__ import annotations

import io
import json
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tagifai.config import standard_input
from tagifai.exceptions import ConfigError, DataError
from tagifai.utils import files

TABLE = b"text,label\na,b\n"
NAME = sha256(TABLE).hexdigest()[:16]


@pytest.fixture(autouse=True)
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "my stores"))
    return tmp_path / "my stores"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, TABLE)


def give(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.usefixtures("pipe")
@pytest.mark.parametrize(
    "argument", ["data.path=-", "+data.path=-", "data.val_path='-'", "data.path=[-]",
                 'data.path="-"', "data.text_path=-", "++data.test_label_path=-"]
)  # fmt: skip
def test_standard_input_is_kept_under_a_name_that_its_content_decides(
    argument: str, stores: Path
) -> None:
    kept = stores / "data" / "piped" / NAME
    given = ["-m", "data=table", argument, "model=sgd"]
    key = argument.partition("=")[0]
    assert standard_input.keep(given) == ["-m", "data=table", f"{key}={kept}", "model=sgd"]
    assert kept.read_bytes() == TABLE
    assert [*kept.parent.iterdir()] == [kept]


def test_the_same_content_is_kept_once(monkeypatch: pytest.MonkeyPatch, stores: Path) -> None:
    for content in (TABLE, TABLE, b"other"):
        give(monkeypatch, content)
        standard_input.keep(["data.path=-"])
    assert len([*(stores / "data" / "piped").iterdir()]) == 2


def test_a_pipe_without_end_does_not_fill_the_disk(
    monkeypatch: pytest.MonkeyPatch, stores: Path
) -> None:
    monkeypatch.setattr(files, "MOST_PIPED", 2_000_000)
    with Path("/dev/zero").open() as endless, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", endless)
        with pytest.raises(DataError, match=r"^Standard input has more than 2 MB\. Save it as"):
            standard_input.keep(["data.path=-"])
    assert [*(stores / "data" / "piped").iterdir()] == []


@pytest.mark.parametrize(
    "arguments", [["data.path=a-"], ["task.input=-"], ["data.path=-", "--cfg", "job"], ["-h"]]
)
def test_without_need_nothing_is_read(arguments: list[str], stores: Path) -> None:
    assert standard_input.keep(arguments) == arguments
    assert not stores.exists()


@pytest.mark.usefixtures("pipe")
def test_the_stores_are_those_of_the_root_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGIFAI_STORES")
    standard_input.keep(["data.path=-", f"paths.root={tmp_path}/project"])
    assert (tmp_path / "project" / "stores" / "data" / "piped" / NAME).is_file()


def pack(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (b"PAR1 and so on", ".parquet"),
        (pack("[Content_Types].xml", "xl/workbook.xml"), ".xlsx"),
        (pack("mimetype", "content.xml"), ".ods"),
        (pack("reviews.csv"), ""),
        (b"PK\3\4 cut off", ""),
        (bytes.fromhex("d0cf11e0a1b11ae1"), ".xls"),
        (b'[{"text": "a"}]', ".json"),
        (b'\xef\xbb\xbf [\n{"text": "a"}]', ".json"),
        (b'{"text": "a"}\n{"text": "b"}\n', ".jsonl"),
        (json.dumps({"text": ["a"]}).encode(), ".json"),
        (json.dumps({"text": ["a"]}, indent=1).encode(), ".json"),
        (TABLE, ""),
        (b"\x1f\x8b packed", ""),
    ],
)
def test_a_content_that_says_what_it_is_gives_the_name_an_ending(
    monkeypatch: pytest.MonkeyPatch, content: bytes, ending: str
) -> None:
    give(monkeypatch, content)
    (kept,) = standard_input.keep(["data.path=-"])
    assert Path(kept.partition("=")[2]).suffix == ending


def test_a_terminal_is_no_standard_input_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(ConfigError, match=r"^data\.path=-: standard input is a terminal\."):
        standard_input.keep(["data.path=-"])


def test_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match=r"^data\.path=-: there is no standard input"):
        standard_input.keep(["data.path=-"])


def test_empty_standard_input_is_said_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, stores: Path
) -> None:
    give(monkeypatch, b"")
    with pytest.raises(ConfigError, match=r"^Standard input is empty"):
        standard_input.keep(["data.path=-"])
    assert [*(stores / "data" / "piped").iterdir()] == []


@pytest.mark.usefixtures("pipe")
def test_standard_input_is_one_file(stores: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data\.path=- and data\.val_path=-: standard input is"):
        standard_input.keep(["data.path=-", "data.val_path=-"])
    assert not stores.exists()


@pytest.mark.usefixtures("pipe")
def test_stores_that_cannot_be_written_are_said(stores: Path) -> None:
    stores.touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        standard_input.keep(["data.path=-"])
