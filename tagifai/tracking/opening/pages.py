"""MLflow's own pages: how they are served, and where on them the runs are."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""Tag of an experiment by which the pages show trainings, and not agents."""

TRAINING = "workflowType=machine_learning"
"""Query that chooses the pages of trainings."""


def list_ways(uri: str, experiment_id: str | None) -> list[tuple[str, str]]:
    """Return how the runs of an experiment are looked at, each with its name.

    Args:
        uri: of the tracking store.
        experiment_id: None if it is not known.

    Returns:
        The command that serves the pages, unless the store is a server, which does; and the
        address of the runs.
    """
    runs = "" if experiment_id is None else f"/#/experiments/{experiment_id}/runs?{TRAINING}"
    if uri.startswith("http"):
        return [("MLflow", uri.rstrip("/") + runs)]
    command = shlex.join([*list_program(), "ui", "--backend-store-uri", uri])
    address = f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT', '5000')}{runs}"
    return [("MLflow", command), ("Then open", address)]


def list_program() -> list[str]:
    """Return the words that call MLflow's own command, by its path where its name finds none."""
    if "UV" in os.environ:
        return ["uv", "run", "mlflow"]
    beside = Path(sys.executable).parent / "mlflow"
    is_found = shutil.which("mlflow") is not None or not beside.exists()
    return ["mlflow" if is_found else str(beside)]
