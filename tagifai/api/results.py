"""Results: what a training, a search and a comparison hand back in Python."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tagifai.api import html
from tagifai.api.tables import tabulate_history, tabulate_scores, tabulate_trials
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.reporting import text_tables
from tagifai.reporting.reports import FIGURES, REPORT
from tagifai.utils.board_cells import MISSING
from tagifai.utils.excerpts import shorten_id
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tagifai.reporting.text_tables import BoardTable
    from tagifai.runs.trainer import TrainedRun
    from tagifai.sweeping.plan import SearchPlan
    from tagifai.tracking.leaderboard import Leaderboard

SHOWN_TRIALS, MOST_COLUMNS = 10, 7
"""Of a search and of a board, where a notebook shows it."""

SHOWN_SCORES, WORST_CLASSES = ("accuracy", "macro_f1", "f1"), 5
"""Of a run, where a notebook shows it; `scores` has all."""


@dataclass(frozen=True, repr=False)
class SavedFigure:
    """A figure in a file, which a notebook shows.

    Args:
        path: of the picture (SVG).
    """

    path: Path

    def __repr__(self) -> str:
        return f"SavedFigure({self.path.stem})"

    def _repr_html_(self) -> str:
        # An image: of a notebook that is not trusted, JupyterLab leaves out a bare SVG.
        drawn = base64.b64encode(mask(self.path.read_text(encoding="utf-8")).encode()).decode()
        return (
            f'<img alt="{html.quote(self.path.stem)}" src="data:image/svg+xml;base64,{drawn}"'
            ' style="max-width: 100%; background: white">'
        )


@dataclass(frozen=True, repr=False)
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
    scores: pd.DataFrame
    history: pd.DataFrame
    folder: Path
    bundle: Path

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
            path.stem: SavedFigure(path) for path in sorted((self.folder / FIGURES).glob("*.svg"))
        }

    @property
    def report(self) -> Path | None:
        """The page of all that there is to know of it, or None if it could not be written."""
        path = self.folder / REPORT
        return path if path.is_file() else None

    def __repr__(self) -> str:
        return f"Run({self.id}, {self._describe()})"

    def _describe(self) -> str:
        return ", ".join(f"{name} = {value:.4f}" for name, value in self.objective.items())

    def _repr_html_(self) -> str:
        part, group = (self.scores.index.get_level_values(name) for name in ("part", "group"))
        objective = [name.removeprefix("val_") for name in self.objective]
        shown = [name for name in (*SHOWN_SCORES, *objective) if name in self.scores]
        overall = self.scores[group == "overall"].droplevel(["group", "name"])
        classes = self.scores[(part == "test") & (group == "class")].droplevel(["part", "group"])
        worst = classes.sort_values("f1").head(WORST_CLASSES)
        columns = ["precision", "recall", "f1"]
        return html.format_page(
            f"Run {shorten_id(self.id)}",
            self._describe(),
            html.format_scores("rows of", overall, list(dict.fromkeys(shown))),
            html.format_scores("worst classes (test)", worst, columns),
            report=self.report,
        )


@dataclass(frozen=True, repr=False)
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
    trials: pd.DataFrame
    best: pd.Series[Any] | None
    folder: Path

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

    def __repr__(self) -> str:
        return f"Search({self.study}, {self._describe()})"

    def _describe(self) -> str:
        best = "" if self.best is None else f", the best is trial {self.best.name}"
        return f"{len(self.trials)} trials{best}"

    def _repr_html_(self) -> str:
        shown = self.trials
        if self.best is not None:
            first = shown.index == self.best.name
            shown = pd.concat([shown[first], shown[~first]])
        more = len(shown) - SHOWN_TRIALS
        shown = shown.head(SHOWN_TRIALS).drop(columns="run_id")
        note = [html.format_note(f"and {more} more in .trials")] if more > 0 else []
        return html.format_page(
            f"Search {self.study}",
            self._describe(),
            html.format_frame("trial", shown),
            *note,
            report=self.report,
        )


@dataclass(frozen=True, repr=False)
class Board:
    """Runs, ranked by a metric.

    Args:
        metric: that ranks them.
        rows: a row for the runs that differ only in their seed, the best first: mean, standard
            deviation and number, what they gain on the row that they are compared with, and their
            settings. Each data set is ranked by itself; with several, `data` is the first column.
        tables: as they are read, by title.
    """

    metric: str
    rows: pd.DataFrame
    tables: dict[str, BoardTable]

    @classmethod
    def from_leaderboards(cls, boards: Mapping[str, Leaderboard], metric: str) -> Board:
        """Return what there is of a comparison.

        Args:
            boards: by data set.
            metric: that ranks them.
        """
        tables = {
            text_tables.format_title(name, board, metric): text_tables.make_table(board, metric)
            for name, board in boards.items()
        }
        return cls(metric, text_tables.join_rows(boards), tables)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        best = f"{self.rows['mean'].iloc[0]:.4g}"
        return f"Board({self.metric}, {len(self.rows)} rows, the best {best})"

    def _repr_html_(self) -> str:
        return "".join(
            html.format_page(
                title,
                "",
                html.format_table(_choose_columns(table), table.texts),
                *(html.format_note(f"{name}: {note}") for name, note in table.notes.items()),
            )
            for title, table in self.tables.items()
        )


def _choose_columns(table: BoardTable) -> dict[str, Sequence[str]]:
    """Return the columns of a board that a page has room for, and that some row has a value of."""
    empty = [name for name in table.optional if {*table.columns.get(name, ())} == {MISSING}]
    optional = [name for name in table.optional if name in table.columns and name not in empty]
    left_out = {*empty, *optional[: max(0, len(table.columns) - len(empty) - MOST_COLUMNS)]}
    return {name: cells for name, cells in table.columns.items() if name not in left_out}
