"""Skops files: estimators that are more than plain values and arrays, such as forests.

They are read where they were made, or from someone whom a person trusts: compiled code of
scikit-learn walks trees and indexes matrices without checking bounds.
"""

from __future__ import annotations

import copy
import hashlib
import re
import warnings
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np

from tagifai.exceptions import BundleError
from tagifai.utils import own_modules

_OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
TRUSTED = (
    *("scipy.sparse._csr.csr_matrix", "sklearn.tree._tree.Tree", "sklearn.utils._bunch.Bunch"),
    *("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration"),
    *(f"{_OPTIMIZERS}.AdamOptimizer", f"{_OPTIMIZERS}.SGDOptimizer"),
)
"""Types beside those that skops trusts by itself: parts of scikit-learn's classifiers that have
probabilities and take sparse features."""

DROPPED = ("_loss_function_", "_stop_words_id")
"""Attributes that training makes anew, and an address in memory, by which a change is noticed."""


def save(file: Path, estimator: Any) -> None:
    """Write an estimator; equal ones give equal files, in every process."""
    import skops.io  # late: its import takes as long as a prediction

    skops.io.dump(_strip(estimator), file)
    refuse_untrusted(file)
    _number_anew(file)


def write_state(file: Any, state: Any) -> None:
    """Write a value with all that it holds, random states too, as `load` returns it.

    Args:
        file: anything with a method `write` for bytes.
        state: the value.
    """
    import skops.io

    skops.io.dump(state, file)


def _strip(value: Any) -> Any:
    """Return a copy of an estimator, and of those inside, without what is no part of a model."""
    if isinstance(value, np.random.RandomState):
        return None
    if type(value) in (list, tuple):
        return type(value)(map(_strip, value))
    if type(value) is dict:  # whose order may be that of other processes, or of a cache
        return {key: _strip(value[key]) for key in sorted(value, key=repr)}
    if not hasattr(value, "get_params") or isinstance(value, type):
        return value
    light = copy.copy(value)
    kept = _strip({k: found for k, found in vars(value).items() if k not in DROPPED})
    vars(light).clear()
    vars(light).update(kept)
    return light


def _number_anew(file: Path) -> None:
    """Number objects by their order and name arrays by their content, not by places in memory."""
    with ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members.pop("schema.json").decode()
    names = {
        name: hashlib.sha256(content).hexdigest() + Path(name).suffix
        for name, content in members.items()
    }
    numbers = count()
    schema = re.sub(r'(?<="__id__": )\d+', lambda _: str(next(numbers)), schema)
    schema = re.sub(r'(?<="file": ")[^"]+', lambda found: names[found[0]], schema)
    named = {names[name]: content for name, content in members.items()}
    with ZipFile(file, "w") as archive:
        for name, content in (named | {"schema.json": schema.encode()}).items():
            archive.writestr(ZipInfo(name), content)


def load(file: Path) -> Any:
    """Return the estimator of a file; errors as of `refuse_untrusted`."""
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    own = refuse_untrusted(file)
    with warnings.catch_warnings():
        # One for each estimator; the bundle warns once, of all libraries.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        return skops.io.load(file, trusted=[*TRUSTED, *own])


def refuse_untrusted(file: Path) -> set[str]:
    """Refuse a file with types that are trusted neither by skops, our list nor a person.

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


def list_own_modules(file: Path) -> set[str]:
    """Return the modules of a person's own that an estimator needs; none if there is no file."""
    return {own.rpartition(".")[0] for own in refuse_untrusted(file)} if file.exists() else set()
