from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tagifai.console.display import Display
from tagifai.sweeping.findings import ending, report
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.studies import DIED, ERROR
from tests.sweeping.conftest import Planning, kept, tried
from tests.sweeping.findings.test_results import COMPLETE, FAIL, PRUNED, SPACE, add, study_of

ALPHA = {"model.alpha": "interval(0.0,1.0)"}
TWO = ("objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]")


def written(plan: SearchPlan) -> Any:
    ending.write(plan)
    return OmegaConf.to_container(OmegaConf.load(plan.folder / "optimization_results.yaml"))


@pytest.fixture
def plan(planning: Planning) -> SearchPlan:
    """A search over the space of these tests."""
    made = planning(ALPHA, "paths.stores=a b", "seed=3")
    made.space = SPACE
    return made


def test_the_file_has_the_best_trial_and_the_command_that_trains_it(plan: SearchPlan) -> None:
    add(plan.study, COMPLETE, [0.5], n=0.25)
    add(plan.study, COMPLETE, [0.1 + 0.2], attributes={"run_id": "abc"})
    content = written(plan)
    assert (content["best_value"], content["run_id"]) == (0.5, None)
    add(plan.study, COMPLETE, [0.1 + 0.7], n=1 / 3, attributes={"run_id": "def"})
    add(plan.study, COMPLETE, [0.1 + 0.7], attributes={"same_as": 2})
    add(plan.study, PRUNED)
    add(plan.study, FAIL, attributes={DIED: "killed"})
    # In place of the earlier one, with the very numbers.
    assert written(plan) == {
        "name": "optuna",
        "study": "s",
        "metric": "val_f1",
        "best_value": 0.1 + 0.7,
        "best_params": {"vectorizer": "word", "v.n": 1 / 3},
        "trial": 2,
        "folder": str(plan.folder / "2"),
        "run_id": "def",
        "overrides": ["a=1", "vectorizer=word", f"v.n={1 / 3}"],
        "command": "tagifai experiment=s 'paths.stores=a b'",
        "trials": {"complete": 4, "pruned": 1, "failed": 0, "died": 1, "running": 0, "same": 1},
    }
    path = plan.folder / "optimization_results.yaml"
    assert ([*plan.folder.iterdir()], kept(plan).files) == ([path], [path, path])


def test_with_several_objectives_it_has_all_solutions(planning: Planning) -> None:
    plan = planning(ALPHA, *TWO)
    plan.space = SPACE
    plan.study = study_of("maximize", "minimize")
    add(plan.study, COMPLETE, [0.5, 10], n=0.25)
    add(plan.study, COMPLETE, [0.4, 20])
    add(plan.study, COMPLETE, [0.9, 90], n=2.5, attributes={"run_id": "def"})
    content = written(plan)
    assert content.keys() == {"name", "study", "metrics", "solutions", "trials"}
    assert content["metrics"] == ["val_f1", "model_bytes"]
    assert [s["trial"] for s in content["solutions"]] == [0, 2]
    assert content["solutions"][1] == {
        "values": [0.9, 90.0],
        "params": {"vectorizer": "word", "v.n": 2.5},
        "trial": 2,
        "folder": str(plan.folder / "2"),
        "run_id": "def",
        "overrides": ["a=1", "vectorizer=word", "v.n=2.5"],
    }
    assert kept(plan).metrics == {}
    assert kept(plan).tags == {"trials": "3 of 10: 3 complete"}


@pytest.mark.parametrize("more", [(), TWO])
def test_without_a_winner_it_has_the_counts_and_there_is_no_preset(
    more: Sequence[str], planning: Planning, tmp_path: Path
) -> None:
    plan = planning(ALPHA, *more)
    add(plan.study, FAIL, attributes={ERROR: "bad"})
    assert written(plan) == {
        "name": "optuna",
        "study": "s",
        "trials": {"complete": 0, "pruned": 0, "failed": 1, "died": 0, "running": 0, "same": 0},
    }
    assert not [*(tmp_path / "stores").glob("presets/*/*")]
    assert kept(plan).tags["trials"] == "1 of 10: 0 complete, 1 failed"
    assert "best.trial" not in kept(plan).tags


def test_the_run_of_the_search_has_the_counts_and_the_best(planning: Planning) -> None:
    plan = planning({**ALPHA, "vectorizer": "tfidf_word,tfidf_char"})
    tried(plan, {"model.alpha": 0.5, "vectorizer": "tfidf_word"}, 0.4)
    tried(plan, {"model.alpha": 0.25, "vectorizer": "tfidf_char"}, 0.75, run_id="abc")
    tried(plan, {}, state=FAIL)
    ending.write(plan)
    assert kept(plan).metrics == {"val_f1": 0.75}
    assert kept(plan).tags == {
        "best": "model.alpha=0.25 vectorizer=tfidf_char",
        "best.trial": 1,
        "best.run_id": "abc",
        "trials": "3 of 10: 2 complete, 1 failed",
    }


# --- what a person sees ----------------------------------------------------------------------


def shown(plan: SearchPlan, capsys: pytest.CaptureFixture[str]) -> list[str]:
    ending.show(plan, Path("report.html"))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_best_are_shown_with_the_counts_and_the_ways_on(
    planning: Planning, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planning(ALPHA, "paths.outputs=a b")
    monkeypatch.setenv("UV", "uv")
    tried(plan, {"model.alpha": 0.25}, 0.5)
    tried(plan, {"model.alpha": 0.5}, 0.75)
    assert shown(plan, capsys) == [
        "Study s: the best 2 of 2 trials",
        "val_f1  trial  settings",
        "─────────────────────────",
        "0.7500      1  alpha=0.5",
        "0.5000      0  alpha=0.25",
        "Trials:        2 of 10: 2 complete",
        "Report:        report.html",
        "Results:       outputs/search/optimization_results.yaml",
        "Train it:      uv run tagifai experiment=s 'paths.outputs=a b'",
    ]


def test_without_a_winner_there_is_no_table_and_every_reason_is_said_with_some_of_its_trials(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA)
    add(plan.study, FAIL, attributes={ERROR: "worse"})
    add(plan.study, FAIL, attributes={DIED: "killed"})
    for _ in range(6):
        add(plan.study, FAIL, attributes={ERROR: "bad"})
    assert shown(plan, capsys) == [
        "Trials:        7 of 10: 0 complete, 7 failed; 1 died and replaced",
        "Failed:        1 (0): worse",
        "Failed:        6 (2, 3, 4, 5, 6, ...): bad",
        "Report:        report.html",
        "Results:       outputs/search/optimization_results.yaml",
    ]


def test_with_several_objectives_there_is_a_way_on_for_each_of_the_front(
    planning: Planning, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planning(ALPHA, *TWO)
    tried(plan, {"model.alpha": 0.25}, 0.5, 10)
    tried(plan, {"model.alpha": 0.5}, 0.75, 20)
    lines = shown(plan, capsys)
    assert "0.5000        10.00      0  alpha=0.25" in lines
    assert [line.rpartition(" ")[2] for line in lines if line.startswith("Train it: ")] == [
        "experiment=s-trial0",
        "experiment=s-trial1",
    ]


def test_the_report_lists_all_trials_with_their_ends_and_their_runs(plan: SearchPlan) -> None:
    add(plan.study, COMPLETE, [0.5], attributes={"run_id": "0123456789abcdef"})
    add(plan.study, COMPLETE, [0.5], attributes={"same_as": 0})
    add(plan.study, PRUNED)
    add(plan.study, FAIL, attributes={DIED: "killed"})
    add(plan.study, COMPLETE, [0.9], constraint=1.0)
    add(plan.study, FAIL)
    made = report.build(plan)
    assert ("trials", "5 of 10: 2 complete, 1 pruned, 1 the same as earlier ones, 1 failed") in [
        (name, text.partition(";")[0]) for name, text in made.summary
    ]
    (table,) = made.tables
    assert table.columns == ["trial", "state", "val_f1", "run", "settings"]
    assert [row[:4] for row in table.rows] == [
        ["0", "complete", "0.5000", "01234567"],
        ["1", "complete, the same as 0", "0.5000", ""],
        ["2", "pruned", "", ""],
        ["3", "died", "", ""],
        ["4", "complete, breaks a constraint", "0.9000", ""],
        ["5", "failed", "", ""],
    ]
    assert table.strong == range(1)


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("sqlite:////tmp/studies.db", "Kept: The same command goes on. Best so far: "),
        (None, "Kept: none: the study is in memory"),
    ],
)
def test_an_interrupt_says_what_is_kept_and_how_to_go_on(
    plan: SearchPlan, capsys: pytest.CaptureFixture[str], storage: str | None, told: str
) -> None:
    add(plan.study, COMPLETE, [0.5], n=0.25)
    add(plan.study, FAIL, attributes={DIED: "Interrupted with its search."})
    plan.settings = replace(plan.settings, storage=storage)
    plan.n_trials, plan.display = 30, Display(quiet=True, plain=True, every=1)
    ending.show_kept(plan)
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Trials: 1 of 30: 1 complete")
    assert told in shown
    assert ("experiment=s 'paths.stores=a b'" in shown) == (storage is not None)
