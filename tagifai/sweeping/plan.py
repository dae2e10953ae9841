"""The plan of a search: everything that its loop, its results and its report need."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import GridSampler
from optuna.trial import BaseTrial, FrozenTrial, Trial

from tagifai.config import extensions, paths
from tagifai.config.schema import Config, check
from tagifai.console.display import Display
from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError, TrackingError
from tagifai.sweeping import checks, composition, grammar, results, samplers, studies
from tagifai.sweeping.auto.fidelity import choose_fidelity
from tagifai.sweeping.auto.points import PointSpace
from tagifai.sweeping.auto.search import ROWS, BudgetSearch
from tagifai.sweeping.settings import SearchSettings, SweeperPlugin
from tagifai.sweeping.space import SearchSpace
from tagifai.sweeping.studies import Study
from tagifai.tracking import multirun, opening, query, session, store
from tagifai.tracking.recording import records
from tagifai.tracking.store import Experiment
from tagifai.utils import locks, program

PARENT_RUN = "parent_run"
"""Attribute of a study: its run in the tracking store."""

RUN_STATUSES = {"COMPLETE": "FINISHED", "FAIL": "FAILED"}
"""Status of a run by the state of its trial; KILLED for all others."""

log = logging.getLogger(__name__)


@dataclass
class SearchPlan:
    """A search that has been checked and can begin.

    Args:
        config: that all trials share.
        settings: of the sweeper.
        space: of the search.
        study: that trials come from.
        display: shows progress and results.
        cfg: configuration that launchers compose jobs from.
        folder: of the job folders.
        n_trials: of the study.
        n_workers: jobs at a time.
        extend: the user's function that adds parameters to a trial, or None.
        compose: composes the configuration and the options of a trial.
        compose_alone: composes the configuration of a single run.
        parent: the search's run.
        budget: chooses the trials of a search with a time budget; None leaves it to the sampler.
    """

    config: Config
    settings: SearchSettings
    space: SearchSpace
    study: Study
    display: Display
    cfg: DictConfig
    folder: Path
    n_trials: int
    n_workers: int
    extend: Callable[[DictConfig, Trial], None] | None
    compose: composition.Compose
    compose_alone: Callable[[Sequence[str]], Config]
    parent: session.TrackedRun
    budget: BudgetSearch | None = None

    @property
    def metrics(self) -> list[str]:
        """The objective's metrics."""
        return self.config.objective.metrics

    @property
    def max_failure_rate(self) -> float:
        """Share of the trials that may fail."""
        return self.settings.max_failure_rate

    @property
    def timeout(self) -> float | None:
        """Seconds after which no trial begins, or None."""
        return self.settings.timeout

    def suggest_overrides(self, trial: Trial) -> list[str]:
        """Choose a trial's values and return its overrides."""
        self.space.suggest_overrides(trial)
        if self.extend is not None:
            self.extend(self.cfg, trial)
        more = [] if self.budget is None else self.budget.list_overrides(trial)
        return [*self.space.make_overrides(trial.params), *more]

    def choose_trial(self) -> bool:
        """Return whether there is another trial to ask for; with a budget, choose it."""
        return self.budget is None or self.budget.add_next(self.study)

    def is_on_sample(self, trial: BaseTrial | FrozenTrial) -> bool:
        """Return whether a trial is on a sample of the rows, and its value no result."""
        return self.budget is not None and trial.user_attrs.get(ROWS) is not None

    def is_overdue(self) -> bool:
        """Return whether there is a budget, and no time left for the trials under way."""
        return self.budget is not None and self.budget.is_overdue(self.study)

    def format_values(self, values: Sequence[float]) -> list[str]:
        """Return values with the names of their metrics."""
        named = zip(self.metrics, values, strict=False)
        return [f"{name} {results.format_number(value)}" for name, value in named]

    def describe_best(self) -> str:
        """Return the best value and its trial as a text, empty if there is none yet."""
        found = results.summarize_study(self.study, self.metrics)
        if not found.best:
            return ""
        if len(self.metrics) > 1:
            return f"{len(found.best)} on the Pareto front"
        best = found.best[0]
        return f"best {results.format_number(best.values[0])} (trial {best.number})"

    def record_failure(self, number: int, reason: str) -> None:
        """Record a failed run for a trial whose job failed before it had a run.

        Args:
            number: of the trial.
            reason: of the failure.
        """
        trial = self.study.list_trials()[number]
        recorded = "run_id" in trial.user_attrs or studies.has_died(trial)
        if recorded or not self.config.tracking.enabled:
            return
        tags = {
            "mlflow.parentRunId": self.parent.id,
            "study": self.study.name,
            "trial.number": str(number),
            "trial.state": "FAIL",
            "command": program.format_command(*self._make_command_overrides(number)),
        }
        experiment = Experiment.from_config(self.config)
        with session.start_run(experiment, f"trial-{number}", tags) as made:
            made.status = "FAILED"
            made.log_tags({"error": reason})

    def close_dead_runs(self) -> None:
        """Close the runs of dead trials that their jobs could not close.

        The tracking store knows them; a job may die before it notes its run in the study.
        """
        config = self.config.tracking
        dead = {str(t.number): t for t in self.study.list_trials() if studies.has_died(t)}
        if not config.enabled or not dead:
            return
        uri = store.get_tracking_uri(config.uri)
        reasons = {number: str(t.user_attrs[studies.DIED]) for number, t in dead.items()}
        records.close_dead_trials(Path(self.config.paths.stores), self.parent.id, reasons)
        if self.parent.is_kept:
            return
        try:
            left = query.find_unfinished_children(uri, self.parent.id)
            for run_id, (status, tags) in left.items():
                number = tags.get("trial.number", "")
                if number in dead:
                    run = session.reopen_run(run_id, uri)
                    state = tags.get("trial.state", "RUNNING")
                    if state == "RUNNING":
                        run.log_tags({"trial.state": "DIED"})
                    if status == "RUNNING":
                        run.end(RUN_STATUSES.get(state, "KILLED"), reasons[number])
        except TrackingError as error:
            # An error here must not hide how the search ended.
            log.info("The runs of dead trials could not be closed: %s", error)

    def _make_command_overrides(self, number: int) -> list[str]:
        words = self.space.make_overrides(self.study.list_trials()[number].params)
        return [word for word in words if not re.match(r"sweep[.=]", word)]


@contextmanager
def prepare_search(sweeper: SweeperPlugin, arguments: Sequence[str]) -> Iterator[SearchPlan]:
    """Check a search, and open its study and its run for a block that runs the trials.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Raises:
        UserError: the search cannot begin.
    """
    settings = SearchSettings.from_hydra(sweeper.settings)
    config = paths.resolve(check(composition.strip_hydra_node(sweeper.master)))
    opening.limit_opening(config.tracking.timeout)
    extensions.load(config)
    paths.check_stores(config)
    if config.task.name != "train":
        raise ConfigError(f"task={config.task.name} cannot be used in a search; a search trains.")
    space = grammar.parse_space(settings.params, settings.when, arguments)
    pruner = samplers.make_pruner(settings.pruner)
    checks.check_objective(config, settings, pruner)
    extend = composition.load_space_extension(settings.custom_search_space)
    stores = Path(config.paths.stores)
    stores.mkdir(parents=True, exist_ok=True)
    with (
        studies.silence_optuna(),
        studies.translate_storage_errors(settings.storage),
        ExitStack() as until_the_end,
    ):
        # One process at a time, or two that start together would each create the study's run.
        with locks.wait_for(stores / ".search.lock"):
            study, searched, budget = _open_study(sweeper, config, settings, space, pruner)
            parent = until_the_end.enter_context(
                session.start_run(
                    Experiment.from_config(config) if config.tracking.enabled else None,
                    config.tracking.run_name or study.name,
                    {**config.tracking.tags, "study": study.name},
                    resumed=study.get_attribute(PARENT_RUN),
                )
            )
            study.set_attribute(PARENT_RUN, parent.id)
            cfg = composition.make_job_config(
                sweeper, study, Path(config.paths.outputs), settings.n_jobs
            )
        if config.tracking.enabled:
            composition.set_hydra_value(
                cfg, f"hydra.job.env_set.{multirun.PARENT_RUN_VARIABLE}", parent.id
            )
        plan = SearchPlan(
            config=config,
            settings=settings,
            space=space,
            study=study,
            display=Display.from_config(config.console),
            cfg=cfg,
            folder=Path(cfg.hydra.sweep.dir).absolute(),
            n_trials=_count_trials(settings, study, space),
            n_workers=1 if composition.is_serial(cfg) else settings.n_jobs,
            extend=extend,
            compose=composition.make_composer(sweeper),
            compose_alone=composition.make_run_composer(sweeper),
            parent=parent,
            budget=budget,
        )
        plan.folder.mkdir(parents=True, exist_ok=True)
        _show_header(plan, pruner)
        _log_search(plan, searched)
        yield plan


def _open_study(
    sweeper: SweeperPlugin,
    config: Config,
    settings: SearchSettings,
    space: SearchSpace,
    pruner: BasePruner,
) -> tuple[Study, dict[str, Any], BudgetSearch | None]:
    """Return the study to go on with, or a new one, the search's description and its budget."""
    checks.refuse_secrets(space)
    sampler = samplers.make_sampler(settings.sampler, config.seed, space.make_grid)
    storage = studies.connect(settings.storage)
    stores = Path(config.paths.stores)
    session.close_abandoned_runs(stores, config.tracking.uri)
    dataset = datasets.load(config.data, stores, progress=Display.from_config(config.console).live)
    checks.check_metrics(config, dataset)
    budget = _make_budget(sweeper, config, settings, space, dataset)
    searched = checks.describe_search(config, space, dataset.digest)
    preset = sweeper.master.hydra.runtime.choices.get("sweep") or "search"
    name = settings.study_name or f"{preset}-{config.data.name}".replace("/", "-")
    name = checks.choose_study(storage, name, searched, restart=config.sweep.restart)
    # Composing what lies at the space's edges takes seconds, which are a budget's trials.
    if config.sweep.budget is None and not studies.has_study(storage, name):
        checks.check_space(space, composition.make_composer(sweeper))
    study = studies.open_study(storage, name, config.objective.directions, sampler, pruner)
    study.set_attribute(checks.SEARCH_DESCRIPTION, searched)
    return study, searched, budget


def _make_budget(
    sweeper: SweeperPlugin,
    config: Config,
    settings: SearchSettings,
    space: SearchSpace,
    dataset: Dataset,
) -> BudgetSearch | None:
    seconds = config.sweep.budget
    if seconds is None:
        return None
    points = PointSpace(space, config.sweep.start)
    n_workers = 1 if composition.is_serial(sweeper.master) else settings.n_jobs
    return BudgetSearch(seconds, points, choose_fidelity(config, dataset), n_workers)


def _count_trials(settings: SearchSettings, study: Study, space: SearchSpace) -> int:
    if not isinstance(study.optuna.sampler, GridSampler):
        return settings.n_trials
    return min(settings.n_trials, prod(len(choices) for choices in space.make_grid().values()))


def _log_search(plan: SearchPlan, searched: Mapping[str, Any]) -> None:
    """Record the search in its run; its parameters belong to the study, so they never change."""
    hydra = plan.cfg.hydra
    objective = plan.config.objective
    plan.parent.log_params({f"space.{k}": v for k, v in searched["parameters"].items()})
    plan.parent.log_params(
        {
            "objective.metric": ", ".join(objective.metrics),
            "objective.direction": ", ".join(objective.directions),
            "data": plan.config.data.name,
            "data.digest": searched["data digest"],
        }
    )
    plan.parent.log_tags(
        {
            "preset": hydra.runtime.choices.get("sweep"),
            "command": program.get_command(),
            "overrides": shlex.join(hydra.overrides.task),
            "storage": plan.settings.storage or "in memory",
            "sweep.dir": str(plan.folder),
            "n_trials": plan.n_trials,
            "sampler": plan.settings.sampler.get("_target_"),
            "pruner": (plan.settings.pruner or {}).get("_target_"),
            "launcher": hydra.runtime.choices.get("hydra/launcher"),
        }
    )


def _describe_trials(plan: SearchPlan, sampler: str, pruner: str) -> tuple[str, dict[str, Any]]:
    if plan.budget is None:
        return str(plan.n_trials), {"sampler": sampler, "pruner": pruner}
    found = plan.budget.fidelity
    rows = {"sample": found.sample_rows, "rows": found.train_rows, "folds": found.folds}
    told = {name: value for name, value in rows.items() if value is not None}
    return f"as many as fit into {plan.budget.budget:g} s", told


def _show_header(plan: SearchPlan, pruner: BasePruner) -> None:
    objective, tally = plan.config.objective, plan.study.count_trials()
    hydra = plan.cfg.hydra
    sampler_name = str(plan.settings.sampler["_target_"]).rpartition(".")[2]
    launcher = f"{hydra.runtime.choices.get('hydra/launcher')}, {plan.n_workers} at a time"
    goal = [f"{d} {m}" for m, d in zip(objective.metrics, objective.directions, strict=True)]
    groups: dict[str, tuple[str | None, Mapping[str, Any]]] = {
        "study": (
            plan.study.name,
            {"storage": plan.settings.storage or "in memory"},
        ),
        "objective": (", ".join(goal), {}),
        "trials": _describe_trials(plan, sampler_name, type(pruner).__name__),
        "launcher": (launcher, {}),
    }
    groups |= {name: (text, {}) for name, text in plan.space.describe().items()}
    plan.display.show_header("tagifai search", groups)
    if tally.finished >= plan.n_trials:
        plan.display.show_line(
            f"Nothing to do: {tally.finished} of {plan.n_trials} trials are done. For more trials,"
            " raise hydra.sweeper.n_trials."
        )
    elif tally.finished or tally.died:
        plan.display.show_fact("Resumed", f"{tally.finished} of {plan.n_trials} trials are done.")
    if not isinstance(pruner, NopPruner) and objective.report_every is None:
        plan.display.show_line(
            "Note: nothing is pruned, because objective.report_every is not set.", style="yellow"
        )
