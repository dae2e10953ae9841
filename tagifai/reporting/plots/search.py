"""Plots of a search: Optuna's visualizations with matplotlib, in the style of the other plots."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.reporting.plots.style import (
    BLUE,
    RED,
    add_legend,
    apply_style,
    make_axes,
    shorten,
    use_style,
)

if TYPE_CHECKING:
    from optuna import Study

INCHES_A_PARAMETER = 2.4

LAYOUT: Any = {"figure.constrained_layout.use": True}
"""Set before a figure is made, because it cannot be applied to existing colour bars."""

TITLES = {
    "optimization_history": "{metric} by trial, and the best so far",
    "param_importances": "Importance of each parameter for {metric}",
    "slice": "{metric} by each parameter",
    "parallel_coordinate": "Parameters and {metric} of each trial",
    "pareto_front": "Pareto front of {metric}",
}


def list_figures(study: Study, metrics: Sequence[str]) -> dict[str, Callable[[], Figure]]:
    """Return functions that make the figures that a study has enough trials for, by name.

    Args:
        study: finished or not.
        metrics: of its objectives.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    made: dict[str, Callable[[], Figure]] = {}
    if not complete:
        return made
    for number, metric in enumerate(metrics):
        prefix = "" if len(metrics) == 1 else f"objective-{number}-"
        chosen = {"target": partial(_value, number=number)} if len(metrics) > 1 else {}
        names = ["optimization_history"]
        if len(complete) > 1 and any(trial.params for trial in complete):
            names += ["slice", "parallel_coordinate"]
        for name in names:
            made[prefix + name] = partial(
                _plot_with_optuna, name, study, metric, target_name=metric, **chosen
            )
        if _can_compute_importances(complete):
            made[prefix + "param_importances"] = partial(_plot_importances, study, metric, number)
    if len(metrics) == 1 and any(t.intermediate_values for t in study.get_trials(deepcopy=False)):
        made["intermediate_values"] = partial(plot_intermediate_values, study, metrics[0])
    if len(metrics) in (2, 3):
        both = " and ".join(metrics)
        made["pareto_front"] = partial(
            _plot_with_optuna, "pareto_front", study, both, target_names=list(metrics)
        )
    return made


@apply_style
def plot_intermediate_values(study: Study, metric: str) -> Figure:
    """Show the values that trials reported by step: pruned ones, others, and the best.

    The legend of Optuna's figure names each trial, which takes all the room from 20 trials on.

    Args:
        study: with one objective.
        metric: its name.
    """
    figure, axes = make_axes(f"{shorten(metric, 60)} by epoch", "step (epoch)", metric)
    kinds = {TrialState.PRUNED: (RED, "pruned"), TrialState.COMPLETE: (BLUE, "complete")}
    for state, (colour, name) in kinds.items():
        trials = study.get_trials(deepcopy=False, states=(state,))
        for trial in trials:
            _plot_steps(axes, trial, color=colour, alpha=0.45, linewidth=1.2)
        if trials:
            axes.plot([], [], color=colour, label=f"{name}: {len(trials)}")
    best = study.best_trial
    label = f"best: trial {best.number}, {best.value:.4g}"
    _plot_steps(axes, best, color="black", linewidth=2.4, label=label)
    add_legend(axes)
    return figure


def _plot_steps(axes: Axes, trial: FrozenTrial, **look: Any) -> None:
    steps = sorted(trial.intermediate_values)
    values = [trial.intermediate_values[step] for step in steps]
    axes.plot(steps, values, marker="o" if len(steps) < 3 else "", **look)


def _plot_importances(study: Study, metric: str, number: int) -> Figure:
    if len(study.directions) == 1:
        return _plot_with_optuna("param_importances", study, metric)
    # The evaluator finds the parameters that lead to low values.
    sign = -1 if study.directions[number] is StudyDirection.MAXIMIZE else 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
        return _plot_with_optuna(
            "param_importances",
            study,
            metric,
            target=lambda trial: sign * _value(trial, number),
            target_name=metric,
        )


def _value(trial: FrozenTrial, number: int) -> float:
    return float(trial.values[number])


def _can_compute_importances(complete: Sequence[FrozenTrial]) -> bool:
    """Return whether there are two parameters and values that differ."""
    parameters = {name for trial in complete for name in trial.params}
    varied = [n for n in parameters if len({repr(trial.params.get(n)) for trial in complete}) > 1]
    return len(varied) > 1 and len({tuple(trial.values) for trial in complete}) > 1


def _plot_with_optuna(name: str, study: Study, metric: str, **arguments: Any) -> Figure:
    """Return one of Optuna's figures with our title and style, wide enough for its parameters."""
    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as visualization

    with _use_files_only(), use_style(), mpl.rc_context(LAYOUT), warnings.catch_warnings():
        # Ignore only that the functions are experimental; other warnings are shown.
        warnings.simplefilter("ignore", ExperimentalWarning)
        axes = getattr(visualization, f"plot_{name}")(study, **arguments)
        figure: Figure = np.ravel(axes)[0].figure
        plt.close(figure)
        _apply_layout(figure, name, metric, len(np.ravel(axes)))
    return figure


@contextmanager
def _use_files_only() -> Iterator[None]:
    """Keep pyplot from looking for a screen, and what a notebook has chosen as it was."""
    chosen = dict.__getitem__(mpl.rcParams, "backend")  # asked otherwise, it would look for one
    mpl.use("agg")
    try:
        yield
    finally:
        if isinstance(chosen, str):
            mpl.use(chosen)


def _apply_layout(figure: Figure, name: str, metric: str, parts: int) -> None:
    parameters = len(figure.axes) - 1 if name == "parallel_coordinate" else parts
    figure.set_size_inches(max(8.0, INCHES_A_PARAMETER * parameters), 5.0)
    for axes in figure.axes:
        axes.set_title("")
        if name == "slice":
            # Side by side, there is no room for long names or minor ticks.
            axes.set_xlabel(axes.get_xlabel().replace(".", ".\n"), fontsize=10)
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", rotation=30)
    title = TITLES[name].format(metric=shorten(metric, 60))
    figure.suptitle(title, x=0.01, ha="left", fontsize=14, weight="bold")
