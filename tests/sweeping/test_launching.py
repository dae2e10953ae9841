"""The launchers of clusters, and a database on a server, by what searches with them leave."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from hydra.errors import MissingConfigException
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from submitit.slurm import slurm

from tagifai.config.error_messages import explain
from tagifai.exceptions import ConfigError
from tagifai.sweeping import launchers, studies
from tagifai.sweeping.studies import StudyError
from tests.app import SMALL, TIMEOUT_SECONDS, App, environment
from tests.databases import run_postgres

pytestmark = pytest.mark.usefixtures("unmeasured")

LONG, SLOW, FLAT, REFUSED = 1e-4, 0.03, 1.0, -1.0
"""Penalties: with the first a training goes on for minutes. With the second the loss goes down too
slowly for the pruner below, with the third patience ends it, and the last is out of range."""

SEARCH = (
    "-m", "sweep=quick", "preprocessing=reference", "vectorizer=tfidf_word",
    "sampling=random_over", "model=sgd_reference", "model.eta0=0.005", "training.epochs=20000",
    "training.patience=3", "objective.metric=val_loss", "objective.direction=minimize",
    "objective.report_every=50", "hydra.sweeper.n_trials=4", "hydra.sweeper.params=null",
    "hydra/sweeper/sampler=grid", f"model.alpha=choice({LONG},{SLOW},{FLAT},{REFUSED})",
    "hydra/sweeper/pruner=none", "hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner",
    "+hydra.sweeper.pruner.upper=1.355", "+hydra.sweeper.pruner.n_warmup_steps=200",
)  # fmt: skip


@pytest.fixture
def app(tmp_path: Path, ready: Callable[[Path], App]) -> App:
    return ready(tmp_path)


def trials(app: App, storage: str | None = None) -> list[FrozenTrial]:
    opened = RDBStorage(storage or f"sqlite:///{app.stores}/studies.db")
    found = optuna.load_study(study_name="quick-sample", storage=opened).trials
    # Those that take the place of one that died are queued.
    found = [trial for trial in found if trial.state is not TrialState.WAITING]
    opened.remove_session()
    opened.engine.dispose()  # its connections would be complained about
    return found


def runs(app: App) -> tuple[Run, dict[int, Run]]:
    """Return the search's run, and those of its trials by number."""
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.get_experiment_by_name("tagifai")
    assert experiment is not None
    found = list(client.search_runs([experiment.experiment_id]))
    (parent,) = [run for run in found if "sweep.dir" in run.data.tags]
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(found) == 1 + len(children)
    return parent, {int(run.data.tags["trial.number"]): run for run in children}


def processes_that_name(text: str) -> list[str]:
    """Return the command lines of the processes that have a text in them."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if text in line]


# --- searches --------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("launcher", ["slurm_local", "ray_local"])
def test_a_launcher_brings_home_how_trials_ended_and_ctrl_c_ends_the_one_under_way(
    app: App, launcher: str
) -> None:
    process = subprocess.Popen(
        app.command(*SEARCH, f"hydra/launcher={launcher}"),
        cwd=app.cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(Exception):  # there is no study yet, or the file is locked
            found = trials(app)
            under_way = [trial for trial in found if not trial.state.is_finished()]
            if len(found) == 4 and ["run_id" in t.user_attrs for t in under_way] == [True]:
                break
        time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "Interrupted.\n"), output
    assert time.monotonic() - began < 30
    assert processes_that_name(str(app.folder)) == []
    by_alpha = {trial.params["model.alpha"]: trial for trial in trials(app)}
    long, slow, flat, refused = (by_alpha[alpha] for alpha in (LONG, SLOW, FLAT, REFUSED))
    assert len(by_alpha) == 4
    assert long.user_attrs["died"] == "Interrupted with its search."
    assert slow.state is TrialState.PRUNED
    assert list(slow.intermediate_values) == [0, 50, 100, 150, 200]
    assert flat.state is TrialState.COMPLETE
    assert refused.state is TrialState.FAIL
    assert refused.user_attrs["error"].startswith("model.alpha = -1.0 is not allowed")

    parent, children = runs(app)
    assert parent.info.status == "KILLED"
    assert parent.data.tags["launcher"] == launcher
    assert {
        number: (run.info.status, run.data.tags["trial.state"]) for number, run in children.items()
    } == {
        long.number: ("KILLED", "DIED"),
        slow.number: ("KILLED", "PRUNED"),
        flat.number: ("FINISHED", "COMPLETE"),
        refused.number: ("FAILED", "FAIL"),
    }
    folder = Path(parent.data.tags["sweep.dir"])
    logs = {int(path.parent.name) for path in folder.glob("*/run.log")}
    assert logs == {0, 1, 2, 3}
    jobs = {by_alpha[alpha].user_attrs["job"] for alpha in (LONG, SLOW, FLAT)}
    assert {job.partition(":")[0] for job in jobs} == {socket.gethostname()}


# --- Slurm, as far as it goes without one ----------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands of Slurm are looked for first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(slurm.SlurmJob, "watcher", slurm.SlurmJob.watcher)
    return folder


def add_command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class SlurmLauncher:
    """Has the name of the real one."""


@pytest.mark.e2e
def test_the_state_of_a_job_is_what_squeue_says_and_one_that_it_has_forgotten_has_ended(
    commands: Path,
) -> None:
    add_command(commands, "sbatch", "exit 1")
    add_command(commands, "squeue", "printf '7|RUNNING\\n8|PENDING\\n9|CANCELLED\\n'")
    launchers._use_squeue()
    watcher = slurm.SlurmJob.watcher
    for number in ("6", "7", "8", "9"):
        watcher.register_job(number)

    states = {number: watcher.get_state(number) for number in ("6", "7", "8", "9")}

    assert states == {"6": "ENDED", "7": "RUNNING", "8": "PENDING", "9": "CANCELLED"}
    assert [number for number in states if watcher.is_done(number)] == ["6", "9"]


@pytest.mark.e2e
def test_the_jobs_that_slurm_still_has_are_cancelled(commands: Path) -> None:
    add_command(commands, "sbatch", "exit 1")
    add_command(commands, "squeue", "printf '7|RUNNING\\n8|PENDING\\n'")
    add_command(commands, "scancel", f'echo "$@" > {commands}/cancelled')
    launchers._use_squeue()
    for number in ("6", "7", "8"):
        slurm.SlurmJob.watcher.register_job(number)
    slurm.SlurmJob.watcher.update()

    assert launchers.end_jobs(SlurmLauncher(), 0.0)  # type: ignore[arg-type]

    assert (commands / "cancelled").read_text() == "--quiet 7 8\n"


def test_slurm_is_refused_where_there_is_none(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(commands))

    with pytest.raises(ConfigError, match="there is no sbatch here"):
        launchers._use_squeue()


@pytest.mark.parametrize(
    ("option", "extra"),
    [("submitit_local", "slurm"), ("submitit_slurm", "slurm"), ("ray", "ray")],
)
def test_a_launcher_that_is_not_installed_is_an_error_that_says_how_to_install_it(
    option: str, extra: str
) -> None:
    by_preset = MissingConfigException("Could not load it", f"hydra/launcher/{option}")
    by_name = MissingConfigException("Could not find it", f"hydra/launcher/{option}", ["basic"])

    expected = (
        f"The launcher {option} is not installed. To install it: pip install 'tagifai[{extra}]'"
    )
    assert explain(by_preset) == explain(by_name) == (expected, 2)


# --- PostgreSQL ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[URL]:
    """A PostgreSQL server on the loopback device, with a password; skips where there is none."""
    with run_postgres() as server:
        yield server.url


@pytest.mark.e2e
def test_two_processes_share_a_study_on_a_server_and_nobody_shows_its_password(
    app: App, server: URL
) -> None:
    url = server.render_as_string(hide_password=False)
    search = (
        "-m", "sweep=quick", *SMALL, "hydra/launcher=basic", "hydra.sweeper.n_trials=5",
        "hydra.sweeper.params=null", "model.alpha=interval(1e-5,1e-4)",
    )  # fmt: skip
    processes = [app.start(*search, f"hydra.sweeper.storage='{url}'") for _ in range(2)]
    outputs = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [error for _, error in outputs] == ["", ""]
    assert "pass" not in "".join(output for output, _ in outputs)
    finished = [t for t in trials(app, url) if "died" not in t.user_attrs]
    assert [t.state for t in finished] == [TrialState.COMPLETE] * 5
    assert len({t.user_attrs["job"] for t in finished}) == 2


@pytest.mark.e2e
def test_a_wrong_password_is_one_error_that_does_not_show_it(server: URL) -> None:
    wrong = server.set(password="pass:no").render_as_string(hide_password=False)

    with pytest.raises(StudyError, match="password authentication failed") as raised:
        studies.connect(wrong)

    message = str(raised.value)
    assert "pass:no" not in message
    assert "pass%3Ano" not in message
    assert "\n" not in message
