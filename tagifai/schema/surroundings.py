"""Schemas of what surrounds an experiment: tracking, console, objective, paths."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omegaconf import MISSING

from tagifai.schema.rules import at_least, filled, one_of, require


@dataclass
class Tracking:
    """Where runs are recorded.

    Args:
        enabled: record runs in MLflow; without it a run is only on disk.
        uri: of the tracking store; the environment variable MLFLOW_TRACKING_URI wins.
        experiment: name of the MLflow experiment.
        run_name: None names the run by its model, vectorizer and data.
        tags: further tags of the run.
    """

    enabled: bool = True
    uri: str = "sqlite:///${paths.stores}/mlflow.db"
    experiment: str = "tagifai"
    run_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("uri", "experiment", "run_name"):
            filled(key, getattr(self, key))
        for key in self.tags:
            named = re.fullmatch(r"[\w ./:-]+", key) is not None
            require(named, "tags", key, "names of letters, digits, spaces and _ . / : -")


@dataclass
class Console:
    """What a person sees.

    Args:
        verbosity: "normal", or "quiet" for the result only.
        style: "auto" draws bars and colours on a terminal and plain lines elsewhere; "plain"
            writes plain lines everywhere.
        every: epochs between two plain lines.
    """

    verbosity: str = "normal"
    style: str = "auto"
    every: int = 10

    def __post_init__(self) -> None:
        one_of("verbosity", self.verbosity, ("normal", "quiet"))
        one_of("style", self.style, ("auto", "plain"))
        at_least("every", self.every, 1)


@dataclass
class Objective:
    """What a run returns, and what a search is to do with it.

    Args:
        metric: a validation metric of the run: val_loss, val_f1, val_precision, val_recall, or one
            of a class or slice, such as val_class/mlops/f1.
        direction: "maximize" or "minimize".
    """

    metric: str = "val_f1"
    direction: str = "maximize"

    def __post_init__(self) -> None:
        pattern = r"val_(loss|(class/.+/|slice/.+/)?(f1|precision|recall))"
        known = re.fullmatch(pattern, self.metric) is not None
        allowed = (
            "a validation metric: val_loss, val_f1, val_precision, val_recall,"
            " val_class/<name>/f1 or val_slice/<name>/f1 (test metrics are not for choosing)"
        )
        require(known, "metric", self.metric, allowed)
        one_of("direction", self.direction, ("maximize", "minimize"))


@dataclass
class Paths:
    """Folders: the project's root, run folders below outputs, all that outlives a run in stores."""

    root: str = MISSING
    outputs: str = MISSING
    stores: str = MISSING

    def __post_init__(self) -> None:
        for key in ("root", "outputs", "stores"):
            filled(key, getattr(self, key))
