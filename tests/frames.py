"""Tracked runs as a frame, as the tracking store's look-up gives them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

NO_VALUE = math.nan


def a_run(
    run_id: str,
    value: float | None = None,
    *,
    seed: int | None = 1,
    option: str | None = None,
    start: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """A finished training on data "d"; `more` are columns with __ in place of dots."""
    given = {name.replace("__", "."): content for name, content in more.items()}
    fixed = {"status": "FINISHED", "parent": None, "seconds": 2.0, "digest": "d"}
    optional = {
        "params.seed": None if seed is None else str(seed),
        "params.model": option,
        "metrics.f1": value,
    }
    return {
        "run_id": run_id,
        "name": run_id,
        "start": start,
        "params.task.name": "train",
        **fixed,
        **{name: content for name, content in optional.items() if content is not None},
        **given,
    }


def frame(*runs: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(runs))
