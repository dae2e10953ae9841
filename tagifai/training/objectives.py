"""The objective of a run: its metrics, or their mean over several repeats."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagifai.config.schema import (
    PROBABILITY_METRICS,
    SCORE_NAMES,
    STANDARD_METRICS,
    ObjectiveConfig,
)
from tagifai.exceptions import ConfigError, suggest_closest

if TYPE_CHECKING:
    import numpy as np

    from tagifai.data.prepare import PreparedData

METRICS = "tagifai.evaluation.metrics"


@dataclass(frozen=True)
class Repeat:
    """One of the trainings whose mean is the objective.

    Args:
        prepared: the rows, with a split of its own; the test rows are the same in all repeats.
        random_state: its source of randomness; None is the run's own.
    """

    prepared: PreparedData
    random_state: np.random.RandomState | None


def _list_registered() -> Iterable[str]:
    """Return the names of metrics of a person's own; whoever has registered one has the module.

    So a name is refused before the libraries of the metrics are loaded.
    """
    return sys.modules[METRICS].get_registered() if METRICS in sys.modules else ()


def check_metrics(objective: ObjectiveConfig) -> None:
    """Refuse metrics that no run has; those of classes and slices depend on the data.

    Args:
        objective: of the configuration.

    Raises:
        ConfigError: there is no such metric; with the known ones.
    """
    known = [*STANDARD_METRICS, *(f"val_{name}" for name in _list_registered())]
    for name in objective.measured:
        if "/" not in name and name not in known:
            raise ConfigError(
                f"{objective.find_key(name)} = {name!r}: there is no such"
                f" metric.{suggest_closest(name, known)} There are: {', '.join(known)}, and of"
                " classes and slices val_class/<name>/f1 and the like."
            )


def check_shown_metrics(names: Sequence[str]) -> None:
    """Refuse metrics to show that no run has.

    Args:
        names: without the part's prefix, such as "macro_f1".

    Raises:
        ConfigError: there is no such metric; with the known ones.
    """
    known = [*SCORE_NAMES, *_list_registered()]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"metrics has {name!r}, and there is no such metric.{suggest_closest(name, known)}"
                f" There are: {', '.join(known)}."
            )


def check_model(objective: ObjectiveConfig, model: Any) -> None:
    """Refuse an objective of probabilities where the model has none.

    Args:
        objective: of the configuration.
        model: fitted or not.

    Raises:
        ConfigError: with the metrics that the model has.
    """
    from tagifai.models.outputs import gives_probabilities  # late: names are checked without it

    for name in objective.measured:
        if name.removeprefix("val_") in PROBABILITY_METRICS and not gives_probabilities(model):
            raise ConfigError(
                f"{objective.find_key(name)} = {name!r}: {type(model).__name__} has no class"
                " probabilities, which this metric is of. Choose another model, such as model=sgd,"
                " or a metric of labels, such as val_macro_f1."
            )


def make_repeats(prepared: PreparedData, objective: ObjectiveConfig, seed: int) -> list[Repeat]:
    """Return the repeats of an objective; with one repeat, the run itself.

    Test rows stay out of all of them: a validation row of one repeat may be a train row of
    another, but what a search has seen must not be tested on afterwards.

    Args:
        prepared: the run's rows.
        objective: the number of repeats, by seeds or folds.
        seed: of the run; later repeats have the seeds after it.

    Raises:
        DataError: the rows cannot be split for the repeats.
    """
    import numpy as np

    states = [np.random.RandomState((seed + r) % 2**32) for r in range(objective.repeats)]
    rows, splitter = (prepared.y, prepared.encoder, prepared.split), prepared.splitter
    if objective.by == "folds":
        cutter = np.random.RandomState(seed)
        cuts = splitter.make_folds(*rows, objective.repeats, cutter)
        return [Repeat(prepared.replace_split(c), s) for c, s in zip(cuts, states, strict=True)]
    again = [
        Repeat(prepared.replace_split(splitter.resplit_train_val(*rows, state)), state)
        for state in states[1:]
    ]
    return [Repeat(prepared, None), *again]


def compute_means(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of each metric over the repeats.

    Args:
        values: by repeat, a value of each metric; shape (repeats, metrics).
    """
    import numpy as np

    return [float(np.mean(of_metric)) for of_metric in zip(*values, strict=True)]
