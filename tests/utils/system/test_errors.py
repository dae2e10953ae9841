from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tagifai.utils.system import errors


def full(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/")
    monkeypatch.setattr(errors, "_folders", {"paths.stores": tmp_path / "stores"})


def test_a_full_disk_names_the_path_the_mount_what_is_left_and_the_way_out(tmp_path: Path) -> None:
    message = errors.describe_limit(full(tmp_path / "stores" / "data" / "x"))
    assert message is not None
    assert message.startswith(f"{tmp_path}/stores/data/x cannot be written: the disk is full (")
    assert "(the file system at /" in message
    assert " left of " in message
    assert message.endswith("or choose another folder: paths.stores=...")
    assert "\n" not in message
    assert "Errno" not in message


def test_of_a_copy_the_target_is_told_and_of_a_draft_the_folder(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/from/a", None, "/to/b")
    assert str(errors.describe_limit(error)).startswith("/to/b cannot be written: ")


def test_a_list_of_what_could_not_be_copied_is_one_sentence(tmp_path: Path) -> None:
    error = shutil.Error([("/a", f"{tmp_path}/b", "[Errno 28] No space left on device: '/a'")] * 3)
    assert str(errors.describe_limit(error)).startswith(f"{tmp_path}/b cannot be written: the disk")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (OSError("1000 requested and 20 written"), "the disk is full ("),
        (OSError("[Errno 28] Error writing bytes to file"), "the disk is full ("),
        (OSError(errno.EDQUOT, "x", "/a"), "/a cannot be written: your quota is used up ("),
        (OSError(errno.EFBIG, "x", "/a"), "/a cannot be written: it became larger than a file may"),
        (OSError(errno.EMFILE, "x"), "Too many files are open at once (ulimit -n is "),
        (MemoryError(), "Memory ran out. Have it need less: "),
        (RuntimeError("can't start new thread"), "Memory ran out. "),
        (ImportError("x.so: failed to map segment from shared object"), "Memory ran out. "),
        (OSError(errno.ENOSPC, "x", "standard output"), "Standard output cannot be written: the"),
    ],
)
def test_each_limit_of_the_system_has_its_sentence(error: Exception, wanted: str) -> None:
    assert wanted in str(errors.describe_limit(error))


def test_a_full_database_is_a_full_disk(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("CREATE TABLE a AS SELECT randomblob(100000)")
    connection.close()
    assert "the disk is full (" in str(errors.describe_limit(caught.value))


def test_other_errors_are_no_limits() -> None:
    for error in (KeyError("x"), OSError(errno.ENOENT, "No such file"), sqlite3.Error("locked")):
        assert errors.describe_limit(error) is None


def test_an_error_that_names_no_file_gets_the_one_that_is_written(tmp_path: Path) -> None:
    for error in (OSError(errno.ENOSPC, "x"), OSError("10 requested and 2 written")):
        with pytest.raises(OSError, match="Errno 28") as caught, errors.name_file(tmp_path / "a"):
            raise error
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, f"{tmp_path}/a")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENAMETOOLONG, "the name is longer than the file system takes. Give a shorter one."),
        (errno.ELOOP, "its symbolic links lead in a circle. Give another path."),
        (errno.ENOTDIR, "what stands where a folder should be is a file. Give another path."),
        (errno.EEXIST, "something else stands there. Move it, or give another path."),
    ],
)
def test_odd_paths_are_told_in_words(number: int, reason: str) -> None:
    assert errors.describe(OSError(number, "x", "/a")) == f"/a: {reason}"
