"""The scores of a multirun's jobs, of which its own run has the best when it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

SCORES = ".scores.jsonl"
"""File in a multirun's folder: a line for each training that has ended, from its own process."""


def note_score(
    folder: Path, run_id: str, objective: Mapping[str, float], directions: Sequence[str]
) -> None:
    """Note the objective of a training for the run of its multirun.

    Args:
        folder: of the multirun.
        run_id: of the training.
        objective: its metrics and their values; several are not ranked.
        directions: "maximize" or "minimize" of each.
    """
    if len(objective) == 1:
        (metric, value), (direction,) = *objective.items(), directions
        noted = {"run_id": run_id, "metric": metric, "value": value, "direction": direction}
        with (folder / SCORES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(noted) + "\n")


def find_best(folder: Path) -> tuple[dict[str, float], str | None]:
    """Return the best value of each objective of a multirun's jobs, and the best run's id.

    Args:
        folder: of the multirun.

    Returns:
        No values if no job has ended; no id if its jobs have several objectives.
    """
    bests: dict[str, Mapping[str, Any]] = {}
    path = folder / SCORES
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):  # a line that was cut short
            noted = json.loads(line)
            sign = 1 if noted["direction"] == "maximize" else -1
            known = bests.get(noted["metric"])
            if known is None or sign * noted["value"] > sign * known["value"]:
                bests[noted["metric"]] = noted
    run_ids = [str(noted["run_id"]) for noted in bests.values()]
    values = {metric: float(noted["value"]) for metric, noted in bests.items()}
    return values, run_ids[0] if len(run_ids) == 1 else None
