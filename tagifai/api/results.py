"""Results: what a training and a search hand back in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.reporting.reports import FIGURES, REPORT

if TYPE_CHECKING:
    from tagifai.runs.trainer import TrainedRun
    from tagifai.sweeping.plan import SearchPlan

SCORE_LEVELS = ("part", "group", "name")
"""Levels of the index of a run's scores."""

SHOWN_TRIALS = 10


@dataclass(frozen=True)
class SavedFigure:
    """A figure in a file, which a notebook shows.

    Args:
        path: of the picture (PNG); beside it is the same one as SVG.
    """

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True)
class Run:
    """A training that has ended.

    Args:
        id: of the run, here and in MLflow.
        objective: the objective's metrics, and their values.
        scores: precision, recall, f1 and num_samples, and the metrics of one's own of all rows;
            the index says the part ("val", "test"), the group ("overall", "class", "slice") and
            the name in it.
        history: losses by epoch, in nats or the model's own, and the objective of the epochs that
            it was reported of.
        folder: of its files.
        bundle: of its model.
    """

    id: str
    objective: dict[str, float]
    scores: pd.DataFrame = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    folder: Path = field(repr=False)
    bundle: Path = field(repr=False)

    @classmethod
    def from_trained(cls, trained: TrainedRun, folder: Path, stores: Path) -> Run:
        """Return what there is of a training.

        Args:
            trained: the run.
            folder: of its files.
            stores: where its model is kept.
        """
        return cls(
            trained.run_id,
            trained.objective,
            tabulate_scores(trained.performance),
            tabulate_history(trained.history, next(iter(trained.objective))),
            folder,
            bundles.get_path(stores, trained.run_id),
        )

    @cached_property
    def tagger(self) -> Tagger:
        """The trained model, read from where it is kept."""
        return bundles.load(self.bundle)

    @property
    def figures(self) -> dict[str, SavedFigure]:
        """Its figures by name; empty with plots=none."""
        return {
            path.stem: SavedFigure(path) for path in sorted((self.folder / FIGURES).glob("*.png"))
        }

    @property
    def report(self) -> Path | None:
        """The page of all that there is to know of it, or None if it could not be written."""
        path = self.folder / REPORT
        return path if path.is_file() else None

    def _repr_html_(self) -> str:
        values = ", ".join(f"{name} = {value:.4f}" for name, value in self.objective.items())
        overall = self.scores[self.scores.index.get_level_values("group") == "overall"]
        return _format_html(f"Run {self.id}", values, overall.droplevel([1, 2]), self.report)


@dataclass(frozen=True)
class Search:
    """A search that has ended, or has come as far as it was to.

    Args:
        study: its name, which is the name of the preset too: `train(f"experiment={study}")`.
        trials: by number: state, the objective's metrics, the parameters (NaN where a trial has
            none), seconds and run_id.
        best: the row of the best trial; of several objectives the first that no other beats in
            all; None if no trial is complete.
        folder: of its files.
    """

    study: str
    trials: pd.DataFrame = field(repr=False)
    best: pd.Series[Any] | None = field(repr=False)
    folder: Path = field(repr=False)

    @classmethod
    def from_plan(cls, plan: SearchPlan) -> Search:
        """Return what there is of a search.

        Args:
            plan: of the search, which has ended.
        """
        from tagifai.sweeping.findings import results

        trials = tabulate_trials(plan)
        found = results.summarize_study(plan.study, plan.metrics).best
        best = trials.iloc[found[0].number] if found else None
        return cls(plan.study.name, trials, best, plan.folder)

    @property
    def report(self) -> Path | None:
        """The page of all that there is to know of it, or None if it could not be written."""
        path = self.folder / REPORT
        return path if path.is_file() else None

    def _repr_html_(self) -> str:
        said = f"{len(self.trials)} trials"
        said += "" if self.best is None else f", the best one is {self.best.name}"
        return _format_html(
            f"Search {self.study}", said, self.trials.head(SHOWN_TRIALS), self.report
        )


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


def _format_html(title: str, text: str, table: pd.DataFrame, report: Path | None) -> str:
    link = "" if report is None else f"<p>Report: {escape(str(report))}</p>"
    shown = table.to_html(float_format="{:.4f}".format, border=0)
    return f"<p><b>{escape(title)}</b>: {escape(text)}</p>{shown}{link}"
