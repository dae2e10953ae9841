"""Schemas of the tasks that hand a trained model on."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from tagifai.config.schema.rules import (
    require,
    require_at_least,
    require_not_blank,
    require_one_of,
    require_positive,
)


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
        trusted: whether you trust who made it: its settings have no limits, such as a regular
            expression for words that might never end, and its estimators may be of any kind.
        seconds: that checking it may take.
        megabytes: of memory that checking it may take, on Linux.
    """

    name: str = "import"
    path: str = MISSING
    trusted: bool = False
    seconds: float = 15
    megabytes: int = 1_000

    def __post_init__(self) -> None:
        require_not_blank("path", self.path)
        require_positive("seconds", self.seconds)
        require_at_least("megabytes", self.megabytes, 1)


@dataclass
class ServeTaskConfig:
    """Answer requests over HTTP with a run's model, in the forms of MLflow's scoring server.

    Args:
        run_id: the run, or latest, best or champion; None is the champion.
        host: address to listen on; the default is this machine only.
        port: to listen on; 0 takes one that is free.
        allowed_hosts: further names that requests may call the server by, such as that of a proxy.
        token_file: a file with the token that requests need for all but /health; None takes that of
            the variable TAGIFAI_TOKEN, if it is set.
        require_token: whether an address that other machines reach needs a token.
        max_request_mb: most megabytes (of 2**20 bytes) of a request.
        max_rows: most texts of a request.
        max_characters: most characters of a text, which takes about 200 times its size in memory.
        max_waiting: requests that wait for a prediction; more get 429.
        max_connections: open connections; of more the one that has been idle the longest is closed.
        head_seconds: deadline for the head of a request, and of a connection for its next one.
        body_seconds: deadline for the body of a request, and for taking the answer.
        predict_seconds: deadline for a prediction, with the time that it waits.
    """

    name: str = "serve"
    run_id: str | None = None
    host: str = "127.0.0.1"
    port: int = 5001
    allowed_hosts: list[str] = field(default_factory=list)
    token_file: str | None = None
    require_token: bool = True
    max_request_mb: float = 8.0
    max_rows: int = 50_000
    max_characters: int = 1_000_000
    max_waiting: int = 64
    max_connections: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    predict_seconds: float = 60.0

    def __post_init__(self) -> None:
        for key in ("run_id", "host", "token_file"):
            require_not_blank(key, getattr(self, key))
        require(0 <= self.port < 2**16, "port", self.port, "a whole number from 0 to 65535")
        for key in ("max_rows", "max_characters", "max_waiting", "max_connections"):
            require_at_least(key, getattr(self, key), 1)
        for key in ("max_request_mb", "head_seconds", "body_seconds", "predict_seconds"):
            require_positive(key, getattr(self, key))
