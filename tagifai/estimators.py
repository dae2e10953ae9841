"""Estimators on disk: a skops file, and beside it the large parts as what they are.

A skops file of a vectorizer with 100,000 terms takes tens of megabytes and seconds each way; the
same terms as JSON and weights as npy take two megabytes and a tenth of a second.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.tree._tree import Tree

from tagifai.errors import BundleError

LARGE = 64
"""Arrays and vocabularies with more items are kept beside the estimator, as what they are."""

TRUSTED = (
    "scipy.sparse._csr.csr_matrix",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beside those that skops trusts by itself: what scikit-learn's classifiers are made of that
have probabilities and take sparse features. Trees are looked at before they are used."""

ADDRESSES = ("_stop_words_id",)
"""Attributes in which scikit-learn keeps a place in memory, to notice a change; it does without."""


def save(folder: Path, name: str, estimator: Any) -> dict[str, str]:
    """Write an estimator and its large parts; return the content's sum of the file from skops."""
    light, large = _detach(estimator, name)
    for key, value in large.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{key}.npy", value, allow_pickle=False)
        else:
            text = json.dumps(value, ensure_ascii=False, indent=0)
            (folder / f"{key}.json").write_text(text + "\n", encoding="utf-8")
    skops.io.dump(light, folder / f"{name}.skops")
    refuse_untrusted(folder / f"{name}.skops")
    return {f"{name}.skops": _digest(light)}


def _digest(value: Any) -> str:
    """Return a sum of a value's content, the same in every process."""
    return hashlib.sha256(json.dumps(_canonical(value)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Return a value as JSON that is equal for equal content."""
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return [value.dtype.str, _canonical(value.tolist())]
    if isinstance(value, np.ndarray):
        data = hashlib.sha256(value.tobytes()).hexdigest()
        return [value.dtype.str, list(value.shape), data]
    if isinstance(value, dict):
        items = ((k, v) for k, v in value.items() if k not in ADDRESSES)
        return sorted(([_canonical(k), _canonical(v)] for k, v in items), key=json.dumps)
    if isinstance(value, set | frozenset):
        return sorted(map(_canonical, value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    # Anything else by what pickling would take it apart into; nothing is pickled.
    return [_canonical(type(value)), _canonical(value.__reduce_ex__(2)[1:3])]


def _detach(estimator: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """Return a copy without large arrays and vocabularies, and these by dotted name."""
    light = copy.copy(estimator)
    large: dict[str, Any] = {}
    for attribute, value in sorted(vars(estimator).items()):
        key = f"{name}.{attribute}"
        if attribute in ADDRESSES:
            delattr(light, attribute)
        elif isinstance(value, np.random.RandomState):
            # The state of the run's randomness is no part of the model.
            setattr(light, attribute, None)
        elif hasattr(value, "get_params") and not isinstance(value, type):
            inner, found = _detach(value, key)
            setattr(light, attribute, inner)
            large |= found
        elif _is_named(value):
            steps = [(step, _detach(inner, f"{key}.{step}")) for step, inner in value]
            setattr(light, attribute, [(step, inner) for step, (inner, _) in steps])
            for _, (_, found) in steps:
                large |= found
        elif _is_large(value):
            large[key] = _terms(value) if isinstance(value, dict) else value
            delattr(light, attribute)
    return light, large


def _is_named(value: Any) -> bool:
    """Return whether a value is a list of estimators with names, as a union's are."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, tuple) and len(item) == 2 for item in value)
        and all(isinstance(name, str) and name.isidentifier() for name, _ in value)
        and all(hasattr(inner, "get_params") for _, inner in value)
    )


def _is_large(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.size > LARGE and not value.dtype.hasobject
    if not isinstance(value, dict) or len(value) <= LARGE:
        return False
    return all(isinstance(k, str) for k in value) and set(value.values()) == set(range(len(value)))


def _terms(vocabulary: dict[str, int]) -> list[str]:
    return sorted(vocabulary, key=vocabulary.__getitem__)


def load(path: Path, name: str, parts: dict[str, Any]) -> Any:
    """Read an estimator and put its large parts back.

    Args:
        path: the bundle's folder, whose parts have been compared with their sums.
        name: of the estimator.
        parts: the manifest's.

    Raises:
        BundleError: a type that is not trusted.
    """
    file = path / f"{name}.skops"
    refuse_untrusted(file)
    estimator = skops.io.load(file, trusted=list(TRUSTED))
    for key, value in _large_parts(path, name, parts):
        *inner, attribute = key.split(".")[1:]
        owner = estimator
        for step in inner:
            # Of the object itself and not of its class, which all others share.
            owner = dict(owner)[step] if isinstance(owner, list) else vars(owner)[step]
        if callable(getattr(type(owner), attribute, None)):
            raise BundleError(f"{path}: the part {key} would take the place of a method.")
        vars(owner)[attribute] = value
    _check_trees(estimator, file)
    return estimator


def _check_trees(value: Any, file: Path, features: int | None = None) -> None:
    """Refuse decision trees whose nodes point outside of them: walking one is not checked.

    Args:
        value: anything with trees in it.
        file: for the error.
        features: those that the tree's own estimator lets through.
    """
    if isinstance(value, Tree):
        _check_tree(value, file, value.n_features if features is None else features)
    elif isinstance(value, dict):
        _check_trees(list(value.values()), file, features)
    elif isinstance(value, list | tuple) or _holds_objects(value):
        for item in value:
            _check_trees(item, file, features)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        if isinstance(value, BaseGradientBoosting):
            # It hands its features to the trees themselves, past their estimators.
            for inner in value.estimators_.ravel():
                _check_tree(inner.tree_, file, value.n_features_in_)
        _check_trees(vars(value), file, getattr(value, "n_features_in_", features))


def _check_tree(tree: Any, file: Path, features: int) -> None:
    left, right, nodes = tree.children_left, tree.children_right, np.arange(tree.node_count)
    for child in (left, right):
        if not (((child > nodes) & (child < tree.node_count)) | (child == -1)).all():
            raise BundleError(f"{file} holds a decision tree that is not one.")
    if ((left == -1) != (right == -1)).any():
        raise BundleError(f"{file} holds a decision tree with half a node.")
    tested = tree.feature[left != -1]
    if tree.n_features != features or ((tested < 0) | (tested >= features)).any():
        raise BundleError(f"{file} holds a decision tree over features that it does not have.")


def _holds_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.hasobject


def refuse_untrusted(file: Path) -> None:
    """Refuse a skops file with types that neither skops nor our list trusts.

    Raises:
        BundleError: with the types.
    """
    unknown = set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED)
    if unknown:
        raise BundleError(f"{file} holds types that are not trusted: {', '.join(sorted(unknown))}.")


def _large_parts(path: Path, name: str, parts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in parts:
        if not part.startswith(f"{name}."):
            continue
        if part.endswith(".npy"):
            yield part.removesuffix(".npy"), np.load(path / part, allow_pickle=False)
        elif part.endswith(".json"):
            terms = json.loads((path / part).read_text(encoding="utf-8"))
            yield part.removesuffix(".json"), {term: i for i, term in enumerate(terms)}
