"""The file that names the latest run, and the one with its scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tagifai.exceptions import BundleError, DamagedFileError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import latest, resolve
from tests.conftest import DOCUMENTS

SET_LATEST = """
import sys
from pathlib import Path
from tagifai.runs import latest

def slow(path):
    if path.name == "run_id.txt":
        return replacing(path)
    print("between", flush=True)
    sys.stdin.read()
    return replacing(path)

replacing = latest.replace_atomically
latest.replace_atomically = slow
latest.set_run(Path(sys.argv[1]), "a", {"run": "a"})
"""
"""Waits after the run has been named, and before its scores are written."""


def test_without_a_run_there_is_no_latest(tmp_path: Path) -> None:
    assert latest.read(tmp_path) is None


def test_the_latest_run_is_the_one_that_was_set_last_with_its_scores(tmp_path: Path) -> None:
    for run_id, f1 in (("a", 0.25), ("b", 0.5)):
        latest.set_run(tmp_path / "stores", run_id, {"f1": f1})
    assert latest.read(tmp_path / "stores") == "b"
    assert (tmp_path / "stores" / "run_id.txt").read_text() == "b\n"
    assert json.loads((tmp_path / "stores" / "performance.json").read_text()) == {"f1": 0.5}


@pytest.mark.e2e
def test_of_two_processes_that_set_the_latest_run_both_files_are_of_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SET_LATEST, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "between\n"
            arguments = (tmp_path, "b", {"run": "b"})
            thread = threading.Thread(target=latest.set_run, args=arguments, daemon=True)
            thread.start()
            thread.join(timeout=0.3)
            waits = thread.is_alive()
            assert process.communicate(timeout=30)[0] == ""
            assert process.returncode == 0
        finally:
            process.kill()
            process.wait(timeout=30)
    thread.join(timeout=30)
    assert waits
    assert latest.read(tmp_path) == "b"
    assert json.loads((tmp_path / "performance.json").read_text()) == {"run": "b"}


def test_scores_that_cannot_be_written_leave_the_latest_run_as_it_was(tmp_path: Path) -> None:
    latest.set_run(tmp_path, "a", {"f1": 0.25})
    with pytest.raises(ValueError, match="JSON compliant"):
        latest.set_run(tmp_path, "b", {"f1": float("nan")})
    assert latest.read(tmp_path) == "a"


# --- killed in between -------------------------------------------------------------------------


@pytest.fixture
def stores(tmp_path: Path, tagger: Tagger) -> Path:
    """Stores with the bundles of two runs, of which "new" is the latest."""
    for run_id in ("old", "new"):
        scores = {"performance.json": json.dumps({"run": run_id})}
        bundles.save(bundles.get_path(tmp_path, run_id), tagger, {**DOCUMENTS, **scores})
        latest.set_run(tmp_path, run_id, {"run": run_id})
    return tmp_path


def scores(stores: Path) -> object:
    return json.loads((stores / "performance.json").read_text())


@pytest.mark.parametrize("how", ["another run's", "missing", "cut off", "a link to nothing"])
def test_the_next_command_makes_the_scores_those_of_the_run_that_is_named(
    stores: Path, how: str
) -> None:
    path = stores / "performance.json"
    path.unlink()
    if how == "a link to nothing":
        path.symlink_to("nowhere")
    elif how != "missing":
        path.write_text('{\n  "run": "old"\n}\n' if how == "another run's" else '{\n  "run')
    assert not latest.have_scores(stores)
    resolve.finish_interrupted(stores, "")
    assert scores(stores) == {"run": "new"}
    assert latest.have_scores(stores)
    assert not latest.mend(stores)


@pytest.mark.e2e
@pytest.mark.parametrize("step", range(1, 9))
def test_killed_at_any_step_the_next_command_has_name_and_scores_of_one_run(
    stores: Path, step: int
) -> None:
    latest.set_run(stores, "old", {"run": "old"})
    if not (child := os.fork()):
        left = [step]
        for how in ("fsync", "replace"):
            owner = {"fsync": os, "replace": Path}[how]
            original = getattr(owner, how)

            def end(*given: object, original: Callable[..., object] = original) -> object:
                left[0] -= 1
                return original(*given) if left[0] else os._exit(9)

            setattr(owner, how, end)
        latest.set_run(stores, "new", {"run": "new"})
        os._exit(0)
    os.waitpid(child, 0)
    resolve.finish_interrupted(stores, "")
    named = latest.read(stores)
    assert named == ("old" if step <= 2 else "new")
    assert scores(stores) == {"run": named}
    latest.set_run(stores, "new", {"run": "new"})
    assert [path for path in stores.iterdir() if path.name.endswith(".tagifai")] == []


def test_scores_stay_as_they_are_where_the_named_run_has_none_here(stores: Path) -> None:
    latest.set_run(stores, "gone", {"run": "gone"})
    assert not latest.mend(stores)
    assert scores(stores) == {"run": "gone"}


# --- garbage -----------------------------------------------------------------------------------

BAD: dict[str, Callable[[Path], object]] = {
    "empty": Path.touch,
    "NUL": lambda path: path.write_bytes(b"abc\0"),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\n"),
    "a path": lambda path: path.write_text("../../etc/passwd\n"),
    "two lines": lambda path: path.write_text("a\nb\n"),
    "huge": lambda path: path.write_bytes(b"a" * 2**24 + b"a"),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_name_that_cannot_be_read_is_named_and_passed_over_and_the_next_run_is_named(
    stores: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = stores / "run_id.txt"
    path.unlink()
    BAD[kind](path)
    assert resolve.get_latest(stores) is None
    (said,) = caplog.messages
    assert said.startswith(f"{path} cannot be read: ")
    assert said.endswith("task=repair")
    assert resolve.find(stores, "old", None)[0] == "old"
    with pytest.raises(BundleError, match="There is no run 'x'"):
        resolve.find(stores, "x", None)
    with pytest.raises(DamagedFileError, match="task=repair"):
        resolve.find(stores, None, None)
    assert not latest.mend(stores)
    latest.set_run(stores, "new", {"run": "new"})
    assert latest.read(stores) == "new"
    kept = [file.name for file in stores.glob("damaged/*/*")]
    assert kept == (["run_id.txt"] if kind == "a folder" else [])


@pytest.mark.parametrize("name", ["performance.json", ".latest.lock"])
def test_a_folder_in_place_of_scores_or_lock_is_put_aside_by_the_next_training(
    stores: Path, name: str
) -> None:
    (stores / name).unlink(missing_ok=True)
    (stores / name).mkdir()
    (stores / name / "mine").touch()
    latest.set_run(stores, "old", {"run": "old"})
    assert (latest.read(stores), scores(stores)) == ("old", {"run": "old"})
    assert [file.name for file in stores.glob(f"damaged/*/{name}/*")] == ["mine"]
