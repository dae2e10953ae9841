"""Schemas of the settings around an experiment: tracking, console, sweep, paths."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tagifai.config.schema.rules import (
    represent,
    require,
    require_at_least,
    require_no_secret,
    require_non_negative,
    require_not_blank,
    require_one_of,
    require_positive,
    require_short,
)
from tagifai.config.texts import escape


@dataclass(repr=False)
class TrackingConfig:
    """Where runs are recorded.

    Args:
        enabled: record runs in MLflow; without it a run is only on disk.
        uri: of the tracking store; the environment variable MLFLOW_TRACKING_URI wins.
        experiment: of MLflow, by name; MLFLOW_EXPERIMENT_NAME and MLFLOW_EXPERIMENT_ID win.
        run_name: None names the run by its model and what was overridden.
        tags: further tags of the run.
        model: name of the registered model that runs are promoted to.
        timeout: seconds that the store has to open, from 1 to 600.
    """

    enabled: bool = True
    uri: str = "sqlite:///${paths.stores}/mlflow.db"
    experiment: str = "tagifai"
    run_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    model: str = "tagifai"
    timeout: float = 10.0

    __repr__ = represent

    def __post_init__(self) -> None:
        for key in ("experiment", "model"):
            require_no_secret(key, getattr(self, key))
        for key in ("experiment", "run_name"):
            require_short(key, getattr(self, key))
        for key in ("uri", "experiment", "run_name"):
            require_not_blank(key, getattr(self, key))
        require(1 <= self.timeout <= 600, "timeout", self.timeout, "seconds from 1 to 600")
        plain = re.fullmatch(r"[\w][\w .-]*", self.model) is not None
        require(plain, "model", self.model, "letters, digits, spaces and _ . -")
        for tag in self.tags:
            named = re.fullmatch(r"[\w ./:-]+", tag) is not None
            require(named, "tags", tag, "names of letters, digits, spaces and _ . / : -")


@dataclass
class CacheConfig:
    """The cache of cleaned texts and features, which later runs use again.

    Args:
        max_gb: in 10**9 bytes; above it the least recently used entries are removed. 0 caches none.
    """

    max_gb: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative("max_gb", self.max_gb)


@dataclass
class ConsoleConfig:
    """What is shown on the terminal.

    Args:
        verbosity: "normal", "quiet" for the result only, or "silent" for not even that.
        style: "auto" draws bars and colours on a terminal and plain lines elsewhere; "plain"
            writes plain lines everywhere; "notebook" draws bars below a notebook's cell.
        every: epochs between two plain lines.
    """

    verbosity: str = "normal"
    style: str = "auto"
    every: int = 10

    def __post_init__(self) -> None:
        require_one_of("verbosity", self.verbosity, ("normal", "quiet", "silent"))
        require_one_of("style", self.style, ("auto", "plain", "notebook"))
        require_at_least("every", self.every, 1)


@dataclass
class PlotsConfig:
    """What is drawn.

    Args:
        enabled: draw figures of a run or a search, and put them into its report.
    """

    enabled: bool = True


@dataclass
class SweepConfig:
    """Settings of a search beside its preset.

    Args:
        restart: begin a new study, and keep the existing one.
        budget: seconds of wall clock for everything, from the start of the command to the trained
            winner and its board; None has no such limit, and trains no winner. It needs `start`.
        start: configurations that a search with a budget tries first, each a mapping from
            parameter to value; what one leaves out is as in the first that has it.
        trials_per_worker: after so many trials a worker's job ends, and the launcher begins
            another; None keeps a worker until the search ends.
        first: what is tried first: "current" is the present configuration; a list of mappings from
            parameter to value are guesses of yours, and what one leaves out is as at present. None
            leaves all trials to the sampler. A search with a budget begins with `start` instead.
        preview: show what would be tried, or the jobs of a plain multirun, and start nothing.
        stop: "improvement" ends the search when its best has not improved for long; None has it
            try all its trials.
    """

    restart: bool = False
    budget: float | None = None
    start: list[dict[str, Any]] = field(default_factory=list)
    trials_per_worker: int | None = None
    first: Any = "current"
    preview: bool = False
    stop: str | None = None

    def __post_init__(self) -> None:
        if self.budget is not None:
            require_positive("budget", self.budget)
        if self.trials_per_worker is not None:
            require_positive("trials_per_worker", self.trials_per_worker)
        entries = self.first if isinstance(self.first, list) else []
        are_guesses = bool(entries) and all(isinstance(e, dict) and e for e in entries)
        allowed = "current, null, or a list of mappings from parameter to value"
        require(self.first in ("current", None) or are_guesses, "first", self.first, allowed)
        require_one_of("stop", self.stop, (None, "improvement"))


def _read_stores() -> str:
    return str(escape(os.environ.get("TAGIFAI_STORES", "").strip()))


@dataclass
class PathsConfig:
    """Folders.

    Args:
        root: the project's: its checkout's, or the working directory of an installed command.
        outputs: has a folder for each run.
        stores: has what outlives a run: data, models, caches, and databases of runs and studies;
            the variable TAGIFAI_STORES, if it is set, has the default.
    """

    root: str = MISSING
    outputs: str = MISSING
    stores: str = field(default_factory=lambda: _read_stores() or "${paths.root}/stores")

    def __post_init__(self) -> None:
        for key in ("root", "outputs", "stores"):
            require_not_blank(key, getattr(self, key))
