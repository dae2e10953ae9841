from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from tagifai.evaluation.error_analysis import (
    MOST_EXPLAINED,
    explain_words,
    find_mistakes,
    get_weights,
)
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import vectorizers
from tagifai.preprocessing.labels import LabelEncoder

X = csr_matrix(np.array([[2, 0, 1], [1, 0, 1], [0, 2, 1], [0, 1, 1], [0, 0, 3], [0, 0, 2]]))
Y = np.array([0, 0, 1, 1, 2, 2])
CLEANING = {"separate_punctuation": False, "keep": None}
TEXTS = ["cat cat purrs", "dog dog barks", "cat dog", "fish"]


def tagger(model: Any, vectorizer: Any = None) -> Tagger:
    made = vectorizer or CountVectorizer()
    features = made.fit_transform(["cat purrs", "cat", "dog barks", "dog"])
    model.fit(features, [0, 0, 1, 1])
    return Tagger(CLEANING, made, model, LabelEncoder(("cats", "dogs")), None, None)


def test_the_surest_mistakes_come_first_with_the_words_that_led_to_them() -> None:
    made = tagger(LogisticRegression())
    y_true = np.array([1, 1, 0, 0])  # the first is wrong and sure of it
    outputs = made.compute_outputs(TEXTS)
    (mistake,) = find_mistakes(made, TEXTS, y_true, outputs, limit=1)
    assert (mistake.row, mistake.label, mistake.predicted) == (0, "dogs", "cats")
    assert not mistake.is_unsure
    assert mistake.probability == outputs[0].max()
    weights, columns = made.model.coef_[0], made.vectorizer.vocabulary_
    # Both classes have one weight, with opposite signs.
    assert mistake.words is not None
    assert [word for word, _ in mistake.words] == ["cat ", "cat ", "purrs"]
    expected = [-2 * weights[columns[word.strip()]] for word, _ in mistake.words]
    assert [value for _, value in mistake.words] == pytest.approx(expected)


def test_of_a_very_long_mistake_the_beginning_is_explained() -> None:
    made = tagger(LogisticRegression())
    texts = ["cat purrs " * 1000]
    (mistake,) = find_mistakes(made, texts, np.array([1]), made.compute_outputs(texts), 1)
    assert mistake.text == texts[0]
    assert mistake.words is not None
    assert "".join(word for word, _ in mistake.words) == texts[0][:MOST_EXPLAINED]


def test_mistakes_under_the_threshold_are_apart_and_say_what_the_model_would_have() -> None:
    drafted = tagger(LogisticRegression())
    encoder = LabelEncoder(("cats", "dogs", "other"))
    made = replace(drafted, encoder=encoder, threshold=0.65, other="other")
    texts, y_true = ["cat", "cat cat purrs", "dog", "cat"], np.array([0, 1, 0, 2])
    outputs = np.array([[0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.5, 0.4, 0.1]])
    found = find_mistakes(made, texts, y_true, outputs, limit=5)
    assert [(m.row, m.predicted, m.favourite, m.is_unsure) for m in found] == [
        (1, "cats", "cats", False),
        (0, "other", "cats", True),
        (2, "other", "dogs", True),
    ]
    limited = find_mistakes(made, texts, y_true, outputs, limit=1)
    assert [m.row for m in limited] == [1, 0]


def test_where_all_is_right_there_is_no_mistake() -> None:
    made = tagger(LogisticRegression())
    outputs = made.compute_outputs(TEXTS[:2])
    assert find_mistakes(made, TEXTS[:2], np.array([0, 1]), outputs, 5) == []


@pytest.mark.parametrize(
    ("model", "vectorizer"),
    [(KNeighborsClassifier(1), None), (LogisticRegression(), HashingVectorizer())],
)
def test_without_weights_or_names_of_terms_no_word_is_said_to_have_led_to_a_mistake(
    model: Any, vectorizer: Any
) -> None:
    made = tagger(model, vectorizer)
    wrong = 1 - made.compute_outputs(TEXTS).argmax(axis=1)
    assert find_mistakes(made, TEXTS, wrong, made.compute_outputs(TEXTS), 4)[0].words is None


def test_a_model_without_probabilities_says_none() -> None:
    made = tagger(LinearSVC())
    wrong = 1 - made.compute_outputs(TEXTS).argmax(axis=1)
    assert find_mistakes(made, TEXTS, wrong, made.compute_outputs(TEXTS), 1)[0].probability is None


def test_weights_of_two_classes_are_of_both() -> None:
    model = LogisticRegression().fit(X[:4], Y[:4])
    assert get_weights(model) == pytest.approx(np.vstack([-model.coef_, model.coef_]))


def test_weights_of_naive_bayes_rank_classes_as_it_does() -> None:
    model = ComplementNB().fit(X, Y)
    found = get_weights(model)
    assert found is not None
    assert np.array_equal((X @ found.T).argmax(axis=1), model.predict(X))


def test_weights_of_a_calibrated_model_are_the_mean_of_its_machines() -> None:
    model = CalibratedClassifierCV(LinearSVC(), cv=2).fit(X, Y)
    inner = [fitted.estimator.coef_ for fitted in model.calibrated_classifiers_]
    assert len(inner) == 2
    assert get_weights(model) == pytest.approx((inner[0] + inner[1]) / 2)


WORDY = [
    "Cats purr, and purr loudly.",
    "A  dog barks\nat cats",
    "dogs bark",
    "猫 is neko: 猫が好き。",
]
BINARY = ["cats", "dogs", "dogs", "cats"]


def fitted(vectorizer: Any, cleaning: dict[str, Any], model: Any = None) -> Tagger:
    """Return a tagger of the texts above and one more class, with a vectorizer and cleaning."""
    texts, labels = [*WORDY, "fish swim"], [*BINARY, "fish"]
    encoder = LabelEncoder(tuple(sorted(set(labels))))
    draft = Tagger(cleaning, vectorizer, model, encoder, None, None)
    X = vectorizer.fit_transform(draft.clean(texts))
    made = (model or LogisticRegression()).fit(X, encoder.encode(labels))
    return Tagger(cleaning, vectorizer, made, encoder, None, None)


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        TfidfVectorizer(ngram_range=(1, 3), sublinear_tf=True, stop_words=["and"]),
        CountVectorizer(analyzer="char", ngram_range=(1, 4)),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 7), lowercase=False),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(6, 9), strip_accents="unicode"),
        vectorizers.union(1, 2, 2, 5, "char_wb", 0.7, sublinear_tf=True),
        vectorizers.union(1, 1, 2, 3, "char", 1.3, token_pattern=vectorizers.UNSPACED_WORD),
    ],
)
@pytest.mark.parametrize(
    "cleaning",
    [
        {"separate_punctuation": False, "keep": None},
        {"stopwords": ["a", "at"], "keep": r"\w", "stem": True},
    ],
)
def test_the_values_of_words_add_up_to_what_the_model_computes(
    vectorizer: Any, cleaning: dict[str, Any]
) -> None:
    made = fitted(vectorizer, cleaning)
    texts = ["Cats bark, and bark at dogs", "  purr\t猫が loudly  ", "dog", "x"]
    found = explain_words(made, texts, ["cats"] * 4, ["dogs"] * 4)
    assert found is not None
    assert ["".join(word for word, _ in words) for words in found] == texts
    values = made.vectorize(texts) @ made.model.coef_.T
    assert [sum(value for _, value in words) for words in found] == pytest.approx(
        values[:, 0] - values[:, 1]
    )
    alone = explain_words(made, texts, ["cats"] * 4)
    assert alone is not None
    assert [sum(value for _, value in words) for words in alone] == pytest.approx(
        values[:, 0] - values[:, 1:].mean(axis=1)
    )


def test_a_word_has_what_its_own_terms_add_and_one_that_is_removed_has_nothing() -> None:
    made = fitted(CountVectorizer(), {"stopwords": ["a"]})
    found = explain_words(made, ["A cats, dog cats!"], ["cats"], ["dogs"])
    weights, columns = made.model.coef_[0] - made.model.coef_[1], made.vectorizer.vocabulary_
    assert found == [
        [
            ("A ", 0.0),
            ("cats, ", pytest.approx(weights[columns["cats"]])),
            ("dog ", pytest.approx(weights[columns["dog"]])),
            ("cats!", pytest.approx(weights[columns["cats"]])),
        ]
    ]


def test_characters_of_scripts_without_spaces_are_words() -> None:
    made = fitted(CountVectorizer(analyzer="char"), {"keep": None})
    found = explain_words(made, ["猫が cats"], ["cats"])
    assert found is not None
    assert [word for word, _ in found[0]] == ["猫", "が ", "cats"]


def test_where_cleaning_changes_more_than_words_the_cleaned_ones_are_explained() -> None:
    made = fitted(CountVectorizer(), {"stopwords": ["barks at"]})
    found = explain_words(made, ["Dog barks at cats"], ["cats"])
    assert found is not None
    assert [word for word, _ in found[0]] == ["dog ", "cats"]


@pytest.mark.parametrize(
    ("vectorizer", "model"),
    [
        (HashingVectorizer(alternate_sign=False), LogisticRegression()),
        (CountVectorizer(), KNeighborsClassifier(1)),
        (CountVectorizer(tokenizer=str.split, token_pattern=None), LogisticRegression()),
    ],
)
def test_words_of_a_model_without_weights_of_terms_are_not_explained(
    vectorizer: Any, model: Any
) -> None:
    assert explain_words(fitted(vectorizer, {}, model), WORDY, BINARY) is None
