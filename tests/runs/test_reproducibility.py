from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tagifai.exceptions import BundleError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import reproducibility
from tagifai.runs.reproducibility import Difference, RunFingerprint
from tagifai.utils.files import format_json
from tests.conftest import DOCUMENTS

RECORD = RunFingerprint(
    digest="a" * 64,
    metrics={"val_f1": 0.1 + 0.2, "test_f1": 0.5},
    parts={"model.skops": "b" * 64, "tagger.json": "c" * 64},
    circumstances={
        "python": "3.11.4",
        "numpy": "2.4.0",
        "git commit": "c0ffee",
        "uncommitted changes": "false",
        "platform": "Linux",
    },
)


def test_a_run_and_itself_are_equal() -> None:
    found = reproducibility.compare_runs(RECORD, RECORD)
    assert found.equal
    assert (found.results, found.circumstances) == ([], [])
    assert found.compared == "the data, 2 metrics and 2 parts of the bundle"


def test_other_data_are_the_first_line_and_metrics_differ_from_the_last_bit_on() -> None:
    now = replace(RECORD, digest="d" * 64, metrics={"val_f1": 0.3, "test_f1": 0.5})
    found = reproducibility.compare_runs(RECORD, now)
    assert not found.equal
    assert found.results == [
        Difference("data (SHA-256)", "a" * 64, "d" * 64),
        Difference("val_f1", "0.30000000000000004", "0.3"),
    ]


def test_standard_metrics_that_an_earlier_version_did_not_record_are_no_difference() -> None:
    more = {"val_accuracy": 1.0, "test_log_loss": 0.5, "test_interval/f1/low": 0.25}
    now = replace(RECORD, metrics={**RECORD.metrics, **more})
    assert reproducibility.compare_runs(RECORD, now).equal
    assert reproducibility.compare_runs(RECORD, now).metrics == len(RECORD.metrics)
    assert not reproducibility.compare_runs(now, RECORD).equal


def test_parts_that_differ_and_those_that_only_one_has_are_told() -> None:
    now = replace(
        RECORD,
        parts={"model.skops": "e" * 64, "model.coef_.npy": "f" * 64},
        metrics={**RECORD.metrics, "val_kappa": 1.0},
    )
    assert reproducibility.compare_runs(RECORD, now).results == [
        Difference("content of model.skops", "b" * 64, "e" * 64),
        Difference("content of tagger.json", "c" * 64, "missing"),
        Difference("val_kappa", "missing", "1.0"),
        Difference("content of model.coef_.npy", "missing", "f" * 64),
    ]


def test_another_version_or_code_is_told_but_does_not_make_results_differ() -> None:
    changed = {"numpy": "2.5.1", "git commit": "f00d", "uncommitted changes": "true"}
    found = reproducibility.compare_runs(
        RECORD, replace(RECORD, circumstances={**RECORD.circumstances, **changed})
    )
    assert found.equal
    assert found.circumstances == [
        Difference("numpy", "2.4.0", "2.5.1"),
        Difference("git commit", "c0ffee", "f00d"),
        Difference("uncommitted changes", "false", "true"),
    ]


def test_uncommitted_changes_of_both_may_be_why_results_differ() -> None:
    dirty = replace(RECORD, circumstances={"uncommitted changes": "true"})
    assert reproducibility.compare_runs(dirty, dirty).circumstances == []
    found = reproducibility.compare_runs(dirty, replace(dirty, digest="d" * 64))
    assert found.circumstances == [Difference("uncommitted changes", "true", "true")]


def test_the_document_has_all_differences_with_both_runs() -> None:
    found = reproducibility.compare_runs(RECORD, replace(RECORD, digest="d" * 64))
    assert found.build_document("new", "old") == {
        "rerun_of": "old",
        "run_id": "new",
        "equal": False,
        "results": [{"what": "data (SHA-256)", "recorded": "a" * 64, "now": "d" * 64}],
        "circumstances": [],
    }


# --- what bundles say --------------------------------------------------------------------------

SCORES = {"precision": 0.25, "recall": 0.5, "f1": 0.75, "num_samples": 4}
PERFORMANCE = {"val": {"overall": SCORES, "class": {"a": SCORES}, "slices": {}}}
PROVENANCE = {
    "options": {},
    "overrides": [],
    "schemas": {},
    "versions": {"python": "3.12.0", "pandas": "3.0.0"},
    "git": {"commit": "c0ffee", "dirty": "true"},
    "platform": "Linux",
}
WRITTEN = {
    **DOCUMENTS,
    "performance.json": format_json(PERFORMANCE),
    "provenance.json": format_json(PROVENANCE),
    "splits.json": format_json({"data": {"name": "x", "digest": "a" * 64}}),
}


def test_the_evidence_of_a_bundle_is_what_came_out_and_how(tmp_path: Path, tagger: Tagger) -> None:
    sums = bundles.save(tmp_path / "b", tagger, WRITTEN)
    found = RunFingerprint.from_bundle(tmp_path / "b")
    assert found.digest == "a" * 64
    assert (found.metrics["val_f1"], found.metrics["val_class/a/recall"]) == (0.75, 0.5)
    assert found.parts["model.json"] == sums["model.json"]
    assert sums.keys() - found.parts.keys() == {
        *("config.yaml", "performance.json", "provenance.json")
    }
    assert found.circumstances == {
        "python": "3.12.0",
        "pandas": "3.0.0",
        "git commit": "c0ffee",
        "uncommitted changes": "true",
        "platform": "Linux",
    }


@pytest.mark.parametrize("name", ["performance.json", "splits.json"])
@pytest.mark.parametrize("text", ["[]", "{}", '{"val": 1}', '{"data": 1}', "no"])
def test_a_bundle_that_does_not_say_what_its_run_gave_is_refused(
    tmp_path: Path, tagger: Tagger, name: str, text: str
) -> None:
    bundles.save(tmp_path / "b", tagger, {**WRITTEN, name: text})
    if (name, text) == ("performance.json", "{}"):
        assert RunFingerprint.from_bundle(tmp_path / "b").metrics == {}
        return
    with pytest.raises(BundleError, match=r"does not say what its run gave|json cannot be read"):
        RunFingerprint.from_bundle(tmp_path / "b")
