"""Bundles: a tagger saved in parts that anyone may read and that nothing has to unpickle.

manifest.json               format, versions, and for each part the sums of its file and content
tagger.json                 cleaning, classes, threshold, temperature; outputs of a few texts
vectorizer.json             the estimator without its large parts
vectorizer.vocabulary_.json its terms, by column
model.json, model.coef_.npy, ...

An estimator that is more than plain values and arrays is a .skops file in place of the .json.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tagifai.exceptions import BundleError
from tagifai.models import serialization, verification
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import cleaning
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.utils import own_modules
from tagifai.utils.environment import are_versions, find_version_differences, get_versions
from tagifai.utils.files import compute_sha256, format_json, replace_folder_atomically

FORMAT = 3
"""The only one that is read."""

MANIFEST = "manifest.json"
"""The part that makes a folder a bundle."""

REQUIRED = ("config.yaml", "performance.json", "provenance.json", "splits.json", "tagger.json")
"""Parts of every bundle, beside those of the estimators."""

ESTIMATORS = ("vectorizer", "model")
"""Estimators of a bundle; each is a part of its own, .json or .skops."""

KINDS = (".json", ".npy", ".skops", ".txt", ".yaml")
"""Kinds of files that parts are; none of them runs code when it is read."""

log = logging.getLogger(__name__)


def get_path(stores: Path, run_id: str) -> Path:
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
    with replace_folder_atomically(path) as folder:
        content: dict[str, str] = {}
        steps = [*tagger.cleaning.get("first", ()), *tagger.cleaning.get("last", ())]
        needed = cleaning.list_own_modules(steps)
        for name in ESTIMATORS:
            content |= serialization.save(folder, name, getattr(tagger, name))
            needed |= serialization.list_own_modules(folder, name)
        texts = {"tagger.json": format_json(_describe_tagger(tagger, needed)), **documents}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        parts = {}
        for file in sorted(folder.iterdir()):
            of_file = compute_sha256(file)
            parts[file.name] = {"sha256": of_file, "content": content.get(file.name, of_file)}
        manifest = {"format": FORMAT, "versions": get_versions(), "parts": parts}
        (folder / MANIFEST).write_text(format_json(manifest), encoding="utf-8")
    return {name: sums["content"] for name, sums in parts.items()}


def publish(bundle: Path, stores: Path, run_id: str) -> Path:
    """Copy a bundle to where runs are loaded from, and return that place."""
    target = get_path(stores, run_id)
    with replace_folder_atomically(target) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
    return target


def load(path: Path, shown: str | None = None) -> Tagger:
    """Read a bundle, after every part of it has been checked.

    Args:
        path: the folder.
        shown: in messages, instead of the folder.

    Raises:
        BundleError: something is missing, changed, of another format, of a type that is not
            trusted, does not make a working model, or one that gives other outputs here.
    """
    try:
        manifest = read_manifest(path)
        _warn_of_versions(shown or path, manifest)
        return _build_tagger(path, manifest)
    except BundleError as error:
        if shown is None:
            raise
        raise BundleError(str(error).replace(str(path), shown)) from error


def _build_tagger(path: Path, manifest: dict[str, Any]) -> Tagger:
    try:
        settings = read_document(path, "tagger.json")
        own_modules.require(path, settings["needs"])
        vectorizer, model = (
            serialization.load(path, name, manifest["parts"]) for name in ESTIMATORS
        )
        tagger = Tagger(
            cleaning=settings["cleaning"],
            vectorizer=vectorizer,
            model=model,
            encoder=LabelEncoder(tuple(settings["classes"])),
            threshold=settings["threshold"],
            other=settings["other"],
            input=settings["input"],
            temperature=settings.get("temperature"),
        )
        # Parts that do not fit together are refused now and not in the middle of a file.
        tagger.predict(["model"])
        same = verification.verify_outputs(settings["probe"], tagger)
    except BundleError as error:
        raise BundleError(f"{error}{_explain_version_differences(manifest)}") from error
    except Exception as error:
        raise BundleError(
            f"{path}: the parts do not make a working model ({type(error).__name__}: {error})."
            f"{_explain_version_differences(manifest)}"
        ) from error
    if not same:
        hint = _explain_version_differences(manifest) or (
            " The libraries are the same: a part was changed, or this machine computes otherwise."
            " Train again."
        )
        raise BundleError(f"{path}: the model gives other outputs than when it was saved.{hint}")
    return tagger


def read_document(path: Path, name: str) -> Any:
    """Return a JSON document of a bundle whose manifest has been checked."""
    return json.loads((path / name).read_text(encoding="utf-8"))


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a bundle's manifest, having compared each part with its sum."""
    try:
        if (path / MANIFEST).is_symlink():
            raise ValueError("it is a link")
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        check_format(path, manifest["format"], FORMAT)
        parts = dict(manifest["parts"])
        if not are_versions(manifest["versions"]):
            raise ValueError("versions of the libraries are expected")
    except FileNotFoundError:
        raise BundleError(f"There is no model at {path}.") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(f"{path}: the manifest cannot be read ({error}).") from None
    for name, sums in parts.items():
        _check_part(path, name, sums)
    for name in REQUIRED:
        if name not in parts:
            raise BundleError(f"{path}: the manifest has no part {name}.")
    for name in ESTIMATORS:
        kinds = [kind for kind in (".json", ".skops") if f"{name}{kind}" in parts]
        if len(kinds) != 1:
            found = (
                f"has both {name}.json and {name}.skops"
                if kinds
                else f"has no part {name}.json or {name}.skops"
            )
            raise BundleError(f"{path}: the manifest {found}.")
    return dict(manifest)


def check_format(path: Path, found: Any, known: int) -> None:
    """Refuse what another version has written in another form.

    Args:
        path: of what was written.
        found: number of its format.
        known: the number that this version writes, and reads.

    Raises:
        BundleError: it has another format.
        ValueError: it has no number.
    """
    if type(found) is not int:
        raise ValueError("it has no format number")
    if found != known:
        raise BundleError(
            f"{path} has format {found}, and this version of tagifai reads format {known} only:"
            " train it again, or use the version that wrote it."
        )


def is_part(name: str) -> bool:
    """Return whether a file of this name can be a part of a bundle."""
    plain = re.fullmatch(r"[A-Za-z]\w*([.-]\w+)*", name) and "__" not in name
    return bool(plain) and name.endswith(KINDS)


def _check_part(path: Path, name: str, sums: Any) -> None:
    if not is_part(name):
        raise BundleError(
            f"{path}: {name!r} is not the name of a part; those are files of"
            f" {', '.join(KINDS)} in the bundle's own folder."
        )
    file = path / name
    if file.is_symlink() or not file.is_file():
        raise BundleError(f"{path}: the part {name} is missing or not a plain file.")
    if not isinstance(sums, dict) or compute_sha256(file) != sums.get("sha256"):
        raise BundleError(f"{path}: the part {name} is not the one that was saved.")


def _warn_of_versions(where: str | Path, manifest: dict[str, Any]) -> None:
    saved, here = map(", ".join, find_version_differences(manifest["versions"]))
    if saved:
        log.warning(
            "%s was saved with %s and is loaded with %s; predictions may differ.",
            where,
            saved,
            here,
        )


def _explain_version_differences(manifest: dict[str, Any]) -> str:
    """Return how versions differ and the way out, for an error; nothing if they do not."""
    saved, here = find_version_differences(manifest["versions"])
    if not saved:
        return ""
    wanted = " ".join(item.replace(" ", "==") for item in saved)
    return (
        f" It was saved with {', '.join(saved)}, and here is {', '.join(here)}: install what saved"
        f" it (pip install {wanted}), or train again."
    )


def _describe_tagger(tagger: Tagger, needed: Collection[str]) -> dict[str, Any]:
    files = {module: own_modules.find_file(module) for module in sorted(needed)}
    return {
        "cleaning": tagger.cleaning,
        "classes": list(tagger.encoder.classes),
        "threshold": tagger.threshold,
        "other": tagger.other,
        "input": tagger.input,
        # Only where there is one, so that all others are as they were before there was any.
        **({} if tagger.temperature is None else {"temperature": tagger.temperature}),
        "needs": {module: None if file is None else file.name for module, file in files.items()},
        "probe": verification.record_outputs(tagger),
    }
