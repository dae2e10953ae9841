"""The bundle: a tagger on disk, in parts that anyone may read and nothing has to unpickle.

manifest.json               format, versions, and for each part the sums of its file and content
tagger.json                 cleaning, classes, threshold, rest label
vectorizer.skops            the estimator without its large parts
vectorizer.vocabulary_.json its terms, by column
model.skops, model.coef_.npy, ...
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import skops.io

from tagifai.errors import BundleError
from tagifai.files import replacing_folder, sha256, to_json
from tagifai.labels import LabelEncoder
from tagifai.provenance import LIBRARIES, versions
from tagifai.tagger import Tagger

FORMAT = 1
LARGE = 64
"""Arrays and vocabularies with more items are kept beside the estimator, as what they are."""

ADDRESSES = ("_stop_words_id",)
"""Attributes in which scikit-learn keeps a place in memory, to notice a change; it does without."""

log = logging.getLogger(__name__)


def bundle_path(stores: Path, run_id: str) -> Path:
    """Return where the bundle of a run is kept: in the run's own folder of artifacts.

    Raises:
        BundleError: not a run id, which is letters, digits, "-" and "_" only.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", run_id):
        raise BundleError(f"{run_id!r} is not a run id: those have letters, digits, - and _ only.")
    return stores / "artifacts" / run_id / "artifacts" / "bundle"


def save(path: Path, tagger: Tagger, documents: Mapping[str, str]) -> dict[str, str]:
    """Write a bundle; the folder is there as a whole or not at all.

    Args:
        path: the folder; one that is there is replaced.
        tagger: fitted.
        documents: further text files by name, such as the configuration.

    Returns:
        The SHA-256 of each part's content, which is equal for equal content. (For estimators it
        cannot be taken of the file: skops numbers its objects by their place in memory.)
    """
    with replacing_folder(path) as folder:
        content: dict[str, str] = {}
        for name in ("vectorizer", "model"):
            content |= _save_estimator(folder, name, getattr(tagger, name))
        texts = {"tagger.json": to_json(_settings(tagger)), **documents}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        parts = {}
        for file in sorted(folder.iterdir()):
            of_file = sha256(file)
            parts[file.name] = {"sha256": of_file, "content": content.get(file.name, of_file)}
        manifest = {"format": FORMAT, "versions": versions(), "parts": parts}
        (folder / "manifest.json").write_text(to_json(manifest), encoding="utf-8")
    return {name: sums["content"] for name, sums in parts.items()}


def publish(bundle: Path, stores: Path, run_id: str) -> Path:
    """Copy a bundle to where runs are loaded from, and return that place."""
    target = bundle_path(stores, run_id)
    with replacing_folder(target) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
    return target


def load(path: Path) -> Tagger:
    """Read a bundle, after every part of it has been checked.

    Raises:
        BundleError: something is missing, changed, of a newer format, or of a type that is not
            trusted.
    """
    manifest = read_manifest(path)
    settings = json.loads((path / "tagger.json").read_text(encoding="utf-8"))
    _warn_of_versions(path, manifest)
    return Tagger(
        cleaning=settings["cleaning"],
        vectorizer=_load_estimator(path, "vectorizer", manifest["parts"]),
        model=_load_estimator(path, "model", manifest["parts"]),
        encoder=LabelEncoder(tuple(settings["classes"])),
        threshold=settings["threshold"],
        other=settings["other"],
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a bundle's manifest, having compared each part with its sum."""
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        newest, parts = int(manifest["format"]), dict(manifest["parts"])
    except FileNotFoundError:
        raise BundleError(f"There is no model at {path}.") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path}: the manifest cannot be read ({error}).") from None
    if newest > FORMAT:
        raise BundleError(
            f"{path} has format {newest}, and this version of tagifai reads up to {FORMAT}."
            " Load it with the version that wrote it, or a newer one."
        )
    for name, sums in parts.items():
        _check_part(path, name, sums)
    for name in ("tagger.json", "vectorizer.skops", "model.skops"):
        if name not in parts:
            raise BundleError(f"{path}: the manifest has no part {name}.")
    return dict(manifest)


def _check_part(path: Path, name: str, sums: Any) -> None:
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise BundleError(f"{path}: {name!r} is not the name of a part.")
    file = path / name
    if file.is_symlink() or not file.is_file():
        raise BundleError(f"{path}: the part {name} is missing or not a plain file.")
    if not isinstance(sums, dict) or sha256(file) != sums.get("sha256"):
        raise BundleError(f"{path}: the part {name} is not the one that was saved.")


def _warn_of_versions(path: Path, manifest: dict[str, Any]) -> None:
    saved, here = manifest.get("versions", {}), versions()
    for name in LIBRARIES:
        if saved.get(name) != here[name]:
            log.warning(
                "%s was saved with %s %s and is loaded with %s; predictions may differ.",
                path, name, saved.get(name), here[name],
            )  # fmt: skip


def _settings(tagger: Tagger) -> dict[str, Any]:
    return {
        "cleaning": tagger.cleaning,
        "classes": list(tagger.encoder.classes),
        "threshold": tagger.threshold,
        "other": tagger.other,
    }


# --- estimators ----------------------------------------------------------------------------


def _save_estimator(folder: Path, name: str, estimator: Any) -> dict[str, str]:
    """Write an estimator and its large parts; return the content's sum of the file from skops."""
    light, large = _detach(estimator, name)
    for key, value in large.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{key}.npy", value, allow_pickle=False)
        else:
            text = json.dumps(value, ensure_ascii=False, indent=0)
            (folder / f"{key}.json").write_text(text + "\n", encoding="utf-8")
    skops.io.dump(light, folder / f"{name}.skops")
    return {f"{name}.skops": _digest(light)}


def _digest(value: Any) -> str:
    """Return a sum of a value's content, the same in every process."""
    return hashlib.sha256(json.dumps(_canonical(value)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Return a value as JSON that is equal for equal content."""
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        data = hashlib.sha256(value.tobytes()).hexdigest()
        return [value.dtype.str, list(value.shape), data]
    if isinstance(value, dict):
        return sorted(([_canonical(k), _canonical(v)] for k, v in value.items()), key=json.dumps)
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
        elif _is_large(value):
            large[key] = _terms(value) if isinstance(value, dict) else value
            delattr(light, attribute)
    return light, large


def _is_large(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.size > LARGE and value.dtype != object
    if not isinstance(value, dict) or len(value) <= LARGE:
        return False
    return all(isinstance(k, str) for k in value) and set(value.values()) == set(range(len(value)))


def _terms(vocabulary: dict[str, int]) -> list[str]:
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _load_estimator(path: Path, name: str, parts: dict[str, Any]) -> Any:
    file = path / f"{name}.skops"
    unknown = skops.io.get_untrusted_types(file=file)
    if unknown:
        raise BundleError(f"{file} holds types that are not trusted: {', '.join(unknown)}.")
    estimator = skops.io.load(file, trusted=[])
    for key, value in _large_parts(path, name, parts):
        *inner, attribute = key.split(".")[1:]
        owner = estimator
        for step in inner:
            owner = getattr(owner, step)
        setattr(owner, attribute, value)
    return estimator


def _large_parts(path: Path, name: str, parts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in parts:
        if not part.startswith(f"{name}."):
            continue
        if part.endswith(".npy"):
            yield part.removesuffix(".npy"), np.load(path / part, allow_pickle=False)
        elif part.endswith(".json"):
            terms = json.loads((path / part).read_text(encoding="utf-8"))
            yield part.removesuffix(".json"), {term: i for i, term in enumerate(terms)}
