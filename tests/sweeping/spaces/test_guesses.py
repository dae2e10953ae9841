from __future__ import annotations

from typing import Any

import pytest

from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.grammar import parse_space
from tagifai.sweeping.spaces.guesses import list_first_trials, read_present
from tagifai.sweeping.spaces.space import SearchSpace
from tests.sweeping.conftest import Planning

SPACE = parse_space(
    {
        "vectorizer": "word,char",
        "model.C": "tag(log,interval(0.5,100.0))",
        "weight": "null,balanced",
    },
    {"vectorizer=char": {"n": "range(3,9)"}, "vectorizer=word": {"n": "range(1,3)"}},
    [],
)
PRESENT = {"vectorizer": "char", "model.C": 10, "weight": None, "n": 5, "seed": 1}


def first(*entries: dict[str, Any], **present: Any) -> list[dict[str, Any]]:
    now = {**PRESENT, **{key.replace("__", "."): value for key, value in present.items()}}
    return list_first_trials(entries, SPACE, now)[0]


def test_the_present_configuration_is_a_trial_of_the_parameters_that_it_has() -> None:
    values = {"vectorizer": "char", "model.C": 10.0, "weight": "null", "n [vectorizer=char]": 5}
    expected = [{"params": values, "user_attrs": {"first": "current"}}]
    assert list_first_trials("current", SPACE, PRESENT) == (expected, [])
    assert list_first_trials(None, SPACE, PRESENT) == ([], [])


@pytest.mark.parametrize(
    ("present", "note"),
    [
        ({"model.C": 1000}, "model.C = 1000 is outside of the space"),
        ({"vectorizer": "union"}, "vectorizer = union is outside of the space"),
        ({"n": 2}, "n = 2 is outside of the space"),
    ],
)
def test_a_present_value_outside_of_the_space_leaves_it_out_with_a_note(
    present: dict[str, Any], note: str
) -> None:
    found = list_first_trials("current", SPACE, {**PRESENT, **present})
    assert found == ([], [f"The present configuration is not tried first: {note}."])


def test_what_the_present_configuration_does_not_have_is_named() -> None:
    space = SearchSpace(SPACE.parameters, (), {})
    _, (note,) = list_first_trials("current", space, {"vectorizer": "char", "model.C": 1})
    assert note == "The present configuration is not tried first: weight is not in it."


def test_a_guess_is_as_at_present_where_it_says_nothing_and_the_space_has_that() -> None:
    (one, other) = first({"model.C": 1}, {"vectorizer": "word", "weight": "balanced"})
    assert one == {
        "params": {
            "vectorizer": "char",
            "model.C": 1.0,
            "weight": "null",
            "n [vectorizer=char]": 5,
        },
        "user_attrs": {"first": 0},
    }
    # The other option has no 5: the sampler chooses.
    assert other["params"] == {"vectorizer": "word", "model.C": 10.0, "weight": "balanced"}
    assert other["user_attrs"] == {"first": 1}


def test_of_equal_guesses_there_is_one() -> None:
    assert len(first({"model.C": 1}, {"model.C": 1.0}, {"model.C": 1, "weight": None})) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"model.C": 1000}, "model.C = 1000 is not in the space: from 0.5 to 100.0, log."),
        ({"weight": "other"}, "weight = other is not in the space: choice(null,balanced)."),
        (
            {"model.alpha": 1},
            "model.alpha = 1 is of no parameter of the search, which has vectorizer,",
        ),
        ({"n": 2}, "n = 2 belongs to other trials: n [vectorizer=word]."),
    ],
)
def test_a_guess_that_is_not_of_the_space_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        first({"model.C": 1}, entry)
    assert str(caught.value).startswith(f"sweep.first, entry 2: {message}")


def test_so_is_one_of_a_branch_that_its_trial_does_not_take() -> None:
    space = parse_space({"a": "x,y"}, {"a=x": {"b": "choice(1,2)"}}, [])
    with pytest.raises(ConfigError, match=r"b = 1 belongs to other trials: b \[a=x\]\."):
        list_first_trials([{"b": 1}], space, {"a": "y", "b": 1})
    (taken,), _ = list_first_trials([{"a": "x", "b": 1}], space, {"a": "y"})
    assert taken["params"] == {"a": "x", "b [a=x]": 1}


def test_options_and_values_of_the_composed_configuration_are_present(planning: Planning) -> None:
    params = {"vectorizer": "tfidf_union,tfidf_word", "model.C": "interval(0.01,1000.0)"}
    plan = planning(params, "sampling=none", composing=True)
    present = read_present(*plan.compose(["sampling=none"]))
    assert present["sampling"] == "none"
    (trial,), notes = list_first_trials("current", plan.space, present)
    assert trial["params"]["vectorizer"] == plan.cfg.hydra.runtime.choices.vectorizer
    assert trial["params"]["model.C"] == plan.config.model.C
    assert not notes
