from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import FLAVOR_NAME, PyFuncModel, scoring_server
from sklearn.linear_model import SGDClassifier
from sklearn.svm import LinearSVC

from tagifai.config import paths
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import EmbeddingVectorizer, cleaning
from tagifai.serving import pyfunc, saving
from tagifai.utils import own_modules
from tests.conftest import DOCUMENTS, TAGS, TEXTS
from tests.encoders import make_encoder, require_extra

ANY_TEXTS = [*TEXTS[:3], "", "unseen: Ünïcode", "x" * 1000]

PACKAGE = Path(saving.__file__).parent.parent

ALONE = """
import json, sys
import mlflow.pyfunc, pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(pd.DataFrame({"text": json.loads(sys.argv[2])}))
import tagifai
print(json.dumps([found.to_dict("records"), tagifai.__file__]))
"""


@pytest.fixture(scope="module")
def saved(tagger: Tagger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    bundles.save(folder / "bundle", tagger, DOCUMENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_UV_AUTO_DETECT", raising=False)
        saving.save(folder / "model", "m-1", bundle=folder / "bundle", run_id="abc")
    os.environ.pop("MLFLOW_UV_AUTO_DETECT", None)
    return folder / "model"


def test_a_saved_model_is_code_and_data_and_no_pickle(saved: Path) -> None:
    flavor = yaml.safe_load((saved / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavor["loader_module"] == "tagifai.serving.pyfunc"
    assert (saved / flavor["code"] / "tagifai" / "serving" / "pyfunc.py").is_file()
    assert (saved / flavor["data"] / "manifest.json").is_file()
    endings = {path.suffix for path in saved.rglob("*") if path.is_file()}
    assert not endings & {".pkl", ".pickle", ".joblib", ".pyc"}
    assert not (saved / "uv.lock").exists()


def test_a_saved_model_says_what_goes_in_and_out_and_what_it_needs(saved: Path) -> None:
    content = yaml.safe_load((saved / "MLmodel").read_text())
    signature = content["signature"]
    assert json.loads(signature["inputs"]) == [{"type": "string", "name": "text", "required": True}]
    outputs = {column["name"]: column["type"] for column in json.loads(signature["outputs"])}
    assert outputs == {
        "input_text": "string",
        "predicted_tag": "string",
        "probability": "double",
    }
    assert (content["run_id"], content["model_id"]) == ("abc", "m-1")
    required = (saved / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in required] == list(saving.LIBRARIES)
    assert json.loads((saved / "input_example.json").read_text())["columns"] == ["text"]


@pytest.mark.e2e
def test_a_saved_model_predicts_the_same_by_itself_with_its_own_code(
    saved: Path, tagger: Tagger, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(saved), json.dumps(ANY_TEXTS)],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    predictions, where = json.loads(done.stdout)
    assert predictions == tagger.predict(ANY_TEXTS)
    assert where == str(saved / "code" / "tagifai" / "__init__.py")


@pytest.mark.e2e
def test_a_saved_model_that_embeds_needs_its_encoder_and_predicts_by_itself(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_extra()
    monkeypatch.setenv("TAGIFAI_ENCODERS", str(tmp_path))
    make_encoder(tmp_path / "tiny")
    vectorizer = EmbeddingVectorizer("tiny")
    model = SGDClassifier(loss="log_loss", random_state=0)
    model.fit(vectorizer.fit_transform(TEXTS), tagger.encoder.encode(pd.Series(TAGS)))
    embedding = replace(tagger, vectorizer=vectorizer, model=model)
    bundles.save(tmp_path / "bundle", embedding, DOCUMENTS)
    saving.save(tmp_path / "model", "m-1", bundle=tmp_path / "bundle", run_id="abc")

    required = (tmp_path / "model" / "requirements.txt").read_text().split()
    names = [line.split("==")[0] for line in required]
    assert names == [*saving.LIBRARIES, "onnxruntime", "tokenizers"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "model"), json.dumps(ANY_TEXTS)],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout)[0] == embedding.predict(ANY_TEXTS)


EXTENSION = """
from tagifai import cleaning_step, metric, slicing_function


@cleaning_step
def shout(text):
    return text.upper()


@metric
def always_one(y_true, y_pred):
    return 1.0
"""


@pytest.mark.e2e
def test_a_saved_model_has_a_copy_of_the_extensions_that_it_needs(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shout(text: str) -> str:
        return text.upper()

    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "steps_of_pyfunc.py").write_text(EXTENSION)
    (tmp_path / "conf" / "config.yaml").write_text("extensions: [steps_of_pyfunc.py]\n")
    # As in the process that records a run: it knows the file, and has not loaded it.
    monkeypatch.setattr(paths, "get_conf_folder", lambda: tmp_path / "conf")
    shout.__module__ = "steps_of_pyfunc"
    monkeypatch.setattr(cleaning, "_REGISTERED", {"shout": shout})
    monkeypatch.setattr(own_modules, "_files", {"steps_of_pyfunc": Path("steps_of_pyfunc.py")})
    loud = replace(tagger, cleaning={**tagger.cleaning, "last": ["shout"]})
    bundles.save(tmp_path / "bundle", loud, DOCUMENTS)
    saving.save(tmp_path / "model", "m-1", bundle=tmp_path / "bundle", run_id="abc")

    assert (tmp_path / "model" / "code" / "steps_of_pyfunc.py").read_text() == EXTENSION
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path / "model"), json.dumps(ANY_TEXTS)],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout)[0] == loud.predict(ANY_TEXTS)


def as_model(tagger: Tagger) -> PyFuncModel:
    meta = Model(signature=pyfunc.build_signature(tagger.columns))
    meta.add_flavor(FLAVOR_NAME, loader_module=pyfunc.__name__)
    return PyFuncModel(model_meta=meta, model_impl=pyfunc.PyfuncTagger(tagger))


def test_a_tagger_answers_as_mlflow_s_models_do(tagger: Tagger) -> None:
    found = as_model(tagger).predict(pd.DataFrame({"text": ANY_TEXTS}))
    assert isinstance(found, pd.DataFrame)
    assert found.to_dict(orient="records") == tagger.predict(ANY_TEXTS)
    assert pyfunc.PyfuncTagger(tagger).predict(pd.DataFrame({"text": []})).shape == (0, 3)


def test_a_model_without_probabilities_answers_without_them(tagger: Tagger) -> None:
    machine = LinearSVC().fit(tagger.vectorizer.transform(TEXTS), tagger.encoder.encode(TAGS))
    bare = replace(tagger, model=machine, threshold=None)
    model, content = as_model(bare), json.dumps({"inputs": {"text": TEXTS[:2]}})
    invocations: Any = scoring_server.invocations
    answer = invocations(
        content, "application/json", model, pyfunc.build_signature(("text",)).inputs
    )
    rows = [
        {"input_text": text, "predicted_tag": tag, "probability": None}
        for text, tag in zip(TEXTS[:2], TAGS[:2], strict=True)
    ]
    assert answer.response == json.dumps({"predictions": rows})


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a", None], "Row 2 of 2: there is no text"),
        ([math.nan, "a"], "Row 1 of 2: there is no text"),
        ([pd.NA], "Row 1 of 1: there is no text"),
        (["a", "b", 3], "Row 3 of 3: 3 is not a text"),
        ([["a"]], r"Row 1 of 1: \['a'\] is not a text"),
        (["a", "\ud800"], "Row 2 of 2: the text is not valid Unicode"),
    ],
)
def test_a_row_that_is_no_text_is_refused_by_its_number(texts: list[object], said: str) -> None:
    with pytest.raises(MlflowException, match=said) as caught:
        pyfunc.check_texts(texts, ("text",))
    assert caught.value.error_code == "BAD_REQUEST"


def test_rows_of_texts_are_not_refused() -> None:
    pyfunc.check_texts(["", "a", "😀"], ("text",))
    pyfunc.check_texts([], ("text",))


def list_imports(module: str) -> set[str]:
    """Return the modules of the package that a module of it imports when it is imported."""
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tagifai"):
            base = (node.module or "").removeprefix("tagifai").lstrip(".")
            for name in (f"{base}.{alias.name}".lstrip(".") for alias in node.names):
                file = PACKAGE / f"{name.replace('.', '/')}.py"
                found.add(name if file.is_file() else base)
    return {name for name in found if (PACKAGE / f"{name.replace('.', '/')}.py").is_file()}


def test_all_that_the_modules_of_a_saved_model_import_is_saved_with_it() -> None:
    missing = {module: list_imports(module) - set(saving.MODULES) for module in saving.MODULES}
    assert {module: names for module, names in missing.items() if names} == {}
