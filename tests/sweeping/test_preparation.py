"""What a search refuses before it begins, and what it begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from tagifai.data import datasets
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import checks
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.preparation import Preparation
from tests.databases import make_studies
from tests.sweeping.conftest import Searching

ALPHA = ("model.alpha=interval(0.0,1.0)",)
EPOCHS = ("training.epochs=range(1,20)",)
GRID = ("model.average=choice(true,false)", "vectorizer.word_ngram_max=range(1,4)")


@pytest.fixture
def prepared(searching: Searching, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prepares a search over a space; its rows, which take a while, are not loaded."""
    dataset = Dataset({"digest": "d1"}, Path("/nowhere.parquet"), fresh=False)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: dataset)
    monkeypatch.setattr(checks, "check_metrics", lambda *_: None)

    def prepared(space: tuple[str, ...], *overrides: str, **settings: Any) -> Preparation:
        basic = ("hydra/launcher=basic", "tracking=none", "console=plain")
        return Preparation(searching(*basic, *overrides, **settings), space)

    return prepared


def enqueued(plan: SearchPlan) -> list[tuple[Any, Any]]:
    waiting = plan.study.list_trials(TrialState.WAITING)
    return [(t.system_attrs["fixed_params"], t.user_attrs.get("first")) for t in waiting]


@pytest.mark.parametrize(
    ("space", "overrides", "settings", "said"),
    [
        (ALPHA, ("hydra/launcher=joblib",), {"storage": None},
         "hydra.sweeper.storage = null is in the memory of this process, which the workers"),
        (ALPHA, ("task=predict", "task.text=x"), {}, "task=predict cannot be used in a search"),
        ((), (), {}, "The search has no parameters"),
        (ALPHA, (), {"n_trials": 0}, "n_trials = 0 is not allowed"),
        (("vectorizer.from='https://u:hunter2@h/a','/b'",), (), {}, "has a secret among"),
        (("model.alpha=interval(0,1)",), ("hydra/sweeper/sampler=brute",), {}, "brute"),
    ],
)  # fmt: skip
def test_what_no_search_can_be_is_refused_before_anything_is_made(
    space: tuple[str, ...],
    overrides: tuple[str, ...],
    settings: dict[str, Any],
    said: str,
    prepared: Any,
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        prepared(space, *overrides, **settings)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "stores").exists()
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("space", "override", "first"),
    [
        (EPOCHS, "sweep.first=current", [({"training.epochs": 10}, "current")]),
        (ALPHA, "sweep.first=current", []),  # which is null, and out of the space
        (ALPHA, "sweep.first=[{model.alpha: 0.5}]", [({"model.alpha": 0.5}, 0)]),
        (ALPHA, "sweep.first=null", []),
        # What tries all needs none to come first.
        (GRID, "hydra/sweeper/sampler=brute", []),
        (GRID, "hydra/sweeper/sampler=grid", []),
    ],
)
def test_a_new_study_begins_with_its_first_trials_and_has_them_once(
    space: tuple[str, ...],
    override: str,
    first: list[Any],
    prepared: Any,
    tmp_path: Path,
) -> None:
    url = make_studies(tmp_path / "studies.db")
    for _ in range(2):
        with prepared(space, override, storage=url).open() as plan:
            assert enqueued(plan) == first
            assert plan.folder.is_dir()
            assert plan.study.get_attribute(checks.SEARCH_DESCRIPTION)["data digest"] == "d1"


def test_a_study_that_a_killed_command_has_left_empty_begins_as_a_new_one_does(
    prepared: Any, tmp_path: Path
) -> None:
    url = make_studies(tmp_path / "studies.db")
    with prepared(EPOCHS, "sweep.first=null", storage=url).open():
        pass
    with prepared(EPOCHS, "sweep.first=current", storage=url).open() as plan:
        assert enqueued(plan) == [({"training.epochs": 10}, "current")]


def test_a_wrong_guess_leaves_no_study(prepared: Any, tmp_path: Path) -> None:
    search = prepared(ALPHA, "sweep.first=[{model.alpha: 7.0}]", storage="sqlite://")
    opened: list[Any] = []
    with pytest.raises(ConfigError, match=r"sweep\.first, entry 1: model\.alpha = 7\.0"):
        opened.append(search.open().__enter__())
    assert opened == []


@pytest.mark.parametrize(
    ("space", "sampler", "wanted", "n_trials"),
    [
        (GRID, "grid", 20, 6),
        (GRID, "brute", 6, 6),
        (GRID, "grid", 4, 4),
        (GRID, "tpe", 20, 20),
        (ALPHA, "random", 3, 3),
    ],
)
def test_what_tries_all_has_no_more_trials_than_there_are_configurations(
    space: tuple[str, ...], sampler: str, wanted: int, n_trials: int, prepared: Any
) -> None:
    search = prepared(space, f"hydra/sweeper/sampler={sampler}", n_trials=wanted)
    assert search._count_trials() == n_trials


def test_a_preview_shows_the_search_and_makes_nothing(
    prepared: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = prepared(GRID, "sweep.preview=true", n_trials=20)
    assert search.is_preview
    search.show_preview()
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "choice(True,False)",
        "6 configurations that differ",
        "not known before the first",
        "6",
    ):
        assert text in shown
    assert "Nothing was started" in shown
    assert not (tmp_path / "stores").exists()
    assert not (tmp_path / "outputs").exists()


def test_a_preview_of_a_study_says_how_far_it_has_come(
    prepared: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = make_studies(tmp_path / "studies.db")
    search = prepared(ALPHA, storage=url, n_trials=4)
    with search.open() as plan:
        plan.study.optuna.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5))
    capsys.readouterr()
    search.show_preview()
    assert "4, of which 1 are done" in capsys.readouterr().out


def test_a_preview_of_a_space_that_cannot_be_is_refused(prepared: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\.alpha"):
        prepared(("model.alpha=interval(-2,-1)",)).show_preview()
