"""A search as Hydra hands it over, without running one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from tagifai.config import paths
from tagifai.config.job import strip_hydra_node
from tagifai.config.schema import Config, ObjectiveConfig, check
from tagifai.console.display import Display
from tagifai.sweeping import composition, studies
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.spaces import grammar
from tagifai.sweeping.sweeper import SearchSweeper
from tagifai.tracking.session import TrackedRun

CONF = Path(__file__).parents[2] / "conf"

Searching = Callable[..., SearchSweeper]
"""Gives the plugin as it is set up for overrides of the command line."""


@pytest.fixture(scope="session")
def loader() -> ConfigLoader:
    setup_globals()
    Plugins.instance()
    return ConfigLoaderImpl(create_config_search_path(str(CONF)))


@pytest.fixture(scope="session")
def masters(loader: ConfigLoader) -> Callable[..., DictConfig]:
    """The configuration of a multirun; composing one takes a while, so each is made once."""
    made: dict[tuple[str, ...], DictConfig] = {}

    def master(*overrides: str) -> DictConfig:
        if overrides not in made:
            JobRuntime.instance().set("name", "run")
            made[overrides] = loader.load_configuration(
                "config", list(overrides), run_mode=RunMode.MULTIRUN
            )
        return copy.deepcopy(made[overrides])

    return master


@pytest.fixture
def searching(
    loader: ConfigLoader,
    masters: Callable[..., DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Searching]:
    """A function that sets the plugin up for a command line, with folders of the test's own."""
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "stores"))
    monkeypatch.chdir(tmp_path)  # where relative paths of a command line start
    hydra = HydraConfig.instance()
    before = hydra.cfg

    def searching(*overrides: str, **settings: Any) -> SearchSweeper:
        master = masters("hydra/sweeper=tagifai", *overrides)
        master.paths.stores = str(tmp_path / "stores")  # which was read when it was composed
        hydra.set_config(master)
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        given = {k: v for k, v in master.hydra.sweeper.items() if k != "_target_"}
        made = SearchSweeper(**{**given, **settings})
        made.setup(hydra_context=context, task_function=lambda _: None, config=master)
        return made

    yield searching
    hydra.cfg = before


@pytest.fixture(scope="session")
def _config(masters: Callable[..., DictConfig]) -> Config:
    root = {"TAGIFAI_ROOT": "/root", "TAGIFAI_STORES": "/root/stores"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in root.items():
            patch.setenv(name, value)
        return check(strip_hydra_node(masters("hydra/sweeper=tagifai")))


@pytest.fixture
def config(_config: Config) -> Config:
    """The project's configuration as it is without any override."""
    return copy.deepcopy(_config)


def strip(sweeper: SearchSweeper) -> Config:
    """Return the configuration that all trials of a search share."""
    return paths.resolve(check(strip_hydra_node(sweeper.master)))


def aiming_at(config: Config, metric: Any, direction: Any = "maximize") -> Config:
    """Return a configuration with another objective."""
    return replace(config, objective=ObjectiveConfig(metric=metric, direction=direction))


class Kept(TrackedRun):
    """A run that keeps what is logged."""

    def __init__(self) -> None:
        super().__init__("parent")
        self.params: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}
        self.metrics: dict[str, float] = {}
        self.files: list[Path | None] = []

    def log_params(self, params: Mapping[str, Any]) -> None:
        self.params |= params

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        self.tags |= tags

    def log_metrics(self, metrics: Mapping[str, float], *, of_model: bool = False) -> None:
        self.metrics |= metrics

    def log_file(self, path: Path | None) -> None:
        self.files.append(path)


Planning = Callable[..., SearchPlan]
"""Gives a plan as it is for a space and a command line, with a study in memory."""


@pytest.fixture
def planning(searching: Searching, tmp_path: Path) -> Planning:
    def planning(
        params: Mapping[str, Any],
        *arguments: str,
        when: Mapping[str, Any] | None = None,
        n_trials: int = 10,
        composing: bool = False,
    ) -> SearchPlan:
        sweeper = searching(*arguments, storage=None)
        config = paths.resolve(check(strip_hydra_node(sweeper.master)))
        study = studies.open_study(
            None, "s", config.objective.directions, RandomSampler(0), NopPruner()
        )
        return SearchPlan(
            config=config,
            settings=SearchSettings.from_hydra(sweeper.settings),
            space=grammar.parse_space(params, when, arguments),
            study=study,
            display=Display(quiet=False, plain=True, every=10),
            cfg=composition.make_job_config(sweeper, study, Path(config.paths.outputs), 1),
            folder=tmp_path / "outputs" / "search",
            n_trials=n_trials,
            n_workers=1,
            context=sweeper.context,
            function=lambda _: None,
            # Composing takes a while, and few tests are about it.
            compose=composition.make_composer(sweeper)
            if composing
            else lambda _: (config, {"model": "sgd"}),
            compose_alone=composition.make_run_composer(sweeper) if composing else lambda _: config,
            parent=Kept(),
        )

    return planning


def kept(plan: SearchPlan) -> Kept:
    assert isinstance(plan.parent, Kept)
    return plan.parent


def tried(
    plan: SearchPlan,
    values: Mapping[str, Any],
    *objective: float,
    state: TrialState = TrialState.COMPLETE,
    constraint: float | None = None,
    **attributes: Any,
) -> int:
    """Add a trial of these parameters that has ended, and return its number.

    Args:
        plan: of the search.
        values: by name in the study; those that the space does not have are from 0 to 1.
        objective: its values.
        state: how it ended.
        constraint: by how much it breaks one, or None.
        attributes: of the trial.
    """
    known = {p.name: p.distribution for p in plan.space.list_all_parameters()}
    trial = create_trial(
        state=state,
        values=objective or None,
        params=dict(values),
        distributions={name: known.get(name, FloatDistribution(0, 1)) for name in values},
        user_attrs=attributes,
    )
    if constraint is not None:
        trial.set_constraint("model_bytes", constraint)
    plan.study.optuna.add_trial(trial)
    return len(plan.study.list_trials()) - 1
