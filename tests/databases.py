"""Databases of studies that are there already: making one takes ten times as long as opening it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tagifai.sweeping import studies


def make_studies(path: Path) -> str:
    """Make a database without studies, and return its URL."""
    path.write_bytes(_empty())
    return f"sqlite:///{path}"


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".studies.db"  # of a draft all is in one file
        studies.connect_database.__wrapped__(f"sqlite:///{path}")
        return path.read_bytes()
