"""Verify that a loaded model gives the outputs that it gave when it was saved.

Another version of a library may load a model without an error and compute something else with it.
So a few texts, which are no rows of the data, are saved with their outputs.
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
SAME = {"rtol": 1e-6, "atol": 1e-9}
"""How far outputs may be from those that were recorded."""

SAME_EMBEDDED = {"rtol": 0.05, "atol": 0.05}
"""The same, of texts that were embedded: kinds of processors round an encoder's whole numbers in
their own ways. That the encoder is the same one is told by its digest."""

CLASSES = 9
"""How many class names are used as texts beside the sentence."""


def record_outputs(tagger: Tagger) -> dict[str, Any]:
    """Return texts and a tagger's outputs for them, as JSON's types.

    Nine digits are enough for a comparison. Values that are not finite are None.
    """
    texts = [SENTENCE, *tagger.encoder.classes[:CLASSES]]
    outputs = [
        [float(f"{value:.9g}") if math.isfinite(value) else None for value in row]
        for row in tagger.compute_outputs(texts).tolist()
    ]
    return {"texts": texts, "outputs": outputs}


def verify_outputs(recorded: Mapping[str, Any], tagger: Tagger) -> bool:
    """Return whether a tagger's outputs are the recorded ones, but for the last digits.

    Args:
        recorded: from `record_outputs`.
        tagger: loaded.
    """
    from tagifai.preprocessing.embeddings import find_embedding  # late: as in a prediction

    expected = np.array(recorded["outputs"], dtype=np.float64)
    found = tagger.compute_outputs(recorded["texts"])
    found = np.where(np.isfinite(found), found, np.nan)
    same = found.shape == expected.shape
    bounds = SAME if find_embedding(tagger.vectorizer) is None else SAME_EMBEDDED
    return same and np.allclose(found, expected, **bounds, equal_nan=True)
