from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from tagifai.exceptions import ConfigError
from tagifai.sweeping import samplers
from tagifai.sweeping._optuna import tell_alone
from tagifai.sweeping.samplers import SEED_INDEX, make_pruner, make_sampler
from tagifai.sweeping.spaces.grammar import parse_space
from tagifai.sweeping.spaces.space import SearchSpace
from tests.conftest import CONF

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}
TPE = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}
DIED = "died"

SPACE = parse_space({"x": "interval(0.0,1.0)", "c": "a,b,c"}, None, [])
FINITE = parse_space({"x": "range(1,4)", "c": "a,b"}, None, [])


class Search:
    """Trials of a study, whose sampler is made for each of them as a worker does."""

    def __init__(
        self,
        settings: Mapping[str, Any] = RANDOM,
        seed: int = 0,
        storage: Any = None,
        space: SearchSpace = SPACE,
        directions: Sequence[Literal["maximize", "minimize"]] = ("maximize",),
    ) -> None:
        self._space = space
        self._make = make_sampler(settings, seed, space)
        self.study = optuna.create_study(
            storage=InMemoryStorage() if storage is None else storage,
            study_name="s",
            directions=directions,
            load_if_exists=True,
        )

    def take(self) -> tuple[Trial, list[str]]:
        held = {t.user_attrs.get(SEED_INDEX) for t in self.study.trials if DIED not in t.user_attrs}
        turn = next(number for number in count() if number not in held)
        self.study.sampler = self._make(turn)
        trial = self.study.ask()
        trial.set_user_attr(SEED_INDEX, turn)
        return trial, self._space.suggest_overrides(trial)

    def die(self, trial: Trial) -> None:
        trial.set_user_attr(DIED, "It was killed.")
        tell_alone(self.study, trial, TrialState.FAIL, None)

    def run(self, count: int) -> list[list[str]]:
        """Return the overrides of so many trials, one after another."""
        found = []
        for _ in range(count):
            trial, overrides = self.take()
            value = score(trial.params)
            values = [value, -value][: len(self.study.directions)]
            tell_alone(self.study, trial, TrialState.COMPLETE, values)
            found.append(overrides)
        return found


def score(params: Mapping[str, Any]) -> float:
    return sum(float(v == "b" if isinstance(v, str) else v) for v in params.values())


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))


@cache
def stock(name: str) -> dict[str, Any]:
    """Return the settings of an option of hydra/sweeper/sampler."""
    with initialize_config_dir(str(CONF)):
        overrides = ["hydra/sweeper=tagifai", f"hydra/sweeper/sampler={name}"]
        cfg = compose("config", overrides, return_hydra_config=True)
    settings = OmegaConf.to_container(cfg.hydra.sweeper.sampler)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


# --- one seed for a search -------------------------------------------------------------------

EVERY = [
    *((RANDOM, SPACE), (TPE, SPACE), ("qmc", SPACE), ("brute", FINITE), ("grid", FINITE)),
    ({"_target_": "optuna.samplers.NSGAIISampler", "population_size": 3}, SPACE),
]


@pytest.mark.parametrize(("settings", "space"), EVERY)
def test_a_seed_and_a_history_give_the_next_trial_whoever_asks(settings: Any, space: Any) -> None:
    settings = stock(settings) if isinstance(settings, str) else settings

    def begin(storage: Any = None) -> Search:
        return Search(settings, storage=storage, space=space)

    whole = begin().run(6)
    assert begin().run(6) == whole
    storage = InMemoryStorage()
    assert begin(storage).run(2) + begin(storage).run(4) == whole
    one, other = begin(storage := InMemoryStorage()), begin(storage)
    assert [(one, other)[n % 2].run(1)[0] for n in range(6)] == whole


def test_another_seed_gives_other_trials_and_no_two_are_the_same() -> None:
    one, other = Search(seed=1).run(20), Search(seed=2).run(4)
    assert len({str(trial) for trial in one}) == 20
    assert not [trial for trial in other if trial in one]


def test_the_seed_of_the_settings_wins() -> None:
    assert Search({**RANDOM, "seed": 7}, seed=1).run(3) == Search(RANDOM, seed=7).run(3)
    assert Search({**RANDOM, "seed": 0}, seed=7).run(3) == Search(RANDOM, seed=0).run(3)


@pytest.mark.parametrize("settings", [RANDOM, TPE])
@pytest.mark.parametrize("killed", [0, 4])
def test_the_successor_of_a_trial_that_died_has_its_parameters(settings: Any, killed: int) -> None:
    before = Search(settings, storage=(storage := InMemoryStorage()))
    first = before.run(killed)
    trial, lost = before.take()
    before.die(trial)
    rest = Search(settings, storage=storage).run(8 - killed)
    assert rest[0] == lost
    assert first + rest == Search(settings).run(8)


def test_beside_a_living_one_it_is_no_copy_of_that() -> None:
    search = Search()
    (trial, lost), (_, going_on) = search.take(), search.take()
    assert lost != going_on
    search.die(trial)
    assert search.take()[1] == lost


# --- samplers of the configuration -----------------------------------------------------------

KINDS: dict[str, type[BaseSampler]] = {
    "tpe": TPESampler,
    "random": RandomSampler,
    "nsgaii": NSGAIISampler,
    "nsgaiii": NSGAIIISampler,
    "qmc": QMCSampler,
    "grid": GridSampler,
    "brute": BruteForceSampler,
}
ABSENT = {"cmaes": CmaEsSampler, "gp": GPSampler}
"""Samplers that need packages beside."""


@pytest.mark.parametrize("name", KINDS)
def test_an_option_makes_its_sampler(name: str) -> None:
    space = FINITE if name in ("grid", "brute") else SPACE
    assert type(make_sampler(stock(name), 0, space)(0)) is KINDS[name]


@pytest.mark.parametrize("name", ["nsgaii", "tpe"])
def test_a_search_with_several_objectives_is_the_same_again(name: str) -> None:
    def found() -> list[list[str]]:
        return Search(stock(name), directions=["maximize", "minimize"]).run(6)

    assert found() == found()


@pytest.mark.parametrize("name", ["grid", "brute"])
@pytest.mark.parametrize(
    ("params", "points"),
    [
        ({"x": "range(1,4)", "c": "a,b"}, [f"x={x} c={c}" for x in (1, 2, 3) for c in "ab"]),
        ({"x": "range(0.1,0.5,0.1)"}, [f"x={x}" for x in (0.1, 0.2, 0.3, 0.4)]),
    ],
)
def test_every_point_of_a_finite_space_is_tried_once(
    name: str, params: dict[str, Any], points: list[str]
) -> None:
    found = Search(stock(name), space=parse_space(params, None, [])).run(len(points))
    assert sorted(map(" ".join, found)) == points


def test_brute_force_takes_branches() -> None:
    space = parse_space({"c": "a,b"}, {"c=a": {"x": "range(1,4)"}}, [])
    found = Search(stock("brute"), space=space).run(4)
    assert sorted(map(" ".join, found)) == ["c=a x=1", "c=a x=2", "c=a x=3", "c=b"]
    with pytest.raises(ConfigError, match=r"grid takes no branches.*sampler=brute"):
        make_sampler(stock("grid"), 0, space)


@pytest.mark.parametrize("name", ["grid", "brute"])
def test_a_sampler_of_every_point_takes_no_interval(name: str) -> None:
    with pytest.raises(ConfigError, match=f"sampler={name} cannot count the values of x. Use"):
        make_sampler(stock(name), 0, SPACE)


@pytest.mark.parametrize(
    ("name", "missing"), [("cmaes", "cmaes"), ("gp", "torch"), ("gp", "scipy")]
)
def test_a_sampler_says_which_package_it_needs(
    name: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(samplers, "find_spec", lambda p: None if p == missing else found("json"))
    with pytest.raises(ConfigError) as caught:
        make_sampler(stock(name), 0, SPACE)
    assert str(caught.value) == (
        f"hydra/sweeper/sampler: {ABSENT[name].__name__} needs a package that is not installed."
        f" Install it: pip install {missing}"
    )


def test_the_sampler_that_optuna_no_longer_has_is_refused_with_the_one_to_take() -> None:
    with pytest.raises(
        ConfigError, match=r"removed in Optuna 4\.0\. Use 'hydra/sweeper/sampler=tpe"
    ):
        make_sampler(stock("motpe"), 0, SPACE)


def test_an_experimental_argument_makes_no_warning() -> None:
    settings = {**TPE, "multivariate": True, "group": True, "constant_liar": True}
    assert len(Search(settings).run(5)) == 5


# --- pruners of the configuration ------------------------------------------------------------


def pruner(*overrides: str) -> BasePruner:
    with initialize_config_dir(str(CONF)):
        cfg = compose("config", ["hydra/sweeper=tagifai", *overrides], return_hydra_config=True)
    settings = OmegaConf.to_container(cfg.hydra.sweeper.pruner, resolve=True)
    assert isinstance(settings, dict)
    return make_pruner({str(key): value for key, value in settings.items()})


OPTIONS: dict[str, type[BasePruner]] = {
    "hyperband": HyperbandPruner,
    "median": MedianPruner,
    "median_early": MedianPruner,
    "none": NopPruner,
    "percentile": PercentilePruner,
    "successive_halving": SuccessiveHalvingPruner,
}


def test_every_option_makes_its_pruner() -> None:
    assert {path.stem for path in (CONF / "hydra/sweeper/pruner").iterdir()} == OPTIONS.keys()
    for option, kind in OPTIONS.items():
        assert type(pruner(f"hydra/sweeper/pruner={option}")) is kind
    unset: tuple[dict[str, Any] | None, ...] = (None, {})
    for nothing in unset:
        assert type(make_pruner(nothing)) is NopPruner
    named = {"_target_": "optuna.pruners.PatientPruner", "wrapped_pruner": None, "patience": 2}
    assert type(make_pruner(named)).__name__ == "PatientPruner"


def test_the_settings_of_a_pruner_are_those_of_the_published_search_and_of_the_training() -> None:
    made = pruner()
    assert isinstance(made, MedianPruner)
    assert (made._n_startup_trials, made._n_warmup_steps, made._interval_steps) == (5, 5, 1)
    hyperband = pruner("hydra/sweeper/pruner=hyperband", "training.epochs=45")
    assert isinstance(hyperband, HyperbandPruner)
    assert (hyperband._min_resource, hyperband._max_resource) == (5, 45)


# --- refusals --------------------------------------------------------------------------------


def make_random(settings: Mapping[str, Any]) -> BaseSampler:
    return make_sampler(settings, 0, SPACE)(0)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (make_pruner, {"_target_": "os.getcwd"}, "hydra.sweeper.pruner: os.getcwd cannot be made:"),
        (make_random, {"_target_": "os.getcwd"},
         "hydra.sweeper.sampler: os.getcwd cannot be made:"),
        (make_pruner, {"_target_": "optuna.samplers.RandomSampler"},
         "hydra.sweeper.pruner: optuna.samplers.RandomSampler cannot be made:"),
        (make_random, {"_target_": "optuna.pruners.NopPruner"},
         "hydra.sweeper.sampler: optuna.pruners.NopPruner cannot be made:"),
        (make_pruner, {"_target_": "optuna.pruners.MedianPruner", "n_startup_trails": 5},
         "hydra.sweeper.pruner.n_startup_trails: optuna.pruners.MedianPruner takes no such"),
        (make_pruner, {"_target_": "optuna.pruners.PercentilePruner", "percentile": 101.0},
         "hydra.sweeper.pruner: optuna.pruners.PercentilePruner cannot be made:"),
        (make_random, {"_target_": "optuna.samplers.NoSampler"},
         "hydra.sweeper.sampler: optuna.samplers.NoSampler cannot be made:"),
        (make_pruner, {"_target_": "optuna.pruners._filter_study", "_partial_": True},
         "hydra.sweeper.pruner: optuna.pruners._filter_study cannot be made: it is not one of"),
        (make_random, {"_target_": "optuna.samplers.nsgaii.UniformCrossover", "_partial_": True},
         "hydra.sweeper.sampler._partial_ is not taken: beside _target_ there are"),
        (make_pruner, {"percentile": 5}, "hydra.sweeper.pruner: None cannot be made: it is not"),
    ],
)  # fmt: skip
def test_what_makes_no_sampler_or_pruner_is_refused_in_one_line(
    make: Callable[[Mapping[str, Any]], Any], settings: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_target_that_is_not_allowed_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "run"
    with pytest.raises(ConfigError):
        make_pruner({"_target_": "os.mkdir", "path": str(marker)})
    with pytest.raises(ConfigError):
        make_random({**TPE, "gamma": {"_target_": "os.mkdir", "path": str(marker)}})
    assert not marker.exists()
