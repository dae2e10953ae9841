"""What a plain multirun shows: its jobs before they run, and its board when they have run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.app import SMALL, App

RUNS = ("-m", *SMALL, "console=quiet", "training.epochs=1")


def board_of(output: str) -> list[str]:
    """Return the lines from the title of the board on."""
    lines = output.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith("Multirun ")]
    return [line.rstrip() for line in lines[start:] if line.strip()]


def run_ids(app: App) -> dict[int, str]:
    return {
        int(path.parent.name): path.read_text().strip()
        for path in app.outputs.glob("*/*-multirun/*/run_id.txt")
    }


def test_a_multirun_ends_with_its_jobs_the_best_first_and_what_to_do_with_the_best(
    app: App,
) -> None:
    mine = "tracking.experiment=mine"
    done = app.run("-m", *SMALL, mine, "objective.metric=val_loss", "model.alpha=10,1e-4")
    assert done.returncode == 0, done.stderr
    title, head, _, best, worst, said, *ways = board_of(done.stdout)
    (folder,) = app.outputs.glob("*/*-multirun")
    assert title == f"Multirun {folder.name}: 2 jobs by val_loss (minimize)"
    assert head.split() == ["val_loss", "run", "job", "settings"]
    runs = run_ids(app)
    assert best.split()[1:] == [runs[1][:8], "1", "alpha=1e-4"]
    assert worst.split()[1:] == [runs[0][:8], "0", "alpha=10"]
    assert float(best.split()[0]) < float(worst.split()[0])
    assert said.split(maxsplit=1)[1] == f"job 1 (alpha=0.0001), val_loss = {best.split()[0]}"
    commands = {line.partition(":")[0]: shlex.split(line.partition(":")[2]) for line in ways}
    chosen = f"task.run_id={run_ids(app)[1]}"
    parent = json.loads((folder / "parent_run.json").read_text())["run_id"]
    assert {"task=predict", chosen, "task.text=..."} <= {*commands["Predict"]}
    assert {"task=promote", chosen} <= {*commands["Promote"]}
    assert {"task=compare", f"task.parent={parent}"} <= {*commands["Compare"]}
    for words in commands.values():
        assert {f"paths.stores={app.stores}", f"paths.outputs={app.outputs}", mine} <= {*words}
    assert "Compared: " in app.ok(*commands["Compare"][commands["Compare"].index("task=compare") :])


def test_without_tracking_and_with_a_failed_job_there_is_a_board_with_the_reason(
    app: App,
) -> None:
    huge = ("model=sgd_huber", "model.learning_rate=constant", "tracking=none")
    done = app.run(*RUNS, *huge, "model.eta0=1e308,0.01")
    assert done.returncode == 2
    lines = board_of(done.stdout)
    assert [line.split()[-1] for line in lines[3:5]] == ["eta0=0.01", "eta0=1e308"]
    assert [line.split()[1] for line in lines[3:5]] == ["done", "failed"]
    assert re.match(r"Failed: +job 0 \(eta0=1e\+308\): .*diverged", lines[5])
    assert re.match(r"Best: +job 1 \(eta0=0\.01\), val_f1 = 0\.\d{4}$", lines[6])
    # A quiet console has results only, to which the next command belongs.
    assert re.match(r"Predict: .* task=predict ", lines[7])
    assert len(lines) == 8


def test_scores_of_several_objectives_are_shown_and_not_ranked(app: App) -> None:
    chosen = "objective.metric=[val_f1,model_bytes]"
    done = app.run(*RUNS, chosen, "tracking=none", "seed=1,2")
    assert done.returncode == 0, done.stderr
    title, head, *_ = lines = board_of(done.stdout)
    assert title.endswith(": 2 jobs")
    assert head.split() == ["val_f1", "model_bytes", "run", "job", "settings"]
    assert [line.split()[-1] for line in lines[3:5]] == ["seed=1", "seed=2"]
    assert "Best" not in done.stdout


def test_jobs_of_different_objectives_are_shown_and_not_ranked(app: App, tmp_path: Path) -> None:
    presets = tmp_path / "conf" / "experiment"
    presets.mkdir(parents=True)
    for name, metric, direction in (
        ("by_f1", "val_f1", "maximize"),
        ("by_both", "[val_f1,val_loss]", "[maximize,minimize]"),
    ):
        (presets / f"{name}.yaml").write_text(
            "# @package _global_\n"
            f"objective:\n  metric: {metric}\n  direction: {direction}\n  report_every: null\n"
        )
    chosen = (f"--config-dir={tmp_path}/conf", "tracking=none", "experiment=by_f1,by_both")
    done = app.run(*RUNS, *chosen)
    assert done.returncode == 0, done.stderr
    title, head, *_ = board_of(done.stdout)
    assert title.endswith(": 2 jobs")
    assert head.split() == ["score", "score", "2", "run", "job", "settings"]
    assert "Best" not in done.stdout


def test_what_programs_read_has_no_board(trained: App) -> None:
    done = trained.run("-m", "task=predict", "task.text=a", "task.top_k=1,2")
    assert done.returncode == 0, done.stderr
    decoder, text, found = json.JSONDecoder(), done.stdout.strip(), 0
    while text:
        _, end = decoder.raw_decode(text)
        text, found = text[end:].strip(), found + 1
    assert found == 2


def test_a_preview_lists_the_jobs_and_starts_nothing(app: App) -> None:
    before = {path for path in app.stores.rglob("*") if path.is_file()}
    done = app.run("-m", "seed=1,2", "model=sgd,linear_svc", "plots=none", "sweep.preview=true")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0][:5] == ["Preview:", "a", "multirun", "of", "4"]
    assert lines[1] == ["job", "seed", "model"]
    assert lines[3:7] == [
        ["0", "1", "sgd"],
        ["1", "1", "linear_svc"],
        ["2", "2", "sgd"],
        ["3", "2", "linear_svc"],
    ]
    assert lines[7][:3] == ["In", "all:", "plots=none"]
    assert not app.outputs.exists()
    kept = {path for path in app.stores.rglob("*") if path.is_file()}
    assert {path.parent.name for path in kept - before} <= {"running"}


def test_a_preview_of_one_run_is_refused(app: App) -> None:
    done = app.run("sweep.preview=true")
    assert done.returncode == 2
    assert "sweep.preview=true shows the jobs of a multirun" in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(
    "given",
    [
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=0"),
        ("hydra/launcher=joblib", "hydra.launcher.backend=nope"),
        ("+hydra.launcher.nope=1",),
        ("+hydra.sweeper.nope=1",),
    ],
)
def test_a_plugin_that_cannot_begin_is_one_sentence_with_its_settings(
    app: App, given: tuple[str, ...]
) -> None:
    done = app.fork("-m", "task=info", "seed=1,2", *given)
    assert done.returncode == 2
    assert f"Hydra cannot work with {', '.join(given)} (" in done.stderr
    assert "not foreseen" not in done.stderr
    assert "log has" not in done.stderr


@pytest.mark.parametrize("what", [("--cfg", "job"), ("--cfg", "hydra"), ("--info", "config")])
@pytest.mark.parametrize("sweep", ["sweep=quick", "seed=1"])
def test_the_configuration_of_a_multirun_is_shown(
    app: App, what: tuple[str, str], sweep: str
) -> None:
    done = app.run("-m", *what, sweep)
    assert done.returncode == 0, done.stderr
    # What --info shows goes through the logs.
    assert "seed: " in done.stdout + done.stderr or "hydra:" in done.stdout


# --- folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subdir", "said"),
    [
        ("x", "hydra.sweep.subdir = x is the folder of job 0 and of job 1"),
        ("${plots.enabled}", "hydra.sweep.subdir = False is the folder of job 0 and of job 1"),
        ("${seed}-" + 300 * "x", "hydra.sweep.subdir: the name 1-xxx"),
    ],
)
def test_jobs_that_share_a_folder_are_refused_before_anything_trains(
    app: App, subdir: str, said: str
) -> None:
    done = app.run("-m", *SMALL, "seed=1,2", f"hydra.sweep.subdir='{subdir}'")
    assert done.returncode == 2
    assert said in done.stderr
    assert not app.outputs.exists()


def test_jobs_may_have_folders_by_their_settings(app: App) -> None:
    done = app.run(*RUNS, "tracking=none", "seed=1,2", "hydra.sweep.subdir='s${seed}'")
    assert done.returncode == 0, done.stderr
    (folder,) = app.outputs.glob("*/*-multirun")
    assert {path.parent.name for path in folder.glob("*/run_id.txt")} == {"s1", "s2"}


def test_a_folder_that_has_the_jobs_of_an_earlier_multirun_is_refused(
    app: App, tmp_path: Path
) -> None:
    chosen = (*RUNS, "tracking=none", f"hydra.sweep.dir={tmp_path}/mine")
    assert app.run(*chosen, "seed=1").returncode == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("mine/**/*")}
    done = app.run(*chosen, "seed=2")
    assert done.returncode == 2
    assert f"hydra.sweep.dir = {tmp_path}/mine has the jobs of an earlier multirun (0)" in (
        done.stderr
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("mine/**/*")} == before


def test_its_link_to_its_parent_run_stays(app: App, tmp_path: Path) -> None:
    chosen = (*RUNS, f"hydra.sweep.dir={tmp_path}/mine")
    assert app.run(*chosen, "seed=1").returncode == 0
    link = tmp_path / "mine" / "parent_run.json"
    before = link.read_text()
    assert app.run(*chosen, "seed=2").returncode == 2
    assert link.read_text() == before


def test_a_run_folder_that_is_used_again_has_the_files_of_the_new_run_and_a_person_s_own(
    app: App, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    chosen = (*SMALL, "tracking=none", "training.epochs=1", f"hydra.run.dir={folder}")
    app.ok(*chosen, "plots=default", "seed=1")
    first = (folder / "run_id.txt").read_text()
    assert (folder / "figures" / "confusion.svg").is_file()
    own = [folder / "notes.md", folder / "figures" / "mine.png", folder / "bundle.bak" / "x"]
    own[2].parent.mkdir()
    for path in own:
        path.write_text("mine")
    app.ok(*chosen, "seed=2")
    assert (folder / "run_id.txt").read_text() != first
    assert [path.name for path in (folder / "figures").iterdir()] == ["mine.png"]
    assert all(path.read_text() == "mine" for path in own)
    assert "seed: 2" in (folder / "config.yaml").read_text()
    log = (folder / "run.log").read_text()
    assert first.strip() not in log
    assert log.count("Objective val_f1") == 1
    kept = {path: path.read_bytes() for path in folder.rglob("*.json")}
    done = app.run(*chosen, "data=table", "data.path=missing.csv")
    assert done.returncode == 2
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == kept
    assert (folder / "bundle" / "manifest.json") in kept


@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_paths_start_at_the_working_directory_of_the_command_whatever_hydra_changes_to(
    app: App, sweep: tuple[str, ...]
) -> None:
    rows = "".join(f"red apple {n},fruit\nblue car {n},vehicle\n" for n in range(40))
    (app.cwd / "rows.csv").write_text(f"text,label\n{rows}")
    data = ("data=table", "data.path=rows.csv", "data.text=[text]", "data.label=label")
    where = "hydra.sweep.dir=here" if sweep else "hydra.run.dir=here"
    done = app.run(
        *(*sweep, *SMALL, *data, where, "hydra.job.chdir=true", "tracking.uri=sqlite:///my.db")
    )
    assert done.returncode == 0, done.stderr
    assert (app.cwd / "my.db").is_file()
    assert len([*app.cwd.glob("here/**/run_id.txt")]) == 1
    done = app.run(
        *(*sweep, "task=evaluate", "hydra.job.chdir=true", "tracking.uri=sqlite:///my.db"),
        *("task.output=scores.json", "hydra.sweep.dir=there"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((app.cwd / "scores.json").read_text())["overall"]["f1"] > 0.5
