"""The settings that a run records as parameters, and the rest, which a comparison looks up."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
import yaml

from tagifai.config.schema import EXPERIMENT_GROUPS, flatten
from tagifai.config.texts import parse_yaml
from tagifai.tracking import store
from tagifai.tracking.downloads import REMOTE
from tagifai.tracking.limits import MAX_PARAM_LENGTH, sanitize_names
from tagifai.utils.secrets import mask
from tagifai.utils.urls import locate_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

MOST_PARAMS = 40
"""Parameters of a run, without those that were overridden besides."""

REST_TAG = "config.rest"
"""Tag of a run: the digest of the settings that are not among its parameters."""

UNKNOWN_REST = "configuration"
"""What stands for the settings of a run whose configuration is gone: their digest."""

CONFIG_FILE = "config.yaml"
"""Artifact of a run: its whole configuration."""

ALWAYS = ("seed", "task.name", "data.name")
"""Settings that every run has among its parameters."""

NOT_COMPARED = re.compile(
    r"seed|metrics|whitelist|extensions"
    r"|(task|tracking|console|cache|plots|paths|sweep)\..*"
    # What the data are called and where they are; the digest identifies them.
    r"|data\.(name|projects|tags|path|val_path|test_path|(\w+_)?sha256)"
)
"""Settings by which no run is better or worse than another."""

SELDOM = re.compile(
    r".*\._target_|(model|vectorizer)\.(fit_intercept|shuffle|binary|norm|smooth_idf|use_idf)"
    r"|split\.shuffle|training\.resume|objective\.(by|direction|report_every|constraints.*)"
    r"|data\.max_download_.*"
)
"""Settings that are among the parameters only where they were overridden."""

ORDER = ("model", "vectorizer", "training", "preprocessing", "split", "threshold", "sampling")
"""Groups whose settings come first if there are too many."""

THREADS = 8
"""Configurations that are fetched from a server at the same time."""


def choose_params(
    settings: Mapping[str, Any], options: Mapping[str, str | None], overridden: Collection[str]
) -> dict[str, str]:
    """Return the parameters of a run: what a person may vary, and what was overridden.

    Args:
        settings: the whole configuration, by its outermost keys.
        options: the chosen option of each group, which is a parameter named by the group.
        overridden: keys and groups that were set.

    Returns:
        At most `MOST_PARAMS`, and what was overridden besides.
    """
    flat = format_settings(settings)
    groups = {group: str(options.get(group)) for group in EXPERIMENT_GROUPS}
    first = [key for key in ALWAYS if key in flat]
    further = [
        key
        for key, value in flat.items()
        if not (key in first or NOT_COMPARED.fullmatch(key) or SELDOM.fullmatch(key))
        and value not in ("None", "", "[]", "{}")
    ]
    places = {group: place for place, group in enumerate(ORDER)}
    further.sort(key=lambda key: places.get(key.partition(".")[0], len(ORDER)))
    besides = [key for key in flat if _is_within(key, overridden)]
    chosen = {*first, *further[: MOST_PARAMS - len(groups) - len(first)], *besides}
    return groups | {key: value for key, value in flat.items() if key in chosen}


def _is_within(key: str, overridden: Collection[str]) -> bool:
    """Return whether a key, or a mapping that it is in, was set; a whole group is an option."""
    parts = key.split(".")
    above = [".".join(parts[:length]) for length in range(2, len(parts))]
    return key in overridden or any(name in overridden for name in above)


def compute_rest(settings: Mapping[str, Any], params: Collection[str]) -> str:
    """Return the digest of the settings that count, but are not among the parameters of a run."""
    rest = {
        key: value
        for key, value in format_settings(settings).items()
        if key not in params and not NOT_COMPARED.fullmatch(key)
    }
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def format_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return a configuration under flat keys, as parameters are recorded: without places of files.

    Args:
        settings: by the outermost keys, as of the schema or as read from YAML.
    """
    left = {"paths", "sweep", *(group for group, value in settings.items() if value is None)}
    flat = flatten({key: value for key, value in settings.items() if key not in left})
    names = sanitize_names(flat)
    return {names[key]: _limit(mask(str(value))) for key, value in flat.items()}


def _limit(value: str) -> str:
    """Return a value as long as the tracking store takes it; different ones stay different."""
    if len(value) <= MAX_PARAM_LENGTH:
        return value
    end = f"…{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return value[: MAX_PARAM_LENGTH - len(end)] + end


def complete_params(runs: pd.DataFrame, uri: str) -> pd.DataFrame:
    """Return runs with the settings that are not among their parameters, where these count.

    Nothing is read where the parameters say all: each run has all of them, and the rest is equal.

    Args:
        runs: as of `query.load_runs`; such as have no recorded configuration stay as they are.
        uri: of the tracking store.

    Returns:
        The same runs in the same order, with more columns "params.KEY".

    Raises:
        TrackingError: the store does not answer.
    """
    tag = f"tags.{REST_TAG}"
    if tag not in runs:
        return runs
    counting = runs[runs[tag].notna()]
    params = counting.filter(regex=r"^params\.").dropna(axis="columns", how="all")
    compared = [name for name in map(str, params) if not _is_ignored(name)]
    if counting[tag].nunique() < 2 and bool(params[compared].notna().all(axis=None)):
        return runs
    client = store.connect_existing(uri)
    with store.translate_errors(), ThreadPoolExecutor(THREADS) as pool:
        read = partial(_read_settings, client)
        found = [*pool.map(read, counting["run_id"], counting["artifacts"])]
    settings = _replace_gone(found, counting[tag], params)
    read_params = pd.DataFrame(settings, counting.index, dtype=object).add_prefix("params.")
    read_params = read_params[[name for name in map(str, read_params) if not _is_ignored(name)]]
    columns = [*runs, *(name for name in read_params if name not in runs)]
    return runs.combine_first(read_params).loc[runs.index, columns]


def _replace_gone(
    found: Sequence[dict[str, str]], rests: pd.Series[Any], params: pd.DataFrame
) -> list[dict[str, str]]:
    """Return the configurations of runs, with those of others for the ones that are gone.

    What is no parameter of a run is that of another one with the same parameters and digest.
    Without another one, the digest still tells a run from the others.

    Args:
        found: the configurations, empty where they are gone.
        rests: digest of each run.
        params: of each run.
    """
    kinds = [*zip(rests, map(tuple, params.notna().to_numpy().tolist()), strict=True)]
    known = {kind: settings for kind, settings in zip(kinds, found, strict=True) if settings}
    return [
        settings or known.get(kind, {UNKNOWN_REST: kind[0]})
        for kind, settings in zip(kinds, found, strict=True)
    ]


def _is_ignored(column: str) -> bool:
    return NOT_COMPARED.fullmatch(column.removeprefix("params.")) is not None


def _read_settings(client: MlflowClient, run_id: str, artifacts: str) -> dict[str, str]:
    """Return the recorded configuration of a run under flat keys; empty if it is gone."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            if urlsplit(artifacts).scheme in REMOTE:
                path = Path(client.download_artifacts(run_id, CONFIG_FILE, scratch))
            else:
                path = locate_file(artifacts) / CONFIG_FILE
            content = parse_yaml(path.read_bytes())
            return format_settings(content) if isinstance(content, dict) else {}
        except (OSError, MlflowException, yaml.YAMLError) as error:
            log.info("The configuration of run %s cannot be read: %s", run_id, error)
            return {}
