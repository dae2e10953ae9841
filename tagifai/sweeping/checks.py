"""Check a search before its first trial, and before its study is created."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage

from tagifai.config.schema import STANDARD_METRICS, Config, ObjectiveConfig, flatten_config
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import storage
from tagifai.sweeping.composition import Compose
from tagifai.sweeping.findings.presets import IRRELEVANT_GROUPS
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.spaces.space import SearchSpace
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
    check_directions(objective, settings.directions)
    _check_single(config)
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


def check_directions(objective: ObjectiveConfig, directions: Sequence[str] | None) -> None:
    """Refuse directions of a sweeper that are not the objective's.

    Args:
        objective: of the configuration.
        directions: of the sweeper; None follow the objective.

    Raises:
        ConfigError: they contradict it.
    """
    if directions is not None and directions != objective.directions:
        raise ConfigError(
            f"hydra.sweeper.direction = {', '.join(directions)}, and objective.direction ="
            f" {', '.join(objective.directions)}. Set objective.direction alone; the sweeper"
            " follows it."
        )


def _check_single(config: Config) -> None:
    """Refuse settings that are for one metric alone, and a budget without a start."""
    sweep, count = config.sweep, len(config.objective.metrics)
    if sweep.budget is not None and not sweep.start:
        raise ConfigError(
            f"sweep.budget = {sweep.budget:g} needs configurations to begin with, in sweep.start."
            " Use sweep=auto, which has some; hydra.sweeper.timeout is a limit for any search."
        )
    for key, value in {"sweep.budget": sweep.budget, "sweep.stop": sweep.stop}.items():
        if value is not None and count > 1:
            raise ConfigError(
                f"{key} = {value} needs one best, and objective.metric has {count} metrics. Name"
                " one."
            )


def check_metrics(config: Config, dataset: Dataset) -> None:
    """Refuse metrics of classes, slices or registered functions that the data do not have.

    Args:
        config: that all trials share.
        dataset: that they train on.

    Raises:
        ConfigError: there is no such metric; with the known ones.
    """
    named = [metric for metric in config.objective.measured if metric not in STANDARD_METRICS]
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
    """Refuse parameters that do not exist, and a space none of whose trials could begin.

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
    # Some values are allowed only together with other values, and some never together.
    reasons: list[str] = []
    for overrides in space.iterate_probes():
        try:
            compose(overrides)
            return
        except (ConfigError, HydraException, OmegaConfBaseException) as error:
            reasons.append(str(error))
    never = [name for name, found in refused.items() if len(found) == tried[name]]
    if never:
        raise ConfigError(f"The parameter {never[0]} has no allowed value: {refused[never[0]][0]}")
    raise ConfigError(f"None of {len(reasons)} trials of the search could begin: {reasons[0]}")


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
    settings = flatten_config(config, without=IRRELEVANT_GROUPS)
    # Values that the preset's space fixes are not in the configuration that all trials share.
    fixed = space.fixed.items()
    settings |= {k: v for k, v in fixed if k.partition(".")[0] not in IRRELEVANT_GROUPS}
    settings = {key: value for key, value in settings.items() if key not in IRRELEVANT_KEYS}
    found = {
        "format": STUDY_FORMAT,
        "parameters": space.describe(),
        "data digest": digest,
        "settings": settings,
    }
    return dict(mask_all(json.loads(json.dumps(found, default=str))))


def choose_study(database: BaseStorage, name: str, now: Mapping[str, Any], *, restart: bool) -> str:
    """Return the name of the study to go on with, or of a new one.

    Args:
        database: of studies.
        name: of the search; its restarts have a number behind it.
        now: description of the search.
        restart: begin a new study.

    Raises:
        ConfigError: the newest study of that name belongs to another search, or was begun by
            another version.
    """
    known = storage.list_names(database, name)
    if restart and known:
        number = 1 if known[0] == name else int(known[0].rpartition("-")[2])
        return f"{name}-{number + 1}"
    kept = [storage.get_attributes(database, found).get(SEARCH_DESCRIPTION) for found in known]
    if now in kept:
        return known[kept.index(now)]
    if not known:
        return name
    newest = kept[0]
    if newest is None and not storage.has_trials(database, known[0]):
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
