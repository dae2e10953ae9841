"""What tests of private names of other libraries ask."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest


def require(owner: object, names: Sequence[str], library: str, module: str) -> None:
    """Fail where a library has no such attributes any more.

    Args:
        owner: what had them when they were read.
        names: of the attributes.
        library: that is installed.
        module: of ours, which uses them.
    """
    gone = [name for name in names if not hasattr(owner, name)]
    if gone:
        kind = owner.__name__ if isinstance(owner, type) else type(owner).__name__
        fail(f"{kind} has no {', '.join(gone)}", library, module)


def require_import(name: str, library: str, module: str) -> Any:
    """Return what a full name stands for, or fail; other arguments as of `require`."""
    folder, _, own = name.rpartition(".")
    try:
        return getattr(import_module(folder), own)
    except (ImportError, AttributeError):
        fail(f"there is no {name}", library, module)


def fail(what: str, library: str, module: str) -> None:
    """Fail, and say what is to be done."""
    pytest.fail(
        f"In {library} {version(library)} {what} any more. {module} uses it: read there what for,"
        " and find another way."
    )
