"""Identity: which study a search goes on with, and whether that is still the same search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from tagifai import studies
from tagifai.errors import ConfigError
from tagifai.schema import Config, flat
from tagifai.search.spaces import Space
from tagifai.search.winners import NO_INFLUENCE

SEARCHED = "search"
"""Attribute of a study: what it is a search of."""

ELSEWHERE = (
    *("data.projects", "data.tags", "data.projects_sha256", "data.tags_sha256"),
    *("data.path", "data.val_path", "data.test_path", "data.sha256"),
)
"""Where the data come from makes no difference; their digest does."""


def searched(config: Config, space: Space, digest: str) -> dict[str, Any]:
    """Return what a study is a search of, in JSON's types; all its trials share it.

    Args:
        config: what trials have in common.
        space: what they differ in.
        digest: SHA-256 of the data set.
    """
    settings = {k: v for k, v in flat(config, without=NO_INFLUENCE).items() if k not in ELSEWHERE}
    # What only the preset's space fixes is not in the configuration that trials have in common.
    fixed = {key: value for key, value in space.fixed.items() if key not in ELSEWHERE}
    settings |= {k: v for k, v in fixed.items() if k.partition(".")[0] not in NO_INFLUENCE}
    found = {"parameters": space.described(), "data digest": digest, "settings": settings}
    return dict(json.loads(json.dumps(found, default=str)))


def choose(storage: BaseStorage, name: str, now: Mapping[str, Any], *, restart: bool) -> str:
    """Return the name of the study to go on with, or to begin.

    Args:
        storage: of studies.
        name: of the search; its restarts have numbers behind it.
        now: what is searched.
        restart: begin another one.

    Raises:
        ConfigError: the newest study of that name is a search of something else.
    """
    known = studies.names(storage, name)
    if restart and known:
        number = 1 if known[0] == name else int(known[0].rpartition("-")[2])
        return f"{name}-{number + 1}"
    kept = {found: studies.attributes(storage, found).get(SEARCHED) for found in known}
    for found in known:
        if kept[found] == now:
            return found
    # One that has nothing to compare was made by other means, or by a process that died early.
    newest = kept[known[0]] if known else None
    if newest is not None:
        raise ConfigError(_refusal(known[0], newest, now))
    return known[0] if known else name


def _refusal(name: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before, after = _lines(kept), _lines(now)
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
