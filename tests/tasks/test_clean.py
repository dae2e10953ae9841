"""task=clean end to end, by what it shows, removes and leaves."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.console.display import Display
from tagifai.exceptions import TrackingError
from tagifai.runs.upkeep import cleanup
from tagifai.runs.upkeep.cleanup import RemovalCandidate
from tagifai.tasks import clean
from tagifai.tracking import session
from tagifai.tracking.inventory import RunInventory
from tagifai.tracking.store import Experiment
from tests.app import SMALL, App
from tests.showcase import Showcase

OLD, RECENT = "2026-01-01/07-42-16.793593-train", "2026-01-02/07-42-16.793593-train"


def uri(app: App) -> str:
    return f"sqlite:///{app.stores}/mlflow.db"


def ended(app: App, status: str, **tags: str) -> str:
    made = session.create_run(Experiment(uri(app), "tagifai", app.stores), None, tags)
    put(app.stores / "artifacts" / made.id / "artifacts" / "run.log")
    made.end(status)
    return made.id


def put(path: Path, content: str = "12345") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def output(app: App, name: str, *, days: float, size: int = 1000) -> Path:
    folder = app.outputs / name
    put(folder / ".hydra" / "config.yaml", "x" * size)
    then = time.time() - days * 86_400
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))
    return folder


def stage(app: App, run_id: str) -> str:
    return str(MlflowClient(uri(app)).get_run(run_id).info.lifecycle_stage)


def everything(folder: Path) -> set[Path]:
    """All that is there, but the databases' own files and the folder of this very run."""
    ignored = ("-clean", "mlflow.db")
    return {p for p in folder.rglob("*") if not any(part in str(p) for part in ignored)}


def test_what_can_go_is_shown_then_removed_by_the_command_and_then_there_is_nothing(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("run", tmp_path)
    trained = {app.run_id(): app.bundle()}
    # The first is the best, and the last the latest.
    for alpha in ("0.1", "0.05"):
        app.ok(*SMALL, f"model.alpha={alpha}")
        trained[app.run_id()] = app.bundle()
    (_, best), (spare, bundle), (_, latest) = trained.items()
    failed, pruned = ended(app, "FAILED"), ended(app, "KILLED", **{"trial.state": "PRUNED"})
    running = session.create_run(Experiment(uri(app), "tagifai", app.stores)).id
    old, recent = output(app, OLD, days=31), output(app, RECENT, days=29)
    mine = put(app.outputs / "mine.csv")

    before = everything(app.folder)
    shown = app.ok("task=clean")
    assert everything(app.folder) == before
    for line in (
        rf"failed runs \(1\) +5 B +failed *\n- {failed[:8]} +5 B *$",
        rf"pruned trials \(1\) +5 B +pruned *\n- {pruned[:8]} +5 B *$",
        rf"models \(1\) +\d+ kB +not registered and not the latest *\n- {spare[:8]} +\d+ kB *$",
        rf"output folders \(1\) +1 kB +31 days *\n- {re.escape(OLD)} +1 kB *$",
        r"total \(4\) +\d+ kB",
    ):
        assert re.search(line, shown, re.M), line

    (command,) = re.findall(r"Remove them: +(.*)", shown)
    words = shlex.split(command)
    assert words[-1] == "task.apply=true"
    assert f"paths.stores={app.stores}" in words
    done = app.ok(*words[words.index("task=clean") :])
    assert re.search(r"^Removed.*total \(4\) .*mlflow gc --backend-store-uri", done, re.S)
    assert [stage(app, x) for x in (failed, pruned)] == ["deleted", "deleted"]
    assert [stage(app, x) for x in (spare, running)] == ["active", "active"]
    assert not bundle.exists()
    assert not old.parent.exists()
    for kept in (best, latest / "manifest.json", recent, mine, app.dataset("sample")):
        assert kept.exists()
    assert "There is nothing to remove." in app.ok("task=clean", "task.apply=true")
    assert "natural" in app.ok("task=predict", "task.text=words of a language")


def test_output_folders_beyond_the_limit_go_the_oldest_first(app: App) -> None:
    names = [f"2026-01-0{day}/07-42-16.793593-train" for day in range(1, 5)]
    for days, name in enumerate(reversed(names), start=1):
        output(app, name, days=days, size=1_000_000)
    assert "nothing to remove" in app.ok("task=clean", "tracking=none", "task.max_gb=0.1")
    app.ok("task=clean", "tracking=none", "task.max_gb=0.0025", "task.apply=true")
    assert [(app.outputs / name).exists() for name in names] == [False, False, True, True]


@pytest.mark.parametrize("given", ["tracking=none", "tracking.uri=NOBODY"])
def test_without_a_store_that_answers_runs_and_models_are_left_and_that_is_said(
    app: App, nobody: str, given: str
) -> None:
    failed = ended(app, "FAILED")
    bundle = put(app.stores / "artifacts" / failed / "artifacts" / "bundle" / "manifest.json")
    put(app.stores / "run_id.txt", "abc\n")
    old = output(app, OLD, days=31)
    said = app.ok("task=clean", "task.apply=true", given.replace("NOBODY", nobody))
    assert "Runs and models are kept, because it is not known which are in use." in said
    assert not old.exists()
    assert bundle.exists()
    assert stage(app, failed) == "active"


def test_what_cannot_be_removed_is_one_line_and_the_rest_goes(app: App, tmp_path: Path) -> None:
    old, failed = output(app, OLD, days=31), ended(app, "FAILED")
    folder = app.stores / "artifacts" / failed
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    done = app.run("task=clean", "task.apply=true")
    assert done.returncode == 2
    assert re.fullmatch(
        rf"Error: 1 of 2 could not be removed, the first: {failed}: .* is a symbolic link.*\n",
        done.stderr,
    )
    assert "output folders" in done.stdout
    assert not old.exists()
    assert (tmp_path / "elsewhere" / "artifacts" / "run.log").exists()
    # Put right, the same command goes on.
    folder.unlink()
    assert "failed runs" in app.ok("task=clean", "task.apply=true")
    assert stage(app, failed) == "deleted"


def test_a_store_that_fails_in_the_middle_is_said_after_what_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = []

    def remove(stores: Path, inventory: RunInventory | None, leftover: RemovalCandidate) -> bool:
        asked.append(leftover.name)
        if leftover.name == "b":
            raise TrackingError("Tracking failed: gone.")
        return True

    monkeypatch.setattr(cleanup, "remove", remove)
    display = Display(quiet=False, plain=True, every=1)
    found = [RemovalCandidate("failed runs", name, 5, "failed") for name in "abc"]
    with pytest.raises(TrackingError, match=r"gone\. Run the same command again to go on\."):
        clean._remove(display, tmp_path, None, found)
    assert asked == ["a", "b"]
    assert re.search(r"failed runs \(1\) +5 B +failed *\n- a +5 B", capsys.readouterr().out)


def test_candidates_are_a_row_each_the_largest_first_and_the_rest_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [
        RemovalCandidate("caches", f"cache/texts/{size:02d}{'ab' * 31}.npz", size * 1000, why)
        for size, why in ((1, "40 days"), (7, "31 days"), *((n, "50 days") for n in range(2, 7)))
    ]
    display = Display(quiet=False, plain=True, every=1)
    clean._show(display, "Can be removed", found)
    rows = [re.split(r" {2,}", line.strip()) for line in capsys.readouterr().out.splitlines()[3:]]
    assert [row for row in rows if row != [""]] == [
        ["caches (7)", "28 kB"],
        ["- texts/07ababab….npz", "7 kB", "31 days"],
        *([f"- texts/0{n}ababab….npz", f"{n} kB", "50 days"] for n in (6, 5, 4, 3)),
        ["- and 2 more", "3 kB"],
        ["total (7)", "28 kB"],
    ]
    clean._show(display, "Can be removed", found[:6])
    assert "more" not in capsys.readouterr().out


def test_a_value_that_makes_no_sense_is_refused(app: App) -> None:
    for given in ("task.days=-1", "task.max_gb=-1", "task.apply=yesterday"):
        done = app.run("task=clean", given)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), given
        assert given.partition("=")[0] in done.stderr


def test_all_caches_go_when_that_is_asked_for_and_are_made_again(app: App) -> None:
    kept = list((app.stores / "cache" / "features").glob("*.npz"))
    # Texts, and features of the three parts, and of train and validation rows together.
    assert len(kept) == 5
    assert "caches" not in app.ok("task=clean")
    shown = app.ok("task=clean", "task.cache=true")
    assert re.search(r"caches \(5\) ", shown)
    assert all(path.exists() for path in kept)
    assert "task.cache=true task.apply=true" in re.sub(r"paths\.\S+ ?", "", shown)
    app.ok("task=clean", "task.cache=true", "task.apply=true")
    assert not any(path.exists() for path in kept)
    app.ok(*SMALL)
    assert all(path.exists() for path in kept)
    app.ok(*SMALL, "cache=none", "vectorizer.ngram_max=2")
    assert {*(app.stores / "cache" / "features").glob("*.npz")} == {*kept}
