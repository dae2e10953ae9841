"""What a search would do, shown before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.sweeping.settings import SERIAL, SearchSettings, get_launcher_kind
from tagifai.sweeping.spaces.space import SearchSpace
from tagifai.training.trial import SECONDS
from tagifai.utils.excerpts import format_duration


def show(
    display: Display,
    settings: SearchSettings,
    space: SearchSpace,
    config: Config,
    cfg: DictConfig,
    trials: Sequence[FrozenTrial],
) -> None:
    """Show the space of a search, its trials and how long they may take.

    Args:
        display: shows it, a quiet one too: it is what was asked for.
        settings: of the sweeper.
        space: of the search.
        config: that all trials share.
        cfg: composed, with Hydra's own node.
        trials: of the study so far; none if there is no study.
    """
    objective = config.objective
    limits = [f"{metric} {limit}" for metric, limit in objective.constraints.items()]
    size = None if settings.custom_search_space else space.count_configurations()
    total = settings.n_trials if size is None else min(settings.n_trials, size)
    ended = sum(trial.state.is_finished() for trial in trials)
    launcher = OmegaConf.select(cfg, "hydra.runtime.choices.hydra/launcher")
    workers = 1 if get_launcher_kind(cfg) == SERIAL else settings.n_jobs
    pruner = (settings.pruner or {}).get("_target_", "none")
    facts = {
        "Objective": ", ".join([objective.describe(), *limits]),
        "Trials": f"{total}, of which {ended} are done" if ended else str(total),
        "Space": "infinite, or large" if size is None else f"{size} configurations that differ",
        "Sampler": str(settings.sampler["_target_"]).rpartition(".")[2],
        "Pruner": str(pruner).rpartition(".")[2],
        "Launcher": f"{launcher}, {workers} at a time",
        "Time": _estimate(trials, total - ended, workers),
    }
    if config.sweep.budget is not None:
        facts |= {
            "Trials": f"as many as fit into {config.sweep.budget:g} s",
            "Time": f"{config.sweep.budget:g} s",
        }
    display.show_table("Search space", ("parameter", "values"), list(space.describe().items()))
    for name, text in facts.items():
        display.show_fact(name, text, result=True)
    display.show_result("Nothing was started; for that, leave sweep.preview out.")


def _estimate(trials: Sequence[FrozenTrial], left: int, workers: int) -> str:
    """Return how long the trials that are left may take, from what the others took."""
    whole = [t.duration.total_seconds() for t in trials if t.duration and SECONDS in t.user_attrs]
    if left <= 0:
        return "none: all trials are done"
    if not whole:
        return "not known before the first trials"
    about = format_duration(fmean(whole) * -(-left // workers))
    return f"about {about}, by the {len(whole)} trials so far"
