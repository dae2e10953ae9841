"""Models: how they are made, what they predict, and how they are saved as bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagifai._lazy import make_getattr

if TYPE_CHECKING:
    from tagifai.models.thresholds import (
        AutoThreshold,
        FixedThreshold,
        QuantileThreshold,
        TunedThreshold,
    )

__all__ = ["AutoThreshold", "FixedThreshold", "QuantileThreshold", "TunedThreshold"]

__getattr__ = make_getattr(
    __name__,
    {
        "AutoThreshold": "tagifai.models.thresholds",
        "FixedThreshold": "tagifai.models.thresholds",
        "QuantileThreshold": "tagifai.models.thresholds",
        "TunedThreshold": "tagifai.models.thresholds",
    },
)
