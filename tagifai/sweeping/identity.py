"""Identity: which study a search goes on with, and whether that is still the same search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from tagifai.config.schema import Config, flatten_config
from tagifai.exceptions import ConfigError
from tagifai.sweeping import studies
from tagifai.sweeping.space import SearchSpace
from tagifai.sweeping.winners import IRRELEVANT_GROUPS

SEARCH_DESCRIPTION = "search"
"""Attribute of a study: what it is a search of."""

LOCATION_KEYS = (
    *("data.projects", "data.tags", "data.projects_sha256", "data.tags_sha256"),
    *("data.path", "data.val_path", "data.test_path", "data.sha256"),
)
"""Where the data come from makes no difference; their digest does."""


def describe_search(config: Config, space: SearchSpace, digest: str) -> dict[str, Any]:
    """Return what a study is a search of, in JSON's types; all its trials share it.

    Args:
        config: what trials have in common.
        space: what they differ in.
        digest: SHA-256 of the data set.
    """
    settings = {
        k: v
        for k, v in flatten_config(config, without=IRRELEVANT_GROUPS).items()
        if k not in LOCATION_KEYS
    }
    # What only the preset's space fixes is not in the configuration that trials have in common.
    fixed = {key: value for key, value in space.fixed.items() if key not in LOCATION_KEYS}
    settings |= {k: v for k, v in fixed.items() if k.partition(".")[0] not in IRRELEVANT_GROUPS}
    found = {"parameters": space.describe(), "data digest": digest, "settings": settings}
    return dict(json.loads(json.dumps(found, default=str)))


def choose_study(storage: BaseStorage, name: str, now: Mapping[str, Any], *, restart: bool) -> str:
    """Return the name of the study to go on with, or to begin.

    Args:
        storage: of studies.
        name: of the search; its restarts have numbers behind it.
        now: what is searched.
        restart: begin another one.

    Raises:
        ConfigError: the newest study of that name is a search of something else.
    """
    known = studies.list_names(storage, name)
    if restart and known:
        number = 1 if known[0] == name else int(known[0].rpartition("-")[2])
        return f"{name}-{number + 1}"
    kept = {
        found: studies.get_attributes(storage, found).get(SEARCH_DESCRIPTION) for found in known
    }
    for found in known:
        if kept[found] == now:
            return found
    # One that has nothing to compare was made by other means, or by a process that died early.
    newest = kept[known[0]] if known else None
    if newest is not None:
        raise ConfigError(_explain_changes(known[0], newest, now))
    return known[0] if known else name


def _explain_changes(name: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before, after = _lines(stored), _lines(now)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = [
        f"  {key}: {_short(before.get(key))} in the study, {_short(after.get(key))} now"
        for key in changed
    ]
    return (
        f"The study {name!r} is a search of something else:\n"
        + "\n".join(shown)
        + "\nEither take that back, to go on with it; or add sweep.restart=true, which keeps it and"
        " begins another one."
    )


def _lines(content: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {"data digest": str(content.get("data digest"))}
    for part in ("settings", "parameters"):
        lines |= {key: str(value) for key, value in content.get(part, {}).items()}
    return lines


def _short(text: str | None) -> str:
    if text is None:
        return "not there"
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
