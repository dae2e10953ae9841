"""Read the records of a run's bundle: its rows, its configuration, its provenance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tagifai.config import instantiate, paths, strangers
from tagifai.config.schema import EXPERIMENT_GROUPS, SCHEMA_CLASSES, Config, check
from tagifai.config.texts import check_plain_yaml, escape, parse_yaml
from tagifai.data import dataset_store, datasets, prepare
from tagifai.data.blocks import Blocks
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import BundleError, ConfigError, DataError
from tagifai.models import bundles
from tagifai.preprocessing.labels import build_label_map as labels_of

CHUNK_ROWS = 20_000
"""Rows of a data set that are in memory at a time."""

LOCAL_GROUPS = ("tracking", "console", "cache", "plots", "paths")
"""Groups that describe where a run is made, and not the run itself."""

LATER_SETTINGS = frozenset(
    {
        *("data.keep", "split.near_duplicates", "training.max_rows", "training.resume"),
        *("model.C", "vectorizer.token_pattern"),
        *("data.max_download_mb", "data.max_download_seconds", "data.max_unpacked_ratio"),
    }
)
"""Settings that there were none of at first; their defaults are what was done without them."""


def load_part(bundle: Path, stores: Path, part: str = "test") -> tuple[list[str], list[str]]:
    """Return texts, not cleaned, and labels of a part of a run's rows, in the run's order.

    Args:
        bundle: of the run; it says which rows of which data set.
        stores: the folder of stores, which has the data set.
        part: train, val or test.

    Raises:
        BundleError: the bundle does not say which rows.
        DataError: the data set is gone from the store, or another one by now.
    """
    splits = bundles.read_document(bundle, "splits.json")
    try:
        name, digest = splits["data"]["name"], splits["data"]["digest"]
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{digest!r} is no digest")
        policy, ids = splits["policy"], splits[part]
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"{name!r} is not the name of a data set")
        if type(ids) is not list or len({*ids}) < len(ids):
            raise ValueError(f"the {part} rows are no list of different ids")
        rows, counts = _read_rows(dataset_store.get_by_digest(name, digest, stores), part, ids)
        labels = rows["tag"].map(labels_of(counts, **policy))
        if labels.isna().any():
            raise ValueError(f"by {policy} a row has no label")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{bundle}: splits.json does not say which rows ({error}).") from None
    return prepare.get_raw_texts(rows).tolist(), labels.tolist()


def _read_rows(dataset: Dataset, part: str, ids: list[str]) -> tuple[pd.DataFrame, Counter[str]]:
    """Return rows of a part, in the order of their ids, and how many rows each tag has in all."""
    if len(ids) > dataset.manifest["rows"]:
        raise ValueError(f"there are {len(ids)} ids, and {dataset.manifest['rows']} rows")
    # Validation and test rows may have been cut from the train rows of the data.
    own = {part} if part in dataset.manifest["parts"] else {"train"}
    # Some at a time: of the whole table there may be more than memory has room for.
    stored = Blocks.from_path(dataset.path, CHUNK_ROWS)
    counts: Counter[str] = Counter()
    found = []
    for table in stored.read_in_order(CHUNK_ROWS):
        counts.update(table["tag"].tolist())
        asked = table["id"].isin(ids)
        # Ids tell the rows of a part apart, and no more.
        found.append(table[asked & table["split"].isin(own) if "split" in table else asked])
    return pd.concat(found).set_index("id").loc[ids], counts


def load_dataset(bundle: Path, config: Config, *, progress: bool = False) -> Dataset:
    """Return the data set that a run was trained with, or what its source has by now.

    Args:
        bundle: of the run.
        config: its configuration, with the present folders.
        progress: show a bar for downloads.

    Raises:
        DataError: it is not in the store, and cannot be made again; for a run that was imported,
            nobody looks where its record says.
    """
    stores = Path(config.paths.stores)
    digest = str(bundles.read_document(bundle, "splits.json", "data").get("digest"))
    kept = dataset_store.find_by_digest(config.data.name, digest, stores)
    if kept is not None:
        return kept
    if bundles.is_imported(bundle):
        raise DataError(
            f"The data set {config.data.name!r} that the run was trained with (SHA-256"
            f" {digest[:12]}…) is not in {stores / 'data'}, and nothing is read or fetched from"
            " where an imported run says. Make it from data that you know with task=elt data=...,"
            " and run this again."
        )
    try:
        return datasets.load(config.data, stores, progress=progress)
    except DataError as error:
        raise DataError(
            f"The data set {config.data.name!r} that the run was trained with (SHA-256"
            f" {digest[:12]}…) is not in {stores / 'data'} any more, and cannot be made again from"
            f" its source. {error}"
        ) from error


def read_provenance(bundle: Path) -> dict[str, Any]:
    """Return how a run came about, see `Invocation.make_record`.

    Raises:
        BundleError: it is not of the form that we write.
    """
    bundles.read_manifest(bundle)
    found = bundles.read_document(bundle, "provenance.json")
    tables = ("options", "schemas", "versions", "git")
    right = isinstance(found, dict) and all(_is_table(found.get(name)) for name in tables)
    known = right and isinstance(found.get("overrides"), list) and "platform" in found
    if not known:
        raise BundleError(f"{bundle}/provenance.json does not say how a run came about.")
    return dict(found)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str | None) for v in value.values())


def load_config(bundle: Path, present: Config) -> Config:
    """Return the configuration of a run, checked as if it had been composed just now.

    What the run is made of comes from its record. The place where it is made, and what is shown
    and allowed there, are the present ones: folders, tracking, console, metrics, whitelist and
    extensions. Data files below the project's root are looked for below the present one.

    Args:
        bundle: of the run.
        present: the configuration of the present command.

    Raises:
        BundleError: the bundle is not what was saved.
        ConfigError: the record does not fit this version, names what is not allowed, or is a
            stranger's and asks for too much.
    """
    names = {"task": "task/train"} | read_provenance(bundle)["schemas"]
    try:
        content = _read_groups(bundle, present.paths.root) | {
            "task": {"name": "train"},
            **{group: asdict(getattr(present, group)) for group in LOCAL_GROUPS},
            "metrics": present.metrics,
            "whitelist": present.whitelist,
            "extensions": present.extensions,
        }
        cfg = OmegaConf.structured(Config)
        for group, settings in content.items():
            cfg[group] = _make_node(group, settings, names.get(group))
        made = check(cfg)
        _check_groups(made, imported=bundles.is_imported(bundle))
        return made
    except (ConfigError, OmegaConfBaseException, TypeError, OverflowError) as error:
        # The last two are OmegaConf's for a list in place of a mapping, and for 400 digits.
        reason = f"{str(error).splitlines()[0]:.1000}"
        raise ConfigError(f"{bundle}/config.yaml does not fit this version: {reason}") from None


def _check_groups(config: Config, *, imported: bool) -> None:
    """Refuse what may not be made, and of an imported run what asks for too much."""
    for group in instantiate.ROLES:
        instantiate.check(group, getattr(config, group))
    content = asdict(config)
    for group in (*EXPERIMENT_GROUPS, "training", "objective") if imported else ():
        strangers.refuse_excess(group, content[group])


def _read_groups(bundle: Path, root: str) -> dict[str, Any]:
    """Return the recorded groups that say what the run is made of."""
    try:
        text = (bundle / "config.yaml").read_text(encoding="utf-8")
        check_plain_yaml(text)
        # Not by OmegaConf, which takes some texts for more than texts.
        record = parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"it is no YAML ({' '.join(str(error).split())}).") from None
    if not record:
        raise ConfigError("it is not a mapping of groups.")
    data, place = record.get("data"), record.get("paths")
    if isinstance(data, dict) and isinstance(place, dict):
        record["data"] = _move_paths(data, str(place.get("root")), root)
    others = (*LOCAL_GROUPS, "metrics", "whitelist", "extensions", "task", "sweep")
    _refuse_missing("", {field.name for field in fields(Config)} - {*others}, record)
    return {str(group): settings for group, settings in record.items() if group not in others}


def _refuse_missing(prefix: str, known: Collection[str], record: Mapping[Any, Any]) -> None:
    """Refuse a record of before there was a setting: nobody knows what it would have been."""
    missing = {f"{prefix}{name}" for name in set(known) - set(record)} - LATER_SETTINGS
    if missing:
        named = ", ".join(sorted(missing))
        raise ConfigError(f"it says nothing of {named}; train it anew, without task=rerun.")


def _move_paths(data: Mapping[Any, Any], old: str, new: str) -> dict[Any, Any]:
    """Return the settings of data with the project's new root in place of its old one."""

    def move(value: Any) -> Any:
        if isinstance(value, list):
            return [*map(move, value)]
        inside = isinstance(value, str) and Path(value).is_relative_to(old)
        return str(Path(new) / Path(value).relative_to(old)) if inside else value

    names = [name.removeprefix("data.") for name in paths.PATHS]
    return {key: move(value) if key in names else value for key, value in data.items()}


def _make_node(group: str, settings: Any, name: str | None) -> Any:
    """Return a group's settings as a node of their schema.

    Args:
        group: its name.
        settings: recorded.
        name: of the schema; None is the group's own, if it has one.
    """
    if name is not None and name not in SCHEMA_CLASSES:
        raise ConfigError(f"{group} has the schema {name!r}, which is not known.")
    schema = SCHEMA_CLASSES[name] if name is not None else get_type_hints(Config).get(group)
    if group in EXPERIMENT_GROUPS and not isinstance(settings, dict | None):
        raise ConfigError(f"{group} is no mapping.")
    if not is_dataclass(schema) or not isinstance(settings, dict):
        return escape(settings)
    known = {field.name for field in fields(schema)}
    _refuse_missing(f"{group}.", known, settings)
    gone = ", ".join(f"{group}.{key}" for key in settings if key not in known)
    if gone:
        raise ConfigError(f"it sets {gone}, which is no more; train it anew, without task=rerun.")
    return OmegaConf.merge(OmegaConf.structured(schema), escape(settings))
