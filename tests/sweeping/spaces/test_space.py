from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial

from tagifai.exceptions import ConfigError
from tagifai.sweeping.spaces.space import Branch, Parameter, SearchSpace, make_parameter_name
from tagifai.sweeping.spaces.values import Distribution
from tests.databases import make_studies


def plain(key: str, distribution: Distribution) -> Parameter:
    return Parameter(key, key, distribution)


def choice(*choices: Any) -> CategoricalDistribution:
    return CategoricalDistribution(choices)


def branch(
    key: str, *values: str, fixed: dict[str, str] | None = None, **parameters: Distribution
) -> Branch:
    """Return a branch whose keys are written with "__" for a dot."""
    bare = Branch(key, frozenset(values), (), fixed or {})
    keys = {name.replace("__", "."): found for name, found in parameters.items()}
    made = tuple(
        Parameter(name, make_parameter_name(bare, name), found) for name, found in keys.items()
    )
    return Branch(key, frozenset(values), made, fixed or {})


GROUPS = SearchSpace(
    parameters=(plain("vectorizer", choice("word", "char")), plain("c", FloatDistribution(0, 1))),
    branches=(
        branch("vectorizer", "word", v__n=choice(1, 2)),
        branch("vectorizer", "char", v__n=choice(5, 6, 7), fixed={"v.lower": "true"}),
        branch("v.n", "6", "7", v__pad=choice(True, False)),
    ),
    fixed={"seed": "3"},
    deletions=("~threshold",),
)
"""Two options with a parameter of the same key and other choices, and one inside one of them."""


def of(values: dict[str, Any]) -> list[str]:
    return GROUPS.make_overrides(values)


# --- names -----------------------------------------------------------------------------------


def test_the_name_of_a_branchs_parameter_carries_the_condition_in_one_order() -> None:
    names = [p.name for p in GROUPS.list_all_parameters()]
    assert names[:2] == ["vectorizer", "c"]
    assert names[2:] == ["v.n [vectorizer=word]", "v.n [vectorizer=char]", "v.pad [v.n=6,7]"]
    for values in ("zxy", "yzx"):
        assert make_parameter_name(Branch("a", frozenset(values), (), {}), "b.c") == "b.c [a=x,y,z]"


def test_keys_take_the_place_of_names_in_a_trials_values() -> None:
    values = {"vectorizer": "char", "v.n [vectorizer=char]": 6, "v.pad [v.n=6,7]": True, "added": 1}
    keyed = {"vectorizer": "char", "v.n": 6, "v.pad": True, "added": 1}
    assert GROUPS.index_by_key(values) == keyed


# --- overrides -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "overrides"),
    [
        ({"vectorizer": "word", "v.n [vectorizer=word]": 2}, ["vectorizer=word", "c=0.5", "v.n=2"]),
        ({"vectorizer": "char", "v.n [vectorizer=char]": 5},
         ["vectorizer=char", "c=0.5", "v.lower=true", "v.n=5"]),
        *(
            (
                {"vectorizer": "char", "v.n [vectorizer=char]": n, "v.pad [v.n=6,7]": False},
                ["vectorizer=char", "c=0.5", "v.lower=true", f"v.n={n}", "v.pad=False"],
            )
            for n in (6, 7)
        ),
    ],
)  # fmt: skip
def test_a_trial_has_what_is_fixed_its_values_those_of_its_branches_and_the_deletions(
    values: dict[str, Any], overrides: list[str]
) -> None:
    assert of({**values, "c": 0.5}) == ["seed=3", *overrides, "~threshold"]


def test_a_fixed_value_leads_into_a_branch_or_past_it() -> None:
    inside = (branch("a", "x", b=choice(1, 2)),)
    assert SearchSpace((), inside, {"a": "x"}).make_overrides({"b [a=x]": 1}) == ["a=x", "b=1"]
    assert SearchSpace((), inside, {"a": "y"}).make_overrides({}) == ["a=y"]
    assert SearchSpace((), (), {}).make_overrides({}) == []


def test_a_branchs_value_wins_over_a_fixed_one_and_over_a_parameter_of_every_trial() -> None:
    both = (plain("a", choice("x", "y")), plain("b", choice(1, 2)))
    space = SearchSpace(both, (branch("a", "x", b=choice(7, 8), fixed={"c": "9"}),), {"c": "0"})
    assert space.make_overrides({"a": "x", "b": 1, "b [a=x]": 8}) == ["c=9", "a=x", "b=8"]
    assert space.make_overrides({"a": "y", "b": 1}) == ["c=0", "a=y", "b=1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((f"{key}", "x") for key in ("hydra.job.env_set.PATH", "+hydra.job.env_set.PATH")),
        *((f"{key}", "x") for key in ("hydra/launcher", "paths.stores", "task", "whitelist")),
        *(
            (f"{key}", "x")
            for key in ("model@hydra.job.env_set", "~model", "model\nhydra", "sweep")
        ),
        *(("model.class_weight", text) for text in ("${oc.env:HOME}", "[${oc.env:HOME}]")),
        *(("vectorizer", text) for text in ("${oc.env:HOME}", "'${oc.env:HOME}'")),
    ],
)
def test_a_kept_trial_sets_nothing_but_an_experiment(name: str, value: str) -> None:
    values = {"vectorizer": "word", "c": 0.5, "v.n [vectorizer=word]": 1, name: value}
    with pytest.raises(ConfigError, match="which no search over experiments has"):
        of(values)


def test_a_function_that_extends_the_space_sets_any_of_an_experiment() -> None:
    more = {"model.alpha": 0.5, "+model.tol": 1, "seed": 3, "training.epochs": 2}
    found = SearchSpace((), (), {}).make_overrides(more)
    assert found == ["model.alpha=0.5", "+model.tol=1", "seed=3", "training.epochs=2"]
    own = SearchSpace((plain("k", choice("${seed}", "1")),), (), {})
    assert own.make_overrides({"k": "${seed}"}) == ["k=${seed}"]


def read(override: str) -> Any:
    return OverridesParser.create().parse_override(override).value()


@pytest.mark.parametrize(
    ("value", "distribution"),
    [
        (1e-06, FloatDistribution(1e-6, 1.0, log=True)),
        (0.1 + 0.2, FloatDistribution(0, 1)),
        (1e22, FloatDistribution(0, 1e23)),
        (-3, IntDistribution(-5, 5)),
        (True, choice(True, False)),
        ("a b", choice("a b", "c")),
        ("null", choice("null", "b")),
        (None, choice(None, "b")),
    ],
)
def test_hydra_reads_the_value_back_from_its_override(
    value: Any, distribution: Distribution
) -> None:
    (override,) = SearchSpace((plain("k", distribution),), (), {}).make_overrides({"k": value})
    wanted = None if value == "null" else value
    assert read(override) == wanted
    assert type(read(override)) is type(wanted)


VALUES = st.fixed_dictionaries(
    {
        "vectorizer": st.sampled_from(["word", "char"]),
        "c": st.floats(0, 1),
        "v.n [vectorizer=word]": st.sampled_from([1, 2]),
        "v.n [vectorizer=char]": st.sampled_from([5, 6, 7]),
        "v.pad [v.n=6,7]": st.booleans(),
    }
)


@given(VALUES)
def test_a_trial_records_its_own_branches_and_what_it_recorded_gives_its_overrides_again(
    values: dict[str, Any],
) -> None:
    trial = FixedTrial(values)
    had = GROUPS.suggest_overrides(trial)
    assert GROUPS.make_overrides(trial.params) == had
    own = {"vectorizer", "c", f"v.n [vectorizer={values['vectorizer']}]"}
    deep = values["vectorizer"] == "char" and values["v.n [vectorizer=char]"] != 5
    assert trial.params.keys() == own | ({"v.pad [v.n=6,7]"} if deep else set())


@given(
    st.lists(st.one_of(st.integers(-9, 9), st.booleans(), st.text("ab_", min_size=1)), min_size=1),
    st.data(),
)
def test_so_does_any_set_of_choices_with_a_branch_each(
    choices: list[int | bool | str], data: st.DataObject
) -> None:
    texts = {str(value): value for value in choices}
    branches = tuple(branch("a", text, b=IntDistribution(0, 9)) for text in texts)
    space = SearchSpace((plain("a", choice(*texts.values())),), branches, {})
    chosen = data.draw(st.sampled_from(sorted(texts)))
    inside = data.draw(st.integers(0, 9))
    trial = FixedTrial({"a": texts[chosen], f"b [a={chosen}]": inside})
    assert space.suggest_overrides(trial) == [f"a={chosen}", f"b={inside}"]
    assert space.make_overrides(trial.params) == [f"a={chosen}", f"b={inside}"]


NUMBERS = SearchSpace(
    (
        plain("f", FloatDistribution(1e-6, 1e-2, log=True)),
        plain("s", FloatDistribution(0.1, 0.9, step=0.2)),
        plain("i", IntDistribution(1, 9, step=2)),
        plain("l", IntDistribution(1, 100, log=True)),
        plain("c", choice(None, 1.5, "x")),
    ),
    (),
    {},
)


def test_a_database_gives_back_the_very_numbers_and_the_distributions_are_kept(
    tmp_path: Path,
) -> None:
    url = make_studies(tmp_path / "studies.db")
    study = optuna.create_study(storage=url, study_name="s", sampler=RandomSampler(0))
    had = []
    for _ in range(8):
        trial = study.ask()
        had.append(NUMBERS.suggest_overrides(trial))
        study.tell(trial, 1.0)
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [NUMBERS.make_overrides(trial.params) for trial in trials] == had
    assert trials[0].distributions == {p.name: p.distribution for p in NUMBERS.parameters}


def test_optuna_accepts_two_branches_with_different_choices_for_one_key() -> None:
    study = optuna.create_study()
    for value in ("word", "char", "word"):
        study.enqueue_trial({"vectorizer": value})
        trial = study.ask()
        GROUPS.suggest_overrides(trial)
        study.tell(trial, 0.0)
    assert [sorted(GROUPS.index_by_key(t.params))[:2] for t in study.trials] == [["c", "v.n"]] * 3


# --- descriptions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (choice("a", "b"), "choice(a,b)"),
        (choice(True, None, 1.5), "choice(True,None,1.5)"),
        (IntDistribution(3, 10), "from 3 to 10"),
        (IntDistribution(1, 9, step=2), "from 1 to 9 by 2"),
        (IntDistribution(1, 100, log=True), "from 1 to 100, log"),
        (FloatDistribution(0.1, 0.5), "from 0.1 to 0.5"),
        (FloatDistribution(0.1, 0.5, step=0.1), "from 0.1 to 0.5 by 0.1"),
        (FloatDistribution(1e-6, 1e-2, log=True), "from 1e-06 to 0.01, log"),
    ],
)
def test_a_distribution_is_described_by_its_bounds(distribution: Distribution, text: str) -> None:
    assert SearchSpace((plain("k", distribution),), (), {}).describe() == {"k": text}


def test_a_description_has_the_branches_with_their_fixed_values() -> None:
    assert GROUPS.describe() == {
        "vectorizer": "choice(word,char)",
        "c": "from 0.0 to 1.0",
        "v.n [vectorizer=word]": "choice(1,2)",
        "v.n [vectorizer=char]": "choice(5,6,7)",
        "v.pad [v.n=6,7]": "choice(True,False)",
        "v.lower [vectorizer=char]": "true",
    }


# --- a grid ----------------------------------------------------------------------------------


def test_a_grid_has_the_choices_of_each_parameter() -> None:
    space = SearchSpace(
        (
            plain("a", choice("x", None)),
            plain("i", IntDistribution(1, 5, step=2)),
            plain("f", FloatDistribution(0.1, 0.4, step=0.1)),
        ),
        (),
        {},
    )
    assert space.make_grid() == {"a": ["x", None], "i": [1, 3, 5], "f": [0.1, 0.2, 0.3, 0.4]}


def test_a_grid_takes_no_interval_and_no_branches() -> None:
    space = SearchSpace((plain("model.alpha", FloatDistribution(0, 1)),), (), {})
    with pytest.raises(ConfigError, match=r"grid cannot count the values of model\.alpha\. Use"):
        space.make_grid()
    with pytest.raises(ConfigError, match="grid takes no branches"):
        GROUPS.make_grid()


# --- configurations that are equal, and how many there are ------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a=1", "b=x"], ["b=x", "a=1.0"]),
        (["+a=1e-3"], ["a=0.001"]),
        (["a=True", "b='x'"], ["a=true", "b=x"]),
        (["a=[1, 2.0]"], ["a=[1.0,2]"]),
        (["a=null"], ["a=NULL"]),
    ],
)
def test_equal_configurations_have_one_name(one: list[str], other: list[str]) -> None:
    assert SearchSpace.identify(one) == SearchSpace.identify(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a=1"], ["a=2"]),
        (["a=1"], ["a='1'"]),
        (["a=1"], ["a=true"]),
        (["a=1"], ["b=1"]),
        (["a=''"], ["a=null"]),
        (["a=1", "~b"], ["a=1"]),
    ],
)
def test_others_have_others(one: list[str], other: list[str]) -> None:
    assert SearchSpace.identify(one) != SearchSpace.identify(other)


def test_a_parameter_that_a_branch_replaces_makes_no_difference() -> None:
    both = (plain("a", choice("x", "y")), plain("b", choice(1, 2)))
    space = SearchSpace(both, (branch("a", "x", fixed={"b": "9"}),), {})
    names = {space.identify(space.make_overrides({"a": "x", "b": b})) for b in (1, 2)}
    assert len(names) == 1
    assert space.count_configurations() == 3


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (SearchSpace((plain("a", choice(1, 1.0, "1")),), (), {}), 2),
        (SearchSpace((plain("i", IntDistribution(1, 9, step=2)),), (), {}), 5),
        (SearchSpace((plain("f", FloatDistribution(0.1, 0.4, step=0.1)),), (), {}), 4),
        (SearchSpace((plain("f", FloatDistribution(0, 1)),), (), {}), None),
        (SearchSpace(GROUPS.parameters[:1], GROUPS.branches, {}), 2 + 1 + 2 * 2),
        (GROUPS, None),
        # Infinitely many values of a branch that no trial takes are none.
        (
            SearchSpace(
                (plain("a", choice(1, 2)),), (branch("a", "3", b=FloatDistribution(0, 1)),), {}
            ),
            2,
        ),
        (SearchSpace((plain("i", IntDistribution(0, 10**12)),), (), {}), None),
        (SearchSpace(tuple(plain(k, IntDistribution(0, 99)) for k in "ab"), (), {}), 10_000),
        (SearchSpace(tuple(plain(k, IntDistribution(0, 99)) for k in "abc"), (), {}), None),
    ],
)
def test_the_configurations_of_a_finite_space_are_counted(
    space: SearchSpace, count: int | None
) -> None:
    assert space.count_configurations() == count


# --- probes ----------------------------------------------------------------------------------


def test_probes_are_all_choices_and_both_ends_each_beside_the_fixed_overrides() -> None:
    space = SearchSpace(
        (plain("a", choice("x", "y")), plain("i", IntDistribution(1, 9))),
        (branch("a", "x", "w", b=FloatDistribution(0.5, 2.5), fixed={"c": "4"}),),
        {"seed": "3"},
        ("~t",),
    )
    assert [(p.name, overrides) for p, overrides in space.iterate_boundaries()] == [
        ("a", ["seed=3", "~t", "a=x"]),
        ("a", ["seed=3", "~t", "a=y"]),
        ("i", ["seed=3", "~t", "i=1"]),
        ("i", ["seed=3", "~t", "i=9"]),
        ("b [a=w,x]", ["seed=3", "~t", "a=w", "c=4", "b=0.5"]),
        ("b [a=w,x]", ["seed=3", "~t", "a=w", "c=4", "b=2.5"]),
    ]


def test_trials_all_over_the_space_begin_at_two_of_its_corners() -> None:
    found = list(GROUPS.iterate_probes())
    assert found[0][1:-1] == ["vectorizer=word", "c=0.0", "v.n=1"]
    assert found[1][1:-1] == ["vectorizer=char", "c=1.0", "v.lower=true", "v.n=7", "v.pad=False"]
    assert len({str(probe) for probe in found}) > 8
    assert found == list(GROUPS.iterate_probes())
