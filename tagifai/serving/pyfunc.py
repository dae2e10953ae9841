"""Save a bundle as an MLflow model of code and data, with nothing that has to be unpickled.

MLflow loads such a model by calling `_load_pyfunc` of this module with the bundle, in the copy of
the package that is saved with the model.
"""

from __future__ import annotations

import importlib
import json
import platform
import re
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from tagifai.utils import own_modules

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PyFuncModel

    from tagifai.models.tagger import Tagger

LIBRARIES = (
    *("mlflow", "numpy", "pandas", "scipy", "scikit-learn", "skops"),
    *("imbalanced-learn", "nltk"),
)
"""Requirements of a prediction."""

MODULES = (
    *("_lazy", "exceptions", "utils.environment", "utils.files", "utils.own_modules"),
    *("preprocessing._sklearn", "preprocessing.alphabet", "preprocessing.char_ngrams"),
    *("preprocessing.cleaning", "preprocessing.labels", "preprocessing.murmurhash"),
    *("preprocessing.sparse_counts", "models._sklearn", "models.bundles"),
    *("models.estimator_schema", "models.estimator_state", "models.limits", "models.outputs"),
    *("models.safety", "models.serialization", "models.tagger", "models.thresholds"),
    *("models.verification", "serving.pyfunc"),
    # What an extension may have beside the steps and classes that a model needs.
    *("evaluation.metrics", "evaluation.slices"),
)
"""Modules that a prediction needs; the whole package would be a hundred files a model."""

EXAMPLE = "Detecting cars in video"

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
            model_input: a table with the column `text`, shape (n, 1).
            params: ignored; part of MLflow's interface.

        Returns:
            The columns input_text, predicted_tag and probability, shape (n, 3).

        Raises:
            MlflowException: a row has no text; with its number.
        """
        texts = list(model_input["text"])
        check_texts(texts)
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


def check_texts(texts: Sequence[Any]) -> None:
    """Refuse rows that are no texts.

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
        f"{where}: {_describe_value(texts[wrong])}; every row needs a string `text`.",
        error_code=BAD_REQUEST,
    )


def _is_text(value: Any) -> bool:
    # Half of a surrogate pair is no text, and nothing could send it back.
    return isinstance(value, str) and not SURROGATE.search(value)


def _describe_value(value: Any) -> str:
    if isinstance(value, str):
        return "the text is not valid Unicode"
    missing = pd.api.types.is_scalar(value) and pd.isna(value)
    return "there is no text" if missing else f"{value!r} is not a text"


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


def build_signature() -> ModelSignature:
    """Return the signature of the model: its input and output columns."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType[kind], name, required=name != "probability")
        for name, kind in OUTPUTS.items()
    ]
    return ModelSignature(Schema([ColSpec(DataType.string, "text")]), Schema(outputs))


def save(path: Path, model_id: str, *, bundle: Path, run_id: str) -> None:
    """Write a complete MLflow model: bundle, package and requirements.

    The result is that of `mlflow.pyfunc.save_model`, which is slow because it inspects all
    installed packages.

    Args:
        path: the folder to write.
        model_id: of the model in the tracking store.
        bundle: of the run.
        run_id: of the run.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME

    shutil.copytree(bundle, path / "data" / "bundle")
    _write_package(path / "code" / "tagifai")
    _write_extensions(path / "code", bundle)
    model = Model(
        model_uuid=model_id,
        model_id=model_id,
        run_id=run_id,
        signature=build_signature(),
        saved_input_example_info=_write_example(path),
    )
    model.add_flavor(
        FLAVOR_NAME,
        loader_module=__name__,
        data="data/bundle",
        code="code",
        env=_write_environment(path),
        python_version=platform.python_version(),
        streamable=False,
    )
    model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    model.save(str(path / "MLmodel"))


def _write_package(target: Path) -> None:
    """Copy the modules of the package that a prediction needs."""
    files = {Path(*name.split(".")).with_suffix(".py") for name in MODULES}
    package = Path(__file__).parent.parent
    for file in files | {file.parent / "__init__.py" for file in files}:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / file, target / file)


def _write_extensions(target: Path, bundle: Path) -> None:
    """Copy the extensions that a bundle needs; packages are to be installed where it is served."""
    # Late: a model that is served has no configuration.
    from tagifai.config import extensions
    from tagifai.models import bundles

    for module in bundles.read_document(bundle, "tagger.json")["needs"]:
        file = extensions.find_file(module)
        if file is not None:
            shutil.copyfile(file, target / file.name)


def _write_example(path: Path) -> dict[str, str]:
    """Write an example input in MLflow's two formats, and return its metadata."""
    example = {"columns": ["text"], "data": [[EXAMPLE]]}
    (path / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
    request = json.dumps({"dataframe_split": example}, indent=2)
    (path / "serving_input_example.json").write_text(request, encoding="utf-8")
    return {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
    }


def _write_environment(path: Path) -> dict[str, str]:
    """Write the requirements in the three formats that MLflow's installers read."""
    pinned, python = [f"{name}=={version(name)}" for name in LIBRARIES], platform.python_version()
    (path / "requirements.txt").write_text("\n".join(pinned), encoding="utf-8")
    conda = {
        "name": "tagifai",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": pinned}],
    }
    virtualenv = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    for name, content in (("conda.yaml", conda), ("python_env.yaml", virtualenv)):
        (path / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}


def wrap_tagger(tagger: Tagger) -> PyFuncModel:
    """Return a tagger as a model for MLflow's server, without running code of a saved model."""
    from mlflow.models import Model
    from mlflow.pyfunc import FLAVOR_NAME, PyFuncModel

    meta = Model(signature=build_signature())
    meta.add_flavor(FLAVOR_NAME, loader_module=__name__)
    return PyFuncModel(model_meta=meta, model_impl=PyfuncTagger(tagger))
