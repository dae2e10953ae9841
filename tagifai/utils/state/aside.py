"""Put aside what is damaged: it is renamed, and never deleted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import date
from itertools import count
from pathlib import Path

from tagifai.utils.state import drafts

FOLDER = "damaged"


def put_aside(root: Path, path: Path, beside: Sequence[str] = ()) -> Path:
    """Move a file or folder into the folder of damaged ones, and return its new place.

    Args:
        root: the folder of stores, or of outputs.
        path: below the root. A link is moved, and not what it leads to.
        beside: endings of the names of files that belong to it, if they are there; then it may be
            missing itself.

    Raises:
        OSError: it cannot be moved.
    """
    today = date.today().isoformat()
    place = root / FOLDER / today / path.relative_to(root)
    numbered = (place.with_name(f"{place.name}.{number}") for number in count(1))
    while any(os.path.lexists(f"{place}{end}") for end in ("", *beside)):
        place = next(numbered)
    place.parent.mkdir(parents=True, exist_ok=True)
    for end in beside:
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{place}{end}")
    with suppress(FileNotFoundError) if beside else nullcontext():
        path.rename(place)
    drafts.sync_folder(path.parent)
    return place
