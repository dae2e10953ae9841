"""Probes: texts that are nobody's rows, and what a model makes of them, here and where it was made.

Another version of a library may load a model without a word and compute something else with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tagifai.models.tagger import Tagger

SENTENCE = (
    "A sentence that stays as it is: models of language, images & graphs, in 3 lines of code."
)
CLASSES = 9
"""Names of classes that are tagged beside the sentence."""


def record_outputs(tagger: Tagger) -> dict[str, Any]:
    """Return texts and a tagger's outputs for them, for JSON.

    Nine digits are enough to compare by. What is not finite is None.
    """
    texts = [SENTENCE, *tagger.encoder.classes[:CLASSES]]
    outputs = [
        [float(f"{value:.9g}") if math.isfinite(value) else None for value in row]
        for row in tagger.compute_outputs(texts).tolist()
    ]
    return {"texts": texts, "outputs": outputs}


def verify_outputs(recorded: Mapping[str, Any], tagger: Tagger) -> bool:
    """Return whether a tagger's outputs are those of a probe, but for the last digits."""
    expected = np.array(recorded["outputs"], dtype=np.float64)
    found = tagger.compute_outputs(recorded["texts"])
    found = np.where(np.isfinite(found), found, np.nan)
    same = found.shape == expected.shape
    return same and np.allclose(found, expected, rtol=1e-6, atol=1e-9, equal_nan=True)
