from __future__ import annotations

import pandas as pd
import pytest

from tagifai.exceptions import DataError
from tagifai.tracking import selection
from tagifai.utils import program
from tests.frames import NO_VALUE, a_run, frame

# --- which runs count --------------------------------------------------------------------------


def test_only_finished_trainings_with_the_metric_count_and_the_others_are_counted() -> None:
    runs = frame(
        a_run("a", 0.5),
        a_run("running", 0.5, status="RUNNING"),
        a_run("failed", None, status="FAILED"),
        a_run("trial"),
        a_run("not a number", NO_VALUE),
        a_run("parent", 0.5, params__task__name=None),
    )
    choice = selection.select_runs(runs, "f1")
    assert list(choice.runs["run_id"]) == ["a"]
    assert choice.excluded == {"not finished": 2, "without f1": 2}
    assert choice.description == "all of the experiment"


def test_the_children_of_the_latest_parent_that_has_any_to_compare_are_chosen() -> None:
    runs = frame(
        a_run("old", start=1, name="first"),
        a_run("new", start=5, name="second"),
        a_run("search", start=9, name="third"),
        a_run("a", 0.1, parent="old", start=7),
        a_run("b", 0.2, parent="new", start=6),
        a_run("trial", parent="search", start=9),
        a_run("alone", 0.3, start=10),
    )
    parent = selection.find_latest_parent(runs, "f1")
    choice = selection.select_runs(runs, "f1", parent=parent)
    assert list(choice.runs["run_id"]) == ["b"]
    assert choice.description == "children of second (new)"


def test_a_parent_that_is_not_among_the_runs_is_as_old_as_its_first_child() -> None:
    runs = frame(
        a_run("a", 0.1, parent="x", start=1),
        a_run("b", 0.1, parent="x", start=9),
        a_run("c", 0.1, parent="y", start=2),
    )
    assert selection.find_latest_parent(runs, "f1") == "y"


def test_parent_tags_and_filter_narrow_the_choice_together() -> None:
    runs = frame(
        a_run("a", 0.1, parent="p", tags__purpose="x"),
        a_run("b", 0.1, parent="p"),
        a_run("c", 0.1, tags__purpose="x"),
    )
    of_parent = selection.select_runs(runs, "f1", parent="p", tags={"purpose": "x"})
    assert list(of_parent.runs["run_id"]) == ["a"]
    assert of_parent.description == "children of p with purpose=x"
    filtered = selection.select_runs(runs, "f1", filter="metrics.f1 > 0")
    assert len(filtered.runs) == 3
    assert filtered.description == "those where metrics.f1 > 0"


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (pd.DataFrame(columns=["run_id", "name", "parent", "start"]), "no training run"),
        (frame(a_run("a", params__task__name=None)), "no training run"),
        (frame(a_run("a", 0.1, status="RUNNING"), a_run("b", status="FAILED")), "None of 2"),
    ],
)
def test_nothing_to_compare_is_an_error_that_says_why(runs: pd.DataFrame, said: str) -> None:
    with pytest.raises(DataError, match=said):
        selection.select_runs(runs, "f1")


@pytest.mark.parametrize(
    ("typed", "way_out"),
    [
        (
            ["task=compare", "task.filter=tags.x = '1'", "+task.tags.y=1", "seed=1"],
            "(those where tags.x = '1'). Without the filter: tagifai task=compare seed=1",
        ),
        (["task=compare"], "(those where tags.x = '1'). Train some: tagifai"),
    ],
)
def test_where_nothing_is_found_there_is_a_command_that_finds_more(
    monkeypatch: pytest.MonkeyPatch, typed: list[str], way_out: str
) -> None:
    for name in (program.COMMAND_VARIABLE, program.PROGRAM_VARIABLE, program.SCRIPT_VARIABLE):
        monkeypatch.setenv(name, "")  # put back what the next line sets
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: "tagifai")
    program.export_command(["tagifai", *typed])
    none = pd.DataFrame(columns=["run_id", "name", "parent", "start"])
    with pytest.raises(DataError) as error:
        selection.select_runs(none, "f1", filter="tags.x = '1'")
    assert str(error.value).endswith(way_out)


def test_a_metric_that_no_run_has_is_an_error_with_those_that_there_are() -> None:
    runs = frame(a_run("a", 0.1, metrics__loss=1.0) | {"metrics.class/x/f1": 1.0})
    with pytest.raises(DataError) as error:
        selection.select_runs(runs, "los")
    assert "Did you mean 'loss'? There are: f1, loss, 1 of single classes" in str(error.value)
    with pytest.raises(DataError, match="There are: none"):
        selection.select_runs(frame(a_run("a")), "f1")


# --- which is the best -------------------------------------------------------------------------


def test_the_best_run_has_the_highest_value_or_the_lowest() -> None:
    runs = frame(a_run("a", 0.1), a_run("b", 0.3), a_run("c", 0.2))
    assert selection.find_best(runs, "f1", maximize=True) == "b"
    assert selection.find_best(runs, "f1", maximize=False) == "a"


@pytest.mark.parametrize("maximize", [True, False])
def test_of_equally_good_runs_the_latest_is_the_best(maximize: bool) -> None:
    runs = frame(a_run("old", 0.5, start=1), a_run("new", 0.5, start=3), a_run("mid", 0.5, start=2))
    assert selection.find_best(runs, "f1", maximize=maximize) == "new"


def test_trials_unfinished_runs_and_those_left_out_are_never_the_best() -> None:
    runs = frame(
        a_run("trial", 0.9, tags__trial__number="3"),
        a_run("running", 0.8, status="RUNNING"),
        a_run("failed", 0.8, status="FAILED"),
        a_run("parent", 0.8, params__task__name=None),
        a_run("left out", 0.7),
        a_run("nan", NO_VALUE),
        a_run("a", 0.1),
    )
    assert selection.find_best(runs, "f1", maximize=True, without=["left out"]) == "a"
    with pytest.raises(DataError, match="not counting trials of searches"):
        selection.find_best(runs.head(1), "f1", maximize=True)


# --- data --------------------------------------------------------------------------------------


def test_only_runs_on_the_data_that_are_meant_are_kept() -> None:
    runs = frame(a_run("a", digest="d" * 36), a_run("b", digest="e" * 36))
    # A store keeps less than the whole digest.
    assert selection.select_data(runs, "e" * 64)["run_id"].tolist() == ["b"]


def test_the_only_data_set_need_not_be_named() -> None:
    runs = frame(a_run("a"), a_run("b"))
    assert selection.select_data(runs, None)["run_id"].tolist() == ["a", "b"]


def test_of_several_data_sets_none_is_taken_in_silence() -> None:
    runs = frame(
        a_run("a", params__data__name="german"), a_run("b", digest="ee", params__data__name="news")
    )
    for digest, said in ((None, "Runs on different data cannot be ranked"), ("f", "no run on")):
        with pytest.raises(DataError) as caught:
            selection.select_data(runs, digest)
        assert said in str(caught.value)
        assert "german (d), news (ee)" in str(caught.value)


def test_the_best_are_all_that_tie_on_a_data_set_and_the_best_of_each_multirun() -> None:
    runs = frame(
        a_run("a", 0.5),
        a_run("b", 0.5),
        a_run("worse", 0.4),
        a_run("elsewhere", 0.1, digest="other"),
        a_run("parent", tags__best__run_id="child", params__task__name=None),
        a_run("child", 0.3, parent="parent"),
    )
    assert selection.find_bests(runs, "f1", maximize=True) == {"a", "b", "elsewhere", "child"}
