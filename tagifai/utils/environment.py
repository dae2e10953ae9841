"""Which code, libraries and platform this process runs on, and its variables."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    commit = _git(root, [], "rev-parse", "HEAD")
    if commit is None:
        return {}
    # A filter is a command that the repository's own settings name; what it may do is not known.
    named = _git(root, [], "config", "--name-only", "--get-regexp", FILTERS)
    filters = named.split("\n") if named else []
    changed = _git(root, filters, "status", "--porcelain", "--ignore-submodules=all")
    dirty = str(changed != "").lower()
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": dirty}


FILTERS = r"^filter\..*\.(clean|process|required)$"

GIT_OPTIONS = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-pager")
"""Switch off what a repository's own settings could have git run."""

GIT_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "LC_ALL": "C"}
"""Nothing is written, and nothing fetched; other variables of git's would be settings too."""

KEPT_VARIABLES = ("PATH", "HOME", "XDG_CONFIG_HOME", "SYSTEMROOT")


def _git(root: Path, emptied: Sequence[str], *arguments: str) -> str | None:
    """Return what git says, or None.

    Args:
        root: folder of the project.
        emptied: settings of the repository's that do not count.
        arguments: of git.
    """
    env = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    env |= {**GIT_ENVIRONMENT, "GIT_CONFIG_COUNT": str(len(emptied))}
    for number, name in enumerate(emptied):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": ""}
    try:
        done = subprocess.run(  # noqa: S603 # nosec B603, B607
            ["git", *GIT_OPTIONS, "-C", str(root), *arguments],  # noqa: S607
            capture_output=True, encoding="utf-8", errors="surrogateescape", timeout=10,
            check=False, env=env,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@contextmanager
def keep_variables(names: Iterable[str]) -> Iterator[None]:
    """Put variables of the environment back at the end of a block, which may change them.

    Args:
        names: of the variables, also of such as are not set.
    """
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
