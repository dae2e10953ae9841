from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tagifai.exceptions import DamagedFileError
from tagifai.utils import locks
from tagifai.utils.locks import (
    close_orphaned,
    hold,
    hold_mark,
    list_marked,
    remove_mark,
    wait_for,
    write_mark,
)

HOLD = """
import sys
from pathlib import Path
from tagifai.utils.locks import hold_mark

with hold_mark(Path(sys.argv[1]), "abc", "where") as unmark:
    print("open" if unmark else "somebody else's", flush=True)
    sys.stdin.read()
"""


class Closer:
    """Remembers what it was asked to close."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def __call__(self, run_id: str, note: str) -> bool:
        self.asked.append((run_id, note))
        return self.answer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that marks the run "abc" until it is killed."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=30)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# --- marks and locks by themselves -------------------------------------------------------------


def test_a_lock_is_held_for_its_block_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "running"
    with hold(folder, "abc") as ours:
        assert ours is True
        assert names(folder) == ["abc.lock"]
    assert names(folder) == []


def test_a_lock_that_is_held_is_not_held_twice_and_stays(tmp_path: Path) -> None:
    with hold(tmp_path, "abc") as first:
        with hold(tmp_path, "abc") as second:
            assert (first, second) == (True, False)
        assert names(tmp_path) == ["abc.lock"]
        with hold(tmp_path, "other") as other:
            assert other
    with hold(tmp_path, "abc") as again:
        assert again


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_lock_is_let_go_of_when_its_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), hold(tmp_path, "abc"):
        raise error
    assert names(tmp_path) == []


def test_an_error_under_a_lock_that_is_not_ours_leaves_the_holder_s(tmp_path: Path) -> None:
    with hold(tmp_path, "abc"):
        with pytest.raises(ValueError, match="mine"), hold(tmp_path, "abc"):
            raise ValueError("mine")
        assert names(tmp_path) == ["abc.lock"]


def test_a_mark_has_the_run_and_its_store_under_a_key_of_its_own(tmp_path: Path) -> None:
    write_mark(tmp_path / "made", "sweep-1", "abc", "sqlite:////a 'b' \"c\".db")
    close = Closer()
    assert names(tmp_path / "made") == ["sweep-1.run"]
    assert close_orphaned(tmp_path / "made", close) == ["abc"]
    assert close.asked == [("abc", "sqlite:////a 'b' \"c\".db")]
    assert names(tmp_path / "made") == []


def test_a_mark_by_key_stands_as_long_as_somebody_holds_the_lock_of_this_key(
    tmp_path: Path,
) -> None:
    close = Closer()
    with hold(tmp_path, "sweep-1"):
        write_mark(tmp_path, "sweep-1", "abc", "where")
        assert close_orphaned(tmp_path, close) == []
    assert close_orphaned(tmp_path, close) == ["abc"]


def test_marking_again_changes_the_run(tmp_path: Path) -> None:
    for run_id in ("a-longer-one", "b"):
        write_mark(tmp_path, "sweep-1", run_id, "where")
    assert close_orphaned(tmp_path, Closer()) == ["b"]


def test_a_mark_is_taken_away_by_its_key_and_one_that_is_not_there_too(tmp_path: Path) -> None:
    write_mark(tmp_path, "sweep-1", "abc", "where")
    write_mark(tmp_path, "sweep-2", "def", "where")
    for _ in range(2):
        remove_mark(tmp_path, "sweep-1")
    assert names(tmp_path) == ["sweep-2.run"]


# --- a run under way ---------------------------------------------------------------------------


def test_a_mark_stands_until_it_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "running"
    with hold_mark(folder, "abc", "where") as taken_away:
        assert json.loads((folder / "abc.run").read_text()) == {"run_id": "abc", "uri": "where"}
        assert taken_away is not None
        taken_away()
        assert names(folder) == ["abc.lock"]
    assert names(folder) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_mark_that_a_failing_block_leaves_stays_for_reap_and_its_lock_does_not(
    tmp_path: Path, error: type[BaseException]
) -> None:
    close = Closer()
    with pytest.raises(error), hold_mark(tmp_path, "abc", "where"):
        raise error
    assert names(tmp_path) == ["abc.run"]
    assert close_orphaned(tmp_path, close) == ["abc"]
    assert close.asked == [("abc", "where")]
    assert names(tmp_path) == []


def test_a_mark_that_was_not_taken_away_stays_after_the_block(tmp_path: Path) -> None:
    with hold_mark(tmp_path, "abc", ""):
        pass
    assert names(tmp_path) == ["abc.run"]


def test_taking_a_mark_away_twice_is_no_error(tmp_path: Path) -> None:
    with hold_mark(tmp_path, "abc", "") as taken_away:
        assert taken_away is not None
        taken_away()
        taken_away()
    assert names(tmp_path) == []


def test_a_run_that_is_marked_already_is_the_first_one_s_to_close(tmp_path: Path) -> None:
    with hold_mark(tmp_path, "abc", "where") as first:
        with hold_mark(tmp_path, "abc", "elsewhere") as second:
            assert second is None
        assert first is not None
        assert names(tmp_path) == ["abc.lock", "abc.run"]
        assert json.loads((tmp_path / "abc.run").read_text())["uri"] == "where"


@pytest.mark.e2e
def test_of_two_processes_at_one_run_the_first_has_the_mark(tmp_path: Path) -> None:
    with holding(tmp_path) as one:
        assert said(one) == "open"
        with holding(tmp_path) as two:
            assert said(two) == "somebody else's"
        # The second one is gone, and has taken nothing with it.
        assert close_orphaned(tmp_path, Closer()) == []
    assert close_orphaned(tmp_path, Closer()) == ["abc"]


def test_a_mark_is_for_its_owner_s_eyes_only(tmp_path: Path) -> None:
    with hold_mark(tmp_path, "abc", "postgresql://me:secret@host/db"):
        assert stat.S_IMODE((tmp_path / "abc.run").stat().st_mode) == 0o600
        assert "postgresql://me:***@host/db" in (tmp_path / "abc.run").read_text()


def test_without_marks_or_without_a_folder_there_is_nothing_to_close(tmp_path: Path) -> None:
    close = Closer()
    assert close_orphaned(tmp_path / "nowhere", close) == []
    assert close_orphaned(tmp_path, close) == []
    assert close.asked == []


def test_marks_that_nobody_holds_are_closed_with_their_stores(tmp_path: Path) -> None:
    close = Closer()
    write_mark(tmp_path, "b", "b", "there")
    write_mark(tmp_path, "a", "c", "here")
    assert close_orphaned(tmp_path, close) == ["c", "b"]
    assert close.asked == [("c", "here"), ("b", "there")]
    assert names(tmp_path) == []


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


BAD: dict[str, Callable[[Path], object]] = {
    "a URI": lambda path: path.write_text("sqlite:////a.db"),
    "empty": Path.touch,
    "cut off": lambda path: path.write_text('{"run_id": "ab'),
    "a list": lambda path: path.write_text("[]"),
    "null": lambda path: path.write_text("null"),
    "no URI": lambda path: path.write_text('{"run_id": "x"}'),
    "a number": lambda path: path.write_text('{"run_id": 7, "uri": "x"}'),
    "another path": lambda path: path.write_text('{"run_id": "../x", "uri": "x"}'),
    "NUL": lambda path: path.write_bytes(b"\0" * 100),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "deep": lambda path: path.write_text("[" * 10**6),
    "huge": lambda path: path.write_bytes(b"[" * 2**25),
    "a folder": Path.mkdir,
    "a pipe": make_pipe,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_mark_that_cannot_be_read_is_named_and_left_and_the_others_are_closed(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    close = Closer()
    write_mark(tmp_path, "a", "a", "here")
    write_mark(tmp_path, "z", "z", "here")
    BAD[kind](tmp_path / "m.run")
    assert list_marked(tmp_path) == ["a", "z"]
    assert close_orphaned(tmp_path, close) == ["a", "z"]
    assert close.asked == [("a", "here"), ("z", "here")]
    assert names(tmp_path) == ["m.run"]
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'm.run'} cannot be read: ")
    assert said.endswith("task=repair")


def test_a_folder_in_place_of_a_lock_is_named_and_the_other_marks_are_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    close = Closer()
    write_mark(tmp_path, "a", "a", "here")
    write_mark(tmp_path, "b", "b", "here")
    (tmp_path / "a.lock").mkdir()
    assert close_orphaned(tmp_path, close) == ["b"]
    assert f"{tmp_path / 'a.lock'} cannot be read" in caplog.text


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a link to itself", "a link to nothing"])
def test_what_is_in_place_of_a_lock_that_is_waited_for_is_put_aside(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    BAD[kind](tmp_path / "a.lock")
    with wait_for(tmp_path / "a.lock"):
        assert (tmp_path / "a.lock").is_file()
    assert f"{tmp_path / 'a.lock'} is no lock; it is put aside" in caplog.text
    (day,) = tmp_path.glob("damaged/*")
    assert os.path.lexists(day / "a.lock")


def test_a_file_in_place_of_the_folder_of_marks_is_named(tmp_path: Path) -> None:
    (tmp_path / "running").touch()
    assert close_orphaned(tmp_path / "running", Closer()) == []
    with pytest.raises(DamagedFileError, match="running"), hold(tmp_path / "running", "a"):
        pytest.fail("it was held")


@pytest.mark.e2e
def test_that_another_process_is_waited_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "WORD_SECONDS", 0.01)
    with holding(tmp_path) as process:
        assert said(process) == "open"
        threading.Timer(0.5, process.kill).start()
        with wait_for(tmp_path / "abc.lock"):
            assert caplog.messages == [f"Waiting for the process that holds {tmp_path}/abc.lock"]


def test_a_lock_that_another_has_is_waited_for_with_a_word_and_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "WORD_SECONDS", 0.1)
    path = tmp_path / "a.lock"
    with FileLock(path), pytest.raises(TimeoutError, match=r"a\.lock"), wait_for(path, 0.3):
        pytest.fail("It is locked.")
    assert caplog.messages == [f"Waiting for the process that holds {path}"]
    with wait_for(path, 0.3):
        pass


def test_a_process_that_dies_while_it_writes_leaves_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(json, "dump", die)
        with pytest.raises(KeyboardInterrupt):
            write_mark(tmp_path, "abc", "abc", "where")
    assert names(tmp_path) == []
    assert list_marked(tmp_path) == []
    write_mark(tmp_path, "abc", "abc", "where")
    assert names(tmp_path) == ["abc.run"]


def test_a_mark_that_cannot_be_closed_is_left_for_later(tmp_path: Path) -> None:
    write_mark(tmp_path, "a", "a", "here")
    assert close_orphaned(tmp_path, Closer(answer=False)) == []
    assert (tmp_path / "a.run").exists()
    assert close_orphaned(tmp_path, Closer()) == ["a"]
    assert names(tmp_path) == []


def test_the_lock_of_a_mark_that_cannot_be_closed_does_not_stay(tmp_path: Path) -> None:
    write_mark(tmp_path, "a", "a", "here")
    close_orphaned(tmp_path, Closer(answer=False))
    assert names(tmp_path) == ["a.run"]


def test_a_mark_whose_closing_fails_is_named_and_left_without_its_lock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_run_id: str, _note: str) -> bool:
        raise ValueError("no")

    write_mark(tmp_path, "a", "a", "here")
    assert close_orphaned(tmp_path, broken) == []
    assert names(tmp_path) == ["a.run"]
    assert f"{tmp_path / 'a.run'} names a run that cannot be closed (no)" in caplog.text


def test_a_mark_is_closed_under_its_lock(tmp_path: Path) -> None:
    write_mark(tmp_path, "a", "a", "here")
    second = Closer()

    def close(_run_id: str, _note: str) -> bool:
        assert close_orphaned(tmp_path, second) == []
        return True

    assert close_orphaned(tmp_path, close) == ["a"]
    assert second.asked == []


def test_a_mark_that_is_held_is_left_alone_and_the_others_are_closed(tmp_path: Path) -> None:
    close = Closer()
    write_mark(tmp_path, "b", "b", "")
    with hold_mark(tmp_path, "a", ""):
        assert close_orphaned(tmp_path, close) == ["b"]
        assert (tmp_path / "a.run").exists()


def test_a_mark_that_goes_before_it_is_locked_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FileLock):
        def acquire(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            (tmp_path / "a.run").unlink()
            return super().acquire(*args, **kwargs)  # type: ignore[arg-type]

    close = Closer()
    write_mark(tmp_path, "a", "a", "")
    monkeypatch.setattr("filelock.FileLock", Slow)
    assert close_orphaned(tmp_path, close) == []
    assert close.asked == []


@pytest.mark.e2e
def test_the_mark_of_a_process_is_closed_only_after_it_was_killed(tmp_path: Path) -> None:
    close = Closer()
    with holding(tmp_path) as process:
        assert said(process) == "open"
        assert close_orphaned(tmp_path, close) == []
    assert close_orphaned(tmp_path, close) == ["abc"]
    assert close.asked == [("abc", "where")]
