"""A worker's search without Hydra, whose jobs are functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner, NopPruner

from tagifai.config.job import SearchTrial
from tagifai.sweeping import composition, samplers, studies
from tagifai.sweeping.spaces import grammar
from tagifai.sweeping.studies import Study
from tagifai.sweeping.workers import worker as module
from tagifai.sweeping.workers.worker import Worker

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}


def open_study(url: str | None = None, pruner: BasePruner | None = None) -> Study:
    return studies.open_study(url, "s", ["maximize"], pruner=pruner or NopPruner())


def make_worker(
    study: Study,
    job: Callable[[int, dict[str, str]], Any] = lambda number, values: float(number),
    *,
    space: str = "x=interval(0,1)",
    n_trials: int = 4,
    **changed: Any,
) -> Worker:
    """Return a worker whose jobs are calls of a function with a trial's number and its values."""
    sampler = changed.pop("sampler", RANDOM)
    sweep = {"stop": None, "trials_per_worker": None, "first": None, **changed.pop("sweep", {})}
    objective = SimpleNamespace(metrics=["val_f1"], directions=["maximize"], constraints={})
    settings = {
        "sampler": sampler, "pruner": None, "custom_search_space": None,
        "max_failure_rate": 1.0, "storage": None, **changed.pop("settings", {}),
    }  # fmt: skip
    launcher = {"_target_": "x.BasicLauncher", **changed.pop("launcher", {})}
    parsed = grammar.parse_space({}, {}, space.split())
    return Worker(
        function=cast(Any, lambda cfg: job(cfg["number"], cfg["values"])),
        context=cast(Any, SimpleNamespace(config_loader=None)),
        cfg=OmegaConf.create({"hydra": {"launcher": launcher}}),
        config=cast(
            Any,
            SimpleNamespace(
                seed=3,
                sweep=SimpleNamespace(**sweep),
                objective=objective,
                tracking=SimpleNamespace(enabled=False),
            ),
        ),
        settings=cast(Any, SimpleNamespace(**settings)),
        space=parsed,
        name=study.name,
        study=study,
        n_trials=n_trials,
        session="session",
        **changed,
    )


class FakeComposer:
    """Gives a job its number and its values, and no folder."""

    def __init__(self, *_: object) -> None: ...

    @contextmanager
    def open_job(self, trial: SearchTrial, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
        values = dict(item.split("=", 1) for item in overrides)
        yield {"number": trial.number, "values": values}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[[Worker], str]:
    """Runs a worker in this process."""
    monkeypatch.setattr(composition, "TrialComposer", FakeComposer)
    monkeypatch.setattr(module, "get_job", lambda: SimpleNamespace(output_dir=tmp_path / "none"))
    return lambda worker: worker(DictConfig({}))


def list_seeds(worker: Worker) -> list[int]:
    return [t.user_attrs[samplers.SEED_INDEX] for t in worker.study.list_trials()]
