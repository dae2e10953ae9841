"""Convert estimators of the usual classes to plain values and arrays, and back."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagifai.models.estimator_schema import (
    ESTIMATOR_SCHEMAS,
    NAME,
    TERMS,
    UNION_MEMBERS,
    ArraySchema,
)


@dataclass(frozen=True)
class EstimatorState:
    """An estimator as plain values and arrays.

    Args:
        name: of its class.
        parameters: of its constructor, as JSON has them; members of a union are states, too.
        fitted: its other attributes: scalars, arrays, lists of terms, and states.
    """

    name: str
    parameters: dict[str, Any]
    fitted: dict[str, Any]


def extract(estimator: Any) -> EstimatorState | None:
    """Return an estimator as plain values and arrays, or None if its schema does not cover it."""
    state = _extract_value(estimator)
    if not isinstance(state, EstimatorState):
        return None
    try:
        check(state)
    except ValueError:
        return None
    return state


def _extract_value(value: Any) -> Any:
    """Return an estimator with a schema as its state, and anything else as it is."""
    layout = ESTIMATOR_SCHEMAS.get(type(value).__name__)
    if layout is None or type(value) is not _import_class(type(value).__name__):
        return value
    parameters, fitted = value.get_params(deep=False), {}
    for key, found in vars(value).items():
        if key not in parameters and key not in layout.dropped:
            is_terms = layout.arrays.get(key) == TERMS
            fitted[key] = _terms(found) if is_terms else _plain(found)
    plain = {key: _plain(found) for key, found in parameters.items()}
    return EstimatorState(type(value).__name__, plain, fitted)


def _terms(vocabulary: Any) -> Any:
    if set(vocabulary.values()) != set(range(len(vocabulary))):
        return vocabulary
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, if possible; no rule accepts a value that JSON has not."""
    if isinstance(value, np.random.RandomState):
        # The random state of the run is no part of the model.
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.__name__ if isinstance(value, type) else _extract_value(value)


def _import_class(name: str) -> Any:
    return getattr(importlib.import_module(ESTIMATOR_SCHEMAS[name].module), name)


NO_PART = "does not belong to it"


def check(state: EstimatorState) -> None:
    """Refuse a state that does not follow its schema.

    Raises:
        ValueError: a parameter or an attribute is missing, unknown, or of a wrong type or shape;
            with its name.
    """
    sizes: dict[str, int] = {}
    _check(state, sizes)
    outputs, classes = sizes.get("outputs"), sizes.get("classes")
    if outputs is not None and outputs != (1 if classes == 2 else classes):
        raise ValueError(f"{state.name} has {classes} classes and weights for {outputs}")


def _check(state: EstimatorState, sizes: dict[str, int]) -> None:
    layout, where = ESTIMATOR_SCHEMAS[state.name], state.name
    _require_keys(where, state.parameters, set(layout.parameters))
    for key, rule in layout.parameters.items():
        if not rule(state.parameters[key]):
            raise ValueError(f"{where}: {key}={state.parameters[key]!r:.80} is not allowed")
    fitted = {*layout.scalars, *layout.arrays, *layout.inner}
    optional = {k for k, v in layout.arrays.items() if isinstance(v, ArraySchema) and v.optional}
    _require_keys(where, state.fitted, fitted, optional)
    for key, rule in layout.scalars.items():
        if not rule(state.fitted[key]):
            raise ValueError(f"{where}: {key}={state.fitted[key]!r:.80} is not allowed")
    if "n_features_in_" in state.fitted:
        _bind(sizes, "features", state.fitted["n_features_in_"], where)
    for key, array in layout.arrays.items():
        if key in state.fitted:
            _check_array(f"{where}: {key}", state.fitted[key], array, sizes)
    for key, name in layout.inner.items():
        inner = state.fitted[key]
        if not isinstance(inner, EstimatorState) or inner.name != name:
            raise ValueError(f"{where}: {key} is no {name}")
        _check(inner, sizes)
    for step in state.parameters.get("transformer_list", ()):
        if not _is_step(step):
            raise ValueError(f"{where}: {step!r:.80} is no vectorizer with a name")
        _check(step[1], {})


def _require_keys(
    where: str, found: Mapping[str, Any], known: set[str], optional: Collection[str] = ()
) -> None:
    wrong = set(found) ^ known
    wrong -= set(optional) - set(found)
    if wrong:
        key = min(wrong)
        raise ValueError(f"{where}: {key!r:.80} {'is missing' if key in known else NO_PART}")


def _check_array(where: str, value: Any, array: ArraySchema | str, sizes: dict[str, int]) -> None:
    if isinstance(array, str):
        if type(value) is not list or not all(type(term) is str for term in value):
            raise ValueError(f"{where} is no list of terms")
        if not value or len(set(value)) != len(value):
            raise ValueError(f"{where} has no terms, or one of them twice")
        _bind(sizes, "features", len(value), where)
        return
    right = isinstance(value, np.ndarray) and value.dtype.isnative
    if not right or value.dtype.kind not in array.kinds or value.dtype.itemsize not in (4, 8):
        raise ValueError(f"{where} is no array of numbers of the kind that it has")
    if array.flat and value.ndim == 1:
        value = value[None]
    if value.ndim != len(array.shape):
        raise ValueError(f"{where} has shape {value.shape}")
    for name, size in zip(array.shape, value.shape, strict=True):
        _bind(sizes, name, size, where)


def _bind(sizes: dict[str, int], name: str, size: int, where: str) -> None:
    if sizes.setdefault(name, size) != size:
        raise ValueError(f"{where} has {size} {name}, where there are {sizes[name]}")


def _is_step(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) == 2
        and NAME(value[0])
        and isinstance(value[1], EstimatorState)
        and value[1].name in UNION_MEMBERS
    )


def build(state: EstimatorState) -> Any:
    """Return the fitted estimator of a state that `check` has accepted."""
    parameters = {key: _restore_parameter(key, value) for key, value in state.parameters.items()}
    estimator = _import_class(state.name)(**parameters)
    arrays = ESTIMATOR_SCHEMAS[state.name].arrays
    for key, value in state.fitted.items():
        if arrays.get(key) == TERMS:
            vars(estimator)[key] = build_vocabulary(value)
        else:
            vars(estimator)[key] = build(value) if isinstance(value, EstimatorState) else value
    return estimator


def build_vocabulary(terms: list[str]) -> dict[str, int]:
    """Return terms with their columns."""
    return dict(zip(terms, range(len(terms)), strict=True))


def _restore_parameter(key: str, value: Any) -> Any:
    """Return a parameter as its class takes it."""
    if key == "transformer_list":
        return [(name, build(step)) for name, step in value]
    if key == "ngram_range":
        return tuple(value)
    if key == "dtype":
        return getattr(np, value)
    if key == "class_weight" and isinstance(value, dict):
        return {int(label): weight for label, weight in value.items()}
    return value


Large = dict[str, Any]
"""Arrays and lists of terms by dotted name, which are saved in files of their own."""


def serialize(state: EstimatorState, key: str) -> tuple[dict[str, Any], Large]:
    """Return a state as JSON, and its large values, which get files of their own.

    Args:
        state: of an estimator.
        key: its dotted name.
    """
    large: Large = {}

    def of(value: Any, name: str) -> Any:
        if not isinstance(value, EstimatorState):
            return value
        document, found = serialize(value, name)
        large.update(found)
        return document

    arrays = ESTIMATOR_SCHEMAS[state.name].arrays
    parameters, fitted = dict(state.parameters), {}
    if "transformer_list" in parameters:
        steps = parameters["transformer_list"]
        parameters["transformer_list"] = [
            [name, of(step, f"{key}.transformer_list.{name}")] for name, step in steps
        ]
    for name, value in state.fitted.items():
        if name in arrays:
            large[f"{key}.{name}"] = value
        else:
            fitted[name] = of(value, f"{key}.{name}")
    return {"class": state.name, "parameters": parameters, "fitted": fitted}, large


def deserialize(document: Any, key: str, large: Large) -> EstimatorState:
    """Return the state that `serialize` made a document of.

    Args:
        document: from JSON.
        key: dotted name of the estimator.
        large: values from files of their own; those that belong to the state are removed from it.

    Raises:
        ValueError: it is not such a document; with the reason.
    """
    if not isinstance(document, dict) or set(document) != {"class", "parameters", "fitted"}:
        raise ValueError(f"{key} is no estimator with a class, parameters and what was fitted")
    name, parameters, fitted = document["class"], document["parameters"], document["fitted"]
    if not isinstance(name, str) or name not in ESTIMATOR_SCHEMAS:
        raise ValueError(f"{key}: {name!r:.80} is not the name of a class that is known")
    if not isinstance(parameters, dict) or not isinstance(fitted, dict):
        raise ValueError(f"{key} has no parameters or nothing that was fitted")
    layout, parameters, fitted = ESTIMATOR_SCHEMAS[name], dict(parameters), dict(fitted)
    if "transformer_list" in layout.parameters:
        parameters["transformer_list"] = [
            [step, deserialize(inner, f"{key}.transformer_list.{step}", large)]
            for step, inner in parameters.get("transformer_list", ())
        ]
    for attribute in layout.inner:
        inner = fitted.get(attribute)
        fitted[attribute] = deserialize(inner, f"{key}.{attribute}", large)
    for attribute in layout.arrays:
        if f"{key}.{attribute}" in large:
            fitted[attribute] = large.pop(f"{key}.{attribute}")
    return EstimatorState(name, parameters, fitted)
