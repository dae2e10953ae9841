"""What a search leaves: its study, its runs, its folder and its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
from mlflow.entities import Run
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from tests.app import App, tracked_runs


def study(app: App, name: str = "search-sample") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{app.stores}/studies.db")


def names(app: App) -> list[str]:
    path = app.stores / "studies.db"
    if not path.exists():
        return []
    return [s.study_name for s in optuna.get_all_study_summaries(f"sqlite:///{path}")]


def by_state(trials: list[FrozenTrial], *states: TrialState) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state in states]


def runs(app: App) -> tuple[Run, dict[int, Run]]:
    """Return the search's run, and those of its trials by number."""
    found = tracked_runs(app)
    (parent,) = [run for run in found if "sweep.dir" in run.data.tags]
    children = [r for r in found if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, {int(run.data.tags["trial.number"]): run for run in children}


def results(app: App) -> tuple[Path, dict[str, Any]]:
    (path,) = app.outputs.glob("*/*/optimization_results.yaml")
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    return path.parent, {str(key): value for key, value in content.items()}


def validation(app: App, metric: str = "f1") -> float:
    performance = json.loads((app.stores / "performance.json").read_text())
    return float(performance["val"]["overall"][metric])


def is_training(app: App, number: int) -> bool:
    """Return whether a trial has begun to train, by its folder."""
    return any(app.outputs.glob(f"*/*/{number}/config.yaml"))
