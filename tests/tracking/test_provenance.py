from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.types import RunMode

from tagifai.config import job
from tagifai.config.schema import EXPERIMENT_GROUPS, check
from tagifai.tracking import provenance as tracking_provenance
from tagifai.tracking.provenance import Invocation
from tagifai.utils import environment, program
from tests.conftest import Compose


@pytest.fixture(autouse=True)
def git_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout's state, whatever this process was told before; asking Git begins a process."""
    git = {"mlflow.source.git.commit": "c0ffee", "mlflow.source.git.dirty": "false"}
    monkeypatch.setattr(tracking_provenance, "_get_git_state", lambda: git)


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(program.PROGRAM_VARIABLE, "run.py")
    monkeypatch.setenv(program.SCRIPT_VARIABLE, "run.py")
    monkeypatch.setenv(program.COMMAND_VARIABLE, "run.py")


def hydra_of(
    monkeypatch: pytest.MonkeyPatch,
    mode: RunMode,
    task: list[str],
    choices: Mapping[str, str | None] | None = None,
    sweeper: str = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
) -> None:
    is_multirun = mode == RunMode.MULTIRUN
    is_trial = is_multirun and sweeper == job.SEARCH_TARGET
    present = job.Job(
        Path("/out/1"),
        overrides=task,
        options=choices or {},
        number=7 if is_multirun else None,
        multirun_dir=Path("/out") if is_multirun else None,
        trial=job.SearchTrial(7, "s") if is_trial else None,
        sweeper=sweeper,
    )
    monkeypatch.setattr(job, "_given", [present])


# --- of a command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "argv", "task", "command"),
    [
        (RunMode.RUN, ["model.alpha=1e-5", "--config-dir", "my conf"], ["model.alpha=1e-5"],
         ["run.py", "model.alpha=1e-5", "--config-dir", "my conf"]),
        (RunMode.MULTIRUN, ["-m", "seed=1,2", "model=sgd"], ["seed=2", "model=sgd"],
         ["run.py", "seed=2", "model=sgd"]),
        (RunMode.MULTIRUN, ["-m", "data.projects='a b','c d'"], ["data.projects='c d'"],
         ["run.py", "data.projects='c d'"]),
        (RunMode.MULTIRUN, ["-m", "sweepx=1,2"], ["sweepx=1", "+my.sweep=1"],
         ["run.py", "sweepx=1", "+my.sweep=1"]),
    ],
)  # fmt: skip
def test_the_command_is_the_one_that_runs_this_job_alone(
    monkeypatch: pytest.MonkeyPatch,
    mode: RunMode,
    argv: list[str],
    task: list[str],
    command: list[str],
) -> None:
    program.export_command(["/somewhere/run.py", *argv])
    hydra_of(monkeypatch, mode, task)
    invocation = tracking_provenance.get_invocation()
    assert shlex.split(invocation.command) == command
    assert invocation.overrides == task


@pytest.mark.parametrize("told", ["sweep=mine", "sweep.restart=true"])
def test_the_command_of_a_search_s_job_chooses_what_the_preset_chose(
    monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    chosen = {group: f"my-{group}" for group in EXPERIMENT_GROUPS}
    overrides = [told, "model.alpha=1e-05", "model=sgd"]
    hydra_of(monkeypatch, RunMode.MULTIRUN, overrides, chosen)
    invocation = tracking_provenance.get_invocation()
    others = [f"{group}=my-{group}" for group in EXPERIMENT_GROUPS if group != "model"]
    assert shlex.split(invocation.command) == ["run.py", "model.alpha=1e-05", "model=sgd", *others]
    assert invocation.overrides == overrides


def test_a_run_has_its_overrides_in_its_name_and_a_trial_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {"model": "sgd", "vectorizer": "counts", "data": "sample", "sampling": None}
    task = ["seed=3", "paths.stores=/s"]
    hydra_of(monkeypatch, RunMode.RUN, task, chosen)
    invocation = tracking_provenance.get_invocation()
    assert (invocation.make_name("sample"), invocation.output_dir) == (
        "sgd · seed=3",
        Path("/out/1"),
    )
    assert (invocation.options["model"], invocation.options["sampling"]) == ("sgd", None)
    assert (invocation.paths, invocation.rerun_of) == (["paths.stores=/s"], None)

    hydra_of(monkeypatch, RunMode.MULTIRUN, [], chosen, "tagifai.sweeping.sweeper.SearchSweeper")
    assert tracking_provenance.get_invocation().make_name("sample") == "trial 7"


# --- of a record -------------------------------------------------------------------------------

COMMAND = Invocation("run.py task=rerun", Path("/o"), {"data": "sample"}, ["a=1"], ["paths.x=1"])


def test_a_run_trained_again_has_the_choices_of_the_record_and_the_present_command() -> None:
    options = {"model": "mine", "vectorizer": "counts", "data": "table"}
    made = COMMAND.derive_rerun({"options": options, "overrides": ["seed=1"]}, "0123456789")
    assert made.make_name("reviews") == "mine · seed=1"
    assert (made.options, made.overrides) == (options, ["seed=1"])
    assert (made.command, made.output_dir) == ("run.py task=rerun", Path("/o"))
    assert (made.paths, made.rerun_of) == (["paths.x=1"], "0123456789")


def test_the_document_says_how_a_run_came_about_and_is_the_same_each_time(
    composed: Compose,
) -> None:
    config = check(composed("model=custom", "model._target_=sklearn.X", "sampling=none"))
    document = COMMAND.make_record(config)
    assert (document["options"], document["overrides"]) == ({"data": "sample"}, ["a=1"])
    assert list(document["schemas"]) == list(EXPERIMENT_GROUPS)
    assert document["schemas"]["vectorizer"] == "vectorizer/union"
    assert (document["schemas"]["model"], document["schemas"]["sampling"]) == (None, "nothing")
    assert document["versions"] == environment.get_versions(environment.ALL_LIBRARIES)
    assert document["git"] == {"commit": "c0ffee", "dirty": "false"}
    assert document["platform"]
    assert COMMAND.make_record(config) == document


def test_the_document_has_no_password_of_a_url(composed: Compose) -> None:
    url = "https://me:secret@host/x.csv"
    invocation = replace(COMMAND, overrides=[f"data.path={url}"])
    overrides = invocation.make_record(check(composed()))["overrides"]
    assert overrides == ["data.path=https://me:***@host/x.csv"]
