from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sklearn.metrics import f1_score

from tagifai.exceptions import ConfigError
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.runs.promotion import Contender, compute_difference, compute_rows_digest, decide
from tests.conftest import TAGS, TEXTS


@pytest.fixture
def good(tagger: Tagger) -> Contender:
    """A run that is right about all its test rows but those below the threshold."""
    tagger = replace(tagger, threshold=None)
    return Contender("good", tagger, "d" * 64, "r" * 64, list(TEXTS), list(TAGS))


@pytest.fixture
def bad(good: Contender) -> Contender:
    """A run that takes everything for the rest, on the same rows."""
    return replace(good, run_id="bad", tagger=replace(good.tagger, threshold=0.999999))


def test_the_first_is_the_champion(bad: Contender) -> None:
    decision = decide(bad, None, force=False)
    assert (decision.promoted, decision.champion_f1) == (True, None)
    assert decision.f1 == pytest.approx(1 / 6)  # precision 1/3, recall 1, of a third of the rows


def test_a_better_one_on_the_same_rows_takes_the_champion_s_place(
    good: Contender, bad: Contender
) -> None:
    decision = decide(good, bad, force=False)
    assert (decision.promoted, decision.f1) == (True, 1.0)
    assert decision.champion_f1 == pytest.approx(1 / 6)
    assert decision.difference is not None
    assert decision.difference.startswith("a difference in f1 on the same 12 test rows: +0.833")


@pytest.mark.parametrize("same", [True, False])
def test_a_worse_or_equal_one_does_not(good: Contender, bad: Contender, same: bool) -> None:
    challenger = replace(good, run_id="again") if same else bad
    decision = decide(challenger, good, force=False)
    assert not decision.promoted
    assert decision.reason == "It is not better on the same test rows."


def test_a_worse_one_is_forced_and_that_is_said(good: Contender, bad: Contender) -> None:
    decision = decide(bad, good, force=True)
    assert decision.promoted
    assert decision.reason.startswith("Forced: it is not better")
    assert not decide(good, bad, force=True).reason.startswith("Forced")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "e" * 64}, "its data differ (eeeeeeeeeeee… and dddddddddddd…)"),
        ({"test_rows": "s" * 64}, "some of them may be train rows of the champion"),
    ],
)
def test_runs_of_other_rows_are_not_compared_unless_forced(
    good: Contender, bad: Contender, change: dict[str, Any], said: str
) -> None:
    challenger = replace(good, **change)
    with pytest.raises(ConfigError) as caught:
        decide(challenger, bad, force=False)
    assert said in str(caught.value)
    assert "Run good cannot be compared with the champion, run bad" in str(caught.value)
    assert "task.force=true" in str(caught.value)
    forced = decide(challenger, bad, force=True)
    assert forced.promoted
    assert forced.reason.startswith("Forced, without a comparison: its")


def test_the_digest_of_test_rows_is_of_ids_and_labels_in_any_order() -> None:
    assert compute_rows_digest(["a", "b"], ["x", "y"]) == compute_rows_digest(
        ["b", "a"], ["y", "x"]
    )
    assert compute_rows_digest(["a", "b"], ["x", "y"]) != compute_rows_digest(
        ["a", "b"], ["y", "x"]
    )
    assert compute_rows_digest(["a"], ["x"]) != compute_rows_digest(["a", "b"], ["x", "y"])


class Said:
    """A tagger that says what it is told to."""

    def __init__(self, wrong_cv: int, wrong_nlp: int) -> None:
        self.encoder, self.other = LabelEncoder(("cv", "nlp")), "cv"
        self._said = (
            [1] * wrong_cv + [0] * (90 - wrong_cv) + [0] * wrong_nlp + [1] * (10 - wrong_nlp)
        )

    def compute_outputs(self, texts: list[str]) -> list[int]:
        return self._said

    def decide(self, outputs: list[int]) -> list[int]:
        return outputs


def test_the_difference_is_of_the_score_that_decides() -> None:
    labels = ["cv"] * 90 + ["nlp"] * 10
    taggers: list[Any] = [Said(12, 0), Said(0, 10)]
    runs = [Contender("r", tagger, "d", "r", labels, labels) for tagger in taggers]
    found = compute_difference(runs[0], runs[1], "f1")
    # Fewer rows are right, but both classes are found: the weighted F1 is higher.
    scores = [f1_score(labels, run.predict(), average="weighted") for run in runs]
    assert (found.one, found.other) == pytest.approx(tuple(scores))
    assert found.one > found.other
    accuracy = compute_difference(runs[0], runs[1], "accuracy")
    assert accuracy.one - accuracy.other == pytest.approx(-0.02)
