"""The scores of a run as they are recorded: few metrics, and tables of all the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagifai.config.schema import Config, name_test_metric
from tagifai.evaluation.metrics import Performance
from tagifai.tracking.query import INTERVALS_TAG
from tagifai.tracking.run import TrackedRun
from tagifai.training.loop import History
from tagifai.utils.excerpts import make_visible
from tagifai.utils.files import write_json

EPOCHS = "per_epoch/"
"""Prefix of what is recorded by epoch; MLflow shows the charts of metrics with a prefix first."""

TABLES_TAG = "mlflow.loggedArtifacts"
"""Tag of MLflow that names the files that are shown as tables."""

ROWS = {"test": "test", "val": "validation"}

DIGITS = 6
"""Decimals in tables."""


def choose_metrics(metrics: Mapping[str, float], config: Config) -> dict[str, float]:
    """Return the metrics that are recorded as such, however many classes and slices there are.

    Args:
        metrics: all of a training, under flat names.
        config: of the run, whose objective may be of a class or a slice.

    Returns:
        Without those of single classes and slices, bounds of intervals, and what is another one by
        another name; unless the objective or `metrics` names them.
    """
    wanted = {*config.objective.measured, *map(name_test_metric, config.objective.measured)}
    wanted |= {f"{part}_{name}" for part in ROWS for name in config.metrics}
    same = ("train_loss", "val_micro_f1", "test_micro_f1")
    return {
        name: value
        for name, value in metrics.items()
        if name in wanted or not ("/" in name or name in same)
    }


def log_tables(
    tracked: TrackedRun,
    output: Path,
    performance: Mapping[str, Performance],
    histories: Mapping[str, History],
) -> None:
    """Record the scores of classes and slices, intervals, and losses of repeats as tables.

    Args:
        tracked: the open run.
        output: folder of the run's files, into which they are written.
        performance: scores by part.
        histories: of all trainings, by the prefix of their metrics' names.
    """
    tables: dict[str, tuple[Sequence[str], list[list[Any]]]] = {
        "class_scores.json": (
            ("name", "part", "f1", "rows", "precision", "recall", "of"),
            _list_scores(performance),
        ),
        "intervals.json": (("metric", "part", "value", "low", "high"), _list_bounds(performance)),
        "repeats.json": (("training", "epoch", "train_loss", "val_loss"), _list_losses(histories)),
    }
    shown = {name: table for name, table in tables.items() if table[1]}
    for name, (columns, rows) in shown.items():
        write_json(output / name, {"columns": [*columns], "data": rows})
        tracked.log_file(output / name)
    named = [{"path": name, "type": "table"} for name in shown]
    tracked.log_tags({TABLES_TAG: json.dumps(named)})
    if "intervals" in performance.get("test", ()):
        tracked.log_tags({INTERVALS_TAG: json.dumps(performance["test"]["intervals"]["bounds"])})


def _list_scores(performance: Mapping[str, Performance]) -> list[list[Any]]:
    return [
        [
            make_visible(name),
            words,
            round(scores["f1"], DIGITS),
            scores["num_samples"],
            *(round(scores[key], DIGITS) for key in ("precision", "recall")),
            of,
        ]
        for part, words in ROWS.items()
        if part in performance
        for of, found in (
            ("class", performance[part]["class"]),
            ("slice", performance[part]["slices"]),
        )
        for name, scores in found.items()
    ]


def _list_bounds(performance: Mapping[str, Performance]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for part, words in ROWS.items():
        scored = performance.get(part)
        if scored is not None and "intervals" in scored:
            values: dict[str, Any] = {**scored["overall"], **scored.get("metrics", {})}
            rows += [
                [name, words, *(round(float(number), DIGITS) for number in (values[name], *bounds))]
                for name, bounds in scored["intervals"]["bounds"].items()
            ]
    return rows


def _list_losses(histories: Mapping[str, History]) -> list[list[Any]]:
    """Return the losses of repeats; a single training has them as metrics."""
    if len(histories) < 2:
        return []
    return [
        [prefix.rstrip("/") or "run", epoch, *losses]
        for prefix, history in histories.items()
        for epoch, losses in enumerate(zip(history.train_loss, history.val_loss, strict=True))
    ]
