"""Verify settings and outputs of a model that is loaded.

Another version of a library may load a model without an error and compute something else with it.
So a few texts, which are no rows of the data, are saved with their outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tagifai.config import strangers
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

MOST = {"classes": (10_000, 1_000), "stopwords": (2_000, 100), "texts": (20, 10_000)}
"""Most items of a stranger, and characters of each: of classes, whose outputs have room for some
thousand texts; of stop words, of which known lists have 1,500; of texts, of which ten are saved."""


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


def check_settings(settings: Any, *, stranger: bool) -> None:
    """Refuse settings of a tagger that are none, or a stranger's that are past a limit.

    Args:
        settings: a bundle's, from JSON.
        stranger: whether someone else made it.

    Raises:
        ConfigError, ValueError: with the setting.
    """
    classes, cleaning = settings["classes"], settings["cleaning"]
    lists = {"classes": classes, "texts": settings["probe"]["texts"]}
    lists["stopwords"] = [*(cleaning.get("stopwords") or ())]
    for name, items in lists.items():
        most, longest = MOST[name] if stranger else (math.inf, math.inf)
        right = type(items) is list and all(type(item) is str for item in items)
        if not right or len(items) > most or max(map(len, items), default=0) > longest:
            raise ValueError(f"{name}: a list of texts is taken, {most} of {longest} characters")
    if not classes or len({*classes}) < len(classes) or settings["other"] not in (None, *classes):
        raise ValueError("a class is there twice, or none, or the one for the rest is no class")
    numbers = [settings.get(name) for name in ("threshold", "temperature")]
    wrong = {*map(type, numbers)} - {float, int, type(None)}
    finite = all(math.isfinite(number) for number in numbers if number is not None)
    if wrong or not finite or (numbers[1] is not None and numbers[1] <= 0):
        raise ValueError(f"threshold and temperature = {numbers!r:.80}")
    if stranger:
        strangers.refuse_excess("cleaning", cleaning)
        strangers.refuse_excess("input", settings["input"])


def verify_outputs(recorded: Mapping[str, Any], tagger: Tagger, *, stranger: bool = False) -> bool:
    """Return whether a tagger's outputs are the recorded ones, but for the last digits.

    Args:
        recorded: from `record_outputs`.
        tagger: loaded.
        stranger: whether someone else made it, whose outputs have to be numbers.
    """
    from tagifai.preprocessing.embeddings import find_embedding  # late: as in a prediction

    expected = np.array(recorded["outputs"], dtype=np.float64)
    found = tagger.compute_outputs(recorded["texts"])
    if stranger and not np.isfinite(found).all():
        raise ValueError("its outputs are not finite")
    found = np.where(np.isfinite(found), found, np.nan)
    same = found.shape == expected.shape == (len(found), len(tagger.labels))
    bounds = SAME if find_embedding(tagger.vectorizer) is None else SAME_EMBEDDED
    return same and np.allclose(found, expected, **bounds, equal_nan=True)
