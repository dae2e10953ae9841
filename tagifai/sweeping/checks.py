"""Check a search before its first trial, and before its study is created."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage

from tagifai.config.schema import STANDARD_METRICS, Config, flatten_config
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import studies
from tagifai.sweeping.composition import Compose
from tagifai.sweeping.results import IRRELEVANT_GROUPS
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.space import SearchSpace
from tagifai.utils.secrets import mask, mask_all


def check_objective(config: Config, settings: SearchSettings, pruner: BasePruner) -> None:
    """Refuse directions that differ from the objective's, and a pruner that cannot be used.

    Args:
        config: that all trials share.
        settings: of the sweeper.
        pruner: of the study.

    Raises:
        ConfigError: with the reason.
    """
    objective = config.objective
    if settings.directions is not None and settings.directions != objective.directions:
        raise ConfigError(
            f"hydra.sweeper.direction = {', '.join(settings.directions)}, and objective.direction ="
            f" {', '.join(objective.directions)}. Set objective.direction alone; the sweeper"
            " follows it."
        )
    if config.sweep.budget is not None:
        _check_budget(config)
    if isinstance(pruner, NopPruner):
        return
    name = type(pruner).__name__
    if len(objective.metrics) > 1:
        raise ConfigError(
            f"{name} cannot prune trials with {len(objective.metrics)} objectives"
            f" ({', '.join(objective.metrics)}). Use hydra/sweeper/pruner=none, or one metric."
        )
    if "model_bytes" in objective.metrics:
        raise ConfigError(
            f"{name} needs a metric that changes during training, and model_bytes does not. Use"
            " hydra/sweeper/pruner=none."
        )
    if not studies.is_shared(settings.storage):
        raise ConfigError(
            f"{name} needs a storage that jobs can reach, and hydra.sweeper.storage ="
            f" {settings.storage or 'null'} is in the memory of this process. Leave storage out, or"
            " use hydra/sweeper/pruner=none."
        )


def _check_budget(config: Config) -> None:
    if not config.sweep.start:
        raise ConfigError(
            f"sweep.budget = {config.sweep.budget:g} needs configurations to begin with, in"
            " sweep.start. Use sweep=auto, which has some; hydra.sweeper.timeout is a limit for any"
            " search."
        )
    if len(config.objective.metrics) > 1:
        raise ConfigError(
            f"sweep.budget chooses one winner, and objective.metric has"
            f" {len(config.objective.metrics)} metrics. Name one."
        )


def check_metrics(config: Config, dataset: Dataset) -> None:
    """Refuse metrics of classes, slices or registered functions that the data do not have.

    Args:
        config: that all trials share.
        dataset: that they train on.

    Raises:
        ConfigError: there is no such metric; with the known ones.
    """
    named = [metric for metric in config.objective.metrics if metric not in STANDARD_METRICS]
    if not named:
        return
    # Late: other metrics are in every run, and do not need scikit-learn here.
    from numpy.random import RandomState

    from tagifai.training import objectives, streaming

    objectives.check_metrics(config.objective)
    rows = streaming.prepare_dataset(dataset, config, RandomState(config.seed))
    for metric in named:
        rows.check_objective(metric)


def check_space(space: SearchSpace, compose: Compose) -> None:
    """Refuse parameters that do not exist, or whose values are all invalid.

    Args:
        space: of the search.
        compose: composes a configuration from overrides.

    Raises:
        ConfigError: with the parameter and the reason.
    """
    refused: dict[str, list[str]] = {}
    tried: dict[str, int] = {}
    for parameter, overrides in space.iterate_boundaries():
        tried[parameter.name] = tried.get(parameter.name, 0) + 1
        try:
            compose(overrides)
        except ConfigError as error:
            # Perhaps only together with the present values of the others.
            refused.setdefault(parameter.name, []).append(str(error))
        except (HydraException, OmegaConfBaseException) as error:
            text = str(error.__cause__ or error).splitlines()[0].rstrip(".")
            raise ConfigError(
                f"The parameter {parameter.name} cannot be set by {overrides[-1]}: {text}."
            ) from error
    never = [name for name, reasons in refused.items() if len(reasons) == tried[name]]
    # Some values are allowed only together with other values, as in a corner of the space.
    if never and not any(_composes(compose, overrides) for overrides in space.list_corners()):
        raise ConfigError(f"The parameter {never[0]} has no allowed value: {refused[never[0]][0]}")


def _composes(compose: Compose, overrides: list[str]) -> bool:
    try:
        compose(overrides)
    except (ConfigError, HydraException, OmegaConfBaseException):
        return False
    return True


def refuse_secrets(space: SearchSpace) -> None:
    """Refuse values with a secret, because a study keeps the values that it tries.

    Raises:
        ConfigError: with the parameter, and the way out.
    """
    for name, text in space.describe().items():
        if mask(text) != text:
            raise ConfigError(
                f"The parameter {name} has a secret among its values, which the study would keep."
                " Write ${oc.env:NAME} in its place, and put it into the variable NAME."
            )


STUDY_FORMAT = 1
"""Of what is kept with a study; the only one that is gone on with."""

SEARCH_DESCRIPTION = "search"
"""Attribute of a study: the description of its search."""

IRRELEVANT_KEYS = (
    *("data.projects", "data.tags", "data.projects_sha256", "data.tags_sha256"),
    *("data.path", "data.val_path", "data.test_path", "data.sha256", "training.resume"),
)
"""Where the data come from, whose digest identifies a search, and how a trial is interrupted."""


def describe_search(config: Config, space: SearchSpace, digest: str) -> dict[str, Any]:
    """Return the description of a search that its study is identified by, as JSON's types.

    Args:
        config: that all trials share.
        space: of the search.
        digest: SHA-256 of the data set.
    """
    settings = {
        k: v
        for k, v in flatten_config(config, without=IRRELEVANT_GROUPS).items()
        if k not in IRRELEVANT_KEYS
    }
    # Values that the preset's space fixes are not in the configuration that all trials share.
    fixed = {key: value for key, value in space.fixed.items() if key not in IRRELEVANT_KEYS}
    settings |= {k: v for k, v in fixed.items() if k.partition(".")[0] not in IRRELEVANT_GROUPS}
    found = {
        "format": STUDY_FORMAT,
        "parameters": space.describe(),
        "data digest": digest,
        "settings": settings,
    }
    return dict(mask_all(json.loads(json.dumps(found, default=str))))


def choose_study(storage: BaseStorage, name: str, now: Mapping[str, Any], *, restart: bool) -> str:
    """Return the name of the study to go on with, or of a new one.

    Args:
        storage: of studies.
        name: of the search; its restarts have a number behind it.
        now: description of the search.
        restart: begin a new study.

    Raises:
        ConfigError: the newest study of that name belongs to another search, or was begun by
            another version.
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
    if not known:
        return name
    newest = kept[known[0]]
    if newest is None and not studies.has_trials(storage, known[0]):
        return known[0]  # the process that created it died early
    if newest is None or newest.get("format") != STUDY_FORMAT:
        raise ConfigError(
            f"The study {known[0]!r} was begun by another version of tagifai or another program, so"
            " the search cannot go on with it. To keep it and begin a new one, add"
            " sweep.restart=true."
        )
    raise ConfigError(_explain_changes(known[0], newest, now))


def _explain_changes(name: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before, after = _lines(stored), _lines(now)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = [
        f"  {key}: {_short(before.get(key))} in the study, {_short(after.get(key))} now"
        for key in changed
    ]
    other_data = " If these are other data, give them a name of their own: data.name=NAME."
    return (
        f"The study {name!r} belongs to a search with other settings:\n"
        + "\n".join(shown)
        + "\nTo go on with it, undo these changes. To keep it and begin a new one, add"
        f" sweep.restart=true.{other_data if 'data digest' in changed else ''}"
    )


def _lines(content: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {"data digest": str(content.get("data digest"))}
    for part in ("settings", "parameters"):
        lines |= {key: str(value) for key, value in content.get(part, {}).items()}
    return lines


def _short(text: str | None) -> str:
    if text is None:
        return "not set"
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
