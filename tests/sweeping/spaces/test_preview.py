from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, create_trial

from tagifai.config.arguments import quote
from tagifai.console.display import Display
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.spaces import preview
from tagifai.sweeping.spaces.grammar import parse_space
from tests.sweeping.conftest import Searching, strip


def took(seconds: float) -> FrozenTrial:
    trial = create_trial(value=0.5, user_attrs={"seconds": seconds})
    trial.datetime_start = datetime(2026, 1, 1)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=seconds)
    return trial


@pytest.fixture
def shown(searching: Searching, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def shown(params: dict[str, Any], *overrides: str, trials: Any = ()) -> dict[str, str]:
        sweeper = searching(*overrides)
        config = strip(sweeper)
        space = parse_space(params, None, [])
        settings = SearchSettings.from_hydra(sweeper.settings)
        before = sorted(tmp_path.rglob("*"))
        display = Display(quiet=True, plain=True, every=1)
        preview.show(display, settings, space, config, sweeper.master, trials)
        assert sorted(tmp_path.rglob("*")) == before
        lines = capsys.readouterr().out.splitlines()
        return {
            key: rest for key, _, rest in (" ".join(line.split()).partition(" ") for line in lines)
        }

    return shown


def test_a_preview_has_the_space_and_its_trials(shown: Any) -> None:
    found = shown(
        {"model.alpha": "interval(0.1,1.0)", "vectorizer": "a,b"}, "hydra/launcher=joblib"
    )
    assert found["model.alpha"] == "from 0.1 to 1.0"
    assert found["vectorizer"] == "choice(a,b)"
    assert found["Objective:"] == "maximize val_f1"
    assert found["Trials:"] == "20"
    assert found["Space:"] == "infinite, or large"
    assert (found["Sampler:"], found["Pruner:"]) == ("TPESampler", "MedianPruner")
    assert found["Launcher:"] == "joblib, 2 at a time"
    assert found["Time:"] == "not known before the first trials"
    assert found["Nothing"] == "was started; for that, leave sweep.preview out."


def test_a_finite_space_ends_when_it_is_done(shown: Any) -> None:
    found = shown(
        {"vectorizer": "a,b", "model": "c,d"}, quote("objective.constraints={model_bytes: <= 5}")
    )
    assert (found["Trials:"], found["Space:"]) == ("4", "4 configurations that differ")
    assert found["Objective:"] == "maximize val_f1, model_bytes <= 5"
    assert found["Launcher:"] == "basic, 1 at a time"


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("basic", "about 54 s, by the 2 trials so far"),
        ("joblib", "about 27 s, by the 2 trials so far"),
    ],
)
def test_the_time_is_estimated_from_the_trials_so_far(launcher: str, said: str, shown: Any) -> None:
    trials = [took(2.0), took(4.0)]
    found = shown({"a": "interval(0.1,1.0)"}, f"hydra/launcher={launcher}", trials=trials)
    assert found["Trials:"] == "20, of which 2 are done"
    assert found["Time:"] == said
    done = shown({"a": "b,c"}, trials=trials)
    assert done["Time:"] == "none: all trials are done"


def test_a_budget_is_the_time(shown: Any) -> None:
    found = shown({"a": "b,c"}, "sweep.budget=30")
    assert (found["Trials:"], found["Time:"]) == ("as many as fit into 30 s", "30 s")
