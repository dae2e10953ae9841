from __future__ import annotations

from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from tagifai.sweeping import composition, loader
from tagifai.sweeping.sweeper import SearchSweeper
from tests.sweeping.conftest import Searching


def contents(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg, resolve=False)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Hydra's own loader was asked for, with nothing composed before."""
    monkeypatch.setattr(loader, "_composed_configs", {})
    asked: list[list[str]] = []
    compose = ConfigLoaderImpl.load_sweep_config

    def noted(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        asked.append(list(sweep_overrides))
        return compose(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", noted)
    return asked


def quick(sweeper: SearchSweeper, *overrides: str) -> DictConfig:
    return composition.make_loader(sweeper).load_sweep_config(sweeper.master, list(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["vectorizer.ngram_max=2", "vectorizer=tfidf_word", "model.class_weight=null"],
        ["model=custom", "model._target_=sklearn.linear_model.Perceptron", "+model.n_jobs=2"],
        ["sampling=none", "seed=3", "training.epochs=7", "data.accepted_tags=[a,b]"],
        ["++tracking.tags.who='a, b'", "~tracking.tags.who", "paths.stores='a b'", "seed=4"],
        ["model.alpha=0.5", "model.alpha=0.25", "objective.direction=minimize"],
    ],
)
@pytest.mark.usefixtures("composed")
def test_a_job_has_the_configuration_that_hydra_gives_it(
    overrides: list[str], searching: Searching
) -> None:
    sweeper = searching()
    # The time that is in it is that of the search, once it has been looked at.
    folder = sweeper.master.hydra.sweep.dir
    expected = sweeper.context.config_loader.load_sweep_config(sweeper.master, list(overrides))
    for _ in range(2):
        found = quick(sweeper, *overrides)
        assert contents(found) == contents(expected)
        assert found.hydra.sweep.dir == folder


def test_jobs_of_the_same_options_are_composed_once(
    searching: Searching, composed: list[list[str]]
) -> None:
    sweeper = searching()
    values = [quick(sweeper, f"model.alpha={n}", "sampling=none").model.alpha for n in (1, 2, 3)]
    assert values == [1.0, 2.0, 3.0]
    assert composed == [["sampling=none"]]


def test_other_options_are_composed_by_themselves(
    searching: Searching, composed: list[list[str]]
) -> None:
    sweeper = searching()
    assert quick(sweeper, "sampling=none").hydra.runtime.choices.sampling == "none"
    assert quick(sweeper).hydra.runtime.choices.sampling == "random_over"
    assert composed == [["sampling=none"], []]


def test_another_sweep_is_composed_by_itself(
    searching: Searching, composed: list[list[str]]
) -> None:
    assert quick(searching("hydra.sweeper.n_trials=5")).hydra.sweeper.n_trials == 5
    assert quick(searching("hydra.sweeper.n_trials=6")).hydra.sweeper.n_trials == 6
    assert len(composed) == 2


def test_what_one_job_does_with_its_configuration_no_other_sees(searching: Searching) -> None:
    sweeper = searching()
    first = quick(sweeper, "model.alpha=0.5")
    first.model.alpha = 0.75
    first.hydra.job.num = 3
    second = quick(sweeper)
    assert second.model.alpha not in (0.5, 0.75)
    assert OmegaConf.is_missing(second.hydra.job, "num")


def test_a_key_that_is_not_there_is_refused_as_hydra_does(searching: Searching) -> None:
    sweeper = searching()
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'model\.nope'"):
        quick(sweeper, "model.nope=1")
    with pytest.raises(ConfigCompositionException):
        quick(sweeper, "hydra/launcher=joblib")
