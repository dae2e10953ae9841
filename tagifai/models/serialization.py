"""Save and load estimators: usual ones as JSON and arrays, others by skops.

What an estimator is fitted to is checked by one table of attributes, whatever its class: types,
shapes, and that numbers are finite.
"""

from __future__ import annotations

import importlib
import json
import re
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from tagifai.config import strangers
from tagifai.exceptions import BundleError
from tagifai.models import part_files, skops_files

_TEXTS = "sklearn.feature_extraction.text"
MODELS = {
    **dict.fromkeys(("LogisticRegression", "SGDClassifier"), "sklearn.linear_model"),
    **dict.fromkeys(("BernoulliNB", "ComplementNB", "MultinomialNB"), "sklearn.naive_bayes"),
    "LinearSVC": "sklearn.svm",
}
STEPS = {
    **dict.fromkeys(("CountVectorizer", "HashingVectorizer", "TfidfVectorizer"), _TEXTS),
    "EmbeddingVectorizer": "tagifai.preprocessing.embeddings",
}
VECTORIZERS = {**STEPS, "FeatureUnion": "sklearn.pipeline"}
CLASSES = MODELS | VECTORIZERS | {"TfidfTransformer": _TEXTS}
"""Modules of the classes that are saved as JSON and arrays."""

SCALARS = {
    **dict.fromkeys(("n_features_in_", "n_features_out_", "n_iter_"), (int,)),
    **dict.fromkeys(("intercept_", "t_"), (float, int)),
    "digest_": (str,),
    "fixed_vocabulary_": (bool,),
}
SHAPES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("coef_", "_average_coef", "_standard_coef"), ("outputs", "features")),
    **dict.fromkeys(("intercept_", "_average_intercept", "_standard_intercept"), ("outputs",)),
    **dict.fromkeys(("feature_count_", "feature_log_prob_"), ("classes", "features")),
    **dict.fromkeys(("classes_", "class_count_", "class_log_prior_"), ("classes",)),
    **dict.fromkeys(("feature_all_", "idf_"), ("features",)),
    "_expanded_class_weight": ("classes",),
    "n_iter_": ("runs",),
}
"""Types of plain fitted attributes; of arrays the lengths, which are equal where the name is."""

TERMS, INNER, BETWEEN = "vocabulary_", "_tfidf", b"\xff"
"""Attributes that are the terms, and an estimator; a byte between terms, which no UTF-8 has."""

MOST_CLASSES, MOST_FEATURES, MOST_STEPS, LONGEST_TERM = 10_000, 2**24, 4, 40_000
"""Of a stranger: classes whose outputs have room for some thousand texts; as many columns as a
stranger may hash into; vectorizers of a union, each of which goes through every text; bytes."""

FIXED = {"input": "content"} | dict.fromkeys(("vocabulary", "tokenizer", "preprocessor"))
"""Parameters whose other values read files, are code, or take the place of what was fitted."""

WAY_OUT = " If you trust who made it: task.trusted=true, or tagifai.load(path, trusted=True)."
"""What is said of a stranger's model that is refused and may be good."""

Arrays = dict[str, Any]  # by dotted name, which begins with that of the estimator


def save(folder: Path, name: str, estimator: Any) -> None:
    """Write a fitted estimator; equal ones give equal files.

    Args:
        folder: of the bundle.
        name: that its files begin with: vectorizer or model.
        estimator: fitted.
    """
    arrays: Arrays = {}
    try:
        document = _describe(estimator, name, arrays)
        text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
        _build(json.loads(text), name, dict(arrays), CLASSES, {})
    except (ValueError, TypeError, AttributeError, KeyError):
        skops_files.save(folder / f"{name}.skops", estimator)
        return
    for key, value in arrays.items():
        np.save(folder / f"{key}.npy", value, allow_pickle=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(path: Path, name: str, parts: Any, *, stranger: bool = False) -> Any:
    """Return a fitted estimator.

    Args:
        path: the bundle's folder, whose parts have been compared with their sums.
        name: as of `save`.
        parts: names of the bundle's parts.
        stranger: whether someone else made it, whose settings have limits.

    Raises:
        BundleError, ConfigError, ValueError: a part is not what its name says, a type is not
            trusted, or a stranger's setting is past its limit.
    """
    if f"{name}.json" not in parts:
        if not stranger:
            return skops_files.load(path / f"{name}.skops")
        raise BundleError(
            f"{path}: the {name} is none of {', '.join(sorted(CLASSES))}, and compiled code would"
            f" use its numbers unchecked, so it is not taken from others.{WAY_OUT}"
        )
    own = [part for part in parts if part.startswith(f"{name}.") and part.endswith(".npy")]
    arrays = {part.removesuffix(".npy"): part_files.read_array(path / part) for part in own}
    document = part_files.read_json(path / f"{name}.json")
    if stranger:
        _refuse_excess(name, document, arrays)
    estimator = _build(document, name, arrays, {"model": MODELS}.get(name, VECTORIZERS), {})
    _require(not arrays, next(iter(arrays), ""), "", f"does not belong to the {name}")
    return estimator


def _refuse_excess(name: str, document: Any, arrays: Arrays) -> None:
    """Refuse a stranger's estimator that could hang a command or fill memory."""
    strangers.refuse_excess(name, document)
    steps = len(document["parameters"].get("transformer_list", ()))
    _require(steps <= MOST_STEPS, name, steps, f"steps: at most {MOST_STEPS}")
    for key, array in arrays.items():
        length = max(array.shape, default=0)
        if key.endswith(TERMS):
            ends = np.flatnonzero(np.append(array, BETWEEN[0]) == BETWEEN[0])
            length, longest = len(ends), np.diff(ends, prepend=-1).max()
            _require(longest <= LONGEST_TERM, key, longest, f"bytes: at most {LONGEST_TERM}")
        most = MOST_CLASSES if key.endswith("classes_") else MOST_FEATURES
        _require(length <= most, key, length, f"long: at most {most}")


def _describe(estimator: Any, key: str, arrays: Arrays) -> dict[str, Any]:
    """Return an estimator as JSON has it, if it can, and add its arrays."""
    name = type(estimator).__name__
    _require(type(estimator) is _find_class(name, CLASSES), key, name)
    parameters, fitted = estimator.get_params(deep=False), {}
    for attribute in vars(estimator).keys() - {*parameters, *skops_files.DROPPED}:
        where, value = f"{key}.{attribute}", vars(estimator)[attribute]
        if attribute == TERMS:
            terms = sorted(value, key=value.__getitem__)
            _require([value[term] for term in terms] == [*range(len(terms))], where)
            data = BETWEEN.join(term.encode() for term in terms)
            arrays[where] = np.frombuffer(data, dtype=np.uint8)
        elif isinstance(value, np.ndarray):
            arrays[where] = value
        else:
            fitted[attribute] = _describe(value, where, arrays) if attribute == INNER else value
    if name == "FeatureUnion":
        steps = dict(parameters["transformer_list"])
        described = {step: _describe(steps[step], f"{key}.{step}", arrays) for step in steps}
        parameters["transformer_list"] = [*described.items()]
    return {"class": name, "parameters": _plain(parameters), "fitted": _plain(fitted)}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, if it can be."""
    if isinstance(value, np.random.RandomState):
        return None  # the random state of the run is no part of the model
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.__name__ if isinstance(value, type) else value


def _require(right: Any, where: str, value: Any = "", wrong: str = "is not allowed") -> None:
    if not right:
        shown = "" if value == "" else f" = {value!r:.80}"
        raise ValueError(f"{where}{shown} {wrong}")


def _find_class(name: Any, allowed: Any) -> Any:
    _require(isinstance(name, str) and name in allowed, "the class", name)
    return getattr(importlib.import_module(CLASSES[name]), name)


def _restore(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return plain parameters as a class takes them."""
    found = dict(parameters)
    for key, value in FIXED.items():
        _require(found.get(key, value) == value, key, found.get(key))
    if "dtype" in found:
        _require(found["dtype"] in ("float32", "float64", "int64"), "dtype", found["dtype"])
        found["dtype"] = np.dtype(found["dtype"]).type
    if "ngram_range" in found:
        first, last = found["ngram_range"]
        right = type(first) is type(last) is int and 1 <= first <= last
        _require(right, "ngram_range", [first, last])
        found["ngram_range"] = (first, last)
    if isinstance(found.get("class_weight"), dict):
        found["class_weight"] = {int(label): one for label, one in found["class_weight"].items()}
    if "encoder" in found:  # a name of one that a person has, and no path
        _require(re.fullmatch(r"\w[\w.-]{0,99}", found["encoder"]), "encoder", found["encoder"])
    return found


def _build(document: Any, key: str, arrays: Arrays, allowed: Any, sizes: dict[str, int]) -> Any:
    """Return the estimator of a document, having taken its arrays and added to known lengths."""
    name, parameters, fitted = (document[part] for part in ("class", "parameters", "fitted"))
    _require(len(document) == 3, key, [*document])
    kind, parameters = _find_class(name, allowed), _restore(parameters)
    expected = signature(kind).parameters.keys()
    _require(parameters.keys() == expected, key, [*parameters], f"are not {[*expected]}")
    if name == "FeatureUnion":
        parameters["transformer_list"] = _build_steps(parameters, key, arrays)
    estimator = kind(**parameters)
    own = [at for at in arrays if at.rpartition(".")[0] == key]
    fitted = fitted | {at.rpartition(".")[2]: arrays.pop(at) for at in own}
    for attribute, value in fitted.items():
        vars(estimator)[attribute] = _restore_fitted(f"{key}.{attribute}", value, arrays, sizes)
    classes, outputs = sizes.get("classes"), sizes.get("outputs")
    right = outputs in (None, 1 if classes == 2 else classes)
    _require(right, key, outputs, f"rows of weights for {classes} classes")
    return estimator


def _restore_fitted(where: str, value: Any, arrays: Arrays, sizes: dict[str, int]) -> Any:
    """Return a fitted attribute as it was, having checked its type, lengths and numbers."""
    attribute, found, lengths = where.rpartition(".")[2], value, {}
    if attribute == INNER:
        return _build(value, where, arrays, ["TfidfTransformer"], sizes)
    if attribute == TERMS:
        terms = [term.decode() for term in value.tobytes().split(BETWEEN)]
        found = dict(zip(terms, range(len(terms)), strict=True))
        _require(len(found) == len(terms), where, "", "has a term twice")
        lengths = {"features": len(terms)}
    elif isinstance(value, np.ndarray):
        names, shape = SHAPES.get(attribute, ()), value.shape
        kinds = "iu" if attribute in ("classes_", "n_iter_") else "f"
        right = value.dtype.isnative and value.dtype.kind in kinds and value.dtype.itemsize > 2
        _require(right, where, value.dtype.str)
        if len(shape) == 1 and len(names) == 2 and attribute != "coef_":
            shape = (1, *shape)  # averages of two classes have no rows
        _require(names and len(shape) == len(names), where, shape)
        _require(np.isfinite(value).all(), where, "", "has values that are not finite")
        lengths = dict(zip(names, shape, strict=True))
    else:
        right = type(value) in SCALARS.get(attribute, ()) and value is not True
        _require(right, where, value)
        lengths = {"features": value} if attribute == "n_features_in_" else {}
    for name, length in lengths.items():
        known = sizes.setdefault(name, length)
        _require(0 < length == known, where, length, f"is not the number of {name}, {known}")
    return found


def _build_steps(parameters: dict[str, Any], key: str, arrays: Arrays) -> list[tuple[str, Any]]:
    """Return the vectorizers of a union, whose names are those of files and of weights."""
    steps, weights = parameters["transformer_list"], parameters["transformer_weights"]
    names = [str(step) for step, _ in steps]
    plain = all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", step) for step in names)
    right = plain and len({step.lower() for step in names}) == len(names)
    _require(right and "__" not in "".join(names), f"{key}: names of steps", names)
    _require({*(weights or ())} <= {*names}, f"{key}.transformer_weights", weights)
    return [(step, _build(one, f"{key}.{step}", arrays, STEPS, {})) for step, one in steps]
