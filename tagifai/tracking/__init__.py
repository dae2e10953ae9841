"""Record runs in MLflow, and read them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagifai._lazy import make_getattr

if TYPE_CHECKING:
    from tagifai.tracking.multirun import MultirunCallback

__all__ = ["MultirunCallback"]

__getattr__ = make_getattr(
    __name__,
    {
        "MultirunCallback": "tagifai.tracking.multirun",
    },
)
