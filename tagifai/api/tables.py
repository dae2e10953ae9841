"""Tables of what a training and a search have found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan

SCORE_LEVELS = ("part", "group", "name")
"""Levels of the index of a run's scores."""


def tabulate_scores(performance: Any) -> pd.DataFrame:
    """Return scores as a table.

    Args:
        performance: by part, as it is in performance.json.

    Returns:
        A row of all rows, of each class and of each slice of a part.
    """
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for part, scored in performance.items():
        rows[part, "overall", "overall"] = {**scored["overall"], **scored.get("metrics", {})}
        for group, named in (("class", scored["class"]), ("slice", scored["slices"])):
            rows |= {(part, group, name): dict(scores) for name, scores in named.items()}
    index = pd.MultiIndex.from_tuples(list(rows), names=SCORE_LEVELS)
    # In order, for pandas to look parts and groups up without a word.
    return pd.DataFrame(list(rows.values()), index=index).sort_index()


def tabulate_history(history: Any, metric: str) -> pd.DataFrame:
    """Return the losses of a training by epoch.

    Args:
        history: of the training.
        metric: that it may have reported.
    """
    table = pd.DataFrame({"train_loss": history.train_loss, "val_loss": history.val_loss})
    if history.scores:
        table[metric] = pd.Series(history.scores, dtype=float)
    return table.rename_axis(index="epoch")


def tabulate_trials(plan: SearchPlan) -> pd.DataFrame:
    """Return the trials of a search, in the order of their numbers."""
    trials = plan.study.list_trials()
    rows = [
        {
            "state": trial.state.name.lower(),
            **dict(zip(plan.metrics, trial.values or [], strict=False)),
            **plan.space.index_by_key(trial.params),
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "run_id": trial.user_attrs.get("run_id"),
        }
        for trial in trials
    ]
    return pd.DataFrame(rows, index=pd.Index([trial.number for trial in trials], name="trial"))
