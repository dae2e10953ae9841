"""`sweep=auto` as a whole, by what it leaves behind and refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from optuna.trial import FrozenTrial, TrialState

from tagifai.sweeping import watch
from tests.app import App, tracked_runs
from tests.showcase import Showcase
from tests.sweeping.searches import by_state, study

SEARCH = ("-m", "sweep=auto", "hydra/launcher=basic", "plots=none", "sweep.budget=600")


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    return showcase.prepare(tmp_path)


def table(app: App, **rows: int) -> tuple[str, ...]:
    """Write a table of texts by label, and return the overrides that name it."""
    texts = [
        (f"{label} number {n} of {label}", label) for label in rows for n in range(rows[label])
    ]
    path = app.cwd / "texts.csv"
    pd.DataFrame(texts, columns=["text", "label"]).to_csv(path, index=False)
    return ("data=table", f"data.path={path}", "data.text=text", "data.label=label")


def test_the_winner_is_the_latest_run_and_a_second_call_goes_on(app: App) -> None:
    shown = join(app.ok(*SEARCH, "hydra.sweeper.n_trials=2"))
    trials = study(app, "auto-sample").trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 2
    assert "folds of train and validation rows, the best of 2 on all rows" in shown
    assert "test rows, which chose nothing." in shown
    assert "winner" in shown
    first = app.run_id()
    assert app.ok("task=predict", "task.text=A graph of neural networks")
    runs = tracked_runs(app)
    assert sum(run.data.tags.get("study") == "auto-sample" for run in runs) == 3  # and the parent
    (winner,) = [run for run in runs if run.info.run_id == first]
    assert winner.data.params["objective.repeats"] == "1"
    assert winner.data.tags["command"].endswith(f"experiment=auto-sample {' '.join(paths(app))}")

    app.ok(*SEARCH, "hydra.sweeper.n_trials=3")
    again = study(app, "auto-sample").trials
    assert [t.number for t in by_state(again, TrialState.COMPLETE)] == [0, 1, 2]
    points = [sorted(t.user_attrs["point"].items()) for t in again]
    assert all(points.count(point) == 1 for point in points)
    values = [t.value or 0.0 for t in again]
    assert (app.run_id() == first) == (values[2] <= max(values[:2]))


def join(shown: str) -> str:
    """Return what was shown without the ends of its lines."""
    return " ".join(shown.split())


def paths(app: App) -> list[str]:
    return [f"plots=none paths.stores={app.stores} paths.outputs={app.outputs}"]


def test_many_rows_are_tried_on_a_sample_first_whose_value_is_no_result(app: App) -> None:
    overrides = table(app, good=1500, bad=1500, neither=600)
    words = ("hydra.sweeper.n_trials=2", "vectorizer=tfidf_word")
    shown = join(app.ok(*SEARCH, *words, *overrides))
    trials = study(app, "auto-texts").trials
    assert [t.state for t in trials] == [TrialState.PRUNED] * 2
    assert "Trial 0 on a sample val_f1 1.0000" in shown
    assert "(2 more on a sample)" in shown
    assert re.search(r"Winner: (\w+=\S+ )*C=\S+ ", shown)
    assert re.search(r"Promote: .* task=promote task\.run_id=[0-9a-f]{32} ", shown)
    assert app.bundle().is_dir()  # of the better one, on all rows
    assert "(only on 1000 rows)" in shown


@pytest.mark.parametrize(
    ("budget", "rows", "message"),
    [
        ("0.5", {"good": 20, "bad": 20}, "sweep.budget = 0.5 seconds is too short"),
        ("60", {"good": 40}, "A classifier needs at least two classes"),
        ("60", {"good": 2, "bad": 2}, "These rows cannot be split"),
        ("-1", {"good": 20, "bad": 20}, "sweep.budget"),
    ],
)
def test_what_leaves_nothing_to_choose_is_one_message(
    app: App, budget: str, rows: dict[str, int], message: str
) -> None:
    done = app.run(*SEARCH[:-1], f"sweep.budget={budget}", *table(app, **rows))
    assert done.returncode == 2
    assert message in join(done.stderr)
    assert done.stderr.count("Error") == 1
    assert not (app.stores / "run_id.txt").exists()


def test_a_budget_needs_configurations_to_begin_with(app: App) -> None:
    done = app.run("-m", "sweep=quick", "sweep.budget=60")
    assert done.returncode == 2
    assert "needs configurations to begin with" in done.stderr


def test_an_interrupt_says_how_to_go_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    update: Callable[..., list[FrozenTrial]] = watch.SearchWatch.update

    def update_and_interrupt(self: watch.SearchWatch) -> list[FrozenTrial]:
        trials = update(self)
        if any(trial.state.is_finished() for trial in trials):
            raise KeyboardInterrupt
        return trials

    monkeypatch.setattr(watch.SearchWatch, "update", update_and_interrupt)
    done = app.run(*SEARCH)
    assert done.returncode == 130
    assert "The same command goes on, with a new budget." in done.stdout
    assert "experiment=auto-sample" in done.stdout
    monkeypatch.undo()
    app.ok("experiment=auto-sample", "plots=none")
