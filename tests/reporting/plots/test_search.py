from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
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
    study = study_of(40, pruned, "maximize")
    assert draw_all(study, ["val_f1"]) == {
        "optimization_history",
        "slice",
        "parallel_coordinate",
        "param_importances",
        "intermediate_values",
    }
    for figure in (
        search.plot_intermediate_values(study, "val_f1"),
        search.plot_history(study, "val_f1"),
    ):
        assert {"complete: 27"} < {*legend(figure)}
        assert any(text.startswith("pruned") and text.endswith(": 13") for text in legend(figure))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]  # type: ignore[union-attr]


def values_of(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def test_the_history_has_each_kind_of_trials_the_best_so_far_and_the_present_level() -> None:
    study = optuna.create_study(direction="maximize")
    for value, constraint in ((0.5, 0.0), (0.9, 1.0), (0.7, 0.0), (0.7, 0.0)):
        trial = optuna.trial.create_trial(value=value)
        trial.set_constraint("model_bytes", constraint)
        study.add_trial(trial)
    figure = search.plot_history(study, "val_f1", told=[3], present=study.trials[0])
    assert legend(figure) == [
        "complete: 2",
        "the same as an earlier one: 1",
        "breaks a constraint: 1",
        "best so far",
        "present configuration: 0.5",
    ]
    lines = {line.get_label(): values_of(line) for line in figure.axes[0].get_lines()}
    assert lines["best so far"] == [0.5, 0.7, 0.7, 0.7]
    assert lines["present configuration: 0.5"] == [0.5, 0.5]


@pytest.mark.parametrize(("trials", "found"), [(24, False), (25, True)])
def test_importances_are_of_trials_enough(trials: int, found: bool) -> None:
    study = study_of(trials, two, "maximize", "minimize")
    assert ("objective-0-param_importances" in search.list_figures(study, ["a", "b"])) is found
    # What was told from another trial says nothing more.
    assert "objective-0-param_importances" not in search.list_figures(study, ["a", "b"], [3])


def compute_contrast(colour: Any, alpha: float | None) -> float:
    """Return the contrast of a colour on white with white, as WCAG 2 computes it."""
    *rgb, alpha = to_rgba(colour, alpha)
    seen = [1 - alpha + alpha * c for c in rgb]
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in seen]
    return 1.05 / (0.05 + sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True)))


@pytest.mark.parametrize(
    "name",
    ["optimization_history", "slice", "parallel_coordinate", "intermediate_values"],
)
def test_the_worst_trials_are_seen_on_the_white_of_every_figure(name: str) -> None:
    figure = search.list_figures(study_of(40, pruned, "maximize"), ["val_f1"])[name]()
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    assert len(lines) > 2
    assert min(compute_contrast(line.get_color(), line.get_alpha()) for line in lines) > 3
    assert figure.get_facecolor() == to_rgba("white")


def test_a_line_of_parallel_coordinates_goes_from_the_worst_in_grey_to_the_best_in_red() -> None:
    study = study_of(12, lambda trial: trial.suggest_float("x", 0, 1), "minimize")
    figure = search.list_figures(study, ["f"])["parallel_coordinate"]()
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    heights = [values_of(line)[0] for line in lines]
    assert heights == sorted(heights, reverse=True)
    assert (to_rgb(lines[0].get_color()), to_rgb(lines[-1].get_color())) == (
        to_rgb(style.GREY),
        to_rgb(style.RED),
    )


def test_a_parameter_that_a_trial_does_not_have_interrupts_its_line() -> None:
    def objective(trial: optuna.Trial) -> float:
        if trial.number:
            trial.suggest_float("z", 1, 10, log=True)
        return trial.suggest_float("x", 0, 1)

    figure = search.list_figures(study_of(3, objective, "minimize"), ["f"])["parallel_coordinate"]()
    lines = [values_of(line) for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert sum(np.isnan(line[2]) for line in lines) == 1
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["f", "x", "z"]


def test_a_search_of_two_objectives_has_a_figure_for_each_and_their_front() -> None:
    found = draw_all(study_of(30, two, "maximize", "minimize"), ["val_f1", "model_bytes"])
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
