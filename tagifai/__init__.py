"""tagifai: find, keep and use the best way of classifying texts.

import tagifai

tagger = tagifai.load()                       # the latest run, or load("<run id>"), "champion"
tagger.predict(["Transfer learning with transformers"])
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagifai.models.tagger import Tagger

__all__ = ["load"]


def load(
    run_id: str | None = None, *, stores: str | Path | None = None, model: str = "tagifai"
) -> Tagger:
    """Return the tagger of a run.

    Args:
        run_id: the run, or "champion"; None is the latest.
        stores: the folder of stores; None is the one of the project that this package is part of.
        model: name of the registered model whose champion is meant.

    Returns:
        An object with `predict(texts)` and `predict_proba(texts)`.

    Raises:
        tagifai.exceptions.BundleError: no such run, or a bundle that cannot be trusted.
    """
    from tagifai.runs import resolve
    from tagifai.tracking import store
    from tagifai.tracking.registry import CHAMPION

    folder = Path(stores).absolute() if stores else Path(__file__).parent.parent / "stores"
    if run_id == CHAMPION:
        run_id = resolve.find_champion(
            store.get_tracking_uri(f"sqlite:///{folder}/mlflow.db"), model
        )
    return resolve.load_tagger(folder, None if run_id == resolve.LATEST else run_id, uri=None)[1]
