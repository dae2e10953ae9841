from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError
from tagifai.sweeping.grammar import parse_space
from tagifai.sweeping.identity import SEARCH_DESCRIPTION, choose_study, describe_search
from tagifai.sweeping.space import SearchSpace

SPACE = parse_space({"model.alpha": "interval(0.1,0.5)"}, None, [])

FOUND = {
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
    assert found["settings"]["vectorizer.ngram_max"] == 7


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


def test_a_study_that_does_not_say_what_it_is_of_is_taken_up() -> None:
    assert choose_study(stored({"s": None}), "s", FOUND, restart=False) == "s"
    assert (
        choose_study(stored({"s": changed(seed=1), "s-2": None}), "s", FOUND, restart=False)
        == "s-2"
    )


# --- a refusal -------------------------------------------------------------------------------


def test_a_changed_setting_is_refused_with_both_values_and_two_ways_out() -> None:
    message = refusal(stored({"s": FOUND}), changed(seed=7))
    assert message == (
        "The study 's' is a search of something else:\n"
        "  seed: 42 in the study, 7 now\n"
        "Either take that back, to go on with it; or add sweep.restart=true, which keeps it and"
        " begins another one."
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
    assert "\n  model.alpha: from 0.1 to 0.5 in the study, not there now\n" in message
    assert "\n  model.eta0: not there in the study, from 0 to 1 now\n" in message


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
    assert message.startswith("The study 's-2' is")
    assert "seed: 2 in the study, 42 now" in message
