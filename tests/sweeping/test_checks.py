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
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage, InMemoryStorage

from tagifai.config.schema import Config
from tagifai.data.blocks import write_table
from tagifai.data.dataset_store import Dataset
from tagifai.exceptions import ConfigError
from tagifai.sweeping import checks, composition
from tagifai.sweeping.checks import (
    SEARCH_DESCRIPTION,
    STUDY_FORMAT,
    choose_study,
    describe_search,
)
from tagifai.sweeping.grammar import parse_space
from tagifai.sweeping.space import SearchSpace
from tests.sweeping.conftest import Searching, aiming_at
from tests.sweeping.test_settings import made

ON_DISK = "sqlite:////x/studies.db"


def refused(config: Config, pruner: BasePruner, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        checks.check_objective(config, made(**{"storage": ON_DISK, **settings}), pruner)
    return str(caught.value)


# --- the objective ---------------------------------------------------------------------------


def test_directions_that_differ_from_the_objectives_are_refused(config: Config) -> None:
    assert refused(config, NopPruner(), direction="minimize") == (
        "hydra.sweeper.direction = minimize, and objective.direction = maximize. Set"
        " objective.direction alone; the sweeper follows it."
    )


def test_so_are_directions_in_another_order(config: Config) -> None:
    both = aiming_at(config, ["val_f1", "model_bytes"], ["maximize", "minimize"])
    message = refused(both, NopPruner(), direction=["minimize", "maximize"])
    assert "minimize, maximize, and objective.direction = maximize, minimize." in message


def test_a_pruner_with_several_objectives_is_refused(config: Config) -> None:
    both = aiming_at(config, ["val_f1", "val_loss"], ["maximize", "minimize"])
    assert refused(both, MedianPruner(), direction=["maximize", "minimize"]) == (
        "MedianPruner cannot prune trials with 2 objectives (val_f1, val_loss). Use"
        " hydra/sweeper/pruner=none, or one metric."
    )


def test_a_pruner_with_the_size_of_the_model_is_refused(config: Config) -> None:
    small = aiming_at(config, "model_bytes", "minimize")
    message = refused(small, MedianPruner(), direction="minimize")
    assert message.startswith("MedianPruner needs a metric that changes during training")
    assert message.endswith("Use hydra/sweeper/pruner=none.")


@pytest.mark.parametrize(
    ("storage", "shown"),
    [(None, "null"), ("sqlite:///:memory:", "sqlite:///:memory:"), ("sqlite://", "sqlite://")],
)
def test_a_pruner_with_a_storage_that_jobs_cannot_reach_is_refused(
    storage: str | None, shown: str, config: Config
) -> None:
    message = refused(config, MedianPruner(), storage=storage)
    assert f"hydra.sweeper.storage = {shown} is in the memory of this process" in message


@pytest.mark.parametrize(
    ("metric", "direction", "storage"),
    [
        ("val_f1", "maximize", None),
        ("model_bytes", "minimize", None),
        (["val_f1", "model_bytes"], ["maximize", "minimize"], ON_DISK),
    ],
)
def test_without_a_pruner_all_of_that_is_allowed(
    metric: Any, direction: Any, storage: str | None, config: Config
) -> None:
    settings = made(direction=direction, storage=storage)
    checks.check_objective(aiming_at(config, metric, direction), settings, NopPruner())


def test_a_pruner_with_one_metric_that_changes_and_a_database_is_allowed(config: Config) -> None:
    lowest = aiming_at(config, "val_loss", "minimize")
    checks.check_objective(lowest, made(direction="minimize", storage=ON_DISK), MedianPruner())


# --- the metrics -----------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    tags = ["computer-vision"] * 20 + ["mlops"] * 20
    table = pd.DataFrame(
        {
            "id": [f"id{n}" for n in range(40)],
            "title": [f"Title {n}" for n in range(40)],
            "description": [f"words {n}" for n in range(40)],
            "tag": tags,
        }
    )
    write_table(path := tmp_path / "rows.parquet", [pyarrow.table(table.to_dict("list"))])
    return Dataset({}, path, fresh=False)


@pytest.fixture
def two_classes(config: Config) -> Config:
    data = replace(config.data, accepted_tags=["computer-vision", "mlops"], min_freq=1)
    return replace(config, data=data)


def test_a_metric_of_a_class_that_is_not_there_is_refused_with_those_that_are(
    two_classes: Config, dataset: Dataset
) -> None:
    with pytest.raises(ConfigError) as caught:
        checks.check_metrics(aiming_at(two_classes, "val_class/mlopps/f1"), dataset)
    assert "'val_class/mlopps/f1': a run on these data has no such metric." in str(caught.value)
    assert "Did you mean 'val_class/mlops/f1'?" in str(caught.value)
    assert "val_class/computer-vision/recall" in str(caught.value)


def test_each_of_several_metrics_is_looked_at(two_classes: Config, dataset: Dataset) -> None:
    metrics = ["val_f1", "val_class/mlops/f1", "val_slice/none/f1"]
    config = aiming_at(two_classes, metrics, ["maximize"] * 3)
    with pytest.raises(ConfigError, match="'val_slice/none/f1': a run on these data"):
        checks.check_metrics(config, dataset)


def test_a_class_of_the_validation_rows_is_allowed(two_classes: Config, dataset: Dataset) -> None:
    checks.check_metrics(aiming_at(two_classes, "val_class/mlops/f1"), dataset)


def test_other_metrics_need_no_look_at_the_rows(config: Config) -> None:
    broken = Dataset({}, Path("/nowhere.parquet"), fresh=False)
    checks.check_metrics(aiming_at(config, ["val_f1", "model_bytes"], ["maximize"] * 2), broken)
    with pytest.raises(FileNotFoundError):
        checks.check_metrics(aiming_at(config, "val_class/a/f1"), broken)


# --- the space -------------------------------------------------------------------------------


def allowing(*allowed: str) -> tuple[composition.Compose, list[list[str]]]:
    """Return what composes these last overrides only, and what it was asked for."""
    asked: list[list[str]] = []

    def compose(overrides: Sequence[str]) -> Any:
        asked.append(list(overrides))
        if overrides[-1] not in allowed:
            raise ConfigError(f"{overrides[-1]} is not allowed: less")

    return compose, asked


def test_a_parameter_none_of_whose_values_is_allowed_is_refused_with_the_first_reason() -> None:
    compose, _ = allowing("a=1")
    with pytest.raises(ConfigError) as caught:
        checks.check_space(parse_space({"a": "choice(1,2)", "b": "choice(3,4)"}, None, []), compose)
    assert str(caught.value) == ("The parameter b has no allowed value: b=3 is not allowed: less")


def test_one_value_that_is_allowed_is_enough() -> None:
    compose, asked = allowing("a=2", "b=9")
    checks.check_space(
        parse_space({"a": "choice(1,2,3)", "b": "range(5,10)"}, None, ["c=7"]), compose
    )
    assert asked == [["c=7", "a=1"], ["c=7", "a=2"], ["c=7", "a=3"], ["c=7", "b=5"], ["c=7", "b=9"]]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"model.alhpa": "choice(0.1,0.2)"},
            (
                "The parameter model.alhpa cannot be set by model.alhpa=0.1: Key 'alhpa' not in"
                " 'SGDConfig'. Did you mean: 'alpha'?."
            ),
        ),
        (
            {"nope.x": "choice(1,2)"},
            "The parameter nope.x cannot be set by nope.x=1: Key 'nope' not in 'Config'.",
        ),
        (
            {"vectorizer": "choice(tfidf_word,tfidf_wrod)"},
            (
                "The parameter vectorizer cannot be set by vectorizer=tfidf_wrod: In 'choices':"
                " Could not find 'vectorizer/tfidf_wrod'."
            ),
        ),
        (
            {"model.alpha": "choice(-1.0,-2.0)"},
            (
                "The parameter model.alpha has no allowed value: model.alpha = -1.0 is not"
                " allowed: a number of at least 0"
            ),
        ),
        (
            {"model.alpha": "choice(a,b)"},
            (
                "The parameter model.alpha cannot be set by model.alpha=a: Value 'a' of type 'str'"
                " could not be converted to Float."
            ),
        ),
    ],
)
def test_in_the_projects_configuration_a_misspelt_parameter_is_refused(
    params: dict[str, Any], message: str, searching: Searching
) -> None:
    with pytest.raises(ConfigError) as caught:
        checks.check_space(parse_space(params, None, []), composition.make_composer(searching()))
    assert str(caught.value) == message


def test_a_parameter_of_one_option_is_probed_beside_that_option(searching: Searching) -> None:
    when = {"threshold=fixed": {"threshold.value": "interval(0.2,0.8)"}}
    space = parse_space({"threshold": "none,fixed"}, when, [])
    checks.check_space(space, composition.make_composer(searching()))
    alone = parse_space({"threshold.value": "interval(0.2,0.8)"}, None, [])
    with pytest.raises(ConfigError, match=r"threshold\.value cannot be set"):
        checks.check_space(alone, composition.make_composer(searching()))


def test_a_branch_that_an_argument_shuts_out_does_no_harm(searching: Searching) -> None:
    when = {"vectorizer=tfidf_char": {"vectorizer.ngram_max": "range(3,5)"}}
    space = parse_space({"model.alpha": "choice(0.1,0.2)"}, when, ["vectorizer=tfidf_word"])
    checks.check_space(space, composition.make_composer(searching("vectorizer=tfidf_word")))


def test_a_branch_inside_a_branch_is_probed_beside_both(searching: Searching) -> None:
    one, other = "sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.BernoulliNB"
    when = {
        "model=custom": {"model._target_": f"{one},{other}"},
        f"model._target_={one}": {"+model.C": "interval(0.1,9.0)"},
    }
    space = parse_space({"model": "sgd,custom"}, when, [])
    checks.check_space(space, composition.make_composer(searching()))


def test_parameters_that_are_allowed_together_are_allowed(searching: Searching) -> None:
    params = {
        "vectorizer.char_ngram_min": "range(6,8)",
        "vectorizer.char_ngram_max": "range(8,10)",
    }
    checks.check_space(parse_space(params, None, []), composition.make_composer(searching()))


SPACE = parse_space({"model.alpha": "interval(0.1,0.5)"}, None, [])

FOUND = {
    "format": STUDY_FORMAT,
    "parameters": {"model.alpha": "from 0.1 to 0.5"},
    "data digest": "d1",
    "settings": {"seed": 42, "training.epochs": 100},
}


def stored(studies: dict[str, Any]) -> BaseStorage:
    """Return a store with studies that have been asked for what they are of; None has not been."""
    storage = InMemoryStorage()
    for name, found in studies.items():
        study = optuna.create_study(storage=storage, study_name=name)
        if found is not None:
            study.set_user_attr(SEARCH_DESCRIPTION, found)
    return storage


def changed(**settings: Any) -> dict[str, Any]:
    return {**FOUND, "settings": {**FOUND["settings"], **settings}}  # type: ignore[dict-item]


def refusal(storage: BaseStorage, now: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        choose_study(storage, "s", now, restart=False)
    return str(caught.value)


# --- what a study is a search of -------------------------------------------------------------


def test_it_is_parameters_data_and_settings(config: Config) -> None:
    found = describe_search(config, SPACE, "d1")
    assert found["parameters"] == {"model.alpha": "from 0.1 to 0.5"}
    assert found["data digest"] == "d1"
    assert found["settings"]["seed"] == 42
    assert found["settings"]["objective.metric"] == "val_f1"
    assert found["settings"]["vectorizer.char_ngram_max"] == 5


def test_it_is_the_same_after_a_time_in_a_database(config: Config) -> None:
    both = replace(config.objective, metric=["val_f1", "val_loss"], direction=["maximize"] * 2)
    found = describe_search(replace(config, objective=both), SPACE, "d1")
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    "group",
    ["task", "tracking", "console", "cache", "paths", "sweep", "data.projects", "data.tags"],
)
def test_what_has_no_influence_on_a_trial_is_not_in_it(group: str, config: Config) -> None:
    names = describe_search(config, SPACE, "d1")["settings"]
    assert not [name for name in names if name == group or name.startswith(f"{group}.")]


def test_a_tracking_store_elsewhere_makes_it_no_other_search(config: Config) -> None:
    before = describe_search(config, SPACE, "d1")
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
    before = describe_search(config, SPACE, "d1")
    setattr(getattr(config, group), key, value)
    after = describe_search(config, SPACE, "d1")
    assert [k for k in after["settings"] if after["settings"][k] != before["settings"][k]] == [
        f"{group}.{key}"
    ]


def test_an_option_that_is_fixed_is_named(config: Config) -> None:
    space = parse_space(
        {"model.alpha": "choice(1,2)"}, None, ["vectorizer=tfidf_word", "sweep=quick"]
    )
    settings = describe_search(config, space, "d1")["settings"]
    assert settings["vectorizer"] == "tfidf_word"
    assert "sweep" not in settings


def test_another_value_that_the_preset_fixes_makes_it_another_search(config: Config) -> None:
    def with_eta0(value: float) -> dict[str, Any]:
        params = {"model.alpha": "choice(1,2)", "model.eta0": value}
        return describe_search(config, parse_space(params, None, []), "d1")

    assert with_eta0(0.5) != with_eta0(0.7)


def test_so_does_one_that_a_branch_fixes(config: Config) -> None:
    def with_eta0(value: float) -> dict[str, Any]:
        when = {"model.penalty=l1": {"model.eta0": value}}
        return describe_search(config, parse_space({"model.penalty": "l1,l2"}, when, []), "d1")

    assert with_eta0(0.5) != with_eta0(0.7)


def test_a_space_without_parameters_is_described_as_well(config: Config) -> None:
    assert describe_search(config, SearchSpace((), (), {}), "d1")["parameters"] == {}


# --- going on --------------------------------------------------------------------------------


def test_the_first_search_has_the_name_itself() -> None:
    assert choose_study(stored({}), "s", FOUND, restart=False) == "s"
    assert choose_study(stored({}), "s", FOUND, restart=True) == "s"


def test_the_same_search_goes_on_under_its_name() -> None:
    assert choose_study(stored({"s": FOUND}), "s", FOUND, restart=False) == "s"


def test_a_restart_has_the_next_number() -> None:
    storage = stored({"s": FOUND})
    assert choose_study(storage, "s", FOUND, restart=True) == "s-2"
    optuna.create_study(storage=storage, study_name="s-2")
    assert choose_study(storage, "s", FOUND, restart=True) == "s-3"


def test_ten_comes_after_nine() -> None:
    storage = stored({"s": FOUND, "s-10": FOUND, "s-9": FOUND})
    assert choose_study(storage, "s", FOUND, restart=True) == "s-11"
    assert choose_study(storage, "s", FOUND, restart=False) == "s-10"


def test_a_restart_is_gone_on_with_though_the_first_study_is_of_the_same() -> None:
    assert choose_study(stored({"s": FOUND, "s-2": FOUND}), "s", FOUND, restart=False) == "s-2"


def test_an_older_study_is_gone_back_to_if_it_is_of_the_same() -> None:
    storage = stored({"s": FOUND, "s-2": changed(seed=1), "s-3": changed(seed=2)})
    assert choose_study(storage, "s", FOUND, restart=False) == "s"
    assert choose_study(storage, "s", changed(seed=1), restart=False) == "s-2"


@pytest.mark.parametrize(
    "other", ["s-x-2", "other-2", "s2", "s-1", "s-0", "s-", "s--2x", "s-two", "other", "xs", "S-2"]
)
def test_another_name_is_no_restart(other: str) -> None:
    storage = stored({"s": FOUND, other: changed(seed=1)})
    assert choose_study(storage, "s", FOUND, restart=True) == "s-2"
    assert choose_study(storage, "s", FOUND, restart=False) == "s"


def test_a_restart_of_a_name_with_a_number_counts_by_itself() -> None:
    storage = stored({"s": FOUND, "s-2": FOUND})
    assert choose_study(storage, "s-2", FOUND, restart=True) == "s-2-2"


def test_a_name_with_a_raised_digit_is_no_restart() -> None:
    assert choose_study(stored({"s": FOUND, "s-²": FOUND}), "s", FOUND, restart=True) == "s-2"


def test_a_study_whose_process_died_before_it_said_what_it_is_of_is_taken_up() -> None:
    assert choose_study(stored({"s": None}), "s", FOUND, restart=False) == "s"
    assert (
        choose_study(stored({"s": changed(seed=1), "s-2": None}), "s", FOUND, restart=False)
        == "s-2"
    )


# --- a refusal -------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [None, {}, {**FOUND, "format": STUDY_FORMAT - 1}])
def test_a_study_of_another_version_is_refused_with_the_way_out(found: Any) -> None:
    storage = stored({"s": found})
    study = optuna.load_study(storage=storage, study_name="s")
    study.tell(study.ask(), 1.0)
    assert refusal(storage, FOUND) == (
        "The study 's' was begun by another version of tagifai or another program, so the search"
        " cannot go on with it. To keep it and begin a new one, add sweep.restart=true."
    )
    assert choose_study(storage, "s", FOUND, restart=True) == "s-2"


def test_a_changed_setting_is_refused_with_both_values_and_two_ways_out() -> None:
    message = refusal(stored({"s": FOUND}), changed(seed=7))
    assert message == (
        "The study 's' belongs to a search with other settings:\n"
        "  seed: 42 in the study, 7 now\n"
        "To go on with it, undo these changes. To keep it and begin a new one, add"
        " sweep.restart=true."
    )


def test_so_is_a_changed_parameter() -> None:
    now = {**FOUND, "parameters": {"model.alpha": "from 0.1 to 0.9"}}
    assert "\n  model.alpha: from 0.1 to 0.5 in the study, from 0.1 to 0.9 now\n" in refusal(
        stored({"s": FOUND}), now
    )


def test_so_are_other_data() -> None:
    message = refusal(stored({"s": FOUND}), {**FOUND, "data digest": "d2"})
    assert "\n  data digest: d1 in the study, d2 now\n" in message


def test_what_is_there_on_one_side_only_is_said_so() -> None:
    now = {**FOUND, "parameters": {"model.eta0": "from 0 to 1"}}
    message = refusal(stored({"s": FOUND}), now)
    assert "\n  model.alpha: from 0.1 to 0.5 in the study, not set now\n" in message
    assert "\n  model.eta0: not set in the study, from 0 to 1 now\n" in message


def test_all_differences_are_shown_and_nothing_else() -> None:
    message = refusal(stored({"s": FOUND}), {**changed(seed=7), "data digest": "d2"})
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:-1]] == [
        "data digest",
        "seed",
    ]


def test_a_long_value_is_shortened() -> None:
    message = refusal(stored({"s": changed(stopwords="x" * 61)}), changed(stopwords="y" * 60))
    expected = f"  stopwords: {'x' * 40}... (61 characters) in the study, {'y' * 60} now"
    assert expected in message.splitlines()


def test_the_newest_study_is_what_it_is_compared_with() -> None:
    storage = stored({"s": changed(seed=1), "s-2": changed(seed=2)})
    message = refusal(storage, FOUND)
    assert message.startswith("The study 's-2' belongs")
    assert "seed: 2 in the study, 42 now" in message


def test_other_data_of_the_same_name_are_told_to_take_a_name_of_their_own() -> None:
    said = refusal(stored({"s": FOUND}), {**FOUND, "data digest": "another"})
    assert said.endswith(" If these are other data, give them a name of their own: data.name=NAME.")
    assert "data.name" not in refusal(stored({"s": FOUND}), changed(seed=7))


# --- secrets -----------------------------------------------------------------------------------


def test_values_with_a_secret_are_not_kept_in_a_study() -> None:
    first, second = "https://u:pw@h/a", "https://u:${oc.env:PW}@h/b"
    checks.refuse_secrets(parse_space(None, None, [f"vectorizer.from='{second}','/b'"]))
    space = parse_space(None, None, [f"vectorizer.from='{first}','{second}'"])
    with pytest.raises(ConfigError, match=r"vectorizer\.from has a secret among its values"):
        checks.refuse_secrets(space)
