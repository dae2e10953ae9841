"""The last lines of a run: how good, what is weak, what to try next, where things are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tagifai.config.schema import check
from tagifai.console.display import Display
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.evaluation.threshold_effects import ThresholdEffect
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.reporting import run_ending
from tagifai.tracking.provenance import Invocation
from tagifai.training import next_steps
from tagifai.training.fitting import FitResult
from tagifai.training.loop import History
from tagifai.training.next_steps import Suggestion
from tests.conftest import Compose

COSTS = ThresholdEffect(0.61, "other", rows=135, sent=31, right=4, f1_with=0.84, f1_without=0.89)
RUN_ID = "0123456789abcdef" * 2


def scores(f1: float, rows: int) -> Scores:
    return {"precision": f1, "recall": f1, "f1": f1, "num_samples": rows}


def make_performance(classes: dict[str, Scores], **slices: Scores) -> Performance:
    rows = sum(found["num_samples"] for found in classes.values())
    return {
        "overall": scores(0.8, rows),
        "class": classes,
        "slices": slices,
        "metrics": {"accuracy": 0.75, "macro_f1": 0.5},
        "intervals": {
            "method": "a method",
            "resamples": 10,
            "bounds": {"f1": (0.7, 0.9), "macro_f1": (0.4, 0.6)},
        },
        "baseline": {"label": "cv", "metrics": {"f1": 0.25, "macro_f1": 0.125}},
    }


def show(
    config: Any,
    performance: Performance,
    effect: ThresholdEffect | None = None,
    losses: Sequence[float] = (0.5, 0.4, 0.41),
    overrides: Sequence[str] = (),
    objective: str = "val_f1",
) -> None:
    threshold = None if effect is None else effect.threshold
    tagger = Tagger({}, None, None, LabelEncoder(("cv", "nlp")), threshold, None, {}, None)
    history = History([*losses], [*losses])
    parts = {"val": performance, "test": performance}
    result = FitResult(lambda: tagger, threshold, history, 1, 9, parts, effect)
    invocation = Invocation(
        command="c",
        output_dir=Path("out/x"),
        options={},
        overrides=overrides,
        paths=["paths.outputs=out"],
    )
    run: Any = SimpleNamespace(
        config=config,
        invocation=invocation,
        tracked=SimpleNamespace(id=RUN_ID),
        prepared=None,
        output_dir=Path("out/x"),
    )
    display = Display(quiet=False, plain=True, every=1)
    run_ending.show_result(display, run, result, {objective: 0.7})
    display.show_line("Drawing")
    run_ending.show_places(display, run, Path("out/x/report.html"))


@pytest.fixture
def config(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(next_steps, "suggest", lambda *of_run: None)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr("sys.argv", ["run.py"])
    monkeypatch.setenv("TAGIFAI_PROGRAM", "run.py")
    return check(composed("training.refit=false", "tracking=none"))


def names_of(output: str) -> list[str]:
    """The names of the lines behind the tables, in order."""
    lines = output[output.index("\nScore:") + 1 :].splitlines()
    return [line.partition(":")[0] for line in lines if line[:1] != " "]


def test_with_a_threshold_and_a_rising_loss_all_lines_come_in_their_order(
    config: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = Suggestion("model.C=30", "the penalty is strong")
    monkeypatch.setattr(next_steps, "suggest", lambda *of_run: tried)
    tested = make_performance({"cv": scores(0.5, 60), "nlp": scores(0.9, 40)}, odd=scores(0, 3))
    show(config, tested, COSTS, (0.5, 0.25, 0.375), ["model.C=1", "data=mine"])
    output = capsys.readouterr().out
    assert names_of(output) == [
        *("Score", "Objective", "Weak", "Note", "Note", "Try"),
        *("Drawing", "Time", "Files", "Report", "Predict"),
    ]
    lines = output.splitlines()
    assert (
        "Score:         f1 = 0.80 on 100 test rows, 95 % interval 0.70 to 0.90; always 'cv' has"
        " 0.25; the threshold to 'other' costs 0.05 of the validation F1" in lines
    )
    assert "Objective:     val_f1 = 0.70 (validation rows)" in lines
    # Of two classes one is the weaker one.
    assert "Weak:          cv: F1 0.50 on 60 rows" in lines
    assert "nlp: F1" not in output
    # The baseline's class and what the threshold costs are said once.
    assert output.count("always") == output.count("0.05") == 1
    assert (
        "Note: The validation loss rises from 0.2500 in epoch 1 to 0.3750 in epoch 2, the last;"
        " more would not help." in lines
    )
    assert "Try:           python run.py data=mine model.C=30" in lines
    assert "               because the penalty is strong" in lines
    assert 'Predict:       python run.py task=predict paths.outputs=out task.text="..."' in lines
    assert "Not shown: 1 slice of fewer than 10 rows, too few to tell: odd (3)." in lines


def test_of_151_classes_without_a_threshold_the_two_weakest_are_named(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = {f"class-{n}": scores(0.25 + n / 300, 10) for n in range(151)}
    classes |= {"unseen": scores(0, 0), "class-90": scores(0.125, 1), "class-7": scores(0.125, 3)}
    show(config, make_performance(classes), objective="val_macro_f1")
    output = capsys.readouterr().out
    assert names_of(output) == [
        *("Score", "Objective", "Weak", "Drawing", "Time", "Files", "Report", "Predict")
    ]
    assert (
        "Score:         macro_f1 = 0.500 on 1,494 test rows, 95 % interval 0.400 to 0.600; always"
        " 'cv' has 0.125\n" in output
    )
    at = output.index("Weak:")
    assert output[at:].startswith(
        # Those with a lower F1 have too few rows to tell.
        "Weak:          class-0: F1 0.250 on 10 rows\n               class-1: F1 0.253 on 10 rows\n"
    )
    assert "Not shown" not in output


@pytest.mark.parametrize("objective", ["model_bytes", "val_loss", "val_class/cv/f1"])
def test_an_objective_that_the_test_rows_have_not_leaves_the_weighted_f1(
    config: Any, capsys: pytest.CaptureFixture[str], objective: str
) -> None:
    tested = make_performance({"cv": scores(0.5, 60), "nlp": scores(1.0, 40)})
    show(config, tested, objective=objective)
    main = "class/cv/f1 = 0.50" if "cv" in objective else "f1 = 0.80"
    assert f"Score:         {main} on 100 test rows" in capsys.readouterr().out


def test_where_no_class_is_weak_and_no_loss_rises_nothing_is_said_of_it(
    config: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    show(config, make_performance({"cv": scores(1.0, 60), "nlp": scores(1.0, 40)}))
    assert not {"Weak", "Note", "Try"} & {*names_of(capsys.readouterr().out)}
