"""Bundles: a tagger saved in parts that anyone may read and that nothing has to unpickle.

manifest.json               format, versions, the SHA-256 of each part, and for good who it is
                            from, if that is someone else
tagger.json                 cleaning, classes, threshold, temperature; outputs of a few texts
vectorizer.json             the estimator without its arrays, or all of it in vectorizer.skops
vectorizer.vocabulary_.npy  its terms by column, as UTF-8 with a byte 255 between
model.json, model.coef_.npy, ...
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import part_files, serialization, skops_files, verification
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import cleaning
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.utils import own_modules
from tagifai.utils.environment import are_versions, find_version_differences, get_versions
from tagifai.utils.files import compute_sha256, format_json, replace_folder_atomically, write_json
from tagifai.utils.state import reading

FORMAT, MANIFEST = 4, "manifest.json"
"""The only format that is read; the part that makes a folder a bundle."""

REQUIRED = ("config.yaml", "performance.json", "provenance.json", "splits.json", "tagger.json")
ESTIMATORS = ("vectorizer", "model")
"""Parts of every bundle; each estimator is a part of its own, .json or .skops."""

KINDS = (".json", ".npy", ".skops", ".txt", ".yaml")
"""Kinds of files that parts are; none of them runs code when it is read."""

IMPORTED = "imported"
"""The manifest's key for where a bundle is from, if it is a stranger's; it is there for good."""

log = logging.getLogger(__name__)


def get_path(stores: Path, run_id: str) -> Path:
    """Return where the bundle of a run is kept: in the run's own folder of artifacts.

    Raises:
        BundleError: not a run id, which is letters, digits, "-" and "_" only.
    """
    if not reading.RUN_ID.fullmatch(run_id):
        raise BundleError(f"{run_id!r} is not a run id: those have letters, digits, - and _ only.")
    return stores / "artifacts" / run_id / "artifacts" / "bundle"


def save(path: Path, tagger: Tagger, documents: Mapping[str, str]) -> dict[str, str]:
    """Write a bundle; the folder is there as a whole or not at all.

    Args:
        path: the folder; one that is there is replaced.
        tagger: fitted.
        documents: further text files by name, such as the configuration.

    Returns:
        The SHA-256 of each part, which is equal for equal content.
    """
    with replace_folder_atomically(path) as folder:
        steps = [*tagger.cleaning.get("first", ()), *tagger.cleaning.get("last", ())]
        needed = cleaning.list_own_modules(steps)
        for name in ESTIMATORS:
            serialization.save(folder, name, getattr(tagger, name))
            needed |= skops_files.list_own_modules(folder / f"{name}.skops")
        texts = {"tagger.json": format_json(_describe_tagger(tagger, needed)), **documents}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        parts = {file.name: compute_sha256(file) for file in sorted(folder.iterdir())}
        manifest = {"format": FORMAT, "versions": get_versions(), "parts": parts}
        write_json(folder / MANIFEST, manifest)
    return parts


def publish(
    bundle: Path, stores: Path, run_id: str, imported: Mapping[str, Any] | None = None
) -> Path:
    """Copy a bundle to where runs are loaded from, and return that place.

    Args:
        bundle: its folder.
        stores: the folder of stores.
        run_id: of the run.
        imported: where it is from, if someone else made it: it is marked as a stranger's.
    """
    target = get_path(stores, run_id)
    with replace_folder_atomically(target) as folder:
        for file in bundle.iterdir():
            shutil.copyfile(file, folder / file.name, follow_symlinks=False)
        if imported is not None:
            manifest = part_files.read_json(folder / MANIFEST)
            write_json(folder / MANIFEST, manifest | {IMPORTED: dict(imported)})
    return target


def load(path: Path, shown: str | None = None, *, stranger: bool | None = None) -> Tagger:
    """Read a bundle, after every part of it has been checked.

    Args:
        path: the folder.
        shown: in messages, instead of the folder.
        stranger: whether its settings have limits; None is whether its mark says so.

    Raises:
        BundleError: something is missing, changed, of another format, of a type that is not
            trusted, does not make a working model, or one that gives other outputs here.
    """
    try:
        manifest = read_manifest(path)
        if stranger is None:
            stranger = IMPORTED in manifest and not manifest[IMPORTED].get("trusted")
        saved, here = find_version_differences(manifest["versions"])
        hint = ""
        if saved:
            there, present = ", ".join(saved), ", ".join(here)
            text = "%s was saved with %s and is loaded with %s; predictions may differ."
            log.warning(text, shown or path, there, present)
            wanted = " ".join(one.replace(" ", "==") for one in saved)
            hint = f" It was saved with {there}, and here is {present}: install what saved it"
            hint += f" (pip install {wanted}), or train again."
        return _build_tagger(path, manifest["parts"], stranger, hint)
    except BundleError as error:
        raise BundleError(str(error).replace(str(path), shown or str(path))) from error


def _build_tagger(path: Path, parts: Collection[str], stranger: bool, hint: str) -> Tagger:
    try:
        settings = read_document(path, "tagger.json")
        own_modules.require(path, settings["needs"])
        verification.check_settings(settings, stranger=stranger)
        vectorizer, model = (
            serialization.load(path, name, parts, stranger=stranger) for name in ESTIMATORS
        )
        kept = {name: settings[name] for name in ("cleaning", "threshold", "other", "input")}
        kept["temperature"] = settings.get("temperature")
        encoder = LabelEncoder(tuple(settings["classes"]))
        tagger = Tagger(vectorizer=vectorizer, model=model, encoder=encoder, **kept)
        # Parts that do not fit together are refused now and not in the middle of a file.
        tagger.predict(["model"])
        same = verification.verify_outputs(settings["probe"], tagger, stranger=stranger)
    except MemoryError:
        raise
    except ConfigError as error:
        raise BundleError(f"{path}: {error}{serialization.WAY_OUT}") from None
    except BundleError as error:
        raise BundleError(f"{error}{hint}") from error
    except Exception as error:
        why = f"({type(error).__name__}: {error!s:.400})"
        raise BundleError(f"{path}: the parts do not make a working model {why}.{hint}") from error
    if not same:
        why = " The libraries are the same: a part was changed, or this machine computes otherwise."
        hint = hint or f"{why} Train again."
        raise BundleError(f"{path}: the model gives other outputs than when it was saved.{hint}")
    return tagger


def read_document(path: Path, name: str, *keys: str) -> Any:
    """Return a JSON document of a bundle whose manifest has been checked, or an object inside."""
    found = part_files.read_json(path / name)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if keys and not isinstance(found, dict):
        raise BundleError(f"{path}/{name} has no {'.'.join(keys)}.")
    return found


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a bundle's manifest, having compared each part with its sum."""
    if not (path / MANIFEST).exists():
        raise BundleError(f"There is no model at {path}.")
    _check_part(path, MANIFEST)
    manifest = part_files.read_json(path / MANIFEST)
    check_format(path, manifest, FORMAT)
    parts, mark = manifest.get("parts"), manifest.get(IMPORTED, {})
    right = are_versions(manifest.get("versions")) and isinstance(mark, dict)
    if not right or not isinstance(parts, dict):
        wanted = "versions of the libraries are expected, parts, and where it is from"
        raise BundleError(f"{path}: the manifest cannot be read ({wanted}).")
    for name, sha256 in parts.items():
        _check_part(path, name)
        if compute_sha256(path / name) != sha256:
            raise BundleError(f"{path}: the part {name} is not the one that was saved.")
    for name in (*REQUIRED, *ESTIMATORS):
        files = [name] if name in REQUIRED else [f"{name}.json", f"{name}.skops"]
        found = [file for file in files if file in parts]
        if len(found) != 1:
            wrong = f"both {' and '.join(found)}" if found else f"no part {' or '.join(files)}"
            raise BundleError(f"{path}: the manifest has {wrong}.")
    return dict(manifest)


def is_imported(path: Path) -> bool:
    """Return whether a bundle is a stranger's; errors as of `read_manifest`."""
    return IMPORTED in read_manifest(path)


def check_format(path: Path, document: Any, known: int) -> None:
    """Refuse what another version has written in another form.

    Args:
        path: of what was written.
        document: JSON that says its format.
        known: the number that this version writes, and reads.

    Raises:
        BundleError: it has another format, or none.
    """
    found = document.get("format") if isinstance(document, dict) else None
    if type(found) is not int:
        raise BundleError(f"{path}: the manifest cannot be read (it has no format number).")
    if found != known:
        raise BundleError(
            f"{path} has format {found}, and this version of tagifai reads format {known} only:"
            " train it again, or use the version that wrote it."
        )


def is_part(name: str) -> bool:
    """Return whether a file of this name can be a part of a bundle."""
    plain = re.fullmatch(r"[A-Za-z]\w*([.-]\w+)*", name, re.ASCII) and "__" not in name
    return bool(plain) and len(name) <= 250 and name.endswith(KINDS)


def _check_part(path: Path, name: str) -> None:
    if not is_part(name):
        raise BundleError(
            f"{path}: {name!r} is not the name of a part; those are files of"
            f" {', '.join(KINDS)} in the bundle's own folder."
        )
    if (path / name).is_symlink() or not (path / name).is_file():
        raise BundleError(f"{path}: the part {name} is missing or not a plain file.")


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
