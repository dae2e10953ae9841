from __future__ import annotations

import re
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.grammar import NOT_SEARCHED, parse_space
from tagifai.sweeping.spaces.space import Parameter, SearchSpace
from tagifai.sweeping.spaces.values import Distribution


def choice(*choices: Any) -> CategoricalDistribution:
    return CategoricalDistribution(choices)


def of_every_trial(space: SearchSpace) -> dict[str, Distribution]:
    return {p.key: p.distribution for p in space.parameters}


def of_branches(space: SearchSpace) -> dict[str, Distribution]:
    return {p.name: p.distribution for branch in space.branches for p in branch.parameters}


def refused(*arguments: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_space(*arguments)
    return str(caught.value)


# --- every kind of override ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("choice(a,b)", choice("a", "b")),
        ("a,b", choice("a", "b")),
        ("choice(a)", choice("a")),
        ("1,2.5,1e-3", choice(1, 2.5, 0.001)),
        ("true,false", choice(True, False)),
        ("null,balanced", choice("null", "balanced")),
        ("choice(null,balanced)", choice("null", "balanced")),
        ("choice(0.5, null)", choice(0.5, "null")),
        ("choice([null,1],null)", choice("[null,1]", "null")),
        ("choice('a b',c)", choice("a b", "c")),
        ("choice([1,2],[3])", choice("[1,2]", "[3]")),
        ("range(3,11)", IntDistribution(3, 10)),
        ("range(4)", IntDistribution(0, 3)),
        ("range(1,8,3)", IntDistribution(1, 7, step=3)),
        ("range(10,1,-3)", IntDistribution(4, 10, step=3)),
        ("range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("interval(0.1,0.5)", FloatDistribution(0.1, 0.5)),
        ("interval(1,5)", FloatDistribution(1.0, 5.0)),
        ("interval(0.5,0.5)", FloatDistribution(0.5, 0.5)),
        ("int(interval(1,5))", IntDistribution(1, 5)),
        ("tag(log,interval(1e-6,1e-2))", FloatDistribution(1e-6, 1e-2, log=True)),
        ("tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("int(tag(log,interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("sort(3,1,2)", choice(1, 2, 3)),
        ("sort(range(3,0,-1))", IntDistribution(1, 3)),
    ],
)
def test_hydras_grammar_becomes_the_distribution(text: str, distribution: Distribution) -> None:
    assert of_every_trial(parse_space({"model.alpha": text}, None, [])) == {
        "model.alpha": distribution
    }
    assert of_every_trial(parse_space(None, None, [f"model.alpha={text}"])) == {
        "model.alpha": distribution
    }


def test_what_is_shuffled_becomes_choices() -> None:
    (found,) = of_every_trial(parse_space(None, None, ["a=shuffle(range(1,4))"])).values()
    assert isinstance(found, CategoricalDistribution)
    assert set(found.choices) == {1, 2, 3}
    assert len(found.choices) == 3


@pytest.mark.parametrize(
    ("given", "text"),
    [(None, "null"), (True, "True"), (5, "5"), (0.001, "0.001"), ("l1", "l1"), ([1, 2], "[1,2]")],
)
def test_a_value_of_a_preset_that_is_one_value_is_fixed(given: Any, text: str) -> None:
    space = parse_space({"a": given, "b": "choice(1,2)"}, None, [])
    assert (of_every_trial(space), space.fixed) == ({"b": choice(1, 2)}, {"a": text})


def test_keys_keep_their_prefixes_and_groups_are_choices_as_well() -> None:
    arguments = ["+model.C=choice(1,2)", "++x.y=3", "vectorizer=word,char", "~a.b", "~c=d"]
    space = parse_space(None, None, arguments)
    assert of_every_trial(space) == {"+model.C": choice(1, 2), "vectorizer": choice("word", "char")}
    assert space.fixed == {"++x.y": "3"}
    assert space.deletions == ("~a.b", "~c=d")


def test_the_quotes_of_a_fixed_value_are_kept() -> None:
    assert parse_space(None, None, ["a='b, c'", "d=choice(1,2)"]).fixed == {"a": "'b, c'"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("choice('a,b',c)", "a,b"),
        ("choice('1',2)", "1"),
        ("choice('true',c)", "true"),
        ("choice(' a ',c)", " a "),
        ("choice('',c)", ""),
        ('choice("it\'s",c)', "it's"),
        ("choice('it\\'s, or so',c)", "it's, or so"),
        ("choice([1,2],c)", [1, 2]),
        ("null,c", None),
        ("choice(plain,c)", "plain"),
    ],
)
def test_hydra_reads_a_quoted_choice_back_as_the_text_that_it_is(text: str, value: Any) -> None:
    space = parse_space({"a": text}, None, [])
    (override,) = space.make_overrides({"a": space.parameters[0].get_extremes()[0]})
    assert OverridesParser.create().parse_override(override).value() == value


def test_numbers_and_truth_values_that_are_equal_are_written_each_in_its_way() -> None:
    space = parse_space(
        {"a": "choice(1,2)", "b": "choice(1.0,2.0)", "c": "choice(true,false)"}, None, []
    )
    assert space.make_overrides({"a": 1, "b": 1.0, "c": True}) == ["a=1", "b=1.0", "c=True"]


# --- arguments win over the preset -----------------------------------------------------------

PRESET = {"a": "choice(1,2)", "b": 3, "c": "choice(1,2)"}
WHEN = {"a=1": {"x": "choice(1,2)", "y": "range(1,3)", "z": 0}, "a=2": {"x": "interval(0.0,1.0)"}}


@pytest.mark.parametrize(
    ("argument", "free", "fixed"),
    [
        ("a=choice(7,8)", {"a": choice(7, 8), "c": choice(1, 2)}, {"b": "3"}),
        ("b=choice(7,8)", {"a": choice(1, 2), "b": choice(7, 8), "c": choice(1, 2)}, {}),
        ("b=4", {"a": choice(1, 2), "c": choice(1, 2)}, {"b": "4"}),
        ("a=9", {"c": choice(1, 2)}, {"a": "9", "b": "3"}),
    ],
)
def test_an_argument_wins_over_the_preset_which_is_left_as_it_was(
    argument: str, free: dict[str, Distribution], fixed: dict[str, str]
) -> None:
    space = parse_space(PRESET, None, [argument])
    assert (of_every_trial(space), space.fixed) == (free, fixed)
    assert PRESET == {"a": "choice(1,2)", "b": 3, "c": "choice(1,2)"}


@pytest.mark.parametrize("text", ["5", "choice(5,6)"])
def test_an_argument_wins_over_all_branches(text: str) -> None:
    space = parse_space(PRESET, WHEN, [f"x={text}"])
    assert of_branches(space) == {"y [a=1]": IntDistribution(1, 2)}
    assert space.branches[0].fixed == {"z": "0"}
    assert "x" in (space.fixed if text == "5" else of_every_trial(space))
    other = parse_space(PRESET, WHEN, [f"z={text}"])
    assert set(of_branches(other)) == {"x [a=1]", "y [a=1]", "x [a=2]"}
    assert other.branches[0].fixed == {}
    assert WHEN["a=1"] == {"x": "choice(1,2)", "y": "range(1,3)", "z": 0}


# --- conditions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "condition", "values", "name"),
    [
        ("word,char", "a=word", {"word"}, "x [a=word]"),
        ("word,char,other", "a=word,other", {"word", "other"}, "x [a=other,word]"),
        ("word,char", "a=choice(char,word)", {"word", "char"}, "x [a=char,word]"),
        ("true,false", "a=true", {"True"}, "x [a=True]"),
        ("null,b", "a=null", {"null"}, "x [a=null]"),
        ("0.001,1", "a=1e-3", {"0.001"}, "x [a=0.001]"),
        ("range(1,4)", "a=3", {"3"}, "x [a=3]"),
    ],
)
def test_a_condition_is_on_one_value_or_on_several(
    parameter: str, condition: str, values: set[str], name: str
) -> None:
    space = parse_space({"a": parameter}, {condition: {"x": "choice(1,2)"}}, [])
    (branch,) = space.branches
    assert branch.key == "a"
    assert branch.values == frozenset(values)
    assert branch.parameters == (Parameter("x", name, choice(1, 2)),)


@pytest.mark.parametrize(
    ("params", "when", "arguments", "values", "overrides"),
    [
        ("true,false", {"a=true": {"x": "choice(1,2)"}}, [], {"a": False}, ["a=False"]),
        (
            "true,false",
            {"a=true": {"x": "choice(1,2)"}},
            [],
            {"a": True, "x [a=True]": 2},
            ["a=True", "x=2"],
        ),
        # on any value of a range,
        ("range(1,5)", {"a=2": {"x": "1,2"}}, [], {"a": 2, "x [a=2]": 1}, ["a=2", "x=1"]),
        # on a parameter inside of an earlier branch,
        (
            "w,v",
            {"a=w": {"x": "1,2"}, "x=2": {"y": "3,4"}},
            [],
            {"a": "w", "x [a=w]": 2, "y [x=2]": 3},
            ["a=w", "x=2", "y=3"],
        ),
        # or on what that fixes,
        (
            "w,v",
            {"a=w": {"x": 2}, "x=2": {"y": "3,4"}},
            [],
            {"a": "w", "y [x=2]": 3},
            ["a=w", "x=2", "y=3"],
        ),
        # on what the command line fixes, which leads into its branch alone, or the preset.
        (
            "w,v",
            {"a=w": {"x": "1,2"}, "a=v": {"x": "8,9"}},
            ["a=v"],
            {"x [a=v]": 8},
            ["a=v", "x=8"],
        ),
        ("w", {"a=w": {"x": "1,2"}}, [], {"x [a=w]": 1}, ["a=w", "x=1"]),
    ],
)
def test_a_branch_is_taken_where_its_condition_holds(
    params: str, when: Any, arguments: list[str], values: Any, overrides: list[str]
) -> None:
    assert parse_space({"a": params}, when, arguments).make_overrides(values) == overrides


def test_an_argument_may_leave_out_a_choice_that_the_preset_has_a_branch_for() -> None:
    when = {"a=word": {"x": "choice(1,2)"}, "a=other": {"x": "choice(8,9)"}}
    space = parse_space({"a": "word,char,other"}, when, ["a=word,char"])
    assert of_every_trial(space) == {"a": choice("word", "char")}


@pytest.mark.parametrize(
    ("when", "key", "value"),
    [
        ({"a=wrod": {"x": "1,2"}}, "a", "wrod"),
        ({"b=word": {"x": "1,2"}}, "b", "word"),
        ({"a=word,cahr": {"x": "1,2"}}, "a", "cahr"),
        # Of what comes later, nothing is known.
        ({"x=2": {"y": "3,4"}, "a=word": {"x": "1,2"}}, "x", "2"),
    ],
)
def test_a_condition_that_never_holds_is_refused(when: Any, key: str, value: str) -> None:
    assert refused({"a": "word,char"}, when, []) == (
        f"hydra.sweeper.when: {key}={value} is never true, because {key} is no parameter with such"
        " a choice."
    )


def test_a_branch_without_content_is_refused_and_a_condition_on_a_range_never_holds() -> None:
    assert refused({"a": "word,char"}, {"a=word": None}, []) == (
        "hydra.sweeper.when: a=word takes parameters and their values, got None."
    )
    assert "is never true" in refused({"a": "b,c"}, {"a=range(1,3)": {"x": "1,2"}}, [])


# --- options of a group ------------------------------------------------------------------------


def test_glob_is_a_choice_of_a_groups_options(loader: ConfigLoader) -> None:
    when = {"model=glob(*nb)": {"model.alpha": "choice(1,2)"}}
    space = parse_space(
        {"vectorizer": "glob(tfidf_c*)", "model": "sgd,complement_nb"}, when, [], loader
    )
    assert of_every_trial(space)["vectorizer"] == choice("tfidf_char", "tfidf_char_wb")
    assert space.branches[0].values == {"complement_nb"}
    every = parse_space(None, None, ["model=glob(*,exclude=[c*,s*])"], loader)
    (found,) = of_every_trial(every).values()
    assert isinstance(found, CategoricalDistribution)
    assert "linear_svc" in found.choices
    assert "sgd" not in found.choices


@pytest.mark.parametrize(
    ("key", "reason"),
    [("model", "model has none of x*: the options are"), ("model.alpha", "it has no options")],
)
def test_one_that_finds_none_is_refused(key: str, reason: str, loader: ConfigLoader) -> None:
    assert reason in refused(None, None, [f"{key}=glob(x*)"], loader)


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("interval(5,1)", "low <= high"),
        ("range(5,5)", "at least one value"),
        ("range(1.0,1.0,0.5)", "at least one value"),
        ("range(1,5,0)", "nonzero step"),
        ("tag(log,interval(0,1))", "low > 0"),
        ("glob(*)", "there are no options to choose from"),
        ("choice(choice(1,2),3)", "a choice is of single values"),
        ("range(1,5),7", "a choice is of single values"),
        ("tag(log,range(1,5))", "tag(log,...) is for an interval"),
        ("tag(uniform,interval(1,5))", "there is no other tag"),
        ("interval(0.0,inf)", "it has no end"),
    ],
)
@pytest.mark.parametrize("where", ["preset", "branch", "argument"])
def test_what_makes_no_distribution_is_refused_in_one_line_with_the_ways_to_write_one(
    text: str, reason: str, where: str
) -> None:
    preset = {"a": "word,char", **({"b": text} if where == "preset" else {})}
    when = {"a=word": {"b": text}} if where == "branch" else None
    message = refused(preset, when, [f"b={text}"] if where == "argument" else [])
    assert message.startswith(f"b={text}: cannot be searched over (")
    assert reason in message
    assert message.endswith(
        "Use choice(a,b), range(1,10), interval(0.1,1.0) or tag(log,interval(1e-6,1e-2))."
    )
    assert "\n" not in message


@pytest.mark.parametrize("text", ["choice()", "choice(a", "a b: c ("])
def test_what_is_not_of_the_grammar_is_hydras_error(text: str) -> None:
    with pytest.raises(OverrideParseException) as caught:
        parse_space({"a": text}, None, [])
    assert caught.value.override == f"a={text}"


@pytest.mark.parametrize(
    ("params", "when", "arguments"),
    [
        (None, None, ["b=4", "~c"]),
        ({}, {}, ["b=4", "~c"]),
        ({"a": 3}, None, ["b=4", "~c"]),
        ({"a": "choice(1,2)"}, None, ["a=1"]),
    ],
)
def test_a_search_without_parameters_is_refused_with_the_ways_to_name_some(
    params: Any, when: Any, arguments: list[str]
) -> None:
    message = refused(params, when, arguments)
    assert message.startswith("The search has no parameters. Name some in hydra.sweeper.params")


def test_parameters_in_a_branch_are_enough() -> None:
    assert not parse_space({"a": "word"}, {"a=word": {"x": "choice(1,2)"}}, []).parameters


FORMS = ["{}.min_freq", "+{}.x", "{}/option", "{}@x", "++{}"]


@pytest.mark.parametrize(
    ("key", "named"),
    [*((key, key) for key in NOT_SEARCHED), *(("data", form.format("data")) for form in FORMS)],
)
def test_what_is_not_to_be_searched_over_is_refused_with_the_reason(key: str, named: str) -> None:
    expected = f"'{named}' cannot be searched over: {NOT_SEARCHED[key]}."
    assert refused({named: "choice(1,2)"}, None, []) == expected
    assert refused(None, None, [f"{named}=choice(1,2)"]) == expected
    assert refused({"a": "b,c"}, {"a=b": {named: "choice(1,2)"}}, []) == expected


def test_such_a_key_may_be_fixed_on_the_command_line() -> None:
    space = parse_space({"a": "b,c"}, None, ["seed=3", "data=madewithml"])
    assert space.fixed == {"seed": "3", "data": "madewithml"}


def test_a_key_is_not_taken_for_another_one_and_the_reasons_read_on_after_the_colon() -> None:
    for key in ("database", "seeds.x", "model.seed", "training.epochs"):
        assert of_every_trial(parse_space({key: "1,2"}, None, [])) == {key: choice(1, 2)}
    assert all(re.match(r"[a-z].*[^.]$", reason) for reason in NOT_SEARCHED.values())
