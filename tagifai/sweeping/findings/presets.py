"""The best trial of a search as an experiment preset, which trains it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial

from tagifai.config.job import select_places
from tagifai.config.plugins import PRESET_END
from tagifai.config.schema import Config
from tagifai.config.texts import escape
from tagifai.exceptions import ConfigError
from tagifai.training.trial import RESULT
from tagifai.utils import program
from tagifai.utils.files import replace_atomically
from tagifai.utils.secrets import mask, mask_all

if TYPE_CHECKING:
    from tagifai.sweeping.findings.results import SearchResult
    from tagifai.sweeping.plan import SearchPlan

log = logging.getLogger(__name__)

IRRELEVANT_GROUPS = ("task", "sweep", "tracking", "console", "cache", "plots", "paths")
"""Groups that have no influence on the result of a trial."""


def write_for_trial(plan: SearchPlan, result: SearchResult, trial: FrozenTrial) -> None:
    """Write the preset of a trial of the results, in place of an earlier one."""
    config, choices = plan.compose(plan.space.make_overrides(trial.params))
    try:
        alone = plan.compose_alone([f"{group}={option}" for group, option in choices.items()])
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        # A custom option has no values of its own.
        log.info("The options alone are no complete configuration: %s", error)
        alone = None
    name = make_name(result, trial.number)
    # One that has its values of a sample alone has them as an attribute.
    values = list(trial.values or trial.user_attrs.get(RESULT) or ())
    head = (
        f"Trial {trial.number} of the search {result.study!r}, the best of"
        f" {result.counts.finished}: {', '.join(plan.format_values(values))}.\n"
        "Written by the search. Its values win over options that are chosen on the\ncommand"
        f" line. Train it with: {program.get_name()} experiment={name}"
    )
    path = Path(plan.config.paths.stores) / "presets" / "experiment" / f"{name}.yaml"
    write(path, head, choices, compute_difference(config, alone))


def make_name(result: SearchResult, number: int) -> str:
    """Return the name of a trial's preset: the study's, and with several objectives its number."""
    return result.study if len(result.metrics) == 1 else f"{result.study}-trial{number}"


def list_words(plan: SearchPlan, result: SearchResult, number: int) -> list[str]:
    """Return the arguments of the command that trains a trial by its preset."""
    return [
        f"experiment={make_name(result, number)}",
        *select_places(plan.cfg.hydra.overrides.task),
    ]


def write(path: Path, head: str, choices: Mapping[str, str], values: dict[str, Any]) -> None:
    """Write the best trial as an experiment preset, in place of an earlier one.

    Args:
        path: of the preset.
        head: comment at the beginning of the file.
        choices: option by group.
        values: that differ from those of the options.
    """
    overrides = [{f"override /{group}": option} for group, option in choices.items()]
    with replace_atomically(path) as file:
        file.write("# @package _global_\n")
        file.writelines(f"# {line}\n" for line in mask(head).splitlines())
        file.write(
            OmegaConf.to_yaml(OmegaConf.create(mask_all({"defaults": overrides, **escape(values)})))
            + PRESET_END
        )


def compute_difference(wanted: Config, base: Config | None) -> dict[str, Any]:
    """Return the nested values of a configuration that differ from another one.

    Args:
        wanted: the configuration.
        base: the configuration of the options alone; None if they are not complete.
    """
    return _compute_difference(_get_content(wanted), {} if base is None else _get_content(base))


def _get_content(config: Config) -> dict[str, Any]:
    # No preset may set the last two.
    others = (*IRRELEVANT_GROUPS, "whitelist", "extensions")
    return {k: v for k, v in asdict(config).items() if k not in others}


def _compute_difference(wanted: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            inside = _compute_difference(value, base[key])
            if inside:
                found[key] = inside
        elif key not in base or base[key] != value:
            found[key] = value
    return found
