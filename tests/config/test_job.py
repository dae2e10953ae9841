from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from tagifai.config.job import SEARCH_TARGET, Job, SearchTrial, get_job, select_places, use_job
from tagifai.sweeping.sweeper import SearchSweeperConfig

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
PRUNER = {"_target_": "optuna.pruners.MedianPruner", "n_warmup_steps": 5}
SEARCH = {
    "_target_": SEARCH_TARGET,
    "storage": "sqlite:////stores/studies.db",
    "study_name": "quick-sample",
    "pruner": PRUNER,
}


def run_as(monkeypatch: pytest.MonkeyPatch, mode: RunMode, number: Any = 3, **sweeper: Any) -> Job:
    """Return the job that this process is at when Hydra says so."""
    hydra = OmegaConf.create(
        {
            "mode": mode,
            "job": {"num": number},
            "overrides": {"task": ["+a.b=1", "model=sgd"], "hydra": ["hydra.run.dir=x"]},
            "runtime": {"choices": {"model": "sgd", "sweep": None}, "output_dir": "/out/3"},
            "sweep": {"dir": "/out"},
            "sweeper": {"_target_": BASIC, **sweeper},
        }
    )
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra)
    return get_job()


def test_a_job_alone_is_what_hydra_says_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run_as(monkeypatch, RunMode.RUN, "???")
    assert job == Job(
        output_dir=Path("/out/3"),
        overrides=("+a.b=1", "model=sgd"),
        hydra_overrides=("hydra.run.dir=x",),
        options={"model": "sgd", "sweep": None},
        sweeper=BASIC,
    )
    assert (job.is_multirun, job.chosen_keys) == (False, {"a.b", "model"})


def test_a_job_of_a_multirun_has_its_number_and_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run_as(monkeypatch, RunMode.MULTIRUN)
    assert (job.is_multirun, job.number, job.multirun_dir) == (True, 3, Path("/out"))
    assert job.trial is None


def test_the_process_that_launches_jobs_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run_as(monkeypatch, RunMode.MULTIRUN, "???", **SEARCH)
    assert (job.number, job.trial) == (None, None)


def test_a_job_of_a_search_is_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run_as(monkeypatch, RunMode.MULTIRUN, **SEARCH)
    assert job.trial == SearchTrial(3, "quick-sample")


def test_a_search_of_one_is_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run_as(monkeypatch, RunMode.RUN, **SEARCH)
    assert (job.trial, job.sweeper) == (None, SEARCH_TARGET)


def test_a_job_is_read_once_and_the_next_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = OmegaConf.create(
        {
            "folder": "/out",
            "hydra": {
                "mode": RunMode.MULTIRUN,
                "job": {"num": "???"},
                "overrides": {"task": [], "hydra": []},
                "runtime": {"choices": {}, "output_dir": "???"},
                "sweep": {"dir": "${folder}"},
                "sweeper": {"_target_": BASIC},
            },
        }
    )
    monkeypatch.setattr(HydraConfig, "get", lambda: cfg.hydra)
    assert get_job().output_dir == Path("/out")
    # As a copy does that another thread makes of it.
    cfg.hydra._set_parent(None)
    assert get_job().output_dir == Path("/out")
    assert run_as(monkeypatch, RunMode.RUN).output_dir == Path("/out/3")


def test_the_search_is_known_by_the_name_of_its_plugin() -> None:
    assert SearchSweeperConfig()._target_ == SEARCH_TARGET


def test_a_job_that_hydra_did_not_begin_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    of_hydra, given = run_as(monkeypatch, RunMode.RUN), Job(Path("/elsewhere"))
    with use_job(given):
        assert get_job() is given
    assert get_job() == of_hydra


def test_the_places_that_were_given_are_needed_by_the_next_command_too() -> None:
    places = [
        "paths.stores=/x y",
        "tracking=local",
        "++tracking.uri=sqlite:///y",
        "paths.outputs=/z",
    ]
    more = ["seed=3", "tracking.tags={a: b}", "tracking.run_name=x", "data.path=paths.csv"]
    assert select_places([*more, *places]) == places
