"""Save a bundle as an MLflow model of code and data, with nothing that has to be unpickled.

MLflow loads such a model by calling `_load_pyfunc` of this module with the bundle, in the copy of
the package that is saved with the model.
"""

from __future__ import annotations

import importlib
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tagifai.preprocessing.inputs import join_values
from tagifai.utils import own_modules

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from tagifai.models.tagger import Tagger

SURROGATE = re.compile("[\ud800-\udfff]")


class PyfuncTagger:
    """A tagger with the interface of MLflow's Python models.

    Args:
        tagger: of the bundle.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def predict(self, model_input: Any, params: Any = None) -> pd.DataFrame:
        """Tag texts.

        Args:
            model_input: a table with the run's columns, shape (n, columns).
            params: ignored; part of MLflow's interface.

        Returns:
            The columns input_text, predicted_tag and probability, shape (n, 3).

        Raises:
            MlflowException: a row has no text; with its number.
        """
        names = self._tagger.columns
        rows = zip(*(list(model_input[name]) for name in names), strict=True)
        texts = [*map(join_values, rows)]
        check_texts(texts, names)
        found = self._tagger.predict(texts)
        probabilities = [row["probability"] for row in found]
        return pd.DataFrame(
            {
                "input_text": texts,
                "predicted_tag": [row["predicted_tag"] for row in found],
                # MLflow would send NaN, which is no JSON, where a model has none.
                "probability": np.array(probabilities, object if None in probabilities else float),
            }
        )


OUTPUTS = {"input_text": "string", "predicted_tag": "string", "probability": "double"}
"""Columns of a prediction, with their types; models without probabilities have none."""


def check_texts(texts: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse rows that are no texts.

    Args:
        texts: of the rows.
        names: of the columns that they are joined from.

    Raises:
        MlflowException: with the first such row, counted from 1.
    """
    found = find_wrong_row(texts, names)
    if found is None:
        return
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST

    raise MlflowException(found, error_code=BAD_REQUEST)


def find_wrong_row(texts: Sequence[Any], names: Sequence[str]) -> str | None:
    """Return a sentence on the first row that is no text, counted from 1, or None."""
    wrong = next((i for i, text in enumerate(texts) if not _is_text(text)), None)
    if wrong is None:
        return None
    where = f"Row {wrong + 1} of {len(texts)}"
    return f"{where}: {_describe_value(texts[wrong])}; every row needs {_format_names(names)}."


def _format_names(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"a string `{names[0]}`"
    return f"strings in {', '.join(f'`{name}`' for name in names)}"


def _is_text(value: Any) -> bool:
    # Half of a surrogate pair is no text, and nothing could send it back.
    return isinstance(value, str) and not SURROGATE.search(value)


def _describe_value(value: Any) -> str:
    if isinstance(value, str):
        return "the text is not valid Unicode"
    missing = pd.api.types.is_scalar(value) and pd.isna(value)
    return "there is no text" if missing else f"{reprlib.repr(value)} is not a text"


def _load_pyfunc(path: str) -> PyfuncTagger:
    """Return the tagger of the bundle in a folder; MLflow calls the function by this name."""
    # Late: a process that only writes models does not need it.
    from tagifai.models import bundles

    bundle = Path(path)
    for module in bundles.read_document(bundle, "tagger.json")["needs"]:
        # It is kept beside this package, or installed; who serves a model trusts both.
        importlib.import_module(module)
        own_modules.register(module)
    return PyfuncTagger(bundles.load(bundle))


def build_signature(columns: Sequence[str]) -> ModelSignature:
    """Return the signature of a model: its input and output columns.

    Args:
        columns: of the text.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType[kind], name, required=name != "probability")
        for name, kind in OUTPUTS.items()
    ]
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, name) for name in columns]
    return ModelSignature(Schema(inputs), Schema(outputs))
