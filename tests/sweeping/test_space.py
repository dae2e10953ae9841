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
from optuna.trial import FixedTrial, Trial

from tagifai.exceptions import ConfigError
from tagifai.sweeping.space import Branch, Distribution, Parameter, SearchSpace, make_parameter_name
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


def test_the_name_of_a_branchs_parameter_carries_the_condition() -> None:
    assert [p.name for p in GROUPS.list_all_parameters()] == [
        "vectorizer",
        "c",
        "v.n [vectorizer=word]",
        "v.n [vectorizer=char]",
        "v.pad [v.n=6,7]",
    ]


def test_the_values_of_a_condition_are_named_in_one_order_whichever_they_were_given_in() -> None:
    one, other = Branch("a", frozenset("zxy"), (), {}), Branch("a", frozenset("yzx"), (), {})
    assert make_parameter_name(one, "b.c") == make_parameter_name(other, "b.c") == "b.c [a=x,y,z]"


def test_keys_take_the_place_of_names_in_a_trials_values() -> None:
    values = {"vectorizer": "char", "v.n [vectorizer=char]": 6, "v.pad [v.n=6,7]": True}
    assert GROUPS.index_by_key(values) == {"vectorizer": "char", "v.n": 6, "v.pad": True}


def test_a_value_that_is_not_of_the_space_keeps_its_name() -> None:
    assert GROUPS.index_by_key({"added": 1}) == {"added": 1}


# --- overrides -------------------------------------------------------------------------------


def test_a_trial_has_the_fixed_overrides_first_and_the_deletions_last() -> None:
    values = {"vectorizer": "word", "c": 0.5, "v.n [vectorizer=word]": 2}
    assert of(values) == ["seed=3", "vectorizer=word", "c=0.5", "v.n=2", "~threshold"]


def test_a_branch_is_taken_for_its_value_only_with_its_fixed_values() -> None:
    values = {"vectorizer": "char", "c": 0.5, "v.n [vectorizer=char]": 5}
    assert of(values)[1:-1] == ["vectorizer=char", "c=0.5", "v.lower=true", "v.n=5"]


@pytest.mark.parametrize("n", [6, 7])
def test_a_condition_inside_a_branch_holds_for_each_of_its_values(n: int) -> None:
    values = {"vectorizer": "char", "c": 0.5, "v.n [vectorizer=char]": n, "v.pad [v.n=6,7]": False}
    assert of(values)[-3:] == [f"v.n={n}", "v.pad=False", "~threshold"]


def test_a_fixed_value_leads_into_a_branch() -> None:
    space = SearchSpace((), (branch("a", "x", b=choice(1, 2)),), {"a": "x"})
    assert space.make_overrides({"b [a=x]": 1}) == ["a=x", "b=1"]


def test_a_fixed_value_of_another_kind_leads_past_it() -> None:
    space = SearchSpace((), (branch("a", "x", b=choice(1, 2)),), {"a": "y"})
    assert space.make_overrides({}) == ["a=y"]


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


def test_a_space_without_anything_makes_no_overrides() -> None:
    assert SearchSpace((), (), {}).make_overrides({}) == []


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
    ],
)
def test_hydra_reads_the_value_back_from_its_override(
    value: Any, distribution: Distribution
) -> None:
    (override,) = SearchSpace((plain("k", distribution),), (), {}).make_overrides({"k": value})
    assert read(override) == value
    assert type(read(override)) is type(value)


def test_the_text_null_is_hydras_null() -> None:
    (override,) = SearchSpace((plain("k", choice("null", "b")),), (), {}).make_overrides(
        {"k": "null"}
    )
    assert read(override) is None


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
def test_what_a_trial_recorded_gives_the_overrides_that_it_had(values: dict[str, Any]) -> None:
    trial = FixedTrial(values)
    had = GROUPS.suggest_overrides(trial)
    assert GROUPS.make_overrides(trial.params) == had


@given(VALUES)
def test_a_trial_records_the_parameters_of_its_own_branches_only(values: dict[str, Any]) -> None:
    trial = FixedTrial(values)
    GROUPS.suggest_overrides(trial)
    expected = {"vectorizer", "c", f"v.n [vectorizer={values['vectorizer']}]"}
    if values["vectorizer"] == "char" and values["v.n [vectorizer=char]"] != 5:
        expected.add("v.pad [v.n=6,7]")
    assert trial.params.keys() == expected


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


# --- what Optuna takes -----------------------------------------------------------------------


def asked(choices: tuple[str, ...], tmp_path: Path, space: SearchSpace) -> None:
    url = make_studies(tmp_path / "studies.db")
    study = optuna.create_study(storage=url, study_name="s", load_if_exists=True)
    for value in choices:
        study.enqueue_trial({"vectorizer": value})
        trial: Trial = study.ask()
        space.suggest_overrides(trial)
        study.tell(trial, 0.0)


def test_optuna_accepts_two_branches_with_different_choices_for_one_key(tmp_path: Path) -> None:
    asked(("word", "char", "word"), tmp_path, GROUPS)
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/studies.db")
    assert [sorted(GROUPS.index_by_key(t.params))[:2] for t in study.trials] == [["c", "v.n"]] * 3


def test_optuna_would_refuse_them_under_one_name(tmp_path: Path) -> None:
    of_key = tuple(
        Branch(
            b.key,
            b.values,
            tuple(Parameter(p.key, p.key, p.distribution) for p in b.parameters),
            {},
        )
        for b in GROUPS.branches
    )
    with pytest.raises(ValueError, match="does not support dynamic value space"):
        asked(("word", "char"), tmp_path, SearchSpace(GROUPS.parameters, of_key, {}))


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


def test_a_grid_takes_no_interval() -> None:
    space = SearchSpace((plain("model.alpha", FloatDistribution(0, 1)),), (), {})
    with pytest.raises(ConfigError, match=r"grid cannot count the values of model\.alpha\. Use"):
        space.make_grid()


def test_a_grid_takes_no_branches() -> None:
    with pytest.raises(ConfigError, match="grid takes no branches"):
        GROUPS.make_grid()


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


def test_the_extremes_of_a_parameter_are_what_it_may_be_at_most() -> None:
    assert plain("a", choice(3, 1, 2)).get_extremes() == [3, 1, 2]
    assert plain("a", IntDistribution(3, 10)).get_extremes() == [3, 10]
    assert plain("a", FloatDistribution(0.5, 2.5)).get_extremes() == [0.5, 2.5]
