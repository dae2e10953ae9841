"""Schemas of the tasks that hand a trained model on."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from tagifai.config.schema.rules import require, require_not_blank, require_one_of


@dataclass
class PromoteTaskConfig:
    """Register the best training run, and make it the champion if it beats the present one.

    Args:
        run_id: the run; None is the best finished training run by the metric.
        metric: of validation rows, by which the run is chosen; None is `objective.metric`.
        direction: "maximize" or "minimize"; None is `objective.direction` if the metric is the
            objective's, else the metric's own.
        experiment: name of the MLflow experiment; None is `tracking.experiment`.
        filter: of runs, in MLflow's language, such as "params.split.shuffle = 'True'".
        force: make it the champion whatever the comparison says, even if none is possible.
    """

    name: str = "promote"
    run_id: str | None = None
    metric: str | None = None
    direction: str | None = None
    experiment: str | None = None
    filter: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        for key in ("run_id", "experiment", "filter"):
            require_not_blank(key, getattr(self, key))
        choosing = self.metric is None or self.metric.startswith("val_")
        expected = "a metric of validation rows, val_...; test rows are for the comparison"
        require(choosing, "metric", self.metric, expected)
        require_one_of("direction", self.direction, (None, "maximize", "minimize"))


@dataclass
class RollbackTaskConfig:
    """Give the champion's alias back to the version that had it before."""

    name: str = "rollback"


@dataclass
class ExportTaskConfig:
    """Write a run's model to one file, to share it.

    Args:
        path: a new .zip file.
        run_id: the run, or latest, best or champion; None is the latest.
    """

    name: str = "export"
    path: str = MISSING
    run_id: str | None = None

    def __post_init__(self) -> None:
        for key in ("path", "run_id"):
            require_not_blank(key, getattr(self, key))
        is_zip = self.path.lower().endswith(".zip")
        require(is_zip, "path", self.path, "a .zip file")


@dataclass
class ImportTaskConfig:
    """Import a model that `task=export` wrote, after every part of it has been checked.

    Args:
        path: the .zip file.
    """

    name: str = "import"
    path: str = MISSING

    def __post_init__(self) -> None:
        require_not_blank("path", self.path)


@dataclass
class ServeTaskConfig:
    """Answer requests over HTTP with a run's model, by MLflow's scoring server.

    Args:
        run_id: the run, or latest, best or champion; None is the champion.
        host: address to listen on; the default is this machine only.
        port: to listen on; 0 takes one that is free.
    """

    name: str = "serve"
    run_id: str | None = None
    host: str = "127.0.0.1"
    port: int = 5001

    def __post_init__(self) -> None:
        for key in ("run_id", "host"):
            require_not_blank(key, getattr(self, key))
        require(0 <= self.port < 2**16, "port", self.port, "a whole number from 0 to 65535")
