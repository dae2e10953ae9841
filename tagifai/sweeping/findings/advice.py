"""What to try after a search: a table of rules, of which the first that says something counts."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BruteForceSampler, GridSampler

from tagifai.exceptions import ConfigError
from tagifai.sweeping.findings.results import SearchResult
from tagifai.sweeping.spaces import grammar
from tagifai.sweeping.spaces.space import Parameter, SearchSpace
from tagifai.sweeping.spaces.values import format_value
from tagifai.utils import program

if TYPE_CHECKING:
    from tagifai.sweeping.plan import SearchPlan

NEAR = 0.05
"""Share of a range, on its scale, that is at its end."""

LATE = 0.75
"""Share of the trials after which a new best one means that the search was still moving."""

FEWEST_TRIALS = 8
"""That say whether a search was still moving."""

Changes = tuple[dict[str, str | None], str]
"""What a rule says: values by key, None for a key that is taken away; and the reason."""

Range = IntDistribution | FloatDistribution

RESTART = "sweep.restart"
N_TRIALS = "hydra.sweeper.n_trials"


def suggest(plan: SearchPlan, result: SearchResult) -> str | None:
    """Return the command to try next with its reason as a comment; None if there is none.

    Args:
        plan: of the search, which has ended.
        result: its results.
    """
    if len(result.metrics) != 1 or not result.best:
        return None
    for rule in RULES:
        if (found := rule(plan, result)) is not None:
            changes, reason = found
            command = _format_command(changes)
            return command and f"{command}  # {reason}"
    return None


def _format_command(changes: Mapping[str, str | None]) -> str | None:
    """Return the command that was typed with other values; None if it is not known.

    Args:
        changes: values by key; None takes the key away.
    """
    words = shlex.split(program.get_command())[len(shlex.split(program.get_name())) :]
    if not {"-m", "--multirun"} & {*words}:
        return None
    if "--config-dir" in words:  # which every command has by itself
        at = words.index("--config-dir")
        del words[at : at + 2]
    given = {*changes, "--config-dir"}
    kept = [word for word in words if word.partition("=")[0].lstrip("+") not in given]
    added = [f"{key}={value}" for key, value in changes.items() if value is not None]
    return program.format_call(*kept, *added)


def _widen(plan: SearchPlan, result: SearchResult) -> Changes | None:
    """Return wider ranges of the parameters that the best trial has at an end, if they may be."""
    params, space = result.best[0].params, plan.space
    plain: dict[str, str | None] = {}
    for parameter, text in _list_wider(plan, params):
        conditions = _find_conditions(space, parameter, params)
        if not conditions:
            plain[parameter.key] = text
        elif not plain:
            # On the command line a parameter is of all trials, so that its condition is, too.
            plain = {**conditions, parameter.key: text}
            break
    ends = [
        f"{p.key}={params[p.name]:.4g}"
        for p in space.list_all_parameters()
        if p.key in plain and isinstance(params.get(p.name), int | float)
    ]
    reason = f"the best has {' and '.join(ends)}, at the end of the space"
    return (plain | {RESTART: "true"}, reason) if plain else None


def _add_trials(plan: SearchPlan, result: SearchResult) -> Changes | None:
    """Return twice the trials where the study has all of them, and the best is among the last."""
    n, best, total = result.counts.finished, result.best[0].number, len(plan.study.list_trials())
    is_finite = isinstance(plan.study.optuna.sampler, GridSampler | BruteForceSampler)
    done = n >= max(plan.n_trials, FEWEST_TRIALS) and not result.counts.failed
    if is_finite or not done or best < LATE * total:
        return None
    reason = f"the best is trial {best} of {total}: it was still moving"
    return {N_TRIALS: str(2 * plan.n_trials), RESTART: None}, reason


RULES = (_widen, _add_trials)


def _list_wider(plan: SearchPlan, params: Mapping[str, Any]) -> Iterator[tuple[Parameter, str]]:
    """Yield the parameters that are at an end of their range, with a wider one that may be."""
    for parameter in plan.space.list_all_parameters():
        wider = find_wider(parameter.distribution, params.get(parameter.name))
        if wider is None:
            continue
        text, (low, high) = format_range(wider), (wider.low, wider.high)
        read = grammar.parse_space({parameter.key: text}, None, []).parameters[0].distribution
        new = low if low < parameter.get_extremes()[0] else high
        try:
            plan.compose(plan.space.make_overrides({**params, parameter.name: new}))
        except (ConfigError, HydraException, OmegaConfBaseException):
            continue
        if read == wider:
            yield parameter, text


def find_wider(old: BaseDistribution, value: Any) -> Range | None:
    """Return a wider range; None if the value is at no end of the old one, or 0 is in the way.

    Args:
        old: of the parameter.
        value: of the best trial; None if it has none.
    """
    if value is None or not isinstance(old, Range) or old.low == old.high:
        return None
    low, high, is_whole = old.low, old.high, isinstance(old, IntDistribution)
    first, at, last = [math.log(x) if old.log else x for x in (low, value, high)]
    share = (at - first) / (last - first)
    if share > 1 - NEAR:
        high = 10 * high if old.log else 2 * high - low
    elif share < NEAR and old.log:
        low = max(1, low // 10) if is_whole else low / 10
    elif share < NEAR:
        # What is not below 0 stays so, and what counts from 1 on; steps stay where they are.
        floor = 1 if is_whole and low >= 1 else 0
        wanted = 2 * low - high
        if low >= 0 > wanted or (low >= floor > wanted):
            wanted = low - old.step * ((low - floor) // old.step) if old.step else floor
        low = wanted
    if (low, high) == (old.low, old.high):
        return None
    if isinstance(old, IntDistribution):
        return IntDistribution(int(low), int(high), old.log, old.step)
    return FloatDistribution(_round(low), _round(high), old.log, old.step)


def _round(value: float) -> float:
    """Return a number without the last digits that sums and quotients leave."""
    return float(f"{value:.10g}")


def format_range(found: Range) -> str:
    """Return a range in Hydra's grammar."""
    if found.log or found.step is None:
        text = f"interval({found.low},{found.high})"
        text = f"int({text})" if isinstance(found, IntDistribution) else text
        return f"tag(log,{text})" if found.log else text
    if isinstance(found, IntDistribution):
        step = "" if found.step == 1 else f",{found.step}"
        return f"range({found.low},{found.high + found.step}{step})"
    return f"range({found.low},{_round(found.high + found.step)},{found.step})"


def _find_conditions(
    space: SearchSpace, parameter: Parameter, params: Mapping[str, Any]
) -> dict[str, str | None]:
    """Return the values by key under which a parameter is one: none outside of branches."""
    chosen, names = space.index_by_key(params), {parameter.name}
    found: dict[str, str | None] = {}
    for branch in reversed(space.branches):
        if names & {p.name for p in branch.parameters} and branch.key in chosen:
            found[branch.key] = format_value(chosen[branch.key])
            names |= {name for name in params if name.partition(" [")[0] == branch.key}
    return found
