from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from optuna.trial import TrialState

from tagifai.reporting.plots import search, style


def study_of(
    trials: int, objective: Callable[[optuna.Trial], Any], *directions: Any
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=directions, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, trials)
    return study


def pruned(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("model.a_name_that_is_really_long", 1e-4, 1, log=True)
    kind = trial.suggest_categorical("vectorizer", ["char", "word"])
    for step in range(3):
        trial.report(rate, step)
    if trial.number % 3 == 2:
        raise optuna.TrialPruned
    return rate + (kind == "char")


def two(trial: optuna.Trial) -> tuple[float, float]:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return x + 0.1 * y, y


def draw_all(study: optuna.Study, metrics: list[str]) -> set[str]:
    makers = search.list_figures(study, metrics)
    for name, make in makers.items():
        figure = make()
        with style.use_style():
            FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        assert figure.get_suptitle(), name
    return set(makers)


def test_a_search_has_all_figures_and_its_pruned_trials_are_seen() -> None:
    study = study_of(12, pruned, "maximize")
    assert draw_all(study, ["val_f1"]) == {
        "optimization_history",
        "slice",
        "parallel_coordinate",
        "param_importances",
        "intermediate_values",
    }
    figure = search.plot_intermediate_values(study, "val_f1")
    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
    assert named[:2] == ["pruned: 4", "complete: 8"]


def test_a_search_of_two_objectives_has_a_figure_for_each_and_their_front() -> None:
    found = draw_all(study_of(12, two, "maximize", "minimize"), ["val_f1", "model_bytes"])
    assert "pareto_front" in found
    assert {"objective-0-slice", "objective-1-param_importances"} <= found


def test_what_matters_for_a_score_is_what_leads_to_high_values() -> None:
    study = study_of(60, two, "maximize", "minimize")
    figure = search.list_figures(study, ["val_f1", "model_bytes"])[
        "objective-0-param_importances"
    ]()
    named = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert named[-1] == "x"


@pytest.mark.parametrize("trials", [0, 1, 2])
def test_few_trials_have_the_figures_that_they_are_enough_for(trials: int) -> None:
    study = study_of(trials, lambda trial: trial.suggest_float("x", 0, 1), "minimize")
    expected = ["optimization_history", "slice", "parallel_coordinate"][: [0, 1, 3][trials]]
    assert draw_all(study, ["f"]) == set(expected)


def test_a_search_whose_trials_all_failed_has_none() -> None:
    study = optuna.create_study()
    study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
    assert search.list_figures(study, ["f"]) == {}
