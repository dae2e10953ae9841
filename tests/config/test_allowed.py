from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hydra.errors import InstantiationException
from hydra.utils import execution_whitelist
from hydra.utils import instantiate as hydra_instantiate
from numpy.random import RandomState

from tagifai.config import allowed, extensions, instantiate
from tagifai.config.schema import SCHEMA_CLASSES
from tagifai.exceptions import ConfigError
from tests import allowed_names
from tests.conftest import CONF

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TEXT = "sklearn.feature_extraction.text"


def refusal(settings: Any, group: str = "model") -> str:
    with pytest.raises(ConfigError) as caught:
        instantiate.build(group, settings, RandomState(0))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the list ----------------------------------------------------------------------------------


def test_the_list_is_what_the_libraries_find_of_themselves_today() -> None:
    text = allowed.FILE.read_text(encoding="utf-8")
    assert text == allowed_names.format_names(allowed_names.discover()), (
        "Write it again with python -m tests.allowed_names, and look at what is new."
    )


def test_every_target_of_the_project_s_own_options_is_on_the_list() -> None:
    texts = "".join(file.read_text() for file in CONF.glob("[!h]*/*.yaml"))
    named = {*re.findall(r"_target_: (\S+)", texts)}
    named |= {vars(node).get("_target_", "???") for node in SCHEMA_CLASSES.values()} - {"???"}
    assert named <= {*allowed.read_names()}
    assert {*allowed_names.OWN} <= named | {"tagifai.preprocessing.EmbeddingVectorizer"}


def test_nothing_on_the_list_takes_files_pickles_functions_or_parameters_of_others() -> None:
    taken = {name for parameters in allowed.read_names().values() for name in parameters}
    assert not taken & {
        *("input", "memory", "tokenizer", "preprocessor", "callback", "func", "inverse_func"),
        *("score_func", "pooling_func", "param_grid", "param_distributions", "pre_dispatch"),
    }
    assert not [name for name in allowed.read_names() if re.search("Function|Search|_[a-z]", name)
                and not re.search(r"^(sklearn|imblearn)\.[a-z_.]+\.[A-Z]\w*$", name)
                and not name.startswith("tagifai.preprocessing.")]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_all_that_is_on_the_list_can_be_made_unless_it_needs_an_argument() -> None:
    for name in allowed.read_names():
        with suppress(ConfigError):
            instantiate._make("x", {"_target_": name})
            continue
        with pytest.raises(ConfigError, match=r"missing|Got None"):
            instantiate._make("x", {"_target_": name})


# --- names ---------------------------------------------------------------------------------------

HOSTILE = [
    *("os.system", "os.execv", "posix.system", "builtins.eval", "builtins.exec", "builtins.open"),
    *("subprocess.Popen", "subprocess.run", "pty.spawn", "runpy.run_path", "pickle.loads"),
    *("shutil.rmtree", "pathlib.Path.unlink", "importlib.import_module", "code.interact"),
    *("joblib.load", "joblib.Memory", "numpy.load", "pandas.read_pickle", "pydoc.locate"),
    *("sklearn.datasets.fetch_openml", "sklearn.datasets.load_files", "sklearn.clone"),
    *("sklearn.datasets.clear_data_home", "sklearn.datasets.fetch_file", "sklearn.show_versions"),
    *("sklearn.utils._testing.set_random_state", "sklearn.utils._testing.TempMemmap"),
    *("sklearn.externals.array_api_compat.numpy.load", "sklearn.os", "sklearn.svm.os.system"),
    *("sklearn.base.clone", "sklearn.preprocessing.FunctionTransformer", "sklearn.svm"),
    *("sklearn.model_selection.GridSearchCV", "sklearn.model_selection.RandomizedSearchCV"),
    *("sklearn.svm._classes.LinearSVC", "sklearn.svm.LinearSVC.__init__", "sklearn.svm.LinearSVC."),
    *("sklearn.svm.LinearSVC.__class__", "sklearn.svm.LinearSVC.fit", ".sklearn.svm.LinearSVC"),
    *("sklearn..svm.LinearSVC", "sklearn.svm:LinearSVC", "sklearn.svm.LinearSVC ", "\tos.system"),
    *(" sklearn.svm.LinearSVC", "sklearn.svm.LinearSVC\n", "sklearn.svm.LinearSVC\x00"),
    *("sklearn.svm.L\u0456nearSVC", "\uff53klearn.svm.LinearSVC", "SKLEARN.svm.LinearSVC"),
    *("sklearn.svm.LinearSVC\u200b", "sklearn/svm/LinearSVC", "sklearn.svm.*", "sklearn.*"),
    *("imblearn.FunctionSampler", "imblearn.base.FunctionSampler", "imblearn.pipeline.joblib.load"),
    *("imblearn.utils.testing.all_estimators", "imblearn.over_sampling._smote.base.SMOTE"),
    *("tagifai.provenance._git", "tagifai.utils.environment._git", "tagifai.cli.main"),
    *("tagifai.utils.environment.subprocess.Popen", "tagifai.utils.files.replace_atomically"),
    *("tagifai.preprocessing.vectorizers.tfidf", "tagifai.models.tagger.Tagger"),
    *("tagifai.config.instantiate.locate_function", "tagifai.tracking.MultirunCallback"),
    *("tagifai.models.serialization.load", "tests.spies.SpyVectorizer", "__main__.x", "mine.Model"),
    *("${oc.env:HOME}", "${oc.create:{_target_:os.system}}", "???", "x" * 100_000),
]

NO_NAMES: list[object] = [
    *("", " ", None, 7, 1.5, True, [], ["os.system"], {"_target_": "os.system"}, b"os.system"),
    ["sklearn.svm.LinearSVC"],
]

INNER: dict[str, Callable[[Any], dict[str, Any]]] = {
    "the target": lambda hostile: hostile,
    "an argument": lambda hostile: {"_target_": LOGISTIC, "C": hostile},
    "a mapping": lambda hostile: {"_target_": LOGISTIC, "class_weight": {"a": {"b": hostile}}},
    "an estimator": lambda hostile: {
        "_target_": "sklearn.calibration.CalibratedClassifierCV",
        "estimator": {"_target_": LOGISTIC, "C": hostile},
    },
    "a list of parts": lambda hostile: {
        "_target_": "sklearn.ensemble.VotingClassifier",
        "estimators": [["a", {"_target_": LOGISTIC}], ["b", hostile]],
    },
    "a list of transformers": lambda hostile: {
        "_target_": "sklearn.pipeline.FeatureUnion",
        "transformer_list": [["a", {"_target_": f"{TEXT}.CountVectorizer", "vocabulary": hostile}]],
    },
    "steps": lambda hostile: {
        "_target_": "imblearn.pipeline.Pipeline",
        "steps": [["a", "passthrough"], ["b", [[hostile]]]],
    },
}


@pytest.mark.parametrize("place", INNER)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_is_looked_up_in_whatever_place(name: str, place: str) -> None:
    with (
        mock.patch.object(instantiate, "_locate", side_effect=AssertionError(name)),
        mock.patch("importlib.import_module", side_effect=AssertionError(name)),
    ):
        message = refusal(INNER[place]({"_target_": name, "args": ["touch /tmp/x"]}))
    if name.strip():
        assert f"_target_ = {name!r}"[:200] in message
        assert " is not allowed: it is not the public name of a classifier," in message
    assert len(message) < 1500


@pytest.mark.parametrize("place", INNER)
@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_is_no_name_is_refused_in_whatever_place(name: object, place: str) -> None:
    assert "_target_ is not set. Give the full name" in refusal(INNER[place]({"_target_": name}))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sklearn.linear_model.SGDClasifier", "sklearn.linear_model.SGDClassifier"),
        ("sklearn.svm._classes.LinearSVC", "sklearn.svm.LinearSVC"),
        ("tagifai.preprocessing.vectorizers.tfidf", "tagifai.preprocessing.tfidf"),
    ],
)
def test_the_nearest_allowed_name_is_told(name: str, meant: str) -> None:
    message = refusal({"_target_": name})
    assert f"Did you mean '{meant}'?" in message
    assert message.endswith("or allow a package by the environment: TAGIFAI_WHITELIST='package.*'.")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_is_one_of_a_person_s_own_package(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(extensions._given, extensions.WHITELIST_VARIABLE, "minimal.*,min.*")
    assert not allowed.is_own(name)
    assert allowed.is_own("minimal.Model")
    assert not allowed.is_own("minimal")


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["_partial_", "_args_", "_recursive_", "_convert_", "_execution_whitelist_", "_isolate_", "_x"],
)
def test_no_name_of_hydra_s_own_is_taken(name: str) -> None:
    refused = f"model.{name} is not taken: beside _target_ there are arguments only"
    assert refusal({"_target_": LOGISTIC, name: True}).startswith(refused)
    inner = {"_target_": LOGISTIC, name: []}
    for place, make in INNER.items():
        assert name in refusal(make(inner)), place


def test_labels_may_begin_with_an_underscore() -> None:
    settings = {"_target_": LOGISTIC, "class_weight": {"__label__a": 1.0, "_b": 2.0}}
    made = instantiate.build("model", settings, RandomState(0))
    assert made.class_weight == {"__label__a": 1.0, "_b": 2.0}
    assert "_args_ is not taken" in refusal({**settings, "class_weight": {"_args_": 1.0}})


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        (f"{TEXT}.CountVectorizer", "input", "filename"),
        (f"{TEXT}.TfidfVectorizer", "input", "file"),
        ("tagifai.preprocessing.tfidf", "input", "filename"),
        ("tagifai.preprocessing.union", "input", "filename"),
        ("tagifai.preprocessing.hashing", "tokenizer", "os.system"),
        (f"{TEXT}.CountVectorizer", "preprocessor", "os.system"),
        ("sklearn.pipeline.Pipeline", "memory", "/tmp/pickles"),
        ("imblearn.pipeline.Pipeline", "memory", "/tmp/pickles"),
        ("sklearn.cluster.FeatureAgglomeration", "memory", "/tmp/pickles"),
        ("sklearn.cluster.FeatureAgglomeration", "pooling_func", "os.system"),
        ("sklearn.feature_selection.SelectKBest", "score_func", "os.system"),
        ("sklearn.feature_selection.RFE", "importance_getter", "__class__.__mro__"),
        ("sklearn.neighbors.NeighborhoodComponentsAnalysis", "callback", "os.system"),
    ],
)
def test_arguments_that_read_files_take_pickles_or_call_functions_are_none(
    target: str, name: str, value: str
) -> None:
    message = refusal({"_target_": target, name: value}, "vectorizer")
    assert message.startswith(f"vectorizer.{name}: {target} takes no such argument.")


@pytest.mark.parametrize("value", [date(2020, 1, 1), b"a", Path("a"), object(), {1, 2}])
def test_what_is_no_plain_value_is_refused(value: object) -> None:
    assert "is not a number, a text, or a list" in refusal({"_target_": LOGISTIC, "C": value})


def test_values_that_are_too_deep_are_refused_and_not_followed() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    message = refusal({"_target_": LOGISTIC, "C": value})
    assert "lists and mappings are at most 20 deep" in message
    while isinstance(value, list):  # a chain is freed in a recursion
        value = value.pop()


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${x}", "${oc.create:{_target_:os.system}}"])
def test_a_text_is_a_text_and_nothing_is_looked_up_for_it(text: str) -> None:
    target = "sklearn.feature_extraction.text.CountVectorizer"
    made = instantiate.build(
        "vectorizer", {"_target_": target, "stop_words": [text]}, RandomState(0)
    )
    assert made.stop_words == [text]
    assert text in refusal({"_target_": LOGISTIC, "class_weight": text})


def test_parts_are_made_by_the_same_rules_as_the_whole() -> None:
    part: dict[str, Any] = {"_target_": f"{TEXT}.CountVectorizer", "ngram_range": [1, 2]}
    settings = {"_target_": "sklearn.pipeline.FeatureUnion", "transformer_list": [["a", part]]}
    (made,) = instantiate.build("vectorizer", settings, RandomState(0)).transformer_list
    assert made[1].ngram_range == (1, 2)
    part["max_df"] = -1.0
    message = refusal(settings, "vectorizer")
    assert message.startswith(f"vectorizer.transformer_list.0.1: {TEXT}.CountVectorizer cannot be")


def test_the_list_is_plain_and_small() -> None:
    assert allowed.FILE.stat().st_size < 40_000
    assert all(map(str.isascii, json.loads(allowed.FILE.read_text())))


# --- Hydra's own ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HOSTILE[:-3], LOGISTIC, "tagifai.preprocessing.tfidf"])
def test_hydra_makes_nothing_but_what_this_project_needs_of_it(name: str) -> None:
    with execution_whitelist(allowed.list_hydra_targets()):
        if name == "tagifai.tracking.MultirunCallback":
            assert type(hydra_instantiate({"_target_": name})).__name__ == "MultirunCallback"
            return
        with pytest.raises((InstantiationException, ValueError)):
            hydra_instantiate({"_target_": name})
