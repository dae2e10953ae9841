"""What `sweeping/_optuna.py` takes of Optuna and of Hydra's plugin for it is still there."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage, RDBStorage

from tagifai.sweeping import _optuna
from tests.private_names import require, require_import

FENCE = "tagifai/sweeping/_optuna.py"
PLUGIN = "hydra_plugins.hydra_optuna_sweeper._impl"


def test_a_trial_has_an_id_by_which_its_store_knows_it() -> None:
    study = optuna.create_study(storage=InMemoryStorage())
    for trial in (study.ask(), study.get_trials()[0]):
        require(trial, ["_trial_id"], "optuna", FENCE)
        assert study._storage.get_trial(_optuna.get_trial_id(trial)).number == trial.number


def test_a_study_has_its_store() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    require(study, ["_storage"], "optuna", FENCE)
    assert _optuna.get_storage(study) is storage


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_store_lists_its_stale_trials(tmp_path: Path) -> None:
    database = RDBStorage(f"sqlite:///{tmp_path}/studies.db", heartbeat_interval=60)
    for storage in (database, optuna.storages.get_storage(database)):
        require(storage, ["_get_stale_trial_ids"], "optuna", FENCE)
    study = optuna.create_study(storage=database, study_name="s")
    assert _optuna.list_stale_trials(database, database.get_study_id_from_name("s")) == []
    assert study.get_trials() == []
    database.remove_session()
    database.engine.dispose()


def test_the_plugin_reads_the_grammar_as_distributions() -> None:
    require_import(
        f"{PLUGIN}.create_optuna_distribution_from_override", "hydra-optuna-sweeper", FENCE
    )

    def read(text: str) -> object:
        return _optuna.read_distribution(OverridesParser.create().parse_override(text))

    assert read("a=choice(x,y)") == CategoricalDistribution(["x", "y"])
    assert read("a=interval(0.5,1.5)") == FloatDistribution(0.5, 1.5)
    assert read("a=x") == "x"


def test_the_plugin_counts_the_values_of_a_grid() -> None:
    sweeper = require_import(f"{PLUGIN}.OptunaSweeperImpl", "hydra-optuna-sweeper", FENCE)
    require(sweeper, ["_to_grid_sampler_choices"], "hydra-optuna-sweeper", FENCE)
    assert _optuna.list_grid_choices(IntDistribution(1, 5, step=2)) == [1, 3, 5]
    assert _optuna.list_grid_choices(FloatDistribution(0, 1, step=0.5)) == [0, 0.5, 1]
    with pytest.raises(ValueError, match="discrete"):
        _optuna.list_grid_choices(FloatDistribution(0, 1))
