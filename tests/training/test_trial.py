from __future__ import annotations

from tagifai.training.trial import NullTrial, TrialHandle


def test_where_there_is_no_trial_nobody_is_told_and_nobody_says_stop() -> None:
    trial: TrialHandle = NullTrial()
    trial.note(run_id="abc")
    trial.check()
    assert trial.report(0, float("nan")) is False
