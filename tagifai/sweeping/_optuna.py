"""What Optuna and Hydra's plugin for it keep to themselves and a search needs; nothing else.

Read in Optuna 5.0.0 and hydra-optuna-sweeper 1.4.0rc3; `tests/sweeping/test_private_optuna.py`
fails when it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from hydra.core.override_parser.types import Override
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState


def get_trial_id(trial: Trial | FrozenTrial) -> int:
    """Return the id by which the store's public methods know a trial; it shows its number alone."""
    return trial._trial_id


def get_storage(study: Study) -> BaseStorage:
    """Return where a study is, for a sampler: it is given the study, and trials to read only."""
    return study._storage


def list_stale_trials(storage: BaseStorage, study_id: int) -> list[int]:
    """Return the ids of the trials whose heartbeats have stopped.

    The public `fail_stale_trials` fails them at once, before the reason of their death is noted.

    Args:
        storage: one with heartbeats.
        study_id: of the study.
    """
    return list(cast(Any, storage)._get_stale_trial_ids(study_id))


# The plugin reads Hydra's grammar as distributions inside of its sweeper, which is not ours; it is
# imported late because it takes time.


def read_distribution(override: Override) -> Any:
    """Return the distribution that an override stands for, or the text of a fixed value."""
    from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override

    return create_optuna_distribution_from_override(override)


def list_grid_choices(distribution: BaseDistribution) -> list[Any]:
    """Return the values of a distribution.

    Raises:
        ValueError: they cannot be counted.
    """
    from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl

    return list(OptunaSweeperImpl._to_grid_sampler_choices(distribution))


def tell_alone(
    study: Study, trial: Trial, state: TrialState, values: Sequence[float] | None
) -> None:
    """Tell a study how a trial ended, where Optuna's own loop does not run.

    An exhausted grid stops that loop, whether it runs or not, and reads an attribute that enqueued
    trials do not have.
    """
    try:
        study.tell(trial, values, state, skip_if_finished=True)
    except (RuntimeError, KeyError) as error:
        if "Study.stop" not in str(error) and "grid_id" not in str(error):
            raise
