"""The board of a search with a budget: the winner, SGD beside it, and what was not tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tagifai.config.job import select_places
from tagifai.sweeping.auto.costs import Attempt
from tagifai.sweeping.auto.schedule import REFERENCE_MODEL, list_best
from tagifai.sweeping.auto.search import BudgetSearch
from tagifai.utils import program
from tagifai.utils.board_cells import MISSING, describe_settings, format_number, shorten_keys
from tagifai.utils.excerpts import shorten_id

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan

SHOWN = 6
"""Rows of the board."""

NUMBERS = ("trial", "seconds")
"""Headings of columns of numbers beside the score; the others have texts."""


def show(
    plan: SearchPlan,
    search: BudgetSearch,
    attempts: Sequence[Attempt],
    winner: Attempt,
    run_id: str | None,
    test_score: tuple[str, float, int] | None,
) -> None:
    """Show the board.

    Args:
        plan: of the search, which has ended.
        search: that has chosen the configurations.
        attempts: all of the study.
        winner: of them.
        run_id: of the winner's own run, which has its model; None if that is not known.
        test_score: name, value and rows of the winner's score on the test rows, if there is one.
    """
    display, metric = plan.display, plan.metrics[0]
    rows = make_rows(attempts, winner)
    shown, common = _make_columns(plan, search, rows, {winner.number: run_id})
    title = f"Board of {plan.study.name}: by {metric}"
    texts = [place for place, name in enumerate(shown) if name not in (metric, *NUMBERS)]
    table = [*zip(*shown.values(), strict=True)]
    display.show_table(title, [*shown], table, texts=texts, optional=["run", "seconds"])
    if common:
        display.show_fact("Most common", common)
    _show_choice(plan, search, attempts, winner)
    if test_score is not None:
        name, value, n = test_score
        estimate = f"{name} = {value:.4f} on {n} test rows, which chose nothing."
        display.show_fact("Estimate", estimate, style="green")
        plan.parent.log_metrics({f"winner_{name}": value})
    untried = search.list_untried(attempts)
    if untried:
        display.show_fact("Not tried", "; ".join(untried))
    display.show_fact("Budget", f"{search.used:.1f} of {search.budget:g} s")
    chosen = [] if run_id is None else [f"task.run_id={run_id}"]
    words = [*chosen, *select_places(plan.cfg.hydra.overrides.task)]
    predict = program.format_call("task=predict", *words)
    display.show_copyable("Predict", f'{predict} task.text="..."')
    if run_id is not None and plan.config.tracking.enabled:
        display.show_copyable("Promote", program.format_call("task=promote", *words))


def _make_columns(
    plan: SearchPlan,
    search: BudgetSearch,
    rows: Sequence[tuple[str, Attempt]],
    trained: Mapping[int, str | None],
) -> tuple[dict[str, list[str]], str]:
    """Return the columns of the board, and the most common settings that these leave out."""
    given = [search.points.index_by_key(attempt.point) for _, attempt in rows]
    keys = dict.fromkeys(key for point in given for key in point)
    settings = [{key: str(point.get(key, MISSING)) for key in keys} for point in given]
    varied = [key for key in keys if len({point[key] for point in settings}) > 1]
    heading, told, common = describe_settings([{k: p[k] for k in varied} for p in settings])
    trials = plan.study.list_trials()
    of_trials = [trials[attempt.number].user_attrs.get("run_id") for _, attempt in rows]
    runs = [
        str(trained.get(attempt.number) or run or MISSING)
        for (_, attempt), run in zip(rows, of_trials, strict=True)
    ]
    shown = {
        plan.metrics[0]: [format_number(abs(attempt.value or 0.0)) for _, attempt in rows],
        "role": [role for role, _ in rows],
        "run": [*map(shorten_id, runs)],
        "trial": [str(attempt.number) for _, attempt in rows],
        heading: told,
        "seconds": [format_number(attempt.seconds or 0.0) for _, attempt in rows],
    }
    return {name: c for name, c in shown.items() if {*c} != {MISSING}}, common


def _show_choice(
    plan: SearchPlan, search: BudgetSearch, attempts: Sequence[Attempt], winner: Attempt
) -> None:
    """Show what the winner is, and what it was chosen by."""
    own = search.points.index_by_key(winner.point)
    names = shorten_keys([*own])
    exact = {key: f"{v:.4g}" if isinstance(v, float) else v for key, v in own.items()}
    settings = " ".join(f"{names[key]}={value}" for key, value in exact.items())
    plan.display.show_fact("Winner", settings, style="green")
    whole = [a for a in attempts if a.is_complete]
    folds = search.fidelity.folds
    on = "validation rows" if folds is None else f"{folds} folds of train and validation rows"
    plan.display.show_fact(
        "Chosen by",
        f"{plan.metrics[0]} on {on}, the best of {len(whole)} on all rows"
        f" ({len(attempts) - len(whole)} more on a sample). It flatters the winner.",
    )


def make_rows(attempts: Sequence[Attempt], winner: Attempt) -> list[tuple[str, Attempt]]:
    """Return the attempts of the board with their roles, the best first.

    Args:
        attempts: all of the study.
        winner: of them; a better one may have been too slow.
    """
    complete = list_best([a for a in attempts if a.is_complete])
    ranked = complete or list_best(attempts)
    sgd = [a for a in ranked if a.model == REFERENCE_MODEL]
    roles: dict[int, list[str]] = {winner.number: ["winner"]}
    for role, found in (
        (f"best {REFERENCE_MODEL}", sgd),
        (f"{REFERENCE_MODEL}, same features", [a for a in sgd if a.features == winner.features]),
    ):
        if found:
            roles.setdefault(found[0].number, []).append(role)
    others = [a for a in ranked if a.number not in roles][: max(0, SHOWN - len(roles))]
    shown = {*roles, *(a.number for a in others)}
    return [(", ".join(roles.get(a.number, [])), a) for a in ranked if a.number in shown]
