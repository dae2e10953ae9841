"""The sweeper plugins. Hydra loads them before every command, so they import the search late."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from omegaconf import MISSING, DictConfig, OmegaConf

from tagifai.config.job import GRID_TARGET, SEARCH_TARGET
from tagifai.sweeping._hydra import BasicSweeper, BasicSweeperConf
from tagifai.utils.secrets import mask_all

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan


@dataclass
class SearchSweeperConfig(OptunaSweeperConf):
    """The settings of the stock Optuna sweeper and more.

    Args:
        sampler: an option of `hydra/sweeper/sampler`: tpe, random, grid, qmc, nsgaii and others.
        direction: follows the objective.
        storage: URL of the database of studies; None keeps the study in memory.
        study_name: name of the study; None is `<preset>-<data>`.
        n_trials: of the study as a whole, however often it is resumed.
        n_jobs: workers, of launchers that have several.
        max_failure_rate: share of the trials that may fail; if all fail, it is an error anyway.
        params: the space, by parameter, in Hydra's override grammar.
        custom_search_space: full name of a function of configuration and trial that adds to it.
        pruner: of `optuna.pruners`; an option of `hydra/sweeper/pruner`, or a `_target_`.
        timeout: seconds after which no further trial begins; None sets no limit.
        when: parameters that belong to one choice of another parameter, such as
            {vectorizer=tfidf_char: {vectorizer.ngram_max: range(3,11)}}.
    """

    _target_: str = SEARCH_TARGET
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "median"}])
    direction: Any = "${objective.direction}"
    storage: Any | None = "sqlite:///${paths.stores}/studies.db"
    max_failure_rate: float = 1.0
    pruner: Any = MISSING
    timeout: float | None = None
    when: dict[str, Any] | None = None


class SearchSweeper(Sweeper):
    """Hyperparameter search with Optuna, pruned and resumable.

    Args:
        settings: the fields of `SearchSweeperConfig`.
    """

    context: HydraContext
    function: TaskFunction
    master: DictConfig

    def __init__(self, **settings: Any) -> None:
        self.settings: Mapping[str, Any] = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep Hydra's arguments; the launcher is made later, when the folder of jobs is known."""
        self.context = hydra_context
        self.function = task_function
        self.master = config

    def sweep(self, arguments: list[str]) -> SearchPlan | None:
        """Run the search with the overrides of the command line, and return its plan, if any."""
        from tagifai.console.display import Display
        from tagifai.sweeping.settings import refuse_secrets

        refuse_secrets(self.master)
        with Display.from_config(self.master.console).show_spinner("Loading libraries"):
            from tagifai.sweeping import loop

        return loop.run_search(self, arguments)


class GridSweeper(BasicSweeper):
    """Hydra's own sweeper of all combinations, whose record of a multirun has no secrets."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Any

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs and show their board; the launcher has the configuration as it is."""
        from tagifai.sweeping import settings

        settings.refuse_secrets(self.config)
        from tagifai.console.display import Display
        from tagifai.sweeping.multiruns import board, jobs
        from tagifai.tracking import multirun
        from tagifai.tracking.recording import naming
        from tagifai.utils.environment import keep_variables

        display = Display.from_config(self.config.console)
        loader = self.hydra_context.config_loader
        planned = jobs.Multirun.from_sweeper(self, self.config, loader, arguments)
        if self.config.sweep.preview:
            board.show_preview(display, planned)
            return []
        planned.refuse_folders()
        content = OmegaConf.to_container(self.config, resolve=False)
        masked = mask_all(content)
        if masked != content:
            self.config = OmegaConf.create(masked)
        kind = settings.get_launcher_kind(self.config)
        if kind in (settings.JOBLIB, settings.LOCAL):
            from tagifai.sweeping.workers import launchers  # late: it loads joblib

            self.launcher = launchers.PatientLauncher(self.launcher, kind)
        self.launcher = noting = jobs.NotingLauncher(self.launcher, planned.folder)
        try:
            with keep_variables([multirun.NAME_VARIABLE, naming.VARIED_VARIABLE]):
                varied = [key.lstrip("+~") for key in planned.list_varied()[0]]
                os.environ[multirun.NAME_VARIABLE] = naming.make_multirun_name(varied)
                os.environ[naming.VARIED_VARIABLE] = " ".join(varied)
                return super().sweep(arguments)
        except KeyboardInterrupt:
            board.show_kept(display, planned)
            raise
        finally:
            if noting.ended:
                board.show_board(display, planned, noting.ended)


@dataclass
class GridSweeperConfig(BasicSweeperConf):
    """The settings of Hydra's own sweeper, by the name of which it is chosen."""

    _target_: str = GRID_TARGET


ConfigStore.instance().store(
    group="hydra/sweeper", name="basic", node=GridSweeperConfig, provider="tagifai", replace=True
)
ConfigStore.instance().store(
    group="hydra/sweeper", name="tagifai", node=SearchSweeperConfig, provider="tagifai"
)
