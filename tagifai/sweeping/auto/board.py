"""The board of a search with a budget: the winner, SGD beside it, and what was not tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tagifai.sweeping.auto.costs import Attempt
from tagifai.sweeping.auto.schedule import REFERENCE_MODEL, list_best
from tagifai.sweeping.auto.search import BudgetSearch
from tagifai.sweeping.findings import results

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan

SHOWN = 6
"""Rows of the board."""


def show(
    plan: SearchPlan,
    search: BudgetSearch,
    attempts: Sequence[Attempt],
    winner: Attempt,
    test_score: tuple[str, float, int] | None,
) -> None:
    """Show the board.

    Args:
        plan: of the search, which has ended.
        search: that has chosen the configurations.
        attempts: all of the study.
        winner: of them.
        test_score: name, value and rows of the winner's score on the test rows, if there is one.
    """
    display, metric = plan.display, plan.metrics[0]
    rows = make_rows(attempts, winner)
    table = [
        [
            role,
            str(attempt.number),
            results.format_number(abs(attempt.value or 0.0)),
            f"{attempt.seconds or 0.0:.1f}",
            search.points.describe(attempt.point),
        ]
        for role, attempt in rows
    ]
    columns = ["", "trial", metric, "seconds", "parameters"]
    display.show_table(f"Board of {plan.study.name}", columns, table)
    _show_choice(plan, search, attempts)
    if test_score is not None:
        name, value, n = test_score
        estimate = f"{name} = {value:.4f} on {n} test rows, which chose nothing."
        display.show_fact("Estimate", estimate, style="green")
        plan.parent.log_metrics({f"winner_{name}": value})
    untried = search.list_untried(attempts)
    if untried:
        display.show_fact("Not tried", "; ".join(untried))
    display.show_fact("Budget", f"{search.used:.1f} of {search.budget:g} s")


def _show_choice(plan: SearchPlan, search: BudgetSearch, attempts: Sequence[Attempt]) -> None:
    """Show what the winner was chosen by."""
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
