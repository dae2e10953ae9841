from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.exceptions import (
    BundleError,
    ConfigError,
    DataError,
    InvalidValueError,
    StaleTrialError,
    TrackingError,
    UserError,
    suggest_closest,
)

quick = settings(max_examples=50)


@pytest.mark.parametrize("kind", [UserError, ConfigError, DataError, BundleError])
def test_what_the_user_can_put_right_exits_with_2(kind: type[UserError]) -> None:
    error = kind("No such tag: 'x'.")
    assert isinstance(error, UserError)
    assert error.exit_code == 2
    assert str(error) == "No such tag: 'x'."


def test_a_failed_tracking_store_exits_with_1() -> None:
    error = TrackingError("The store is gone.")
    assert isinstance(error, UserError)
    assert error.exit_code == 1


def test_a_refused_value_says_the_field_the_value_and_what_is_allowed() -> None:
    error = InvalidValueError("alpha", -0.5, "a number of at least 0")
    assert str(error) == "alpha = -0.5 is not allowed: a number of at least 0"
    assert (error.key, error.value, error.allowed) == ("alpha", -0.5, "a number of at least 0")


def test_a_refused_string_stands_in_quotes() -> None:
    assert "penalty = 'l3' is" in str(InvalidValueError("penalty", "l3", "one of l1, l2"))


def test_a_refused_value_is_a_value_error_and_not_yet_a_users_error() -> None:
    error = InvalidValueError("q", 2, "a share from 0 to 1")
    assert isinstance(error, ValueError)
    assert not isinstance(error, UserError)


def test_a_trial_that_nobody_waits_for_is_not_the_user_s_error() -> None:
    assert not issubclass(StaleTrialError, UserError)
    assert issubclass(StaleTrialError, Exception)


def test_the_nearest_known_name_is_offered() -> None:
    known = ["val_loss", "val_f1", "val_precision"]
    assert suggest_closest("val_los", known) == " Did you mean 'val_loss'?"


def test_a_name_in_another_case_is_the_nearest() -> None:
    assert suggest_closest("c", ["_target_", "C"]) == " Did you mean 'C'?"
    assert suggest_closest("Ab", ["AB", "Ab"]) == " Did you mean 'Ab'?"


def test_only_one_name_is_offered() -> None:
    assert suggest_closest("val_f1", ["val_f2", "val_f11"]).count("'") == 2


@pytest.mark.parametrize("known", [[], ["zzz"]])
def test_nothing_is_offered_when_no_name_is_close(known: list[str]) -> None:
    assert suggest_closest("val_f1", known) == ""


def test_known_names_may_be_an_iterator() -> None:
    assert suggest_closest("alpa", iter(["eta0", "alpha"])) == " Did you mean 'alpha'?"


@quick
@given(st.text(min_size=1, max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_a_known_name_is_its_own_nearest(name: str, others: list[str]) -> None:
    assert suggest_closest(name, [*others, name]) == f" Did you mean '{name}'?"
