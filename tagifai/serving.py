"""Serving: a bundle as an MLflow model of code and data, with nothing that has to be unpickled.

MLflow loads such a model by the function `_load_pyfunc` of this module, in the copy of the package
that is kept with the model, and hands it the bundle.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tagifai import artifacts

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PyFuncModel

    from tagifai.tagger import Tagger

LIBRARIES = (
    *("mlflow", "numpy", "pandas", "scipy", "scikit-learn", "skops"),
    *("imbalanced-learn", "nltk"),
)
"""What the package needs to predict."""

MODULES = (
    *("__init__", "artifacts", "characters", "claims", "errors", "estimators", "files"),
    *("hashes", "labels", "ngrams", "probabilities", "probes", "provenance", "serving"),
    *("soundness", "tagger", "text", "thresholds"),
)
"""The part of the package that predicting takes; all of it would be a hundred files a model."""

EXAMPLE = "Detecting cars in video"

SURROGATE = re.compile("[\ud800-\udfff]")


class Served:
    """What MLflow calls to predict.

    Args:
        tagger: of the bundle.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def predict(self, model_input: Any, params: Any = None) -> pd.DataFrame:
        """Tag texts.

        Args:
            model_input: a frame with the column `text`, shape (n, 1).
            params: none are known.

        Returns:
            The columns input_text, predicted_tag and probability, shape (n, 3).

        Raises:
            MlflowException: a row has no text; says which.
        """
        texts = list(model_input["text"])
        refuse(texts)
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
"""Columns of a prediction, with their types; the probability is missing of models without any."""


def refuse(texts: Sequence[Any]) -> None:
    """Refuse rows that are no texts, as a request that cannot be answered.

    Raises:
        MlflowException: with the first such row, counted from 1.
    """
    wrong = next((i for i, text in enumerate(texts) if not _is_text(text)), None)
    if wrong is None:
        return
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import BAD_REQUEST

    where = f"Row {wrong + 1} of {len(texts)}"
    raise MlflowException(
        f"{where}: {_found(texts[wrong])}; every row needs a string `text`.",
        error_code=BAD_REQUEST,
    )


def _is_text(value: Any) -> bool:
    # Half of a surrogate pair is no text, and nothing could send it back.
    return isinstance(value, str) and not SURROGATE.search(value)


def _found(value: Any) -> str:
    if isinstance(value, str):
        return "the text is not valid Unicode"
    missing = pd.api.types.is_scalar(value) and pd.isna(value)
    return "there is no text" if missing else f"{value!r} is not a text"


def _load_pyfunc(path: str) -> Served:
    """Return what predicts with the bundle in a folder; MLflow calls it by this name."""
    return Served(artifacts.load(Path(path)))


def signature() -> ModelSignature:
    """Return what goes into the model, and what comes out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType[kind], name, required=name != "probability")
        for name, kind in OUTPUTS.items()
    ]
    return ModelSignature(Schema([ColSpec(DataType.string, "text")]), Schema(outputs))


def save(path: Path, bundle: Path, model_id: str, run_id: str) -> None:
    """Write an MLflow model that is complete in itself: bundle, package and what it requires.

    Args:
        path: the folder to write.
        bundle: of the run.
        model_id: of the model in the tracking store.
        run_id: of the run.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    # The model says what it requires; it needs no copy of the project files around us.
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    with tempfile.TemporaryDirectory() as scratch:
        mlflow.pyfunc.save_model(
            str(path),
            loader_module=__name__,
            data_path=str(bundle),
            code_paths=[str(_package(Path(scratch)))],
            # In this form MLflow asks nobody for the versions of installers.
            conda_env=_environment(),
            mlflow_model=Model(model_uuid=model_id, model_id=model_id, run_id=run_id),
            signature=signature(),
            input_example=pd.DataFrame({"text": [EXAMPLE]}),
        )


def _package(folder: Path) -> Path:
    """Copy the package's modules that predicting takes, and return the copy."""
    source, target = Path(__file__).parent, folder / "tagifai"
    target.mkdir()
    for name in MODULES:
        shutil.copyfile(source / f"{name}.py", target / f"{name}.py")
    return target


def _environment() -> dict[str, Any]:
    pinned = [f"{name}=={version(name)}" for name in LIBRARIES]
    python = f"python={platform.python_version()}"
    return {
        "name": "tagifai",
        "channels": ["conda-forge"],
        "dependencies": [python, "pip", {"pip": pinned}],
    }


def in_process(tagger: Tagger) -> PyFuncModel:
    """Return a tagger as MLflow's servers want it; no saved model's code is run for it."""
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME, PyFuncModel

    meta = Model(signature=signature())
    meta.add_flavor(FLAVOR_NAME, loader_module=__name__)
    return PyFuncModel(model_meta=meta, model_impl=Served(tagger))
