from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tagifai.exceptions import ConfigError
from tagifai.sweeping.auto.points import iterate_adjacent
from tests.sweeping.auto.spaces import STARTS, make_points

C_OF_SGD, C_OF_SVC = "model.C [model=sgd]", "model.C [model=linear_svc]"


def test_a_start_says_only_what_differs_from_those_before_it() -> None:
    points = make_points()
    assert points.starts[2] == {
        "vectorizer": "tfidf_char",
        "model": "linear_svc",
        "vectorizer.ngram_max [vectorizer=tfidf_char]": 6,
        C_OF_SVC: 1.0,
        "model.class_weight [model=linear_svc]": "null",
    }
    assert points.starts[3]["model"] == "sgd"
    assert points.starts[3][C_OF_SGD] == 10.0


def test_starts_that_the_command_line_makes_equal_are_one() -> None:
    assert len(make_points("vectorizer=tfidf_word", "model=sgd", "model.C=1").starts or [0]) == 1


def test_a_start_with_a_module_that_is_not_installed_is_left_out() -> None:
    starts = [*STARTS, {"needs": ["numpy", "no_such_module"], "model": "linear_svc", "model.C": 3}]
    assert len(make_points(starts=starts).starts) == len(STARTS)
    starts[-1]["needs"] = ["numpy"]
    assert len(make_points(starts=starts).starts) == len(STARTS) + 1


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"model.eta0": 1}, "model.eta0=1 is of no parameter of the search"),
        ({"model": "tree"}, "model=tree is none of its values"),
        ({"model": "sgd", "model.C": 1e6}, "model.C=1000000.0 is none of its values"),
    ],
)
def test_a_start_outside_of_the_space_is_refused(start: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_points(starts=[start])


def test_neighbours_differ_in_one_parameter_those_with_the_same_features_first() -> None:
    points = make_points()
    found = points.list_neighbours(points.starts[2])
    told = [points.describe_features(point) for point in found]
    mine = points.describe_features(points.starts[2])[0]
    assert [features == mine for features, _ in told] == [True] * 4 + [False] * 3
    assert [point[C_OF_SVC] for point in found if point["model"] == "linear_svc"][:2] == [3.0, 0.3]
    assert found[0][C_OF_SGD] == 10.0  # another model has its own usual strength
    assert len({points.identify(point) for point in found}) == len(found)


def test_a_group_takes_only_options_that_a_start_has() -> None:
    points = make_points(starts=STARTS[:2])
    assert {p["vectorizer"] for p in points.list_neighbours(points.starts[0])} == {"tfidf_word"}


def test_the_twin_of_a_point_has_its_features() -> None:
    points = make_points()
    twin = points.make_twin(points.starts[2], "sgd")
    assert twin == points.starts[3]
    assert points.make_twin(points.starts[2], "complement_nb") is None


def test_a_step_goes_to_the_next_of_a_logarithmic_scale_and_stays_in_the_range() -> None:
    strength = FloatDistribution(0.1, 10.0, log=True)
    assert list(iterate_adjacent(strength, 1.0)) == [3.0, 0.3]
    assert list(iterate_adjacent(strength, 0.3)) == [1.0, 0.1]
    assert list(iterate_adjacent(strength, 10.0)) == [3.0]
    assert list(iterate_adjacent(IntDistribution(1, 3), 3)) == [2]
    assert list(iterate_adjacent(FloatDistribution(0.0, 1.0), 0.5)) == [0.625, 0.375]
    assert list(iterate_adjacent(CategoricalDistribution(("a", "b", "c")), "b")) == ["a", "c"]
