"""tagifai: find, keep and use the best way of classifying texts.

import tagifai

tagger = tagifai.load()                       # the latest run, or load("<run id>")
tagger.predict(["Transfer learning with transformers"])
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagifai.tagger import Tagger

__all__ = ["load"]


def load(run_id: str | None = None, *, stores: str | Path | None = None) -> Tagger:
    """Return the tagger of a run.

    Args:
        run_id: the run; None is the latest.
        stores: the folder of stores; None is the one of the project that this package is part of.

    Returns:
        An object with `predict(texts)` and `predict_proba(texts)`.

    Raises:
        tagifai.errors.BundleError: no such run, or a bundle that cannot be trusted.
    """
    from tagifai import runs

    folder = Path(stores) if stores else Path(__file__).parent.parent / "stores"
    return runs.load(folder, run_id, uri=None)[1]
