from __future__ import annotations

from pathlib import Path

from tagifai.tracking.recording import children


def test_the_best_of_each_objective_is_found_by_its_direction(tmp_path: Path) -> None:
    for run_id, value in (("a", 0.5), ("b", 0.75), ("c", 0.25)):
        children.note_score(tmp_path, run_id, {"val_f1": value}, ["maximize"])
    assert children.find_best(tmp_path) == ({"val_f1": 0.75}, "b")
    for run_id, value in (("d", 0.5), ("e", 0.25)):
        children.note_score(tmp_path, run_id, {"val_loss": value}, ["minimize"])
    assert children.find_best(tmp_path) == ({"val_f1": 0.75, "val_loss": 0.25}, None)


def test_several_objectives_at_once_have_no_best(tmp_path: Path) -> None:
    both = {"val_f1": 0.5, "model_bytes": 8.0}
    children.note_score(tmp_path, "a", both, ["maximize", "minimize"])
    assert children.find_best(tmp_path) == ({}, None)


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    children.note_score(tmp_path, "a", {"val_f1": 0.5}, ["maximize"])
    with (tmp_path / children.SCORES).open("a") as file:
        file.write('{"run_id": "b", "met')
    assert children.find_best(tmp_path) == ({"val_f1": 0.5}, "a")
