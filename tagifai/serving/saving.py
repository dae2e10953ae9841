"""Write bundles as MLflow models of code and data, with nothing that has to be unpickled."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import yaml

from tagifai.preprocessing.encoders.files import PACKAGED
from tagifai.preprocessing.inputs import list_columns
from tagifai.serving import pyfunc

LIBRARIES = (
    *("mlflow", "numpy", "pandas", "scipy", "scikit-learn", "skops"),
    *("imbalanced-learn", "nltk"),
)
"""Requirements of a prediction."""

ENCODER_LIBRARIES = ("onnxruntime", "tokenizers")
"""Further requirements of one that embeds."""

MODULES = (
    *("_lazy", "exceptions", "utils.environment", "utils.files", "utils.own_modules"),
    *("config.strangers", "preprocessing._sklearn", "preprocessing.alphabet"),
    *("preprocessing.char_ngrams", "preprocessing.cleaning", "preprocessing.labels"),
    *("preprocessing.murmurhash", "preprocessing.sparse_counts", "preprocessing.inputs"),
    *("models.bundles", "models.part_files", "models.serialization", "models.skops_files"),
    *("models.outputs", "models.tagger", "models.temperature", "models.thresholds"),
    *("models.verification", "serving.pyfunc"),
    *("preprocessing.embeddings", "preprocessing.vectorizers", "preprocessing.encoders.files"),
    *("preprocessing.encoders.encoder", "preprocessing.characters", "utils.labels"),
    *("utils.process_pool", "utils.secrets", "utils.excerpts", "utils.signals"),
    *("utils.processes.beginning", "utils.processes.descendants", "utils.processes.interrupts"),
    *("utils.system.errors", "utils.system.space", "utils.state.drafts"),
    "utils.state.reading",
    # What an extension may have beside the steps and classes that a model needs.
    *("evaluation.metrics", "evaluation.slices", "evaluation.intervals", "evaluation.summary"),
    *("evaluation.standard_metrics", "models.losses"),
)
"""Modules that a prediction needs; the whole package would be a hundred files a model."""

EXAMPLE = "Detecting cars in video"


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

    from tagifai.models import bundles

    columns = list_columns(bundles.read_document(bundle, "tagger.json")["input"])
    shutil.copytree(bundle, path / "data" / "bundle")
    _write_package(path / "code" / "tagifai")
    _write_extensions(path / "code", bundle)
    model = Model(
        model_uuid=model_id,
        model_id=model_id,
        run_id=run_id,
        signature=pyfunc.build_signature(columns),
        saved_input_example_info=_write_example(path, columns),
    )
    model.add_flavor(
        FLAVOR_NAME,
        loader_module=pyfunc.__name__,
        data="data/bundle",
        code="code",
        env=_write_environment(path, _list_requirements(bundle)),
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


def _write_example(path: Path, columns: Sequence[str]) -> dict[str, str]:
    """Write an example input in MLflow's two formats, and return its metadata."""
    example = {"columns": list(columns), "data": [[EXAMPLE] * len(columns)]}
    (path / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
    request = json.dumps({"dataframe_split": example}, indent=2)
    (path / "serving_input_example.json").write_text(request, encoding="utf-8")
    return {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
    }


def _list_requirements(bundle: Path) -> list[str]:
    """Return what has to be installed for a bundle's predictions, each with its version."""
    pinned = [f"{name}=={version(name)}" for name in LIBRARIES]
    encoder = _find_encoder_name(bundle)
    if encoder is not None:
        pinned += [f"{name}=={version(name)}" for name in ENCODER_LIBRARIES]
        pinned += PACKAGED[encoder].requirements if encoder in PACKAGED else []
    return pinned


def _find_encoder_name(bundle: Path) -> str | None:
    """Return the name of the encoder that a bundle's texts are embedded by, if they are."""
    from tagifai.models import bundles

    if not (bundle / "vectorizer.json").exists():
        return None
    whole = bundles.read_document(bundle, "vectorizer.json")
    parts = [whole, *(part for _, part in whole["parameters"].get("transformer_list", ()))]
    found = [part["parameters"].get("encoder") for part in parts]
    return next((name for name in found if name is not None), None)


def _write_environment(path: Path, pinned: list[str]) -> dict[str, str]:
    """Write the requirements in the three formats that MLflow's installers read."""
    python = platform.python_version()
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
