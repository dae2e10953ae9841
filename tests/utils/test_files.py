from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.exceptions import DataError
from tagifai.utils.files import (
    check_output,
    compute_sha256,
    create_atomically,
    format_json,
    open_output,
    replace_atomically,
    replace_folder_atomically,
    write_json,
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_after(_done: object, error: type[BaseException]) -> None:
    raise error


def test_a_file_takes_its_place_when_the_block_ends_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    with replace_atomically(path) as file:
        file.write("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["file.txt"]


def test_until_the_block_ends_a_reader_sees_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with replace_atomically(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_no_other(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), replace_atomically(path) as file:
        fail_after(file.write("new"), error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_text_that_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), replace_atomically(tmp_path / "file.txt") as file:
        file.write("\ud800")
    assert names(tmp_path) == []


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError), replace_atomically(tmp_path / "taken") as file:
        file.write("new")
    assert names(tmp_path) == ["taken"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), replace_atomically(path) as file:
        file.write("new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_line_ends_and_characters_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with replace_atomically(path) as file:
        file.write("é\r\nb\n")
    assert path.read_bytes() == b"\xc3\xa9\r\nb\n"


@pytest.mark.parametrize(("mask", "file_mode", "folder_mode"), [(0o022, 0o644, 0o755)] * 1
                         + [(0o077, 0o600, 0o700)])  # fmt: skip
def test_files_and_folders_have_the_modes_that_the_umask_gives(
    tmp_path: Path, mask: int, file_mode: int, folder_mode: int
) -> None:
    with umask(mask):
        with replace_atomically(tmp_path / "file") as file:
            file.write("")
        with replace_folder_atomically(tmp_path / "folder"):
            pass
        assert os.umask(mask) == mask
    assert mode(tmp_path / "file") == file_mode
    assert mode(tmp_path / "folder") == folder_mode


def test_a_folder_takes_the_place_of_the_old_one_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "folder"
    for content in ("first", "second"):
        with replace_folder_atomically(path) as folder:
            (folder / content).write_text(content)
            assert folder != path
        assert names(path) == [content]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_folder_and_no_other(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(error), replace_folder_atomically(path) as folder:
        fail_after((folder / "new").write_text(""), error)
    assert names(path) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_until_the_block_ends_a_reader_sees_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with replace_folder_atomically(path) as folder:
        (folder / "new").touch()
        assert names(path) == ["old"]
    assert names(path) == ["new"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("step", [1, 2])
def test_a_folder_that_cannot_take_its_place_leaves_the_old_one_there(
    tmp_path: Path, error: type[BaseException], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    calls: list[str] = []

    def failing(how: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def move(self: Path, target: Path) -> Path:
            calls.append(target.name)
            if len(calls) == step:
                raise error
            return how(self, target)

        return move

    for how in ("rename", "replace"):
        monkeypatch.setattr(Path, how, failing(getattr(Path, how)))
    with pytest.raises(error), replace_folder_atomically(path) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["folder"]
    assert names(path) == ["old"]


def test_json_keeps_the_order_of_keys_and_the_characters(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 0.5], "a": "é"})
    expected = '{\n  "b": [\n    1,\n    0.5\n  ],\n  "a": "é"\n}\n'
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == expected


def test_json_that_other_readers_refuse_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"f1": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"f1": float("nan")})
    assert json.loads(path.read_text()) == {"f1": 1}
    assert names(tmp_path) == ["a.json"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=50)
@given(JSON | st.text())
def test_json_is_read_back_equal(content: object) -> None:
    assert json.loads(format_json(content)) == content


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_the_sum_is_the_published_one(tmp_path: Path, content: bytes, digest: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert compute_sha256(path) == digest


def test_the_sum_of_a_file_of_several_blocks_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    path = tmp_path / "file"
    path.write_bytes(content)
    assert compute_sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_new_file_is_there_when_the_block_ends_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with umask(0o027), create_atomically(path) as file:
        file.write(b"\x00new")
        assert not path.exists()
    assert path.read_bytes() == b"\x00new"
    assert mode(path) == 0o640
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_makes_no_new_file(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), create_atomically(tmp_path / "file") as file:
        fail_after(file.write(b"half"), error)
    assert names(tmp_path) == []


def test_a_new_file_takes_the_place_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError), create_atomically(tmp_path / name):
            pytest.fail("it was begun")
    with pytest.raises(FileExistsError), create_atomically(tmp_path / "late"):
        (tmp_path / "late").write_text("other")
    assert (tmp_path / "file").read_text() == "old"
    assert (tmp_path / "late").read_text() == "other"
    assert names(tmp_path) == ["file", "late", "link"]


# --- what a user asked for ---------------------------------------------------------------------


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    with open_output(tmp_path / "a" / "file", "wb") as file:
        file.write(b"\r\n\xff")
    assert (tmp_path / "a" / "file").read_bytes() == b"\r\n\xff"


def test_an_output_below_a_file_is_named_with_the_system_s_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "a.json"
    with pytest.raises(DataError) as caught, open_output(target):
        pass
    assert str(caught.value) == f"{target} cannot be written: File exists."
    assert names(tmp_path) == ["file"]


def test_an_output_on_a_full_disk_is_named_too_and_the_old_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with (
        pytest.raises(DataError, match=r"a\.json cannot be written: the disk is full"),
        open_output(tmp_path / "a.json"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "a.json").read_text() == "old"


def test_another_error_is_not_taken_for_one_of_writing(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="x"), open_output(tmp_path / "a.json"):
        raise LookupError("x")
    assert names(tmp_path) == []


def test_an_output_in_the_place_of_a_folder_or_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    for name, reason in (("folder.json", "Is a directory"), ("pipe.json", "Is not a regular file")):
        with pytest.raises(DataError) as caught:
            check_output(str(tmp_path / name), None)
        assert str(caught.value) == f"{tmp_path / name} cannot be written: {reason}."


def test_the_output_over_the_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "a.csv"
    source.write_text("text\na\n")
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    (tmp_path / "sub").mkdir()
    same = [str(source), "a.csv", "sub/../a.csv", "link.csv", "hard.csv"]
    pairs = [(str(source), target) for target in same] + [(other, str(source)) for other in same]
    for taken, target in [*pairs, ("*.csv", "a.csv"), ("[ab].csv", str(source))]:
        with pytest.raises(DataError) as caught:
            check_output(target, taken)
        message = f"{target} is the input too; the output needs another name."
        assert str(caught.value) == message


def test_other_outputs_are_not_refused(tmp_path: Path) -> None:
    source, other = (tmp_path / name for name in ("a.csv", "b.csv"))
    source.write_text("text\na\n")
    other.write_text("text\na\n")
    dangling = tmp_path / "dangling.csv"
    dangling.symlink_to(tmp_path / "nowhere.csv")
    for target in (str(other), str(tmp_path / "new.csv"), str(dangling), None):
        check_output(target, str(source))
    for nothing in (None, "-", str(tmp_path / "nowhere.csv"), str(tmp_path / "a*")):
        check_output(str(other), nothing)
