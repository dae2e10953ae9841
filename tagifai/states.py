"""States: estimators of the usual classes, taken apart into plain values and arrays, and back."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tagifai.layouts import LAYOUTS, TERMS, State, check


def taken_apart(estimator: Any) -> State | None:
    """Return an estimator as plain values and arrays, or None if there is more to it."""
    state = _state(estimator)
    try:
        if isinstance(state, State):
            check(state)
            return state
    except ValueError:
        pass
    return None


def _state(value: Any) -> Any:
    """Return an estimator of the table as its state, and anything else as it is."""
    layout = LAYOUTS.get(type(value).__name__)
    if layout is None or type(value) is not _class(type(value).__name__):
        return value
    parameters, fitted = value.get_params(deep=False), {}
    for key, found in vars(value).items():
        if key not in parameters and key not in layout.dropped:
            is_terms = layout.arrays.get(key) == TERMS
            fitted[key] = _terms(found) if is_terms else _plain(found)
    plain = {key: _plain(found) for key, found in parameters.items()}
    return State(type(value).__name__, plain, fitted)


def _terms(vocabulary: Any) -> Any:
    if set(vocabulary.values()) != set(range(len(vocabulary))):
        return vocabulary
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, as far as it can be; what cannot, no rule lets through."""
    if isinstance(value, np.random.RandomState):
        # The state of the run's randomness is no part of the model.
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.__name__ if isinstance(value, type) else _state(value)


def _class(name: str) -> Any:
    return getattr(importlib.import_module(LAYOUTS[name].module), name)


def built(state: State) -> Any:
    """Return the estimator of a state that has been checked."""
    parameters = {key: _restored(key, value) for key, value in state.parameters.items()}
    estimator = _class(state.name)(**parameters)
    arrays = LAYOUTS[state.name].arrays
    for key, value in state.fitted.items():
        if arrays.get(key) == TERMS:
            vars(estimator)[key] = vocabulary(value)
        else:
            vars(estimator)[key] = built(value) if isinstance(value, State) else value
    return estimator


def vocabulary(terms: list[str]) -> dict[str, int]:
    """Return terms with their columns."""
    return dict(zip(terms, range(len(terms)), strict=True))


def _restored(key: str, value: Any) -> Any:
    """Return a parameter as its class takes it."""
    if key == "transformer_list":
        return [(name, built(step)) for name, step in value]
    if key == "ngram_range":
        return tuple(value)
    if key == "dtype":
        return getattr(np, value)
    if key == "class_weight" and isinstance(value, dict):
        return {int(label): weight for label, weight in value.items()}
    return value


Large = dict[str, Any]
"""Arrays and lists of terms by dotted name, which are kept in files of their own."""


def to_document(state: State, key: str) -> tuple[dict[str, Any], Large]:
    """Return a state as JSON, and what is kept beside it.

    Args:
        state: of an estimator.
        key: its dotted name.
    """
    large: Large = {}

    def of(value: Any, name: str) -> Any:
        if not isinstance(value, State):
            return value
        document, found = to_document(value, name)
        large.update(found)
        return document

    arrays = LAYOUTS[state.name].arrays
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


def from_document(document: Any, key: str, large: Large) -> State:
    """Return the state that `to_document` made a document of; what is used of `large` is removed.

    Raises:
        ValueError: not such a document; says why.
    """
    if not isinstance(document, dict) or set(document) != {"class", "parameters", "fitted"}:
        raise ValueError(f"{key} is no estimator with a class, parameters and what was fitted")
    name, parameters, fitted = document["class"], document["parameters"], document["fitted"]
    if not isinstance(name, str) or name not in LAYOUTS:
        raise ValueError(f"{key}: {name!r:.80} is not the name of a class that is known")
    if not isinstance(parameters, dict) or not isinstance(fitted, dict):
        raise ValueError(f"{key} has no parameters or nothing that was fitted")
    layout, parameters, fitted = LAYOUTS[name], dict(parameters), dict(fitted)
    if "transformer_list" in layout.parameters:
        parameters["transformer_list"] = [
            [step, from_document(inner, f"{key}.transformer_list.{step}", large)]
            for step, inner in parameters.get("transformer_list", ())
        ]
    for attribute in layout.inner:
        inner = fitted.get(attribute)
        fitted[attribute] = from_document(inner, f"{key}.{attribute}", large)
    for attribute in layout.arrays:
        if f"{key}.{attribute}" in large:
            fitted[attribute] = large.pop(f"{key}.{attribute}")
    return State(name, parameters, fitted)
