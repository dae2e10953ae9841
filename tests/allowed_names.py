"""Write the list of what a configuration may name: `python -m tests.allowed_names`.

It is what scikit-learn and imbalanced-learn find of themselves, without what reads files, takes
pickles, calls what it is given, or sets parameters of others later, past all checks.
"""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from typing import Any

from tagifai.config.allowed import FILE

KINDS = ["classifier", "transformer"]

VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")

CLASSES_LEFT_OUT = {
    *("sklearn.preprocessing.FunctionTransformer", "imblearn.base.FunctionSampler"),
    *("sklearn.model_selection.GridSearchCV", "sklearn.model_selection.RandomizedSearchCV"),
}
"""The first two call a function; the searches set any parameter of what is inside of them."""

PARAMETERS_LEFT_OUT = {
    "input",  # "filename" reads files
    "memory",  # a folder of pickles
    "pre_dispatch",  # an expression that joblib computes
    "importance_getter",  # a path of attributes
    "verbose_feature_names_out",  # a format, which may look into objects
}

OWN = (
    *("tagifai.models.AutoThreshold", "tagifai.models.FixedThreshold"),
    *("tagifai.models.QuantileThreshold", "tagifai.models.TunedThreshold"),
    *("tagifai.preprocessing.EmbeddingVectorizer", "tagifai.preprocessing.counts"),
    *("tagifai.preprocessing.hashing", "tagifai.preprocessing.tfidf"),
    *("tagifai.preprocessing.tfidf_embedding", "tagifai.preprocessing.union"),
)
"""What this package makes, and nothing else of it."""

PASSED_ON = {
    "counts": ("CountVectorizer", {"ngram_range"}),
    "hashing": ("HashingVectorizer", {"ngram_range", "alternate_sign"}),
    "tfidf": ("TfidfVectorizer", {"ngram_range"}),
    "tfidf_embedding": ("TfidfVectorizer", {"ngram_range", "analyzer"}),
    "union": ("TfidfVectorizer", {"ngram_range", "analyzer"}),
}
"""Whose arguments a function takes beside its own, without those that it gives itself."""


def discover() -> dict[str, list[str]]:
    """Return the parameters of all that may be named, by public name."""
    found = {
        name: parameters
        for made in _discover_classes()
        if (name := _get_public_name(made)) not in CLASSES_LEFT_OUT
        and (parameters := _list_parameters(made)) is not None
    }
    found |= {name: _list_own_parameters(name, found) for name in OWN}
    return dict(sorted(found.items()))


def _discover_classes() -> list[type]:
    from imblearn.utils.testing import all_estimators as discover_imblearn
    from sklearn.feature_extraction import text
    from sklearn.pipeline import Pipeline
    from sklearn.utils.discovery import all_estimators as discover_sklearn

    with warnings.catch_warnings(action="ignore"):
        found = [made for _, made in discover_sklearn(type_filter=KINDS)]
        own = [made for _, made in discover_imblearn()]
    found += [made for made in own if hasattr(made, "fit_resample") or hasattr(made, "predict")]
    return [*found, Pipeline, *(getattr(text, name) for name in VECTORIZERS)]


def _get_public_name(made: type) -> str:
    """Return the name by which a class is documented: of the last package that is not private."""
    parts = made.__module__.split(".")
    private = [number for number, part in enumerate(parts) if part.startswith("_")]
    modules = parts[: private[0]] if private else parts
    module = ".".join(modules)
    assert getattr(importlib.import_module(module), made.__name__) is made
    return f"{module}.{made.__name__}"


def _list_parameters(made: type) -> list[str] | None:
    """Return the parameters that take plain values; None if one is needed that does not."""
    constraints: dict[str, Any] = getattr(made, "_parameter_constraints", {})
    kept = []
    for name, parameter in inspect.signature(made).parameters.items():
        takes = constraints.get(name)
        only_callable = isinstance(takes, list) and {*map(id, takes)} <= {id(callable), id(None)}
        if name not in PARAMETERS_LEFT_OUT and not only_callable:
            kept.append(name)
        elif parameter.default is parameter.empty:
            return None
    return sorted(kept)


def _list_own_parameters(name: str, known: dict[str, list[str]]) -> list[str]:
    module, _, own = name.rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), own)).parameters
    named = {key for key, value in parameters.items() if value.kind is not value.VAR_KEYWORD}
    if own in PASSED_ON:
        vectorizer, given = PASSED_ON[own]
        named |= {*known[f"sklearn.feature_extraction.text.{vectorizer}"]} - given
    if own == "tfidf_embedding":
        named |= {*_list_own_parameters("tagifai.preprocessing.union", known)}
    return sorted(named)


def format_names(names: dict[str, list[str]]) -> str:
    """Return the file's text, with a line for each name."""
    lines = [f"{json.dumps(name)}: {json.dumps(parameters)}" for name, parameters in names.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(format_names(discover()), encoding="utf-8")
