from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tagifai.liveness import marked, reap

HOLD = """
import sys
from pathlib import Path
from tagifai.liveness import marked

with marked(Path(sys.argv[1]), "abc", "where"):
    print("open", flush=True)
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


def test_a_mark_stands_until_it_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "running"
    with marked(folder, "abc", "where") as unmark:
        assert (folder / "abc.run").read_text() == "where"
        unmark()
        assert names(folder) == ["abc.lock"]
    assert names(folder) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_mark_that_a_failing_block_leaves_stays_for_reap_and_its_lock_does_not(
    tmp_path: Path, error: type[BaseException]
) -> None:
    close = Closer()
    with pytest.raises(error), marked(tmp_path, "abc", "where"):
        raise error
    assert names(tmp_path) == ["abc.run"]
    assert reap(tmp_path, close) == ["abc"]
    assert close.asked == [("abc", "where")]
    assert names(tmp_path) == []


def test_a_mark_that_was_not_taken_away_stays_after_the_block(tmp_path: Path) -> None:
    with marked(tmp_path, "abc", ""):
        pass
    assert names(tmp_path) == ["abc.run"]


def test_taking_a_mark_away_twice_is_no_error(tmp_path: Path) -> None:
    with marked(tmp_path, "abc", "") as unmark:
        unmark()
        unmark()
    assert names(tmp_path) == []


def test_a_mark_is_for_its_owner_s_eyes_only(tmp_path: Path) -> None:
    with marked(tmp_path, "abc", "postgresql://me:secret@host/db"):
        assert stat.S_IMODE((tmp_path / "abc.run").stat().st_mode) == 0o600


def test_without_marks_or_without_a_folder_there_is_nothing_to_close(tmp_path: Path) -> None:
    close = Closer()
    assert reap(tmp_path / "nowhere", close) == []
    assert reap(tmp_path, close) == []
    assert close.asked == []


def test_marks_that_nobody_holds_are_closed_with_their_notes(tmp_path: Path) -> None:
    close = Closer()
    (tmp_path / "b.run").write_text("there")
    (tmp_path / "a.run").write_text("here")
    assert reap(tmp_path, close) == ["a", "b"]
    assert close.asked == [("a", "here"), ("b", "there")]
    assert names(tmp_path) == []


def test_a_mark_that_cannot_be_closed_is_left_for_later(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("here")
    assert reap(tmp_path, Closer(answer=False)) == []
    assert (tmp_path / "a.run").exists()
    assert reap(tmp_path, Closer()) == ["a"]
    assert names(tmp_path) == []


def test_the_lock_of_a_mark_that_cannot_be_closed_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("here")
    reap(tmp_path, Closer(answer=False))
    assert names(tmp_path) == ["a.run"]


def test_the_lock_of_a_mark_whose_closing_fails_does_not_stay(tmp_path: Path) -> None:
    def broken(_run_id: str, _note: str) -> bool:
        raise ValueError("no")

    (tmp_path / "a.run").write_text("here")
    with pytest.raises(ValueError, match="no"):
        reap(tmp_path, broken)
    assert names(tmp_path) == ["a.run"]


def test_a_mark_is_closed_under_its_lock(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("here")
    second = Closer()

    def close(_run_id: str, _note: str) -> bool:
        assert reap(tmp_path, second) == []
        return True

    assert reap(tmp_path, close) == ["a"]
    assert second.asked == []


def test_a_mark_that_is_held_is_left_alone_and_the_others_are_closed(tmp_path: Path) -> None:
    close = Closer()
    (tmp_path / "b.run").write_text("")
    with marked(tmp_path, "a", ""):
        assert reap(tmp_path, close) == ["b"]
        assert (tmp_path / "a.run").exists()


def test_a_mark_that_goes_before_it_is_locked_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FileLock):
        def acquire(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            (tmp_path / "a.run").unlink()
            return super().acquire(*args, **kwargs)  # type: ignore[arg-type]

    close = Closer()
    (tmp_path / "a.run").write_text("")
    monkeypatch.setattr("tagifai.liveness.FileLock", Slow)
    assert reap(tmp_path, close) == []
    assert close.asked == []


def test_the_mark_of_a_process_is_closed_only_after_it_was_killed(tmp_path: Path) -> None:
    close = Closer()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            assert reap(tmp_path, close) == []
        finally:
            process.kill()
            process.wait(timeout=30)
        assert reap(tmp_path, close) == ["abc"]
    assert close.asked == [("abc", "where")]
