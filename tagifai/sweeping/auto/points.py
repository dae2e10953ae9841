"""Points of a search space: where a search with a budget begins, and what lies beside a point."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.space import Parameter, SearchSpace
from tagifai.sweeping.spaces.values import Distribution, find_value, get_middle

Point = Mapping[str, Any]
"""Values by their name in the study."""

NEEDS = "needs"
"""Key of a start: modules without which it is left out."""

MODEL = "model"
"""The group whose parameters do not change features."""

PARTS_OF_RANGE = 8
"""Steps through a range that is not logarithmic."""


class PointSpace:
    """The points of a search space.

    A parameter that a point does not set has the value of the first start that has it.

    Args:
        space: of the search.
        starts: by parameter, what differs from earlier starts.

    Raises:
        ConfigError: a start names what is no parameter, or a value that is not of the space.
    """

    def __init__(self, space: SearchSpace, starts: Sequence[Mapping[str, Any]]) -> None:
        self._space = space
        self._usual: dict[str, Any] = {}
        self._options: dict[str, set[Any]] = {}
        found: dict[str, Point] = {}
        for start in starts:
            if any(find_spec(str(module)) is None for module in start.get(NEEDS, ())):
                continue
            point = self._make_start({k: v for k, v in start.items() if k != NEEDS})
            for name, value in point.items():
                self._usual.setdefault(name, value)
                self._options.setdefault(name, set()).add(value)
            # Starts may be equal where the command line fixes what they differ in.
            found.setdefault(self.identify(point), point)
        self.starts = list(found.values())

    def _make_start(self, wanted: Mapping[str, Any]) -> Point:
        by_name: dict[str, Any] = {}
        for key, value in wanted.items():
            if key in self._space.fixed:
                continue  # the command line has its way
            # Several branches may have a parameter of this key.
            of_key = [p for p in self._space.list_all_parameters() if p.key == key]
            found = {p.name: find_value(p.distribution, value) for p in of_key}
            fitting = {name: known for name, known in found.items() if known is not None}
            if not fitting:
                reason = "is none of its values" if of_key else "is of no parameter of the search"
                raise ConfigError(f"sweep.start: {key}={value} {reason}.")
            by_name |= fitting
        return self._fill(by_name)

    def _fill(self, values: Point) -> Point:
        """Return the values of the parameters that a point with some values has, all of them."""
        found: dict[str, Any] = {}

        def choose(parameter: Parameter) -> Any:
            middle = get_middle(parameter.distribution)
            value = values.get(parameter.name, self._usual.get(parameter.name, middle))
            found[parameter.name] = value
            return value

        self._space.choose_overrides(choose)
        return found

    def identify(self, point: Point) -> str:
        """Return the name of a point, by which equal ones are known."""
        return self._space.identify(self._space.make_overrides(point))

    def describe_features(self, point: Point) -> tuple[str, str | None]:
        """Return the name of what a point makes of the texts, and the option of its model."""
        words = sorted(self._space.make_overrides(point))
        options = [w.partition("=")[2] for w in words if w.startswith(f"{MODEL}=")]
        features = json.dumps([w for w in words if not _is_of_model(w)])
        return features, next(iter(options), None)

    def index_by_key(self, point: Point) -> dict[str, Any]:
        """Return the values of a point by key."""
        return self._space.index_by_key(point)

    def describe(self, point: Point) -> str:
        """Return what of a point differs from the first start; of the first start its options."""
        given = self._space.index_by_key(point)
        usual = self._space.index_by_key(self.starts[0])
        told = {k: v for k, v in given.items() if usual.get(k) != v}
        told = told or {k: v for k, v in given.items() if "." not in k} or given
        return ", ".join(f"{key}={value}" for key, value in told.items())

    def list_neighbours(self, point: Point) -> list[Point]:
        """Return the points that differ in one parameter, those with the same features first."""
        parameters = {p.name: p for p in self._space.list_all_parameters()}
        # So that features which are in the cache are used before they are removed.
        ordered = sorted(point, key=lambda name: not _is_of_model(parameters[name].key))
        return [
            self._fill({**point, name: value})
            for name in ordered
            for value in self._list_adjacent(parameters[name], point[name])
        ]

    def make_twin(self, point: Point, model: str) -> Point | None:
        """Return the point with the same features and another model; None if there is none."""
        if MODEL not in point or model not in self._options[MODEL]:
            return None
        return self._fill({**point, MODEL: model})

    def _list_adjacent(self, parameter: Parameter, value: Any) -> list[Any]:
        found = list(iterate_adjacent(parameter.distribution, value))
        if "." in parameter.key:
            return found
        # Of a group, only what a start has: others are not meant, or need what is not installed.
        return [v for v in found if v in self._options.get(parameter.name, ())]


def _is_of_model(word: str) -> bool:
    return word.startswith((f"{MODEL}=", f"{MODEL}.")) or word == MODEL


def iterate_adjacent(distribution: Distribution, value: Any) -> Iterator[Any]:
    """Yield the values beside a value: the other choices, or one step up and one down.

    A step on a logarithmic scale goes to the next of ..., 0.1, 0.3, 1, 3, 10, ...
    """
    if isinstance(distribution, CategoricalDistribution):
        yield from (choice for choice in distribution.choices if choice != value)
        return
    for sign in (1, -1):
        if distribution.log:
            place = round(2 * math.log10(value)) + sign
            beside: float = float(f"{10 ** (place / 2):.1g}")
        elif isinstance(distribution, IntDistribution):
            beside = value + sign * distribution.step
        else:
            width = (distribution.high - distribution.low) / PARTS_OF_RANGE
            beside = round(value + sign * width, 12)
        if isinstance(distribution, IntDistribution):
            beside = int(beside)
        if distribution.low <= beside <= distribution.high and beside != value:
            yield beside
