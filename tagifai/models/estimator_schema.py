"""Schemas of the usual estimators: what they consist of, so that they are saved as plain values.

An estimator of another class, or with anything in it that its schema does not name, is saved by
skops instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Rule = Callable[[Any], bool]
"""Takes a value of JSON and returns whether it is allowed."""


@dataclass(frozen=True)
class ArraySchema:
    """An array attribute.

    Args:
        shape: a name for each length; the same name means the same length.
        kinds: of its numbers, as NumPy's letters.
        optional: whether it may be missing.
        flat: whether an array of one row is stored as that row.
    """

    shape: tuple[str, ...]
    kinds: str = "f"
    optional: bool = False
    flat: bool = False


TERMS = "terms"
"""Stands for a vocabulary, which is saved as a list of its terms in the order of columns."""


@dataclass(frozen=True)
class EstimatorSchema:
    """What an estimator of one class consists of.

    Args:
        module: where the class is.
        parameters: of its constructor.
        scalars: fitted attributes.
        arrays: fitted attributes, arrays or `TERMS`.
        inner: fitted attributes that are estimators, with the name of their class.
        dropped: attributes that are not saved, because predicting does not need them.
    """

    module: str
    parameters: Mapping[str, Rule]
    scalars: Mapping[str, Rule]
    arrays: Mapping[str, ArraySchema | str]
    inner: Mapping[str, str]
    dropped: tuple[str, ...] = ()


def _instance_of(*types: type) -> Rule:
    # Not isinstance, for which True is a number.
    return lambda value: type(value) in types and (type(value) is not float or math.isfinite(value))


def _one_of(*values: Any) -> Rule:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _any_of(*rules: Rule) -> Rule:
    return lambda value: any(rule(value) for rule in rules)


def _list_of(rule: Rule) -> Rule:
    return lambda value: type(value) is list and all(map(rule, value))


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value < 2**31


def _is_range(value: Any) -> bool:
    return _list_of(WHOLE)(value) and len(value) == 2 and 1 <= value[0] <= value[1]


def _is_encoder(value: Any) -> bool:
    return type(value) is str and re.fullmatch(r"\w[\w.-]{0,99}", value) is not None


def _is_digest(value: Any) -> bool:
    return type(value) is str and re.fullmatch("[0-9a-f]{64}", value) is not None


def _dict_of(key: Rule, rule: Rule) -> Rule:
    return lambda value: (
        type(value) is dict and all(map(key, value)) and all(map(rule, value.values()))
    )


FLAG, WHOLE, NUMBER, TEXT = (
    _instance_of(bool),
    _instance_of(int),
    _instance_of(int, float),
    _instance_of(str),
)
NONE = _one_of(None)
NORM = _one_of(None, "l1", "l2")
PENALTY = _one_of(None, "l1", "l2", "elasticnet", "deprecated")
WEIGHTS = _any_of(_one_of(None, "balanced"), _dict_of(str.isdecimal, NUMBER))
NAME: Rule = lambda value: type(value) is str and value.isidentifier() and "__" not in value  # noqa: E731

ANALYSIS: dict[str, Rule] = {
    "analyzer": _one_of("char", "char_wb", "word"),
    "binary": FLAG,
    "decode_error": _one_of("strict", "ignore", "replace"),
    "dtype": _one_of("float64", "float32", "int64"),
    "encoding": TEXT,
    "input": _one_of("content"),
    "lowercase": FLAG,
    "ngram_range": _is_range,
    "preprocessor": NONE,
    "stop_words": _any_of(_one_of(None, "english"), _list_of(TEXT)),
    "strip_accents": _one_of(None, "ascii", "unicode"),
    "token_pattern": _instance_of(str, type(None)),
    "tokenizer": NONE,
}
COUNTS = ANALYSIS | {
    "max_df": NUMBER,
    "max_features": _instance_of(int, type(None)),
    "min_df": NUMBER,
    "vocabulary": NONE,
}
WEIGHTING = {"norm": NORM, "smooth_idf": FLAG, "sublinear_tf": FLAG, "use_idf": FLAG}
SOLVING = {
    "class_weight": WEIGHTS,
    "fit_intercept": FLAG,
    "max_iter": WHOLE,
    "random_state": _instance_of(int, type(None)),
    "tol": _any_of(NUMBER, NONE),
    "verbose": _instance_of(int, bool),
}
LINEAR: dict[str, ArraySchema | str] = {
    "classes_": ArraySchema(("classes",), "iu"),
    "coef_": ArraySchema(("outputs", "features")),
    "intercept_": ArraySchema(("outputs",)),
}
_TEXTS, _LINEAR = "sklearn.feature_extraction.text", "sklearn.linear_model"

ESTIMATOR_SCHEMAS: dict[str, EstimatorSchema] = {
    "TfidfTransformer": EstimatorSchema(
        _TEXTS, WEIGHTING, {"n_features_in_": WHOLE},
        {"idf_": ArraySchema(("features",), optional=True)}, {},
    ),
    "CountVectorizer": EstimatorSchema(
        _TEXTS, COUNTS, {"fixed_vocabulary_": _one_of(False)}, {"vocabulary_": TERMS}, {},
        ("_stop_words_id",),
    ),
    "TfidfVectorizer": EstimatorSchema(
        _TEXTS, COUNTS | WEIGHTING, {"fixed_vocabulary_": _one_of(False)}, {"vocabulary_": TERMS},
        {"_tfidf": "TfidfTransformer"}, ("_stop_words_id",),
    ),
    "HashingVectorizer": EstimatorSchema(
        _TEXTS,
        ANALYSIS | {"alternate_sign": FLAG, "n_features": _is_size, "norm": NORM},
        {}, {}, {},
        ("_stop_words_id",),
    ),
    "EmbeddingVectorizer": EstimatorSchema(
        # The name of an encoder is looked up where this machine's user keeps them: it is no path.
        "tagifai.preprocessing.embeddings", {"encoder": _is_encoder},
        {"digest_": _is_digest, "n_features_out_": _is_size}, {}, {},
    ),
    "FeatureUnion": EstimatorSchema(
        "sklearn.pipeline",
        {
            "n_jobs": NONE,
            "transformer_list": _instance_of(list),
            "transformer_weights": _any_of(NONE, _dict_of(NAME, NUMBER)),
            "verbose": FLAG,
            "verbose_feature_names_out": FLAG,
        },
        {}, {}, {},
    ),
    "SGDClassifier": EstimatorSchema(
        _LINEAR,
        SOLVING | {
            "alpha": NUMBER, "average": _instance_of(bool, int), "early_stopping": FLAG,
            "epsilon": NUMBER, "eta0": NUMBER, "l1_ratio": _any_of(NUMBER, NONE),
            "learning_rate": TEXT, "loss": TEXT,
            "n_iter_no_change": WHOLE, "n_jobs": _instance_of(int, type(None)), "penalty": PENALTY,
            "power_t": NUMBER, "shuffle": FLAG, "validation_fraction": NUMBER, "warm_start": FLAG,
        },
        {"n_features_in_": WHOLE, "n_iter_": WHOLE, "t_": NUMBER},
        LINEAR | {
            "_expanded_class_weight": ArraySchema(("classes",), optional=True),
            "_average_coef": ArraySchema(("outputs", "features"), optional=True, flat=True),
            "_average_intercept": ArraySchema(("outputs",), optional=True),
            "_standard_coef": ArraySchema(("outputs", "features"), optional=True, flat=True),
            "_standard_intercept": ArraySchema(("outputs",), optional=True),
        },
        {},
        # Training makes it anew.
        ("_loss_function_",),
    ),
    "LogisticRegression": EstimatorSchema(
        _LINEAR,
        SOLVING | {
            "C": NUMBER, "dual": FLAG, "intercept_scaling": NUMBER,
            "n_jobs": _instance_of(int, type(None)), "l1_ratio": _any_of(NUMBER, NONE),
            "penalty": PENALTY, "solver": TEXT,
            "warm_start": FLAG,
        },
        {"n_features_in_": WHOLE},
        LINEAR | {"n_iter_": ArraySchema(("runs",), "i")},
        {},
    ),
    "LinearSVC": EstimatorSchema(
        "sklearn.svm",
        SOLVING | {
            "C": NUMBER, "dual": _any_of(FLAG, _one_of("auto")), "intercept_scaling": NUMBER,
            "loss": TEXT, "multi_class": _one_of("ovr"), "penalty": PENALTY,
        },
        {"n_features_in_": WHOLE, "n_iter_": WHOLE},
        LINEAR,
        {},
    ),
    "ComplementNB": EstimatorSchema(
        "sklearn.naive_bayes",
        {
            "alpha": NUMBER, "class_prior": NONE, "fit_prior": FLAG, "force_alpha": FLAG,
            "norm": FLAG,
        },
        {"n_features_in_": WHOLE},
        {
            "class_count_": ArraySchema(("classes",)),
            "class_log_prior_": ArraySchema(("classes",)),
            "classes_": ArraySchema(("classes",), "iu"),
            "feature_all_": ArraySchema(("features",)),
            "feature_count_": ArraySchema(("classes", "features")),
            "feature_log_prob_": ArraySchema(("classes", "features")),
        },
        {},
    ),
}  # fmt: skip
"""Schemas by the name of the class."""

UNION_MEMBERS = (
    *("CountVectorizer", "EmbeddingVectorizer", "HashingVectorizer", "TfidfVectorizer"),
)
"""Classes that a union may consist of."""
