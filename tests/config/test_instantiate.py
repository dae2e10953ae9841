from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from numpy.random import RandomState
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB

from tagifai.config import extensions, instantiate
from tagifai.config.schema.experiment import (
    DisabledConfig,
    FixedThresholdConfig,
    QuantileThresholdConfig,
    RandomOverSamplerConfig,
)
from tagifai.config.schema.models import SGDConfig
from tagifai.config.schema.vectorizers import TfidfVectorizerConfig
from tagifai.exceptions import ConfigError
from tagifai.models import thresholds

SKLEARN_SGD = "sklearn.linear_model.SGDClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"
CALIBRATED = "sklearn.calibration.CalibratedClassifierCV"
VOTING = "sklearn.ensemble.VotingClassifier"


def build(group: str, settings: object, random_state: RandomState | None = None) -> Any:
    return instantiate.build(group, settings, random_state or RandomState(0))


def refusal(group: str, settings: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        build(group, dict(settings))
    return str(caught.value)


def test_a_schema_becomes_the_object_that_it_describes() -> None:
    vectorizer = build(
        "vectorizer", TfidfVectorizerConfig(analyzer="word", ngram_min=1, ngram_max=2, min_df=3)
    )
    assert type(vectorizer) is TfidfVectorizer
    assert (vectorizer.analyzer, vectorizer.ngram_range, vectorizer.min_df) == ("word", (1, 2), 3)
    model = build("model", SGDConfig(alpha=0.25, penalty="l1", loss="modified_huber"))
    assert type(model) is SGDClassifier
    assert (model.alpha, model.penalty, model.loss) == (0.25, "l1", "modified_huber")
    assert type(build("sampling", RandomOverSamplerConfig())) is RandomOverSampler
    assert build("threshold", QuantileThresholdConfig(q=0.5)) == thresholds.QuantileThreshold(0.5)
    assert build("threshold", FixedThresholdConfig(value=0.5)) == thresholds.FixedThreshold(0.5)


def test_none_leaves_the_library_s_default() -> None:
    model, default = build("model", SGDConfig()), SGDClassifier()
    assert (model.l1_ratio, model.power_t) == (default.l1_ratio, default.power_t)
    assert (
        build("vectorizer", TfidfVectorizerConfig()).token_pattern
        == TfidfVectorizer().token_pattern
    )


@pytest.mark.parametrize("settings", [None, DisabledConfig(), {}])
def test_a_group_that_is_switched_off_makes_nothing(settings: object) -> None:
    assert build("sampling", settings) is None
    assert build("threshold", settings) is None


def test_the_one_source_of_randomness_is_handed_to_what_takes_it() -> None:
    random_state = RandomState(7)
    assert build("model", SGDConfig(), random_state).random_state is random_state
    assert build("sampling", RandomOverSamplerConfig(), random_state).random_state is random_state
    given = {"_target_": SKLEARN_SGD, "loss": "log_loss", "random_state": 3}
    assert build("model", given, random_state).random_state == 3


def test_what_takes_no_randomness_is_given_none() -> None:
    model = build("model", {"_target_": "sklearn.naive_bayes.MultinomialNB", "alpha": 0.5})
    assert type(model) is MultinomialNB
    assert model.alpha == 0.5


def test_a_custom_target_takes_any_argument_of_its_own() -> None:
    target = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 10, "max_iter": 7}
    model = build("model", target)
    assert type(model) is LogisticRegression
    assert (model.C, model.max_iter) == (10, 7)
    target = {"_target_": "sklearn.feature_extraction.text.CountVectorizer", "stop_words": ["a"]}
    vectorizer = build("vectorizer", target)
    assert type(vectorizer) is CountVectorizer
    assert type(vectorizer.stop_words) is list


@pytest.mark.parametrize("settings", [{"_target_": ""}, {"_target_": None}, {"C": 1}])
def test_a_group_without_a_target_is_refused_with_what_may_stand_there(
    settings: dict[str, Any],
) -> None:
    message = refusal("model", settings)
    assert message.startswith("model._target_ is not set.")
    assert "such as sklearn.linear_model.LogisticRegression" in message


CLEAR = "sklearn.datasets.clear_data_home"
"""A function of an allowed package that removes the folder that it is given."""


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder that is gone once the function above has been called on it."""
    (tmp_path / "precious").mkdir()
    return tmp_path / "precious"


def clearing(folder: Path) -> dict[str, Any]:
    return {"_target_": CLEAR, "data_home": str(folder)}


@pytest.mark.parametrize("group", ["vectorizer", "sampling", "model", "threshold"])
def test_a_function_is_refused_before_it_is_called(group: str, precious: Path) -> None:
    assert refusal(group, clearing(precious)).startswith(
        f"{group}._target_ = {CLEAR!r} is not allowed: "
    )
    assert precious.is_dir()


@pytest.mark.parametrize("name", ["C", "class_weight"])
def test_a_function_inside_an_argument_is_refused_before_it_is_called(
    precious: Path, name: str
) -> None:
    message = refusal("model", {"_target_": LOGISTIC, name: clearing(precious)})
    assert message.startswith(f"model.{name}._target_ = {CLEAR!r} is not allowed: ")
    assert precious.is_dir()


def test_a_function_inside_a_list_or_inside_an_inner_object_is_refused_before_it_is_called(
    precious: Path,
) -> None:
    inner = {"_target_": LOGISTIC, "C": clearing(precious)}
    message = refusal("model", {"_target_": CALIBRATED, "estimator": inner})
    assert message.startswith(f"model.estimator.C._target_ = {CLEAR!r} is not allowed: ")
    message = refusal("model", {"_target_": CALIBRATED, "cv": [clearing(precious)]})
    assert message.startswith(f"model.cv.0._target_ = {CLEAR!r} is not allowed: ")
    assert precious.is_dir()


@pytest.mark.parametrize("deeper", ["lists", "mapping"])
def test_a_function_at_any_depth_is_refused_before_it_is_called(
    precious: Path, deeper: str
) -> None:
    settings: dict[str, dict[str, Any]] = {
        "lists": {"_target_": VOTING, "estimators": [["a", clearing(precious)]]},
        "mapping": {"_target_": LOGISTIC, "class_weight": {"a": clearing(precious)}},
    }
    assert f"_target_ = {CLEAR!r} is not allowed: " in refusal("model", settings[deeper])
    assert precious.is_dir()


def test_an_unknown_argument_of_an_inner_object_is_refused_with_where_it_is() -> None:
    inner = {"_target_": SKLEARN_SGD, "alhpa": 1}
    message = refusal("model", {"_target_": CALIBRATED, "estimator": inner})
    assert message.startswith(f"model.estimator.alhpa: {SKLEARN_SGD} takes no such argument.")
    assert "Did you mean 'alpha'?" in message


def test_an_unknown_argument_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    message = refusal("model", {"_target_": SKLEARN_SGD, "alhpa": 1})
    assert message.startswith(f"model.alhpa: {SKLEARN_SGD} takes no such argument.")
    assert "Did you mean 'alpha'?" in message
    assert "l1_ratio" in message
    assert "model=custom" in message


@pytest.mark.parametrize(
    ("group", "target", "lacks"),
    [
        ("model", "sklearn.preprocessing.Normalizer", "predict"),
        ("model", "tagifai.models.FixedThreshold", "predict"),
        ("vectorizer", SKLEARN_SGD, "fit_transform"),
        ("vectorizer", "imblearn.over_sampling.SMOTE", "fit_transform"),
        ("sampling", SKLEARN_SGD, "fit_resample"),
    ],
)
def test_a_class_of_another_kind_is_refused_with_the_method_that_it_lacks(
    group: str, target: str, lacks: str
) -> None:
    message = refusal(group, {"_target_": target})
    assert message == (
        f"{group}._target_ = {target!r} cannot be used as the {group}: it has no {lacks}(), or not"
        " with these arguments."
    )


def test_an_object_of_another_kind_from_a_function_is_refused() -> None:
    settings = {
        "_target_": "tagifai.preprocessing.tfidf",
        "ngram_min": 1,
        "ngram_max": 1,
    }
    message = refusal("model", settings)
    assert "cannot be used as the model: it has no predict()" in message


# --- arguments ---------------------------------------------------------------------------------


def test_no_norm_is_no_norm() -> None:
    assert build("vectorizer", TfidfVectorizerConfig(norm=None)).norm is None
    assert build("vectorizer", TfidfVectorizerConfig()).norm == "l2"
    found = build("vectorizer", TfidfVectorizerConfig(norm=None, use_idf=False)).fit_transform(
        ["aaa", "ab"]
    )
    # "aa" is twice in "aaa", and once "aaa"; a norm would make them shares.
    assert sorted(found.toarray()[0].tolist()) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("group", "target", "argument", "value"),
    [
        ("model", LOGISTIC, "C", -1),
        ("model", LOGISTIC, "solver", "newton"),
        ("model", SKLEARN_SGD, "alpha", "much"),
        ("vectorizer", "sklearn.feature_extraction.text.CountVectorizer", "analyzer", "chars"),
        ("vectorizer", "sklearn.feature_extraction.text.TfidfVectorizer", "max_df", 1.5),
    ],
)
def test_a_value_out_of_scikit_learn_s_own_range_is_refused_when_it_is_made(
    group: str, target: str, argument: str, value: object
) -> None:
    message = refusal(group, {"_target_": target, argument: value})
    assert message.startswith(f"{group}: {target} cannot be made: The '{argument}' parameter of ")
    assert f"Got {value!r} instead." in message


@pytest.mark.parametrize(
    ("group", "settings", "reason"),
    [
        ("model", {"_target_": VOTING}, "missing 1 required positional argument: 'estimators'"),
        ("vectorizer", {"_target_": "tagifai.preprocessing.tfidf", "ngram_max": 2},
         "missing 1 required positional argument: 'ngram_min'"),
    ],
)  # fmt: skip
def test_what_a_constructor_refuses_is_an_error_of_the_configuration(
    group: str, settings: dict[str, Any], reason: str
) -> None:
    message = refusal(group, settings)
    assert message.startswith(f"{group}: {settings['_target_']} cannot be made: ")
    assert reason in message
    assert "\n" not in message


def test_a_list_becomes_a_tuple_where_the_default_is_one() -> None:
    target = "sklearn.feature_extraction.text.CountVectorizer"
    settings = {"_target_": target, "ngram_range": [1, 2], "stop_words": ["the"]}
    vectorizer = build("vectorizer", settings)
    assert (vectorizer.ngram_range, vectorizer.stop_words) == ((1, 2), ["the"])
    vectorizer.fit(["the red car"])
    assert sorted(vectorizer.vocabulary_) == ["car", "red", "red car"]
    assert settings["ngram_range"] == [1, 2]


def test_a_mapping_without_a_target_is_an_argument_like_any_other() -> None:
    model = build("model", {"_target_": LOGISTIC, "class_weight": {"a": 1.0, "b": 2.0}})
    assert model.class_weight == {"a": 1.0, "b": 2.0}


# --- randomness of inner objects ---------------------------------------------------------------


def calibrated(seed: int, **inner: Any) -> Any:
    estimator = {"_target_": SKLEARN_SGD, "max_iter": 3, "tol": None, **inner}
    settings = {"_target_": CALIBRATED, "estimator": estimator, "cv": 2}
    return build("model", settings, RandomState(seed))


def probabilities(model: Any) -> Any:
    X = np.random.RandomState(0).normal(size=(40, 5))
    return model.fit(X, np.arange(40) % 2).predict_proba(X)


def test_inner_objects_get_the_run_s_randomness() -> None:
    assert isinstance(calibrated(1).estimator.random_state, RandomState)
    one, two, other = (probabilities(calibrated(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_an_inner_object_keeps_the_seed_that_it_was_given() -> None:
    assert calibrated(1, random_state=3).estimator.random_state == 3
    one, two = (probabilities(calibrated(seed, random_state=3)) for seed in (1, 2))
    assert np.array_equal(one, two)


def test_estimators_in_a_list_get_the_run_s_randomness() -> None:
    inner = {"_target_": SKLEARN_SGD, "loss": "log_loss"}
    settings = {"_target_": VOTING, "voting": "soft", "estimators": [["a", inner], ["b", inner]]}
    random_state = RandomState(0)
    model = build("model", settings, random_state)
    assert [made.random_state for _, made in model.estimators] == [random_state, random_state]


# --- functions ---------------------------------------------------------------------------------


def refused_function(name: str, key: str = "hydra.sweeper.custom_search_space") -> str:
    with pytest.raises(ConfigError) as caught:
        instantiate.locate_function(key, name)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["os.system", "mine.extend", "sklearn.base.clone", "tagifai.preprocessing.tfidf", "extend", ""],
)
def test_a_function_of_another_package_is_refused_with_how_to_allow_it(name: str) -> None:
    assert refused_function(name, "my.key") == (
        f"my.key = {name!r} is not allowed: it is not of a package of your own. Allow a package of"
        " your own in conf/config.yaml (whitelist: [package.*]), name a file of your own there"
        " (extensions: [file.py]), or allow a package by the environment:"
        " TAGIFAI_WHITELIST='package.*'."
    )


# --- packages of one's own ---------------------------------------------------------------------


MINE = """
import sys

from numpy.random import RandomState

from tagifai.config import extensions, instantiate
from tagifai.exceptions import ConfigError

print(extensions.list_patterns())
for key, make in {
    "model": lambda: instantiate.build("model", {"_target_": "mine.Model"}, RandomState(0)),
    "Model": lambda: instantiate.build("model", {"_target_": "mine.Modle"}, RandomState(0)),
    "Popen": lambda: instantiate.build("model", {"_target_": "mine.subprocess.Popen"}, None),
    "given": lambda: instantiate.build("model", {"_target_": "mine.Model", "x": 1}, None),
    "call": lambda: instantiate.build("model", {"_target_": "mine.extend", "x": 1}, None),
    "run": lambda: instantiate.locate_function("key", "mine.subprocess.run"),
    "nothing": lambda: instantiate.locate_function("key", "mine.nothing"),
    "function": lambda: instantiate.locate_function("key", "mine.extend")(1),
    "other": lambda: instantiate.locate_function("key", "minor.extend"),
}.items():
    try:
        print(key, make())
    except ConfigError as error:
        print(key, "refused", str(error).partition(" Allow")[0][:90])
"""

PACKAGE = """
import subprocess

class Model:
    def fit(self, X, y): ...
    def predict(self, X): ...
    def __repr__(self): return "my model"

def extend(number):
    return number + 1
"""


NOT_ALLOWED = (
    *("model", "Model", "Popen", "given", "call", "run", "nothing", "function", "other"),
)
ALLOWED = [
    "['mine.*']",
    "model my model",
    "Model refused model._target_ = 'mine.Modle' cannot be found. Did you mean 'Model'?",
    "Popen refused model._target_ = 'mine.subprocess.Popen' is not allowed: it is of subprocess",
    "given refused model.x: mine.Model takes no such argument. It takes: . For another class than",
    "call refused model._target_ = 'mine.extend' is not a class.",
    "run refused key = 'mine.subprocess.run' is not allowed: it is of subprocess, not of your own.",
    "nothing refused key = 'mine.nothing' cannot be found.",
    "function 2",
    "other refused key = 'minor.extend' is not allowed: it is not of a package of your own.",
]


@pytest.mark.e2e
@pytest.mark.parametrize("allowed", ["", "mine.*"])
def test_a_package_of_one_s_own_is_used_where_the_environment_allows_it(
    tmp_path: Path, allowed: str
) -> None:
    (tmp_path / "mine.py").write_text(PACKAGE)
    done = subprocess.run(
        [sys.executable, "-c", MINE],
        env={**os.environ, "PYTHONPATH": str(tmp_path), extensions.WHITELIST_VARIABLE: allowed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    if allowed:
        assert all(line[:80] == known[:80] for line, known in zip(lines, ALLOWED, strict=True))
    else:
        assert [line.split()[:2] for line in lines[1:]] == [
            [name, "refused"] for name in NOT_ALLOWED
        ]


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of something in a module that is allowed and cannot be imported."""
    (tmp_path / "broken_for_tagifai.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(extensions._given, extensions.WHITELIST_VARIABLE, "broken_for_tagifai.*")
    return "broken_for_tagifai.made"


def test_a_class_whose_module_is_broken_is_an_error_of_the_configuration(broken: str) -> None:
    message = refusal("model", {"_target_": broken})
    assert message.startswith(f"model._target_ = {broken!r} cannot be imported: ")
    assert "no_such_module_anywhere" in message


def test_a_function_whose_module_is_broken_is_an_error_of_the_configuration(broken: str) -> None:
    assert "no_such_module_anywhere" in refused_function(broken)
