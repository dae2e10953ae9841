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
from typing import Any, cast

import optuna
import pytest
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL

from tagifai.config.error_messages import explain
from tagifai.exceptions import ConfigError
from tagifai.sweeping import storage
from tagifai.sweeping.storage import StudyError
from tagifai.sweeping.workers import launchers
from tests.app import SMALL, TIMEOUT_SECONDS, App, environment
from tests.databases import run_postgres
from tests.sweeping.searches import is_training, runs

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
            if len(found) == 4 and len(under_way) == 1 and is_training(app, under_way[0].number):
                break
        time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "Interrupted.\n"), output + errors
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
    records = {int(path.parent.name) for path in folder.glob("[0-9]/.hydra")}
    assert records == {0, 1, 2, 3}
    workers = {trial.user_attrs["worker"] for trial in by_alpha.values()}
    assert {name.split()[1].partition(":")[0] for name in workers} == {socket.gethostname()}
    assert len(workers) == 2


# --- Slurm, as far as it goes without one ----------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands of Slurm are looked for first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def add_command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/called\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("script", "queued"), [("printf '7_0\\n7_1\\n'", 2), ("true", 0), ("exit 1", 1)]
)
def test_the_jobs_in_the_queue_are_those_of_the_session_and_silence_is_no_empty_queue(
    commands: Path, script: str, queued: int
) -> None:
    add_command(commands, "squeue", script)
    assert launchers.count_queued("abc") == queued
    assert "--me --noheader --array --name=abc" in (commands / "called").read_text()


@pytest.mark.e2e
def test_the_jobs_of_a_session_are_cancelled_and_no_others(commands: Path) -> None:
    add_command(commands, "scancel", "exit 1")
    launchers.cancel_queued("abc")
    assert (commands / "called").read_text() == "--quiet --me --name=abc\n"


def test_slurm_is_refused_where_there_is_none(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(commands))
    cfg = OmegaConf.create({"hydra": {"launcher": {"_target_": "x.SlurmLauncher"}}})
    cfg.hydra |= {"overrides": {"hydra": []}, "sweep": {"subdir": ""}}
    with pytest.raises(ConfigError, match="there is no sbatch here"):
        launchers.make(cfg, cast(Any, None), None, "abc")


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
        "-m", "sweep=quick", *SMALL, "hydra/launcher=basic", "hydra.sweeper.n_trials=8",
        "hydra.sweeper.params=null", "model.alpha=interval(1e-5,1e-4)", "training.epochs=300",
    )  # fmt: skip
    processes = [app.start(*search, f"hydra.sweeper.storage='{url}'") for _ in range(2)]
    outputs = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    errors = "".join(error for _, error in outputs).splitlines()
    # One of them begins the study, and on a slow machine the other one says that it waits.
    assert [line for line in errors if not line.startswith("Waiting for the process")] == []
    assert "pass:word" not in "".join(output for output, _ in outputs)
    finished = [t for t in trials(app, url) if "died" not in t.user_attrs]
    assert [t.state for t in finished] == [TrialState.COMPLETE] * 8
    assert len({t.user_attrs["worker"] for t in finished}) == 2


@pytest.mark.e2e
def test_a_wrong_password_is_one_error_that_does_not_show_it(server: URL) -> None:
    wrong = server.set(password="pass:no").render_as_string(hide_password=False)

    with pytest.raises(StudyError, match="password authentication failed") as raised:
        storage.connect(wrong)

    message = str(raised.value)
    assert "pass:no" not in message
    assert "pass%3Ano" not in message
    assert "\n" not in message
