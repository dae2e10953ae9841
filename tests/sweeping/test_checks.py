from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pyarrow
import pytest
from optuna.pruners import MedianPruner, NopPruner
from optuna.storages import BaseStorage, InMemoryStorage

from tagifai.config.schema import Config
from tagifai.config.schema.settings import SweepConfig
from tagifai.data.blocks import write_table
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import checks, composition
from tagifai.sweeping.checks import SEARCH_DESCRIPTION, STUDY_FORMAT, choose_study, describe_search
from tagifai.sweeping.spaces.grammar import parse_space
from tagifai.sweeping.spaces.space import SearchSpace
from tests.sweeping.conftest import Searching, aiming_at
from tests.sweeping.test_settings import made

BOTH = (["val_f1", "model_bytes"], ["maximize", "minimize"])


# --- the objective ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aim", "given", "pruner", "message"),
    [
        (
            ("val_f1",),
            "minimize",
            NopPruner(),
            ("hydra.sweeper.direction = minimize, and objective.direction = maximize. Set objective"
            ".direction alone; the sweeper follows it."),
        ),
        (
            BOTH,
            ["minimize", "maximize"],
            NopPruner(),
            ("hydra.sweeper.direction = minimize, maximize, and objective.direction = maximize,"
            " minimize. Set objective.direction alone; the sweeper follows it."),
        ),
        (
            BOTH,
            None,
            MedianPruner(),
            ("MedianPruner cannot prune trials with 2 objectives (val_f1, model_bytes). Use"
            " hydra/sweeper/pruner=none, or one metric."),
        ),
        (
            ("model_bytes", "minimize"),
            "minimize",
            MedianPruner(),
            ("MedianPruner needs a metric that changes during training, and model_bytes does not."
            " Use hydra/sweeper/pruner=none."),
        ),
    ],
)  # fmt: skip
def test_a_direction_or_a_pruner_that_contradicts_the_objective_is_refused(
    aim: Any, given: Any, pruner: Any, message: str, config: Config
) -> None:
    with pytest.raises(ConfigError) as caught:
        checks.check_objective(aiming_at(config, *aim), made(direction=given), pruner)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("aim", "pruner"),
    [
        *((aim, NopPruner()) for aim in (("val_f1",), ("model_bytes", "minimize"), BOTH)),
        (("val_loss", "minimize"), MedianPruner()),
    ],
)
def test_others_are_allowed(aim: Any, pruner: Any, config: Config) -> None:
    found = aiming_at(config, *aim)
    for direction in (None, found.objective.direction):
        checks.check_objective(found, made(direction=direction), pruner)


@pytest.mark.parametrize(
    ("several", "sweep", "message"),
    [
        (True, {"stop": "improvement"}, "sweep.stop = improvement needs one best, and objective"),
        (True, {"budget": 5.0, "start": [{"model": "sgd"}]}, "sweep.budget = 5.0 needs one best"),
        (False, {"budget": 5.0}, "sweep.budget = 5 needs configurations to begin with, in sweep."),
    ],
)
def test_a_budget_and_an_end_by_stagnation_are_for_one_metric(
    several: bool, sweep: dict[str, Any], message: str, config: Config
) -> None:
    found = replace(aiming_at(config, *BOTH) if several else config, sweep=SweepConfig(**sweep))
    with pytest.raises(ConfigError) as caught:
        checks.check_objective(found, made(direction=None), NopPruner())
    assert str(caught.value).startswith(message)


# --- the metrics -----------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    columns = {name: [f"{name} {n}" for n in range(40)] for name in ("id", "title", "description")}
    table = pd.DataFrame({**columns, "tag": ["computer-vision"] * 20 + ["mlops"] * 20})
    write_table(path := tmp_path / "rows.parquet", [pyarrow.table(table.to_dict("list"))])
    return Dataset({}, path, fresh=False)


def test_metrics_of_classes_and_slices_have_to_be_there(config: Config, dataset: Dataset) -> None:
    data = replace(config.data, accepted_tags=["computer-vision", "mlops"], min_freq=1)
    two = replace(config, data=data)
    checks.check_metrics(aiming_at(two, "val_class/mlops/f1"), dataset)
    with pytest.raises(ConfigError) as caught:
        checks.check_metrics(aiming_at(two, "val_class/mlopps/f1"), dataset)
    assert "'val_class/mlopps/f1': a run on these data has no such metric." in str(caught.value)
    assert "Did you mean 'val_class/mlops/f1'?" in str(caught.value)
    assert "val_class/computer-vision/recall" in str(caught.value)
    several = aiming_at(
        two, ["val_f1", "val_class/mlops/f1", "val_slice/none/f1"], ["maximize"] * 3
    )
    limited = aiming_at(two, "val_f1")
    limited.objective.constraints = {"val_slice/none/f1": ">= 0.5"}
    for wrong in (several, limited):
        with pytest.raises(ConfigError, match="'val_slice/none/f1': a run on these data"):
            checks.check_metrics(wrong, dataset)


def test_other_metrics_need_no_look_at_the_rows(config: Config) -> None:
    broken = Dataset({}, Path("/nowhere.parquet"), fresh=False)
    checks.check_metrics(aiming_at(config, *BOTH), broken)
    with pytest.raises(FileNotFoundError):
        checks.check_metrics(aiming_at(config, "val_class/a/f1"), broken)


# --- the space -------------------------------------------------------------------------------


def allowing(*allowed: str, alone: bool = False) -> tuple[composition.Compose, list[list[str]]]:
    """Return what composes certain last overrides only, and what it was asked for."""
    asked: list[list[str]] = []

    def compose(overrides: Sequence[str]) -> Any:
        asked.append(list(overrides))
        if overrides[-1] not in allowed or (alone and len(overrides) > 1):
            raise ConfigError(f"{overrides[-1]} is not allowed: less")

    return compose, asked


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (allowing("a=1"), "The parameter b has no allowed value: b=3 is not allowed: less"),
        (allowing("a=1", "b=3", "b=4", alone=True),
         "None of 16 trials of the search could begin: b=3 is not allowed: less"),
    ],
)  # fmt: skip
def test_a_space_without_a_trial_that_could_begin_is_refused(compose: Any, message: str) -> None:
    space = parse_space({"a": "choice(1,2)", "b": "choice(3,4)"}, None, [])
    with pytest.raises(ConfigError) as caught:
        checks.check_space(space, compose[0])
    assert str(caught.value) == message


def test_one_value_that_is_allowed_is_enough() -> None:
    compose, asked = allowing("a=2", "b=9")
    space = parse_space({"a": "choice(1,2,3)", "b": "range(5,10)"}, None, ["c=7"])
    checks.check_space(space, compose)
    alone = [["c=7", "a=1"], ["c=7", "a=2"], ["c=7", "a=3"], ["c=7", "b=5"], ["c=7", "b=9"]]
    assert asked == [*alone, ["c=7", "a=1", "b=5"], ["c=7", "a=3", "b=9"]]


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        (
            "model.alhpa",
            "0.1,0.2",
            ("cannot be set by model.alhpa=0.1: Key 'alhpa' not in 'SGDConfig'. Did you mean:"
            " 'alpha'?."),
        ),
        ("nope.x", "1,2", "cannot be set by nope.x=1: Key 'nope' not in 'Config'."),
        (
            "vectorizer",
            "tfidf_word,tfidf_wrod",
            ("cannot be set by vectorizer=tfidf_wrod: In 'choices': Could not find"
            " 'vectorizer/tfidf_wrod'."),
        ),
        (
            "model.alpha",
            "-1.0,-2.0",
            "has no allowed value: model.alpha = -1.0 is not allowed: a number of at least 0",
        ),
        (
            "model.alpha",
            "a,b",
            ("cannot be set by model.alpha=a: Value 'a' of type 'str' could not be converted to"
            " Float."),
        ),
    ],
)  # fmt: skip
def test_in_the_projects_configuration_a_misspelt_parameter_is_refused(
    key: str, values: str, message: str, searching: Searching
) -> None:
    space = parse_space({key: values}, None, [])
    with pytest.raises(ConfigError) as caught:
        checks.check_space(space, composition.make_composer(searching()))
    assert str(caught.value) == f"The parameter {key} {message}"


LOGISTIC, BERNOULLI = "sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.BernoulliNB"


@pytest.mark.parametrize(
    ("params", "when", "fixed"),
    [
        # Probed beside the option that has it,
        (
            {"threshold": "none,fixed"},
            {"threshold=fixed": {"threshold.value": "interval(0.2,0.8)"}},
            [],
        ),
        # not where an argument shuts the branch out,
        (
            {"model.alpha": "choice(0.1,0.2)"},
            {"vectorizer=tfidf_char": {"vectorizer.ngram_max": "range(3,5)"}},
            ["vectorizer=tfidf_word"],
        ),
        # inside of two branches,
        (
            {"model": "sgd,custom"},
            {
                "model=custom": {"model._target_": f"{LOGISTIC},{BERNOULLI}"},
                f"model._target_={LOGISTIC}": {"+model.C": "interval(0.1,9.0)"},
            },
            [],
        ),
        # and together with others that it needs.
        (
            {"vectorizer.char_ngram_min": "range(6,8)", "vectorizer.char_ngram_max": "range(8,10)"},
            None,
            [],
        ),
    ],
)
def test_what_some_trial_can_have_is_allowed(
    params: Any, when: Any, fixed: list[str], searching: Searching
) -> None:
    space = parse_space(params, when, fixed)
    checks.check_space(space, composition.make_composer(searching(*fixed)))


def test_a_parameter_of_an_option_that_is_not_chosen_is_refused(searching: Searching) -> None:
    alone = parse_space({"threshold.value": "interval(0.2,0.8)"}, None, [])
    with pytest.raises(ConfigError, match=r"threshold\.value cannot be set"):
        checks.check_space(alone, composition.make_composer(searching()))


def test_a_fixed_value_that_no_trial_can_have_is_refused(searching: Searching) -> None:
    fixed = ["model.alpha=1e-3"]
    params = {"model.C": "interval(0.5,1.0)", "vectorizer": "tfidf_word12,tfidf_union"}
    with pytest.raises(ConfigError, match=r"model\.C has no allowed value: .*null if alpha is set"):
        checks.check_space(
            parse_space(params, None, fixed), composition.make_composer(searching(*fixed))
        )


# --- what a study is a search of -------------------------------------------------------------

SPACE = parse_space({"model.alpha": "interval(0.1,0.5)"}, None, [])

FOUND: dict[str, Any] = {
    "format": STUDY_FORMAT,
    "parameters": {"model.alpha": "from 0.1 to 0.5"},
    "data digest": "d1",
    "settings": {"seed": 42, "training.epochs": 100},
}


def test_it_is_parameters_data_and_settings(config: Config) -> None:
    found = describe_search(config, SPACE, "d1")
    assert found["parameters"] == {"model.alpha": "from 0.1 to 0.5"}
    assert found["data digest"] == "d1"
    assert found["settings"]["seed"] == 42
    assert found["settings"]["objective.metric"] == "val_f1"
    assert found["settings"]["vectorizer.char_ngram_max"] == 5
    assert describe_search(config, SearchSpace((), (), {}), "d1")["parameters"] == {}
    several = describe_search(aiming_at(config, *BOTH), SPACE, "d1")
    assert json.loads(json.dumps(several)) == several  # as after a time in a database


def test_what_has_no_influence_on_a_trial_makes_it_no_other_search(config: Config) -> None:
    before = describe_search(config, SPACE, "d1")
    groups = (
        "task",
        "tracking",
        "console",
        "cache",
        "paths",
        "sweep",
        "data.projects",
        "data.tags",
    )
    names = before["settings"]
    assert not [n for n in names if any(n == g or n.startswith(f"{g}.") for g in groups)]
    config.tracking.uri = "http://other"
    config.paths.outputs = "/other"
    config.console.verbosity = "quiet"
    config.sweep.restart = True
    setattr(config.data, "projects", "/other/projects.csv")  # noqa: B010
    assert describe_search(config, SPACE, "d1") == before


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("training", "epochs", 7),
        ("objective", "metric", "val_loss"),
        ("objective", "repeats", 3),
        ("split", "shuffle", False),
        ("data", "min_freq", 99),
        ("model", "penalty", "l1"),
    ],
)
def test_a_changed_setting_makes_it_another_search(
    group: str, key: str, value: Any, config: Config
) -> None:
    before = describe_search(config, SPACE, "d1")["settings"]
    setattr(getattr(config, group), key, value)
    after = describe_search(config, SPACE, "d1")["settings"]
    assert [k for k in after if after[k] != before[k]] == [f"{group}.{key}"]


def test_so_does_a_value_that_the_preset_or_a_branch_or_the_command_line_fixes(
    config: Config,
) -> None:
    def describe(value: float, where: str) -> dict[str, Any]:
        fixed = {"model.eta0": value}
        params = {"model.penalty": "l1,l2"} | (fixed if where == "preset" else {})
        when = {"model.penalty=l1": fixed} if where == "branch" else None
        arguments = [f"model.eta0={value}", "sweep=quick"] if where == "line" else []
        return describe_search(config, parse_space(params, when, arguments), "d1")

    for where in ("preset", "branch", "line"):
        assert describe(0.5, where) != describe(0.7, where)
    settings = describe(0.5, "line")["settings"]
    assert settings["model.eta0"] == "0.5"
    assert "sweep" not in settings


# --- going on --------------------------------------------------------------------------------


def stored(studies: dict[str, Any]) -> BaseStorage:
    """Return a store with studies that have been asked for what they are of; None has not been."""
    storage = InMemoryStorage()
    for name, found in studies.items():
        study = optuna.create_study(storage=storage, study_name=name)
        if found is not None:
            study.set_user_attr(SEARCH_DESCRIPTION, found)
    return storage


def changed(**settings: Any) -> dict[str, Any]:
    return {**FOUND, "settings": {**FOUND["settings"], **settings}}


OTHER_NAMES = ["s-x-2", "other-2", "s2", "s-1", "s-0", "s-", "s--2x", "s-two", "xs", "S-2", "s-²"]


@pytest.mark.parametrize(
    ("studies", "gone_on_with", "restarted"),
    [
        ({}, "s", "s"),
        ({"s": FOUND}, "s", "s-2"),
        ({"s": FOUND, "s-2": FOUND}, "s-2", "s-3"),
        ({"s": FOUND, "s-10": FOUND, "s-9": FOUND}, "s-10", "s-11"),
        ({"s": FOUND, "s-2": changed(seed=1), "s-3": changed(seed=2)}, "s", "s-4"),
        # The process that created it died before it said what it is of.
        ({"s": None}, "s", "s-2"),
        ({"s": changed(seed=1), "s-2": None}, "s-2", "s-3"),
        *(({"s": FOUND, other: changed(seed=1)}, "s", "s-2") for other in OTHER_NAMES),
    ],
)
def test_the_newest_study_of_the_same_search_is_gone_on_with_and_a_restart_has_the_next_number(
    studies: dict[str, Any], gone_on_with: str, restarted: str
) -> None:
    assert choose_study(stored(studies), "s", FOUND, restart=False) == gone_on_with
    assert choose_study(stored(studies), "s", FOUND, restart=True) == restarted


def test_a_restart_of_a_name_with_a_number_counts_by_itself() -> None:
    storage = stored({"s": FOUND, "s-2": FOUND})
    assert choose_study(storage, "s-2", FOUND, restart=True) == "s-2-2"


# --- a refusal -------------------------------------------------------------------------------


def refusal(storage: BaseStorage, now: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        choose_study(storage, "s", now, restart=False)
    return str(caught.value)


@pytest.mark.parametrize("found", [None, {}, {**FOUND, "format": STUDY_FORMAT - 1}])
def test_a_study_of_another_version_is_refused_with_the_way_out(found: Any) -> None:
    storage = stored({"s": found})
    study = optuna.load_study(storage=storage, study_name="s")
    study.tell(study.ask(), 1.0)
    assert refusal(storage, FOUND) == (
        "The study 's' was begun by another version of tagifai or another program, so the search"
        " cannot go on with it. To keep it and begin a new one, add sweep.restart=true."
    )


@pytest.mark.parametrize(
    ("studies", "now", "lines"),
    [
        ({"s": FOUND}, changed(seed=7), ["seed: 42 in the study, 7 now"]),
        # The newest is what it is compared with.
        ({"s": changed(seed=1), "s-2": changed(seed=2)}, FOUND, ["seed: 2 in the study, 42 now"]),
        (
            {"s": FOUND},
            {**FOUND, "parameters": {"model.alpha": "from 0.1 to 0.9"}},
            ["model.alpha: from 0.1 to 0.5 in the study, from 0.1 to 0.9 now"],
        ),
        (
            {"s": FOUND},
            {**FOUND, "parameters": {"model.eta0": "from 0 to 1"}},
            [
                "model.alpha: from 0.1 to 0.5 in the study, not set now",
                "model.eta0: not set in the study, from 0 to 1 now",
            ],
        ),
        (
            {"s": FOUND},
            {**changed(seed=7), "data digest": "d2"},
            ["data digest: d1 in the study, d2 now", "seed: 42 in the study, 7 now"],
        ),
        (
            {"s": changed(words="x" * 61)},
            changed(words="y" * 60),
            [f"words: {'x' * 40}... (61 characters) in the study, {'y' * 60} now"],
        ),
    ],
)
def test_a_study_of_another_search_is_refused_with_all_differences_and_two_ways_out(
    studies: dict[str, Any], now: dict[str, Any], lines: list[str]
) -> None:
    first, *shown, last = refusal(stored(studies), now).splitlines()
    assert first == f"The study {max(studies)!r} belongs to a search with other settings:"
    assert shown == [f"  {line}" for line in lines]
    way_out = (
        "To go on with it, undo these changes. To keep it and begin a new one, add"
        " sweep.restart=true."
    )
    other_data = " If these are other data, give them a name of their own: data.name=NAME."
    assert last == way_out + (other_data if lines[0].startswith("data digest") else "")


# --- secrets -----------------------------------------------------------------------------------


def test_values_with_a_secret_are_not_kept_in_a_study() -> None:
    first, second = "https://u:pw@h/a", "https://u:${oc.env:PW}@h/b"
    checks.refuse_secrets(parse_space(None, None, [f"vectorizer.from='{second}','/b'"]))
    space = parse_space(None, None, [f"vectorizer.from='{first}','{second}'"])
    with pytest.raises(ConfigError, match=r"vectorizer\.from has a secret among its values"):
        checks.refuse_secrets(space)
