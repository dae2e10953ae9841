"""What killed writers leave is found by its lock, and finished."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tagifai.utils.files import (
    create_atomically,
    replace_atomically,
    replace_folder_atomically,
)
from tagifai.utils.state import drafts

WRITE = """
import sys
from pathlib import Path
from tagifai.utils import files

with getattr(files, sys.argv[1])(Path(sys.argv[2])) as made:
    (made / "half").touch() if isinstance(made, Path) else made.write("half")
    print("begun", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing(how: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing until the block ends, when it is killed."""
    command = [sys.executable, "-c", WRITE, how, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=30)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("how", ["replace_atomically", "replace_folder_atomically"])
def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_of_a_living_one(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "made"
    mine = {".made.mine", ".made.abcd1234", ".other.abcd1234.tagifai", ".made.ABCD1234.tagifai"}
    for name in mine:
        (tmp_path / name).touch()
    with writing(how, path):
        assert drafts.list_abandoned(tmp_path) == [tmp_path / ".other.abcd1234.tagifai"]
        with {"replace_atomically": replace_atomically}.get(how, replace_folder_atomically)(path):
            pass
        assert len(names(tmp_path)) == len(mine) + 2
    (left,) = set(names(tmp_path)) - mine - {"made"}
    assert tmp_path / left in drafts.list_abandoned(tmp_path)
    with {"replace_atomically": replace_atomically}.get(how, replace_folder_atomically)(path):
        pass
    assert set(names(tmp_path)) == mine | {"made"}


def test_a_name_that_is_as_long_as_names_may_be_has_a_draft_too(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127):
        with replace_atomically(tmp_path / name) as file:
            file.write("x")
        (draft := tmp_path / f".{drafts._shorten(name)}.abcd1234.tagifai").touch()
        drafts.remove_abandoned(tmp_path / name)
        assert not draft.exists()
        (tmp_path / name).unlink()
        with create_atomically(tmp_path / name) as new:
            new.write(b"x")
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        # Killed between the two renames: the new one was whole.
        ({".b.abcd1234.tagifai": "new", ".b.abcd1234.tagifai.old": "old"}, "new"),
        ({".b.abcd1234.tagifai.old": "old"}, "old"),
        ({"b": "new", ".b.abcd1234.tagifai.old": "old"}, "new"),
        ({"b": "old", ".b.abcd1234.tagifai": "half"}, "old"),
    ],
)
def test_a_replacement_that_was_cut_off_is_finished(
    tmp_path: Path, there: dict[str, str], expected: str
) -> None:
    for name, content in there.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(content)
    drafts.remove_abandoned(tmp_path / "b")
    assert names(tmp_path) == ["b"]
    assert (tmp_path / "b" / "content").read_text() == expected


def test_a_draft_that_is_a_link_or_a_pipe_waits_for_nobody_and_leads_nowhere(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / ".a.abcd1234.tagifai").symlink_to(kept)
    os.mkfifo(tmp_path / ".a.abcd1235.tagifai")
    with replace_atomically(tmp_path / "a"):
        pass
    assert kept.is_dir()


@pytest.mark.parametrize("folder", [False, True])
def test_everything_is_on_disk_before_it_has_its_name_and_the_name_is_afterwards(
    tmp_path: Path, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "made", []
    sync, rename, replace = os.fsync, Path.rename, Path.replace

    def note(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    def move(how: str) -> None:
        original = {"rename": rename, "replace": replace}[how]

        def moved(self: Path, target: Path) -> Path:
            synced.append(Path("named"))
            return original(self, target)

        monkeypatch.setattr(Path, how, moved)

    monkeypatch.setattr(os, "fsync", note)
    move("rename")
    move("replace")
    if folder:
        with replace_folder_atomically(path) as made:
            (made / "inner").mkdir()
            (made / "inner" / "file").write_text("x")
            (made / "file").write_text("x")
        expected = {"file", "inner", made.name}
    else:
        with replace_atomically(path) as file:
            file.write("x")
        expected = {Path(file.name).name} if isinstance(file.name, str) else set()
    named = synced.index(Path("named"))
    assert expected <= {one.name for one in synced[:named]}
    assert len(synced[:named]) == (4 if folder else 1)
    assert synced[named + 1 :] == [tmp_path]


def test_where_there_are_no_locks_of_files_no_draft_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with replace_atomically(tmp_path / "a.txt") as file:
        file.write("whole")
        assert drafts.list_abandoned(tmp_path) == []
        (draft,) = tmp_path.iterdir()
        assert not drafts.finish(draft)
        assert draft.exists()
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


@pytest.mark.e2e
def test_the_commands_import_without_what_only_posix_has() -> None:
    code = "import sys; sys.modules |= dict.fromkeys(('fcntl', 'resource')); import tagifai.cli"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what is open closes with the process
@pytest.mark.parametrize("write", [replace_atomically, replace_folder_atomically])
def test_an_interrupt_at_any_step_leaves_no_draft(tmp_path: Path, write: Any) -> None:
    """Signals are raised between two steps of Python, also right after a file is made."""
    steps, stop = 0, 1

    def interrupt(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.endswith(("drafts.py", "files.py", "contextlib.py")):
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        if event == "opcode" and steps == stop:
            raise KeyboardInterrupt
        return interrupt

    ended = False
    while not ended:
        steps = 0
        sys.settrace(interrupt)
        try:
            with write(tmp_path / "made"):
                sys.settrace(None)
                ended = True
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.settrace(None)
        assert names(tmp_path) == [], stop
        stop += 1
    assert stop > 100
