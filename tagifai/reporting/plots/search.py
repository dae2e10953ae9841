"""Plots of a search, drawn from the trials of its study."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tagifai.reporting.plots.style import (
    BLUE,
    GREEN,
    GREY,
    RED,
    add_legend,
    apply_style,
    make_axes,
    make_figure,
    shorten,
)
from tagifai.reporting.plots.trials import (
    BEST,
    OTHERS,
    POINTS,
    PlottedParameter,
    plot_parallel,
    plot_slices,
)

FEWEST_FOR_IMPORTANCES = 25
"""Complete trials from which on the importance of a parameter says more than chance."""

PARAMETER_PLOTS: dict[str, Callable[..., Figure]] = {
    "slice": plot_slices,
    "parallel_coordinate": plot_parallel,
}


def list_figures(
    study: Study,
    metrics: Sequence[str],
    told: Collection[int] = (),
    present: FrozenTrial | None = None,
) -> dict[str, Callable[[], Figure]]:
    """Return functions that make the figures that a study has enough trials for, by name.

    Args:
        study: finished or not.
        metrics: of its objectives.
        told: numbers of the trials that were told from earlier ones, and not trained.
        present: the trial of the present configuration, or None.
    """
    trials = study.get_trials(deepcopy=False)
    complete = [t for t in trials if t.state is TrialState.COMPLETE]
    made: dict[str, Callable[[], Figure]] = {}
    if not complete:
        return made
    for number, metric in enumerate(metrics):
        prefix = "" if len(metrics) == 1 else f"objective-{number}-"
        history = partial(plot_history, study, metric, number, told, present)
        made[f"{prefix}optimization_history"] = history
        if len(complete) > 1 and any(trial.params for trial in complete):
            for name, plot in PARAMETER_PLOTS.items():
                made[prefix + name] = partial(_plot_parameters, plot, study, metric, number)
        if _can_compute_importances([t for t in complete if t.number not in told]):
            made[f"{prefix}param_importances"] = partial(plot_importances, study, metric, number)
    if len(metrics) == 1 and any(t.intermediate_values for t in trials):
        made["intermediate_values"] = partial(plot_intermediate_values, study, metrics[0])
    if len(metrics) > 1:
        made["pareto_front"] = partial(plot_front, study, metrics)
    return made


def _list_best(study: Study) -> list[FrozenTrial]:
    """Return the best trial or the Pareto front: none if all trials break a constraint."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trials if any(map(_is_feasible, trials)) else []


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


@apply_style
def plot_history(
    study: Study,
    metric: str,
    number: int = 0,
    told: Collection[int] = (),
    present: FrozenTrial | None = None,
) -> Figure:
    """Show the objective by trial, the best so far, and the level of the present configuration.

    Args:
        study: with a complete trial.
        metric: name of the objective.
        number: of the objective.
        told: numbers of the trials that were told from earlier ones, and not trained.
        present: the trial of the present configuration, or None.
    """
    figure, axes = make_axes(
        f"{shorten(metric, 60)} by trial, and the best so far", "trial", metric
    )
    trials = study.get_trials(deepcopy=False)
    for name, (look, points) in _group_trials(trials, number, told).items():
        if points:
            axes.plot(*zip(*points, strict=True), label=f"{name}: {len(points)}", **look)
    kept = [t for t in trials if t.state is TrialState.COMPLETE and _is_feasible(t)]
    if kept:
        choose = max if study.directions[number] is StudyDirection.MAXIMIZE else min
        best = [*itertools.accumulate((t.values[number] for t in kept), choose)]
        places = [*(t.number for t in kept), trials[-1].number]
        axes.step(places, [*best, best[-1]], where="post", color=GREEN, label="best so far")
    if present is not None:
        label = f"present configuration: {present.values[number]:.4g}"
        axes.axhline(present.values[number], color="black", ls="dashed", lw=1.5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(axes, below=True)
    return figure


def _group_trials(
    trials: Sequence[FrozenTrial], number: int, told: Collection[int]
) -> dict[str, tuple[dict[str, Any], list[tuple[int, float]]]]:
    """Return looks and points (trial and value) of each kind of trials, by its name."""
    kinds: dict[str, tuple[dict[str, Any], list[tuple[int, float]]]] = {
        "complete": (OTHERS, []),
        "the same as an earlier one": ({**OTHERS, "fillstyle": "none"}, []),
        "breaks a constraint": ({**POINTS, "color": RED, "marker": "s", "fillstyle": "none"}, []),
        "pruned, at its last report": ({**POINTS, "color": GREY, "marker": "x"}, []),
    }
    for trial in trials:
        kind, value = "complete", trial.values[number] if trial.values else None
        if trial.state is TrialState.PRUNED and trial.last_step is not None:
            kind, value = "pruned, at its last report", trial.intermediate_values[trial.last_step]
        elif not _is_feasible(trial):
            kind = "breaks a constraint"
        elif trial.number in told:
            kind = "the same as an earlier one"
        if value is not None:
            kinds[kind][1].append((trial.number, value))
    return kinds


@apply_style
def plot_importances(study: Study, metric: str, number: int = 0) -> Figure:
    """Show how much each parameter matters for an objective, the most important at the top."""
    from optuna.importance import get_param_importances  # late: it takes a while

    # The evaluator finds the parameters that lead to low values.
    sign = -1 if study.directions[number] is StudyDirection.MAXIMIZE else 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
        found = get_param_importances(study, target=lambda trial: sign * trial.values[number])
    names, shares = [*found][::-1], [*found.values()][::-1]
    title = f"Importance of each parameter for {shorten(metric, 60)}"
    figure, axes = make_axes(title, "share", "", height=1.6 + 0.38 * max(2, len(names)))
    bars = axes.barh([shorten(name, 48) for name in names], shares, color=BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    return figure


def _can_compute_importances(trained: Sequence[FrozenTrial]) -> bool:
    """Return whether there are trials enough, two parameters, and values that differ."""
    parameters = {name for trial in trained for name in trial.params}
    varied = [n for n in parameters if len({repr(trial.params.get(n)) for trial in trained}) > 1]
    differ = len({tuple(trial.values) for trial in trained}) > 1
    return len(trained) >= FEWEST_FOR_IMPORTANCES and len(varied) > 1 and differ


def _plot_parameters(plot: Callable[..., Figure], study: Study, metric: str, number: int) -> Figure:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = {trial.number for trial in _list_best(study)}
    sign = 1 if study.directions[number] is StudyDirection.MAXIMIZE else -1
    # Those that are drawn last are seen best.
    complete.sort(key=lambda trial: (trial.number in best, sign * trial.values[number]))
    found = {name: item for trial in complete for name, item in trial.distributions.items()}
    return plot(
        [_make_parameter(name, item, complete) for name, item in sorted(found.items())],
        np.array([trial.values[number] for trial in complete]),
        np.array([trial.number in best for trial in complete]),
        metric,
    )


def _make_parameter(
    name: str, distribution: BaseDistribution, trials: Sequence[FrozenTrial]
) -> PlottedParameter:
    choices: Sequence[Any] = ()
    place: Callable[[Any], float] = float
    if isinstance(distribution, CategoricalDistribution):
        choices, place = distribution.choices, distribution.to_internal_repr
    places = [place(t.params[name]) if name in t.params else np.nan for t in trials]
    is_log = bool(getattr(distribution, "log", False))
    return PlottedParameter(name, np.array(places), is_log, [str(choice) for choice in choices])


@apply_style
def plot_front(study: Study, metrics: Sequence[str]) -> Figure:
    """Show each two objectives of all trials, and those that no other trial beats in all of them.

    Args:
        study: with several objectives and a complete trial.
        metrics: of its objectives.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = {trial.number for trial in _list_best(study)}
    pairs = list(itertools.combinations(range(len(metrics)), 2))
    names = [shorten(metric, 40) for metric in metrics]
    figure = make_figure(f"Pareto front of {' and '.join(names)}", 0.5 + 6.5 * len(pairs))
    for axes, (x, y) in zip(figure.subplots(1, len(pairs), squeeze=False).flat, pairs, strict=True):
        axes.set(xlabel=names[x], ylabel=names[y])
        for look, is_best in ((OTHERS, False), (BEST, True)):
            shown = [t.values for t in complete if (t.number in best) is is_best]
            label = f"{'Pareto front' if is_best else 'other trials'}: {len(shown)}"
            axes.plot([v[x] for v in shown], [v[y] for v in shown], label=label, **look)
        add_legend(axes)
    return figure


@apply_style
def plot_intermediate_values(study: Study, metric: str) -> Figure:
    """Show the values that trials reported by step: pruned ones, others, and the best.

    Args:
        study: with one objective.
        metric: its name.
    """
    figure, axes = make_axes(f"{shorten(metric, 60)} by epoch", "step (epoch)", metric)
    kinds = {TrialState.COMPLETE: (BLUE, "complete"), TrialState.PRUNED: (GREY, "pruned")}
    for state, (colour, name) in kinds.items():
        trials = study.get_trials(deepcopy=False, states=(state,))
        for trial in trials:
            _plot_steps(axes, trial, color=colour, linewidth=1.2)
        if trials:
            axes.plot([], [], color=colour, label=f"{name}: {len(trials)}")
    for best in _list_best(study):
        label = f"best: trial {best.number}, {best.value:.4g}"
        _plot_steps(axes, best, color=RED, linewidth=2.4, label=label)
    add_legend(axes)
    return figure


def _plot_steps(axes: Axes, trial: FrozenTrial, **look: Any) -> None:
    steps = sorted(trial.intermediate_values)
    values = [trial.intermediate_values[step] for step in steps]
    axes.plot(steps, values, marker="o" if len(steps) < 3 else "", **look)
