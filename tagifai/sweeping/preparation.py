"""The preparation of a search: everything is checked before its study and its run are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from tagifai.config import extensions, paths
from tagifai.config.job import strip_hydra_node
from tagifai.config.schema import check
from tagifai.console.display import Display
from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import checks, composition, samplers, storage, studies
from tagifai.sweeping.auto.points import PointSpace
from tagifai.sweeping.auto.search import BudgetSearch
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.settings import (
    SERIAL,
    SearchSettings,
    SweeperPlugin,
    get_launcher_kind,
)
from tagifai.sweeping.spaces import grammar, guesses, preview
from tagifai.sweeping.studies import Study
from tagifai.tracking import multirun, opening, session
from tagifai.tracking.store import Experiment
from tagifai.utils import locks
from tagifai.utils.urls import get_sqlite_path

PARENT_RUN = "parent_run"
"""Attribute of a study: its run in the tracking store."""

EXHAUSTIVE = ("GridSampler", "BruteForceSampler")
"""Samplers that try every configuration, so that none of them has to come first."""


class Preparation:
    """A search as the command line describes it, checked without touching anything.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        arguments: overrides of the command line.

    Raises:
        UserError: the search cannot begin.
    """

    def __init__(self, sweeper: SweeperPlugin, arguments: Sequence[str]) -> None:
        self._sweeper = sweeper
        self._settings = settings = SearchSettings.from_hydra(sweeper.settings)
        self._config = config = paths.resolve(check(strip_hydra_node(sweeper.master)))
        self._display = Display.from_config(config.console)
        opening.limit_opening(config.tracking.timeout)
        extensions.load(config)
        paths.check_stores(config)
        is_serial = get_launcher_kind(sweeper.master) == SERIAL
        self._n_workers = 1 if is_serial else settings.n_jobs
        if not storage.is_shared(settings.storage) and not is_serial:
            raise ConfigError(
                f"hydra.sweeper.storage = {settings.storage or 'null'} is in the memory of this"
                " process, which the workers of other processes cannot reach. Leave storage out, or"
                " use hydra/launcher=basic."
            )
        if config.task.name != "train":
            raise ConfigError(
                f"task={config.task.name} cannot be used in a search; a search trains."
            )
        self._space = grammar.parse_space(
            settings.params, settings.when, arguments, sweeper.context.config_loader
        )
        checks.check_objective(config, settings, samplers.make_pruner(settings.pruner))
        checks.refuse_secrets(self._space)
        self._extend = composition.load_space_extension(settings.custom_search_space)
        self._make_sampler = samplers.make_sampler(settings.sampler, config.seed, self._space)
        self._compose = composition.make_composer(sweeper)
        preset = sweeper.master.hydra.runtime.choices.get("sweep") or "search"
        self._name = settings.study_name or f"{preset}-{config.data.name}".replace("/", "-")

    @property
    def is_preview(self) -> bool:
        """Whether the search is only to be shown."""
        return self._config.sweep.preview

    def show_preview(self) -> None:
        """Show what the search would do; nothing is made."""
        with storage.translate_storage_errors(self._settings.storage):
            trials = self._find_trials()
        if self._config.sweep.budget is None and not trials:
            checks.check_space(self._space, self._compose)
        self._list_first()
        settings, space, master = self._settings, self._space, self._sweeper.master
        preview.show(self._display, settings, space, self._config, master, trials)

    def _find_trials(self) -> list[FrozenTrial]:
        """Return the trials of the newest study of this name, if its database is there."""
        url = self._settings.storage
        path = None if url is None else get_sqlite_path(url)
        if not storage.is_shared(url) or (path is not None and not path.exists()):
            return []
        database = storage.connect(url)
        names = storage.list_names(database, self._name)
        return optuna.load_study(study_name=names[0], storage=database).trials if names else []

    @contextmanager
    def open(self) -> Iterator[SearchPlan]:
        """Open the study and the run of the search for a block that runs its trials.

        Raises:
            UserError: the search cannot begin.
        """
        config, settings, sweeper = self._config, self._settings, self._sweeper
        stores = Path(config.paths.stores)
        stores.mkdir(parents=True, exist_ok=True)
        with (
            storage.silence_optuna(),
            storage.translate_storage_errors(settings.storage),
            ExitStack() as until_the_end,
        ):
            # One process at a time, or two that start together would each create the study's run.
            with locks.wait_for(stores / ".search.lock"):
                study, searched, budget = self._open_study()
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
            plan = self._make_plan(study, cfg, parent, budget)
            plan.folder.mkdir(parents=True, exist_ok=True)
            plan.show_header()
            plan.record(searched)
            yield plan

    def _make_plan(
        self,
        study: Study,
        cfg: DictConfig,
        parent: session.TrackedRun,
        budget: BudgetSearch | None,
    ) -> SearchPlan:
        return SearchPlan(
            config=self._config,
            settings=self._settings,
            space=self._space,
            study=study,
            display=self._display,
            cfg=cfg,
            folder=Path(cfg.hydra.sweep.dir).absolute(),
            n_trials=self._count_trials(),
            n_workers=self._n_workers,
            context=self._sweeper.context,
            function=self._sweeper.function,
            compose=self._compose,
            compose_alone=composition.make_run_composer(self._sweeper),
            parent=parent,
            budget=budget,
        )

    def _open_study(self) -> tuple[Study, dict[str, Any], BudgetSearch | None]:
        """Return the study to go on with, or a new one, its description and the budget."""
        config, settings = self._config, self._settings
        database = storage.connect(settings.storage)
        stores = Path(config.paths.stores)
        session.close_abandoned_runs(stores, config.tracking.uri)
        dataset = datasets.load(config.data, stores, progress=self._display.live)
        checks.check_metrics(config, dataset)
        budget = self._make_budget(dataset)
        searched = checks.describe_search(config, self._space, dataset.digest)
        restart = config.sweep.restart
        name = checks.choose_study(database, self._name, searched, restart=restart)
        # One that a killed command has left without a trial begins as a new one does.
        is_new = not (storage.has_study(database, name) and storage.has_trials(database, name))
        # Composing what lies at the space's edges takes seconds, which are a budget's trials.
        if budget is None and is_new:
            checks.check_space(self._space, self._compose)
        first = self._list_first() if is_new else []
        study = studies.open_study(
            settings.storage,
            name,
            config.objective.directions,
            self._make_sampler(0),
            samplers.make_pruner(settings.pruner),
        )
        # First of all: a study that has trials and no description is nobody's.
        study.set_attribute(checks.SEARCH_DESCRIPTION, searched)
        with study.hold_lock():
            for trial in first if not study.list_trials() else ():
                study.optuna.enqueue_trial(**trial)
        return study, searched, budget

    def _list_first(self) -> list[dict[str, Any]]:
        """Return the trials that a new study begins with: the present configuration, or guesses."""
        sweep = self._config.sweep
        exhaustive = str(self._settings.sampler["_target_"]).endswith(EXHAUSTIVE)
        if sweep.first is None or sweep.budget is not None or exhaustive:
            return []
        present = guesses.read_present(*self._compose(self._space.list_fixed_overrides()))
        first, notes = guesses.list_first_trials(sweep.first, self._space, present)
        for note in notes:
            self._display.show_line(f"Note: {note}", style="yellow")
        return first

    def _make_budget(self, dataset: Dataset) -> BudgetSearch | None:
        config = self._config
        if config.sweep.budget is None:
            return None
        from tagifai.sweeping.auto.fidelity import choose_fidelity  # late: it loads scikit-learn

        points = PointSpace(self._space, config.sweep.start)
        fidelity = choose_fidelity(config, dataset)
        return BudgetSearch(config.sweep.budget, points, fidelity, self._n_workers)

    def _count_trials(self) -> int:
        """Return how many trials there are to be: of a grid no more than it has points."""
        most = self._settings.n_trials
        exhaustive = str(self._settings.sampler["_target_"]).endswith(EXHAUSTIVE)
        # With branches several points are one configuration, and all but one of them are told.
        if not exhaustive or self._space.branches:
            return most
        return min(most, self._space.count_configurations() or most)
