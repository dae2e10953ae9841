"""Studies in a line each: their state, their trials and their best value."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from tagifai.sweeping.findings import overview
from tagifai.sweeping.storage import StudyError, silence_optuna


def test_studies_are_named_the_newest_first_with_state_trials_and_best_value(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    with silence_optuna():
        first = optuna.create_study(storage=url, study_name="least", direction="minimize")
        first.set_user_attr("search", {"settings": {"objective.metric": "val_loss"}})
        for value in (0.5, 0.25, 0.75):
            first.tell(first.ask(), value)
        first.tell(first.ask(), state=optuna.trial.TrialState.PRUNED)
        second = optuna.create_study(
            storage=url, study_name="two", directions=["maximize", "minimize"]
        )
        second.tell(second.ask(), (0.1, 0.2))
        third = optuna.create_study(storage=url, study_name="begun", direction="maximize")
        third.ask()
    assert [one.describe() for one in overview.list_studies(url, {})] == [
        "begun: running, 0 trials",
        "two: ended, 1 trial",
        "least: ended, 4 trials, best val_loss 0.2500",
    ]
    # Its process may have left trials that look as if they went on.
    found = overview.list_studies(url, {"begun": "interrupted"})
    assert found[0].describe() == "begun: interrupted, 0 trials"


def test_a_database_that_is_none_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_bytes(b"x" * 5000)
    with pytest.raises(StudyError, match="cannot be used"):
        overview.list_studies(f"sqlite:///{tmp_path}/studies.db", {})
