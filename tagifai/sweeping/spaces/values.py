"""Values of a search's parameters: as Hydra writes and reads them, and as a distribution has them.

A categorical distribution has texts of Hydra's grammar, or numbers and truth values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial, create_trial

from tagifai.sweeping._optuna import list_grid_choices

MOST_VALUES = 10_000
"""Of a parameter or a space that are counted."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)([.][0-9]+)?(e[-+]?[0-9]+)?")
"""Of Hydra's grammar; they are read without its parser, which takes a fifth of a millisecond."""

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


# Typed, because 1, 1.0 and True are equal but are written in three ways.
@lru_cache(maxsize=4096, typed=True)
def format_value(value: Any) -> str:
    """Return a value in Hydra's grammar, with quotes where a text needs them.

    Texts of lists, mappings and null are in the grammar already.
    """
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    read = read_value(value)
    if read == value or read is None or isinstance(read, list | dict):
        return value
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    return f"'{escaped}'"


@lru_cache(maxsize=4096)
def read_value(text: str) -> Any:
    """Return the value that a text of Hydra's grammar stands for; another text stands for none."""
    try:
        return OverridesParser.create().parse_override(f"a={text}").value()
    except HydraException:
        return ""


@lru_cache(maxsize=4096)
def identify_value(text: str) -> str:
    """Return the name of a value in Hydra's grammar; equal numbers have one, 1 and 1.0 too."""
    return _identify(float(text) if NUMBER.fullmatch(text) else read_value(text)) or repr(text)


def _identify(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_identify, value))}]"
    if isinstance(value, dict):
        return repr({str(key): _identify(inner) for key, inner in value.items()})
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else repr(value) if value != "" else ""


def find_value(distribution: Distribution, value: Any) -> Any:
    """Return a value as a distribution has it, such as 3.0 for 3; None if it has not.

    Args:
        distribution: of a parameter.
        value: as a configuration has it, or as a text of Hydra's grammar.
    """
    if isinstance(distribution, CategoricalDistribution):
        shown = format_value(value) if value is None or isinstance(value, str) else str(value)
        wanted = identify_value(shown)
        same = (c for c in distribution.choices if identify_value(format_value(c)) == wanted)
        return next(same, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Of one type, or equal configurations would have two names.
    wish = float(value) if isinstance(distribution, FloatDistribution) else value
    return wish if has_value(distribution, wish) else None


def has_value(distribution: Distribution, value: Any) -> bool:
    """Return whether a distribution has a value, of its own type."""
    try:
        # Which refuses a value that is not of the distribution.
        create_trial(value=0.0, params={"": value}, distributions={"": distribution})
    except ValueError:
        return False
    return True


def describe_distribution(distribution: Distribution) -> str:
    """Return a distribution as a text."""
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({','.join(map(str, distribution.choices))})"
    text = f"from {distribution.low} to {distribution.high}"
    if distribution.step not in (None, 1):
        text += f" by {distribution.step}"
    return f"{text}, log" if distribution.log else text


def get_middle(distribution: Distribution) -> Any:
    """Return a value in the middle of a distribution, or its first choice."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    low, high = distribution.low, distribution.high
    middle = math.sqrt(low * high) if distribution.log else (low + high) / 2
    return middle if isinstance(distribution, FloatDistribution) else int(middle)


def list_values(distribution: Distribution) -> list[Any] | None:
    """Return the values of a distribution; None if they cannot be counted, or are too many."""
    step = getattr(distribution, "step", None)
    if step and (distribution.high - distribution.low) / step >= MOST_VALUES:  # type: ignore[union-attr]
        return None
    try:
        return list_grid_choices(distribution)
    except ValueError:
        return None


def iterate_choices(
    run: Callable[[Callable[[list[Any] | None], Any]], list[str]],
) -> Iterator[list[str] | None]:
    """Yield what a function returns for each way to choose in it; None if a choice has no list.

    Args:
        run: takes a function that returns one of the values of a list.
    """
    places: list[int] = []
    while True:
        lists: list[list[Any] | None] = []

        def take(values: list[Any] | None, lists: list[list[Any] | None] = lists) -> Any:
            lists.append(values)
            if len(places) < len(lists):
                places.append(0)
            return values[places[len(lists) - 1]] if values else None

        made = run(take)
        yield None if None in lists else made
        # The last place with a further value counts on; those behind it begin again.
        while places and places[-1] + 1 >= len(lists[len(places) - 1] or ()):
            places.pop()
        if not places:
            return
        places[-1] += 1


def suggest_value(trial: BaseTrial, name: str, distribution: Distribution) -> Any:
    """Return the value that a trial has, or that its sampler chooses, for a parameter."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high, step, log = (getattr(distribution, k) for k in ("low", "high", "step", "log"))
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, low, high, step=step, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)
