"""Save and load estimators: usual ones as JSON, others as a skops file, large parts beside them.

A skops file of a vectorizer with 100,000 terms takes tens of megabytes and seconds each way; the
same terms as JSON and weights as npy take two megabytes and a tenth of a second. skops itself takes
as long to import as the rest of scikit-learn that a training needs.
"""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from tagifai.exceptions import BundleError
from tagifai.models import estimator_state, limits
from tagifai.models.estimator_state import EstimatorState
from tagifai.utils import own_modules

LARGE = 64
"""Arrays and vocabularies with more items get a file of their own."""

TRUSTED = (
    "scipy.sparse._csr.csr_matrix",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beside those that skops trusts by itself: parts of scikit-learn's classifiers that have
probabilities and take sparse features. `safety.check` checks all of them before they are used."""

ADDRESSES = ("_stop_words_id",)
"""Attributes in which scikit-learn keeps an address in memory, to notice a change; not saved."""


def save(folder: Path, name: str, estimator: Any) -> dict[str, str]:
    """Write an estimator and its large parts, and return the content's digest of a skops file.

    Args:
        folder: of the bundle.
        name: of the estimator, which its files begin with.
        estimator: fitted.
    """
    state = estimator_state.extract(estimator)
    if state is None:
        return _save_skops(folder, name, estimator)
    document, large = estimator_state.serialize(state, name)
    _write_large(folder, large)
    text = json.dumps(document, indent=1, sort_keys=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return {}


def _save_skops(folder: Path, name: str, estimator: Any) -> dict[str, str]:
    import skops.io

    light, large = _detach(estimator, name)
    _write_large(folder, large)
    skops.io.dump(light, folder / f"{name}.skops")
    limits.check_skops(folder / f"{name}.skops")
    refuse_untrusted(folder / f"{name}.skops")
    return {f"{name}.skops": _digest(light)}


def _write_large(folder: Path, large: dict[str, Any]) -> None:
    for key, value in large.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{key}.npy", value, allow_pickle=False)
        else:
            text = json.dumps(value, ensure_ascii=False, indent=0)
            (folder / f"{key}.json").write_text(text + "\n", encoding="utf-8")


def _digest(value: Any) -> str:
    """Return a digest of a value's content, the same in every process."""
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
    # Anything else by what pickling would reduce it to; nothing is pickled.
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
            # The random state of the run is no part of the model.
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


def read_state(path: Path, name: str, parts: dict[str, Any]) -> EstimatorState | None:
    """Return the state of an estimator that is saved as JSON, or None if it is a skops file.

    Args:
        path: the bundle's folder, whose parts have been compared with their sums.
        name: of the estimator.
        parts: the manifest's.

    Raises:
        BundleError: a part is not what its name says.
        ValueError: the state does not follow the schema of its class.
    """
    if f"{name}.json" not in parts:
        return None
    document = json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
    large = dict(_large_parts(path, name, parts))
    state = estimator_state.deserialize(document, name, large)
    if large:
        raise ValueError(f"{min(large)} does not belong to {state.name}")
    estimator_state.check(state)
    return state


def load(path: Path, name: str, parts: dict[str, Any]) -> Any:
    """Return a fitted estimator; arguments and errors as for `read_state`.

    Raises:
        BundleError: a type is not trusted, or an index points outside of its array.
    """
    state = read_state(path, name, parts)
    return _load_skops(path, name, parts) if state is None else estimator_state.build(state)


def _load_skops(path: Path, name: str, parts: dict[str, Any]) -> Any:
    # Late: only skops files need them, and their import takes as long as a prediction.
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    from tagifai.models import safety

    file = path / f"{name}.skops"
    limits.check_skops(file)
    own = refuse_untrusted(file)
    with warnings.catch_warnings():
        # One for each estimator; the bundle warns once, of all libraries.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        estimator = skops.io.load(file, trusted=[*TRUSTED, *own])
    for key, value in _large_parts(path, name, parts):
        *inner, attribute = key.split(".")[1:]
        owner = estimator
        for step in inner:
            # The object's own attribute and not its class's, which all objects share.
            owner = dict(owner)[step] if isinstance(owner, list) else vars(owner)[step]
        if callable(getattr(type(owner), attribute, None)):
            raise BundleError(f"{path}: the part {key} would take the place of a method.")
        is_array = isinstance(value, np.ndarray)
        vars(owner)[attribute] = value if is_array else estimator_state.build_vocabulary(value)
    safety.check(estimator, str(file))
    return estimator


def refuse_untrusted(file: Path) -> set[str]:
    """Refuse a skops file with types that are trusted neither by skops, our list nor a person.

    Returns:
        The full names of the types that a person trusts: of extensions and of allowed packages.

    Raises:
        BundleError: with the types.
    """
    import skops.io

    others = set(skops.io.get_untrusted_types(file=file)) - set(TRUSTED)
    unknown = {name for name in others if not own_modules.is_known(name.rpartition(".")[0])}
    if unknown:
        raise BundleError(f"{file} holds types that are not trusted: {', '.join(sorted(unknown))}.")
    return others


def list_own_modules(folder: Path, name: str) -> set[str]:
    """Return the modules of a person's own that an estimator in a bundle needs."""
    file = folder / f"{name}.skops"
    return {own.rpartition(".")[0] for own in refuse_untrusted(file)} if file.exists() else set()


def _large_parts(path: Path, name: str, parts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield arrays and lists of terms, with their dotted names."""
    for part in parts:
        if not part.startswith(f"{name}."):
            continue
        if part.endswith(".npy"):
            with (path / part).open("rb") as file:
                limits.check_array(file, (path / part).stat().st_size, str(path / part))
            yield part.removesuffix(".npy"), np.load(path / part, allow_pickle=False)
        elif part.endswith(".json") and part != f"{name}.json":
            terms = json.loads((path / part).read_text(encoding="utf-8"))
            yield part.removesuffix(".json"), terms
