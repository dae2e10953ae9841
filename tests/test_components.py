from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from imblearn.over_sampling import RandomOverSampler
from numpy.random import RandomState
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB

from tagifai import components, thresholds
from tagifai.errors import ConfigError
from tagifai.schema.experiment import SGD, Fixed, Nothing, Quantile, RandomOver, Tfidf

SKLEARN_SGD = "sklearn.linear_model.SGDClassifier"


def build(group: str, settings: object, random_state: RandomState | None = None) -> Any:
    return components.build(group, settings, random_state or RandomState(0))


def refusal(group: str, settings: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        build(group, dict(settings))
    return str(caught.value)


def test_a_schema_becomes_the_object_that_it_describes() -> None:
    vectorizer = build("vectorizer", Tfidf(analyzer="word", ngram_min=1, ngram_max=2, min_df=3))
    assert type(vectorizer) is TfidfVectorizer
    assert (vectorizer.analyzer, vectorizer.ngram_range, vectorizer.min_df) == ("word", (1, 2), 3)
    model = build("model", SGD(alpha=0.25, penalty="l1", loss="modified_huber"))
    assert type(model) is SGDClassifier
    assert (model.alpha, model.penalty, model.loss) == (0.25, "l1", "modified_huber")
    assert type(build("sampling", RandomOver())) is RandomOverSampler
    assert build("threshold", Quantile(q=0.5)) == thresholds.Quantile(0.5)
    assert build("threshold", Fixed(value=0.5)) == thresholds.Fixed(0.5)


def test_none_leaves_the_library_s_default() -> None:
    model, default = build("model", SGD()), SGDClassifier()
    assert (model.l1_ratio, model.power_t) == (default.l1_ratio, default.power_t)
    assert build("vectorizer", Tfidf()).token_pattern == TfidfVectorizer().token_pattern


@pytest.mark.parametrize("settings", [Nothing(), {}])
def test_a_group_that_is_switched_off_makes_nothing(settings: object) -> None:
    assert build("sampling", settings) is None
    assert build("threshold", settings) is None


def test_the_one_source_of_randomness_is_handed_to_what_takes_it() -> None:
    random_state = RandomState(7)
    assert build("model", SGD(), random_state).random_state is random_state
    assert build("sampling", RandomOver(), random_state).random_state is random_state
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
    assert "sklearn.*, imblearn.*, tagifai.*" in message


@pytest.mark.parametrize("target", ["os.system", "sklearnx.Model", "sklearn", "builtins.eval"])
def test_a_target_outside_the_allowed_packages_is_refused(target: str) -> None:
    message = refusal("model", {"_target_": target})
    assert message.startswith(f"model._target_ = {target!r} is not allowed: only sklearn.*")


@pytest.mark.parametrize(
    "target", ["tagifai.files.os.getcwd", "tagifai.provenance.subprocess.check_output"]
)
def test_an_allowed_package_is_no_way_round_to_another(target: str) -> None:
    message = refusal("model", {"_target_": target})
    assert "cannot be made" in message
    assert "Hydra execution whitelist" in message


def test_a_target_inside_an_argument_is_held_to_the_same_packages() -> None:
    inner = {"_target_": "os.getcwd"}
    message = refusal("model", {"_target_": "sklearn.linear_model.LogisticRegression", "C": inner})
    assert "'os.getcwd' is not in the Hydra execution whitelist" in message


@pytest.mark.parametrize("target", ["sklearn.nowhere.Model", "sklearn.linear_model.Nothing"])
def test_a_target_that_does_not_exist_is_refused(target: str) -> None:
    message = refusal("model", {"_target_": target})
    assert message.startswith(f"model._target_ = {target!r} cannot be found: ")


def test_a_target_that_cannot_be_called_is_refused() -> None:
    message = refusal("model", {"_target_": "sklearn.linear_model"})
    assert message == "model._target_ = 'sklearn.linear_model' is not a class or a function."


def test_an_unknown_argument_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    message = refusal("model", {"_target_": SKLEARN_SGD, "alhpa": 1})
    assert message.startswith(f"model.alhpa: {SKLEARN_SGD} takes no such argument.")
    assert "Did you mean 'alpha'?" in message
    assert "l1_ratio" in message
    assert "model=custom" in message


@pytest.mark.parametrize(
    ("group", "target", "lacks"),
    [
        ("model", "sklearn.svm.LinearSVC", "a LinearSVC, which has no predict_proba()"),
        ("model", "sklearn.preprocessing.Normalizer", "a Normalizer, which has no predict_proba"),
        ("vectorizer", SKLEARN_SGD, "a SGDClassifier, which has no fit_transform()"),
        ("sampling", SKLEARN_SGD, "a SGDClassifier, which has no fit_resample()"),
        ("threshold", "tagifai.training.History", "a History, which has no fit()"),
    ],
)
def test_an_object_of_another_kind_is_refused_with_the_method_that_it_lacks(
    group: str, target: str, lacks: str
) -> None:
    message = refusal(group, {"_target_": target})
    assert f"cannot be used as the {group}: it makes {lacks}" in message


def test_a_loss_without_probabilities_is_refused() -> None:
    message = refusal("model", {"_target_": SKLEARN_SGD, "loss": "hinge"})
    assert "which has no predict_proba()" in message
