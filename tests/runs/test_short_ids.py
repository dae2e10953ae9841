"""The first digits of a run's id stand for it where they name one run only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import bundles
from tagifai.runs import resolve, short_ids
from tagifai.tracking import session
from tagifai.tracking.store import Experiment

FIRST, SECOND, OTHER = "12345678a" + 23 * "0", "12345678b" + 23 * "0", "abcdef01" + 24 * "2"


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    for run_id in (FIRST, SECOND, OTHER):
        bundles.get_path(tmp_path, run_id).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [("abcdef01", OTHER), (FIRST[:9], FIRST), (SECOND[:31], SECOND), (SECOND, SECOND)],
)
def test_eight_digits_or_more_name_the_run_whose_id_begins_so(
    stores: Path, given: str, meant: str
) -> None:
    assert resolve.find(stores, given, None) == (meant, bundles.get_path(stores, meant))


@pytest.mark.parametrize("given", ["abcdef0", "abcdef02", "abcdef01x", 32 * "0"])
def test_fewer_digits_or_those_of_no_run_name_none(stores: Path, given: str) -> None:
    with pytest.raises(BundleError, match=f"There is no run '{given}' with a model"):
        resolve.find(stores, given, None)


def test_digits_that_several_ids_begin_with_are_refused_with_those_ids(stores: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve.find(stores, "12345678", None)
    assert str(caught.value) == (
        "task.run_id = 12345678: the ids of 2 runs begin so. Give more digits of one of them:"
        f" {FIRST}, {SECOND}."
    )


def test_an_id_that_is_there_as_it_was_given_is_no_beginning_of_another(stores: Path) -> None:
    bundles.get_path(stores, "12345678").mkdir(parents=True)
    assert resolve.find(stores, "12345678", None)[0] == "12345678"


def test_a_run_without_a_model_here_is_found_in_the_tracking_store(tracked_stores: Path) -> None:
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    made = session.create_run(Experiment(uri, "short ids", tracked_stores)).id
    # A run that was recorded later had another id before.
    sent = session.create_run(Experiment(uri, "short ids", tracked_stores))
    sent.log_tags({"tagifai.id": OTHER})
    assert short_ids.complete(tracked_stores, made[:8], uri) == made
    assert short_ids.complete(tracked_stores, OTHER[:10], uri) == sent.id
    assert short_ids.complete(tracked_stores, "00000000", uri) == "00000000"
    nothing = f"sqlite:///{tracked_stores}/elsewhere.db"
    assert short_ids.complete(tracked_stores, made[:8], nothing) == made[:8]


def test_a_run_that_is_only_kept_is_found_and_no_store_is_asked(stores: Path) -> None:
    kept, nobody = "fedcba98" + 24 * "1", "http://127.0.0.1:1"
    assert short_ids.complete(stores, kept[:8], nobody, "task.parent", [kept]) == kept
    with pytest.raises(ConfigError, match=r"task\.parent = abcdef01: the ids of 2 runs begin so"):
        short_ids.complete(stores, OTHER[:8], nobody, "task.parent", [OTHER[:-1] + "f"])
