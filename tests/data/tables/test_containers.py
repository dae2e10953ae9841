from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tagifai.data.limits import UnpackLimits
from tagifai.data.tables.containers import explain_foreign, open_bytes, recognize
from tagifai.exceptions import DataError

CONTENT = b"text,label\n" + b"a good one,pos\n" * 2000


def make_zip(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def zip_one(content: bytes) -> bytes:
    junk = {"__MACOSX/._r.csv": b"1", "data/": b"", "data/.DS_Store": b"2"}
    return make_zip(**junk, **{"data/r.csv": content})


def make_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": make_zstd,
    "zip": zip_one,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.txt"


def read(path: Path, max_mb: int = 10, setting: str = "data") -> bytes:
    with open_bytes(path, f"data.path: {path}", UnpackLimits(max_mb, setting=setting)) as stream:
        return stream.read()


def refused(path: Path, max_mb: int = 10, setting: str = "data") -> str:
    with pytest.raises(DataError) as caught:
        read(path, max_mb, setting)
    message = str(caught.value)
    assert message.startswith(f"data.path: {path}")
    assert message.endswith(".")
    return message.removeprefix(f"data.path: {path}").strip()


def explained(path: Path) -> str | None:
    return explain_foreign(recognize(path, "It"), path, "It")


# --- what is unpacked --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_container_is_undone_whatever_its_name(file: Path, kind: str) -> None:
    file.write_bytes(CONTAINERS[kind](CONTENT))
    assert read(file) == CONTENT
    assert recognize(file, "It") is None


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz", "zstd"])
def test_what_was_packed_in_parts_is_read_to_its_end(file: Path, kind: str) -> None:
    file.write_bytes(CONTAINERS[kind](CONTENT) + CONTAINERS[kind](b"more"))
    assert read(file) == CONTENT + b"more"


@pytest.mark.parametrize("content", [b"", b"a", CONTENT, b"PAR1,label\n", b"BZhang,1\n", b"PK,1\n"])
def test_a_plain_file_is_as_it_is(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert read(file) == content
    assert recognize(file, "It") is None


def test_a_stream_can_be_looked_into_without_being_read(file: Path) -> None:
    file.write_bytes(gzip.compress(CONTENT))
    with open_bytes(file, "It", UnpackLimits(10)) as stream:
        assert isinstance(stream, io.BufferedReader)
        assert stream.peek(4)[:4] == b"text"
        assert stream.readline() == b"text,label\n"


@pytest.mark.parametrize("kind", CONTAINERS)
def test_more_than_is_allowed_is_refused_with_the_setting(file: Path, kind: str) -> None:
    file.write_bytes(CONTAINERS[kind](b"0" * 3_000_001))
    assert refused(file, 3, "task") == (
        "has more than 3 MB when it is unpacked; if that is right, set task.max_unpacked_mb=6."
    )
    assert len(read(file, 6)) == 3_000_001


def test_a_plain_file_has_no_bound(file: Path) -> None:
    file.write_bytes(b"0" * 1_000_001)
    assert len(read(file, 1)) == 1_000_001


# --- what cannot be unpacked -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *((kind, damage) for kind in CONTAINERS for damage in ("short", "shorter")),
        # What pyarrow writes as zstd has no checksum.
        *((kind, "changed") for kind in CONTAINERS if kind != "zstd"),
    ],
)
def test_a_damaged_container_is_one_sentence(file: Path, kind: str, damage: str) -> None:
    whole = CONTAINERS[kind](bytes((i * i * 7919 >> 5) % 256 for i in range(50_000)))
    half = len(whole) // 2
    changed = whole[:half] + bytes(255 - byte for byte in whole[half : half + 50])
    file.write_bytes(
        {"short": whole[:-5], "shorter": whole[:20], "changed": changed + whole[half + 50 :]}[
            damage
        ]
    )
    assert refused(file).startswith(f"is damaged or incomplete {kind} (")


def test_a_zip_of_several_files_names_them(file: Path) -> None:
    file.write_bytes(make_zip(**{"train.csv": b"1", "test.csv": b"2", "__MACOSX/._t": b"3"}))
    message = "is a zip of 2 files ('train.csv', 'test.csv'): unpack it first and give those you"
    assert refused(file) == f"{message} want."
    with pytest.raises(DataError, match="2 files"):
        recognize(file, "It")


def test_a_zip_of_nothing_is_said(file: Path) -> None:
    file.write_bytes(make_zip(**{"folder/": b""}))
    assert refused(file).startswith("is a zip of no file: ")


def test_a_zip_with_a_password_is_said(file: Path) -> None:
    content = bytearray(make_zip(**{"r.csv": CONTENT}))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + place] |= 1
    file.write_bytes(content)
    assert refused(file) == "is a zip with a password: unpack it first and give 'r.csv'."


def test_a_container_in_another_is_refused(file: Path) -> None:
    file.write_bytes(make_zip(**{"r.csv.gz": gzip.compress(CONTENT)}))
    assert refused(file) == "is gzip within zip: unpack the zip first."


def test_no_file_and_a_folder_are_said(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.csv") == "cannot be read: No such file or directory."
    assert refused(tmp_path) == "is a folder, not a file."


# --- what is no text ---------------------------------------------------------------------------


def test_parquet_is_recognized_in_a_container_too(file: Path) -> None:
    content = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"text": ["a"]}), content)
    for made in (content.getvalue(), gzip.compress(content.getvalue())):
        file.write_bytes(made)
        assert recognize(file, "It") == "parquet"
        assert explained(file) is None
        assert read(file) == content.getvalue()


XLSX = make_zip(**{"docProps/app.xml": b"<a/>", "xl/workbook.xml": b"<a/>"})
ODS = make_zip(mimetype=b"application/vnd.oasis.opendocument.spreadsheet", content=b"")


@pytest.mark.parametrize(
    "content",
    [
        XLSX,
        XLSX[:60],
        make_zip(**{"[Content_Types].xml": b"<a/>"}),
        ODS,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    ],
    # Zip files have the time in them, which two workers of a test run see differently.
    ids=["xlsx", "cut xlsx", "open packaging", "ods", "xls"],
)
def test_a_workbook_is_recognized_and_not_unpacked(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert recognize(file, "It") == "workbook"
    assert explained(file) is None
    assert read(file) == content


def make_tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("r.csv"))
    return content.getvalue()


FOREIGN = {
    "html": b"\n <!DOCTYPE html>\n<html>",
    "xml": b'<?xml version="1.0"?><a/>',
    "pdf": b"%PDF-1.7\n",
    "document": b"{\\rtf1\\ansi",
    "image": b"\x89PNG\r\n\x1a\n",
    "tar": make_tar(),
    "archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "database": b"SQLite format 3\0\x10",
    "pickle": b"\x80\x04\x95\x10",
    "data": b"ARROW1\0\0",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_table_is_said_with_the_way_out(file: Path, kind: str) -> None:
    for content in (FOREIGN[kind], gzip.compress(FOREIGN[kind])):
        file.write_bytes(content)
        assert recognize(file, "It") == kind
        assert (explained(file) or "").startswith("It is ")


@pytest.mark.parametrize(
    "members",
    [
        {"[Content_Types].xml": b"", "word/document.xml": b""},
        {"mimetype": b"application/epub+zip", "a": b""},
    ],
)
def test_a_document_is_no_workbook(file: Path, members: dict[str, bytes]) -> None:
    file.write_bytes(make_zip(**members))
    assert recognize(file, "It") == "document"


def test_a_git_lfs_pointer_says_how_large_the_file_is(file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 1234567\n")
    assert explained(file) == (
        "It is a Git LFS pointer to 1,234,567 bytes, not the file itself: fetch that with git lfs"
        " pull."
    )
