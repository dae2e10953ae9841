"""Schemas of the tasks that compare runs, or train several times to say what can be expected."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tagifai.config.schema.rules import (
    require,
    require_at_least,
    require_fraction,
    require_not_blank,
    require_one_of,
)


@dataclass
class ListedRunsConfig:
    """Which runs a task lists, and where to.

    Args:
        experiment: name of the MLflow experiment; None is `tracking.experiment`.
        parent: id of a parent run, or its first 8 digits or more, whose children are meant.
        filter: of runs, in MLflow's language, such as "params.split.shuffle = 'True'".
        tags: values that tags of the runs must have.
        output: a .csv, .json or .md file for all rows; None writes none.
        csv_safe: whether a text that a spreadsheet would compute gets a ' before it in CSV.
        limit: most rows that are shown.
    """

    experiment: str | None = None
    parent: str | None = None
    filter: str | None = None
    tags: dict[str, str] | None = field(default_factory=dict)
    output: str | None = None
    csv_safe: bool = True
    limit: int = 20

    def __post_init__(self) -> None:
        for key in ("experiment", "filter"):
            require_not_blank(key, getattr(self, key))
        is_id = self.parent is None or re.fullmatch(r"[\w-]+", self.parent) is not None
        require(is_id, "parent", self.parent, "the id of a run, or null")
        kinds = (".csv", ".json", ".md")
        is_kind = self.output is None or self.output.lower().endswith(kinds)
        require(is_kind, "output", self.output, "a .csv, .json or .md file, or null")
        require_at_least("limit", self.limit, 1)


@dataclass
class RunsTaskConfig(ListedRunsConfig):
    """List the runs, the newest first; those of a multirun or search are one row."""

    name: str = "runs"


@dataclass
class CompareTaskConfig(ListedRunsConfig):
    """Rank the runs of an experiment; runs that differ only in their seed are one row.

    Args:
        metric: of the runs; rows are sorted by its mean. None is `objective.metric`, of validation
            rows, because what the best of many runs has on the test rows is too good.
        direction: "maximize" or "minimize"; None is `objective.direction`. The best row comes
            first.
        baseline: a row's name, or the id of one of its runs; None shows no differences.
        confidence: of the intervals of differences, as a share.
    """

    name: str = "compare"
    metric: str | None = None
    direction: str | None = None
    baseline: str | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("metric", "baseline"):
            require_not_blank(key, getattr(self, key))
        require_one_of("direction", self.direction, (None, "maximize", "minimize"))
        require_fraction("confidence", self.confidence)


@dataclass
class NestedTaskConfig:
    """Estimate what a search gains, on rows that have chosen nothing: a search inside each split.

    Args:
        splits: how many; each has a seed of its own, from `seed` on.
        sweep: preset of the search that chooses by the validation rows of each split.
        trials: of each search; None is as the preset says.
    """

    name: str = "nested"
    splits: int = 5
    sweep: str = "quick"
    trials: int | None = None

    def __post_init__(self) -> None:
        require_at_least("splits", self.splits, 2)
        require_not_blank("sweep", self.sweep)
        if self.trials is not None:
            require_at_least("trials", self.trials, 1)


@dataclass
class CurveTaskConfig:
    """Train on growing shares of the train rows, and say whether more labels would help.

    Args:
        shares: of the train rows, ascending; the rows of a share are among those of the next.
        repeats: how often the rows are drawn, each time with another seed.
    """

    name: str = "curve"
    shares: list[float] = field(default_factory=lambda: [0.1, 0.2, 0.4, 0.7, 1.0])
    repeats: int = 3

    def __post_init__(self) -> None:
        ascending = all(
            one < other for one, other in zip(self.shares, self.shares[1:], strict=False)
        )
        right = len(self.shares) > 1 and ascending and self.shares[0] > 0 and self.shares[-1] <= 1
        require(right, "shares", self.shares, "two shares or more, ascending, above 0 and up to 1")
        require_at_least("repeats", self.repeats, 2)
