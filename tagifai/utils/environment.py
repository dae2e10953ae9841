"""Which code, libraries and platform this process runs on."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("scikit-learn", "numpy", "scipy")
"""Libraries that a saved estimator depends on."""

ALL_LIBRARIES = (*LIBRARIES, "pandas", "imbalanced-learn", "nltk", "snorkel")
"""Libraries that decide the result of a training."""


def get_versions(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries."""
    named = {name: _version(name) for name in ("tagifai", *libraries)}
    return {"python": platform.python_version(), **named}


def are_versions(value: Any) -> bool:
    """Return whether these are versions of all libraries, which can be shown to a person."""
    if not isinstance(value, dict) or not set(LIBRARIES) <= value.keys():
        return False
    return all(
        isinstance(found, str) and re.fullmatch(r"[\w.+!-]{1,64}", found)
        for item in value.items()
        for found in item
    )


def find_version_differences(saved: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the libraries that had another version, with that one, and with the one of here."""
    here = get_versions()
    names = [name for name in LIBRARIES if saved[name] != here[name]]
    return [f"{name} {saved[name]}" for name in names], [f"{name} {here[name]}" for name in names]


@cache
def _version(name: str) -> str:
    """Return a version; the copy of this package inside a served model is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def read_git_state(root: Path) -> dict[str, str]:
    """Return commit and dirty flag of the project's checkout as MLflow's tags.

    Args:
        root: folder of the project.

    Returns:
        The tags; empty if the folder is no git checkout, or there is no git.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {}
    dirty = bool(_git(root, "status", "--porcelain"))
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(dirty).lower()}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
