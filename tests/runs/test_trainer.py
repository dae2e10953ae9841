from __future__ import annotations

from pathlib import Path

import pytest

from tagifai.config import job
from tagifai.config.job import Job, SearchTrial
from tagifai.config.schema import check
from tagifai.runs import trainer
from tagifai.tracking.provenance import Invocation
from tests.conftest import Compose


def test_the_run_of_a_trial_is_marked_as_that(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_given", [Job(tmp_path)])
    invocation = Invocation("command", tmp_path, {}, [], rerun_of="abc")
    config, trial = check(composed()), SearchTrial(3, "quick-sample")
    assert trainer._make_tags(config, invocation, trial) == {
        "study": "quick-sample",
        "trial.number": "3",
        "trial.state": "RUNNING",
        "rerun_of": "abc",
    }
    assert trainer._make_tags(config, invocation, None) == {"rerun_of": "abc"}
