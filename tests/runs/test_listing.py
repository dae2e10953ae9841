"""The list of runs: one row each, the newest first, children inside of their parent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tagifai.runs import listing
from tagifai.tracking.recording.records import PendingRecord
from tests.frames import a_run, frame


def trained(run_id: str, val: float | None, test: float | None = None, **more: Any) -> Any:
    scores = {"metrics.val_f1": val, "metrics.test_f1": test}
    return a_run(run_id, **{"params.data.name": "sample"}, **scores, **more)  # type: ignore[arg-type]


def build(*runs: Any, fold: bool = True, maximize: bool = True) -> pd.DataFrame:
    return listing.build(frame(*runs), "val_f1", maximize=maximize, fold=fold)


PARENT: dict[str, Any] = {
    **a_run("p", start=1, tags__command="run.py -m model=sgd,nb seed=1,2 paths.stores=/x"),
    "params.task.name": None,
}
CHILDREN = (
    trained("c", 0.7, 0.9, start=2, parent="p"),
    trained("d", 0.8, 0.6, start=3, parent="p"),
    trained("e", 0.9, start=4, parent="p", status="FAILED"),
)


def test_runs_are_listed_the_newest_first_with_both_scores() -> None:
    rows = build(trained("a", 0.5, 0.4, start=1), trained("b", 0.6, start=2))
    assert [*rows["run_id"]] == ["b", "a"]
    assert [*rows["val_f1"]] == [0.6, 0.5]
    assert rows["test_f1"].isna().tolist() == [True, False]
    assert [*rows["data"]] == ["sample", "sample"]


def test_children_are_inside_their_parent_which_has_the_scores_of_its_best_finished_one() -> None:
    rows = build(PARENT, *CHILDREN, trained("a", 0.5, start=9))
    assert [*rows["run_id"]] == ["a", "p"]
    found = rows.iloc[1]
    assert (found["children"], found["val_f1"], found["test_f1"]) == (3, 0.8, 0.6)
    assert (found["data"], found["overrides"]) == ("sample", "model=sgd,nb seed=1,2")
    least = build(PARENT, *CHILDREN, maximize=False).iloc[0]
    assert (least["val_f1"], least["test_f1"]) == (0.7, 0.9)


def test_children_are_rows_where_they_are_asked_for_or_their_parent_is_not_there() -> None:
    assert [*build(PARENT, *CHILDREN, fold=False)["run_id"]] == ["e", "d", "c", "p"]
    assert [*build(*CHILDREN)["run_id"]] == ["e", "d", "c"]


@pytest.mark.parametrize(
    ("status", "state", "word"),
    [
        ("FINISHED", None, "finished"),
        ("FINISHED", "COMPLETE", "finished"),
        ("FAILED", None, "failed"),
        ("FAILED", "FAIL", "failed"),
        ("KILLED", "PRUNED", "pruned"),
        ("KILLED", None, "interrupted"),
        ("KILLED", "DIED", "interrupted"),
        ("RUNNING", "RUNNING", "running"),
    ],
)
def test_how_a_run_ended_is_one_word(status: str, state: str | None, word: str) -> None:
    rows = build(trained("a", 0.5, status=status, tags__trial__state=state))
    assert [*rows["state"]] == [word]


def test_data_sets_of_one_name_are_told_apart_by_their_digest() -> None:
    rows = build(trained("a", 0.5, start=2, digest="1" * 36), trained("b", 0.5, digest="2" * 36))
    assert [*rows["data"]] == ["sample (11111111)", "sample (22222222)"]


def test_tags_of_a_person_and_what_was_overridden_are_there_without_our_own() -> None:
    rows = build(
        trained(
            "a",
            0.5,
            tags__purpose="test",
            tags__seed="2",
            tags__version__mine="3",
            tags__option__x="4",
            tags__trial__of="5",
            tags__output_dir="/x",
            tags__mlflow__user="me",
            tags__overrides="model.alpha=0.1 +x='a b' plots=none paths.stores=/x",
        )
    )
    assert rows["tags"].tolist() == [
        {"purpose": "test", "seed": "2", "version.mine": "3", "option.x": "4", "trial.of": "5"}
    ]
    assert rows["overrides"].tolist() == ["model.alpha=0.1 '+x=a b'"]


def test_runs_that_are_kept_are_listed_as_not_recorded(tmp_path: Path) -> None:
    begin = {"do": "create", "format": 1, "id": "k", "run_id": None, "uri": "u", "time": 1000}
    begin |= {"experiment": "e", "name": "mine", "lock": None, "tags": {"purpose": "test"}}
    scores = [["val_f1", 0.25, 1500, 0, False], ["val_f1", 0.5, 1600, 1, False]]
    log = {"do": "log", "params": {"data.name": "news"}, "tags": {}, "metrics": scores}
    end = {"do": "end", "status": "FINISHED", "reason": "", "time": 3500}
    PendingRecord(tmp_path, "k").write([begin, log, end])
    assert listing.load_kept(tmp_path, "another").empty
    rows = listing.build(listing.load_kept(tmp_path, "e"), "val_f1", maximize=True, fold=True)
    found = rows.iloc[0]
    assert (found["run_id"], found["name"], found["data"]) == ("k", "mine", "news")
    assert (found["state"], found["val_f1"], found["seconds"]) == ("not recorded", 0.5, 2.5)
    assert found["tags"] == {"purpose": "test"}


def test_files_have_whole_ids_every_digit_and_no_formula() -> None:
    runs = trained("a", 1 / 3, start=0, tags__purpose="=1|2")
    rows = build({**runs, "name": "=SUM(1)"})
    csv = listing.format_file(rows, "csv", safe=True)
    head, row = csv.splitlines()
    scored = "run_id,name,data,overrides,val_f1,test_f1"
    assert head == f"{scored},started,seconds,state,error,study,tags,children"
    begun = "1970-01-01T00:00:00+00:00"
    assert row == f"a,'=SUM(1),sample,,{1 / 3},,{begun},2.0,finished,,,purpose==1|2,0"
    assert ",=SUM(1)," in listing.format_file(rows, "csv", safe=False)
    content = json.loads(listing.format_file(rows, "json", safe=True, metric="val_f1"))
    assert content["metric"] == "val_f1"
    assert content["rows"][0]["val_f1"] == 1 / 3
    assert content["rows"][0]["test_f1"] is None
    assert content["rows"][0]["tags"] == {"purpose": "=1|2"}
    endless = json.loads(listing.format_file(rows.assign(val_f1=math.inf), "json", safe=True))
    assert endless["rows"][0]["val_f1"] is None
    md = listing.format_file(rows, "md", safe=True).splitlines()
    assert md[0].startswith("| run_id | name | data |")
    assert md[1].count(":---") == 13
    assert "purpose==1\\|2" in md[2]
