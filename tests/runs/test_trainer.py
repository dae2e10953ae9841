from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagifai.config import job
from tagifai.config.job import Job, SearchTrial
from tagifai.config.schema import check
from tagifai.runs import trainer
from tagifai.sweeping import trials
from tagifai.tracking.provenance import Invocation
from tagifai.training.trial import NullTrial, TrialHandle
from tests.conftest import Compose

THE_TRIAL = NullTrial()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[SearchTrial]:
    """The trials that are opened; none is looked for."""

    @contextmanager
    def open_trial(trial: SearchTrial) -> Iterator[TrialHandle]:
        found.append(trial)
        yield THE_TRIAL

    found: list[SearchTrial] = []
    monkeypatch.setattr(trials, "open_trial", open_trial)
    return found


def test_a_job_works_on_the_trial_of_its_number(tmp_path: Path, opened: list[SearchTrial]) -> None:
    wanted = SearchTrial(3, "quick-sample", f"sqlite:///{tmp_path}/studies.db", None)
    with trainer._open_trial(wanted) as trial:
        assert trial is THE_TRIAL
    assert opened == [wanted]


def test_a_trial_that_no_job_can_reach_is_none(opened: list[SearchTrial]) -> None:
    for storage in (None, "sqlite://", "sqlite:///", "sqlite:///:memory:"):
        with trainer._open_trial(SearchTrial(3, "quick-sample", storage, None)) as trial:
            assert isinstance(trial, NullTrial), storage
            assert trial is not THE_TRIAL
    with trainer._open_trial(None) as trial:
        assert isinstance(trial, NullTrial)
    assert opened == []


def test_the_run_of_a_trial_is_marked_as_that(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_given", [Job(tmp_path)])
    invocation = Invocation("name", "command", tmp_path, {}, [], rerun_of="abc")
    config, trial = check(composed()), SearchTrial(3, "quick-sample", None, None)
    assert trainer._make_tags(config, invocation, trial) == {
        "study": "quick-sample",
        "trial.number": "3",
        "trial.state": "RUNNING",
        "rerun_of": "abc",
    }
    assert trainer._make_tags(config, invocation, None) == {"rerun_of": "abc"}
