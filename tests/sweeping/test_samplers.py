from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
from tagifai.sweeping import samplers, studies
from tagifai.sweeping.samplers import ReseededSampler, make_pruner, make_sampler
from tagifai.sweeping.studies import Study
from tests.conftest import CONF

RANDOM = {"_target_": "optuna.samplers.RandomSampler"}
TPE = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}


def no_grid() -> Mapping[str, list[Any]]:
    raise AssertionError("only a grid needs the choices")


def begun(settings: Mapping[str, Any] = RANDOM, seed: int = 0, storage: Any = None) -> Study:
    """Return a study, or go on with the one in a storage, with a sampler that knows nothing yet."""
    return studies.open_study(
        InMemoryStorage() if storage is None else storage,
        "s",
        ["maximize"],
        make_sampler(settings, seed, no_grid),
        NopPruner(),
    )


def asked(study: Study) -> Trial:
    trial = study.ask(100)
    assert trial is not None
    return trial


def taken(study: Study) -> tuple[Trial, tuple[float, str]]:
    """Return a trial and its parameters, chosen at once as a worker does."""
    trial = asked(study)
    return trial, chosen(trial)


def chosen(trial: Trial) -> tuple[float, str]:
    return trial.suggest_float("x", 0, 1), trial.suggest_categorical("c", ["a", "b", "c"])


def searched(study: Study, count: int) -> list[tuple[float, str]]:
    """Return the parameters of so many trials, one after another."""
    found = []
    for _ in range(count):
        trial = asked(study)
        x, c = chosen(trial)
        study.tell(trial, TrialState.COMPLETE, [x + (c == "b")])
        found.append((x, c))
    return found


# --- one seed for a search -------------------------------------------------------------------


@pytest.mark.parametrize("settings", [RANDOM, TPE])
def test_a_serial_search_with_one_seed_gives_the_same_trials_again(
    settings: Mapping[str, Any],
) -> None:
    assert searched(begun(settings), 8) == searched(begun(settings), 8)


def test_another_seed_gives_other_trials() -> None:
    one, other = searched(begun(seed=1), 4), searched(begun(seed=2), 4)
    assert not set(one) & set(other)


def test_no_two_trials_of_a_search_are_the_same() -> None:
    assert len({x for x, _ in searched(begun(), 20)}) == 20


def test_the_seed_of_the_settings_wins() -> None:
    settings = {**RANDOM, "seed": 7}
    assert searched(begun(settings, seed=1), 3) == searched(begun(settings, seed=2), 3)
    assert searched(begun(settings), 3) == searched(begun(RANDOM, seed=7), 3)
    assert searched(begun({**RANDOM, "seed": 0}, seed=7), 3) == searched(begun(RANDOM, seed=0), 3)


@pytest.mark.parametrize("settings", [RANDOM, TPE])
def test_a_search_that_is_taken_up_again_goes_on_with_the_trials_that_it_would_have_had(
    settings: Mapping[str, Any],
) -> None:
    storage = InMemoryStorage()
    first = searched(begun(settings, storage=storage), 5)
    rest = searched(begun(settings, storage=storage), 4)
    assert first + rest == searched(begun(settings), 9)


@pytest.mark.parametrize("settings", [RANDOM, TPE])
@pytest.mark.parametrize("killed", [0, 4])
def test_the_successor_of_a_trial_that_died_has_its_parameters(
    settings: Mapping[str, Any], killed: int
) -> None:
    storage = InMemoryStorage()
    before = begun(settings, storage=storage)
    first = searched(before, killed)
    trial, of_the_dead = taken(before)
    before.abandon(trial._trial_id, "It was killed.")
    rest = searched(begun(settings, storage=storage), 8 - killed)
    assert rest[0] == of_the_dead
    assert first + rest == searched(begun(settings), 8)


def test_a_failed_trial_has_no_successor() -> None:
    study = begun()
    trial, of_the_failed = taken(study)
    study.tell(trial, TrialState.FAIL, None, "It failed.")
    assert [of_the_failed, *searched(study, 2)] == searched(begun(), 3)


def test_two_trials_that_are_asked_for_at_once_differ() -> None:
    study = begun()
    (_, one), (_, other) = taken(study), taken(study)
    assert one != other


def test_so_do_those_of_two_processes() -> None:
    storage = InMemoryStorage()
    (_, one), (_, other) = taken(begun(storage=storage)), taken(begun(storage=storage))
    assert one != other


def test_a_killed_search_of_two_workers_makes_up_for_both_trials() -> None:
    storage = InMemoryStorage()
    before = begun(storage=storage)
    (one, lost), (other, lost_too) = taken(before), taken(before)
    for trial in (one, other):
        before.abandon(trial._trial_id, "It was killed.")
    assert searched(begun(storage=storage), 2) == [lost, lost_too]


def test_the_successor_of_one_that_died_beside_another_is_no_copy_of_the_other() -> None:
    study = begun()
    (one, lost), (_, going_on) = taken(study), taken(study)
    study.abandon(one._trial_id, "It was killed.")
    _, made_up = taken(study)
    assert made_up != going_on
    assert made_up == lost


def test_a_thread_that_has_asked_for_nothing_has_a_sampler_too() -> None:
    made: list[int] = []

    def make(seed: int) -> BaseSampler:
        made.append(seed)
        return RandomSampler(seed)

    sampler = ReseededSampler(make, 5)
    study = optuna.create_study(sampler=sampler)
    trial = study.ask()
    space = sampler.infer_relative_search_space
    thread = threading.Thread(target=space, args=(study, trial._get_latest_trial()))
    thread.start()
    thread.join()
    assert made[0] == made[-1] == 5
    assert len(set(made)) == 2


def test_a_sampler_is_asked_and_told_in_the_order_of_a_trial() -> None:
    calls: list[str] = []

    class Told(RandomSampler):
        def before_trial(self, *_: Any) -> None:
            calls.append("before")

        def infer_relative_search_space(self, *_: Any) -> Any:
            calls.append("infer")
            return {"x": optuna.distributions.FloatDistribution(0, 1)}

        def sample_relative(self, *_: Any) -> Any:
            calls.append("relative")
            return {"x": 0.25}

        def sample_independent(self, *_: Any) -> Any:
            calls.append("independent")
            return 0.75

        def after_trial(self, _study: Any, _trial: Any, state: Any, values: Any) -> None:
            calls.append(f"after {state.name} {values}")

    study = optuna.create_study(sampler=ReseededSampler(Told, 0))
    trial = study.ask()
    assert (trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)) == (0.25, 0.75)
    study.tell(trial, 1.0)
    assert calls == ["before", "infer", "relative", "independent", "after COMPLETE [1.0]"]


# --- samplers of the configuration -----------------------------------------------------------

CHOICES: dict[str, list[Any]] = {"x": [1, 2, 3], "c": ["a", "b"]}


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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", TPESampler),
        ("random", RandomSampler),
        ("nsgaii", NSGAIISampler),
        ("nsgaiii", NSGAIIISampler),
    ],
)
def test_a_stock_sampler_is_reseeded_and_samples(name: str, kind: type[BaseSampler]) -> None:
    study = begun(stock(name))
    assert isinstance(study.optuna.sampler, ReseededSampler)
    assert isinstance(study.optuna.sampler._sampler, kind)
    assert len(searched(study, 3)) == 3


def test_a_sampler_of_several_objectives_gives_the_same_trials_again() -> None:
    def found() -> list[tuple[float, str]]:
        sampler = make_sampler(stock("nsgaii") | {"population_size": 4}, 0, no_grid)
        study = studies.open_study(
            InMemoryStorage(), "s", ["maximize", "minimize"], sampler, NopPruner()
        )
        values = []
        for _ in range(9):
            trial = asked(study)
            x, c = chosen(trial)
            study.tell(trial, TrialState.COMPLETE, [x, x * x + (c == "b")])
            values.append((x, c))
        return values

    assert found() == found()


def test_a_grid_has_every_point_once_and_is_not_reseeded() -> None:
    sampler = make_sampler(stock("grid"), 0, lambda: CHOICES)
    assert type(sampler) is GridSampler
    study = studies.open_study(InMemoryStorage(), "s", ["maximize"], sampler, NopPruner())
    points = []
    for _ in range(6):
        trial = asked(study)
        points.append((trial.suggest_int("x", 1, 3), trial.suggest_categorical("c", ["a", "b"])))
        study.tell(trial, TrialState.COMPLETE, [1.0])
    assert sorted(points) == [(x, c) for x in (1, 2, 3) for c in ("a", "b")]


def test_a_grid_of_steps_is_within_its_distribution() -> None:
    sampler = make_sampler(stock("grid"), 0, lambda: {"x": [0.1, 0.2, 0.3, 0.4]})
    study = studies.open_study(InMemoryStorage(), "s", ["maximize"], sampler, NopPruner())
    points = []
    for _ in range(4):
        trial = asked(study)
        points.append(trial.suggest_float("x", 0.1, 0.4, step=0.1))
        study.tell(trial, TrialState.COMPLETE, [1.0])
    assert sorted(points) == [0.1, 0.2, 0.3, 0.4]


def test_a_point_whose_trial_died_is_visited_again() -> None:
    sampler = make_sampler(stock("grid"), 0, lambda: {"x": [1, 2, 3, 4, 5, 6]})
    study = studies.open_study(InMemoryStorage(), "s", ["maximize"], sampler, NopPruner())
    points = []
    for number in range(10):
        trial = asked(study)
        point = trial.suggest_int("x", 1, 6)
        if number % 2 and number < 8:
            study.abandon(trial._trial_id, "It was killed.")
        else:
            study.tell(trial, TrialState.COMPLETE, [1.0])
            points.append(point)
    assert sorted(points) == [1, 2, 3, 4, 5, 6]


def test_a_quasi_random_sequence_is_not_reseeded_and_goes_on() -> None:
    assert type(make_sampler(stock("qmc"), 0, no_grid)) is QMCSampler

    def points(*counts: int) -> list[float]:
        storage, found = InMemoryStorage(), []
        for count in counts:
            study = begun(stock("qmc"), storage=storage)
            for _ in range(count):
                trial = asked(study)
                found.append(trial.suggest_float("x", 0, 1))
                study.tell(trial, TrialState.COMPLETE, [1.0])
        return found

    assert points(3, 4) == points(7)
    assert len(set(points(7))) == 7


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        (
            "cmaes",
            "cmaes",
            "CmaEsSampler needs a package that is not installed. Install it: pip install cmaes",
        ),
        (
            "gp",
            "torch",
            "GPSampler needs a package that is not installed. Install it: pip install torch",
        ),
        (
            "gp",
            "scipy",
            "GPSampler needs a package that is not installed. Install it: pip install scipy",
        ),
    ],
)
def test_a_sampler_says_which_package_it_needs(
    name: str, missing: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(samplers, "find_spec", lambda p: None if p == missing else found("json"))
    with pytest.raises(ConfigError) as caught:
        make_sampler(stock(name), 0, no_grid)
    assert str(caught.value) == f"hydra/sweeper/sampler: {message}"


def test_the_sampler_that_optuna_no_longer_has_is_refused_with_the_one_to_take() -> None:
    with pytest.raises(
        ConfigError, match=r"removed in Optuna 4\.0\. Use 'hydra/sweeper/sampler=tpe"
    ):
        make_sampler(stock("motpe"), 0, no_grid)


def test_an_experimental_argument_makes_no_warning() -> None:
    settings = {**TPE, "multivariate": True, "group": True, "constant_liar": True}
    assert len(searched(begun(settings), 5)) == 5


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


def test_all_options_are_known_here() -> None:
    assert {path.stem for path in (CONF / "hydra/sweeper/pruner").iterdir()} == OPTIONS.keys()


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_every_option_makes_its_pruner(option: str) -> None:
    assert type(pruner(f"hydra/sweeper/pruner={option}")) is OPTIONS[option]


def test_the_median_pruner_is_the_one_of_the_published_search() -> None:
    made = pruner()
    assert isinstance(made, MedianPruner)
    assert (made._n_startup_trials, made._n_warmup_steps, made._interval_steps) == (5, 5, 1)


def test_hyperband_knows_how_many_epochs_there_are() -> None:
    made = pruner("hydra/sweeper/pruner=hyperband", "training.epochs=45")
    assert isinstance(made, HyperbandPruner)
    assert (made._min_resource, made._max_resource) == (5, 45)


@pytest.mark.parametrize("settings", [None, {}])
def test_no_pruner_is_one_that_never_prunes(settings: Mapping[str, Any] | None) -> None:
    assert type(make_pruner(settings)) is NopPruner


def test_any_pruner_of_optuna_may_be_named() -> None:
    made = make_pruner(
        {"_target_": "optuna.pruners.PatientPruner", "wrapped_pruner": None, "patience": 2}
    )
    assert type(made).__name__ == "PatientPruner"


# --- refusals --------------------------------------------------------------------------------


def make_random(settings: Mapping[str, Any]) -> BaseSampler:
    return make_sampler(settings, 0, no_grid)


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (make_pruner, {"_target_": "os.getcwd"}, "hydra.sweeper.pruner: os.getcwd cannot be made:"),
        (
            make_random,
            {"_target_": "os.getcwd"},
            "hydra.sweeper.sampler: os.getcwd cannot be made:",
        ),
        (
            make_pruner,
            {"_target_": "optuna.samplers.RandomSampler"},
            "hydra.sweeper.pruner: optuna.samplers.RandomSampler cannot be made:",
        ),
        (
            make_random,
            {"_target_": "optuna.pruners.NopPruner"},
            "hydra.sweeper.sampler: optuna.pruners.NopPruner cannot be made:",
        ),
        (
            make_pruner,
            {"_target_": "optuna.pruners.MedianPruner", "n_startup_trails": 5},
            "hydra.sweeper.pruner.n_startup_trails: optuna.pruners.MedianPruner takes no such",
        ),
        (
            make_pruner,
            {"_target_": "optuna.pruners.PercentilePruner", "percentile": 101.0},
            "hydra.sweeper.pruner: optuna.pruners.PercentilePruner cannot be made:",
        ),
        (
            make_random,
            {"_target_": "optuna.samplers.NoSampler"},
            "hydra.sweeper.sampler: optuna.samplers.NoSampler cannot be made:",
        ),
        (
            make_pruner,
            {"_target_": "optuna.pruners._filter_study", "_partial_": True},
            "hydra.sweeper.pruner: optuna.pruners._filter_study cannot be made: it is not one of",
        ),
        (
            make_random,
            {"_target_": "optuna.samplers.nsgaii.UniformCrossover", "_partial_": True},
            "hydra.sweeper.sampler._partial_ is not taken: beside _target_ there are",
        ),
        (
            make_pruner,
            {"percentile": 5},
            "hydra.sweeper.pruner: None cannot be made: it is not",
        ),
    ],
)
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
