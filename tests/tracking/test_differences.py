from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagifai.evaluation import paired
from tagifai.evaluation.paired import PredictedRows
from tagifai.reporting import text_tables
from tagifai.tracking import leaderboard
from tagifai.tracking.recording import validation_rows
from tests.frames import a_run, frame


def test_the_interval_of_three_pairs_is_as_computed_by_hand() -> None:
    # Mean 2, deviation 1; t for 2 degrees of freedom is 4.302653: 4.302653 / sqrt(3) = 2.484138.
    mean, low, high = paired.compute_t_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert mean == 2
    assert low == pytest.approx(-0.484138, abs=1e-6)
    assert high == pytest.approx(4.484138, abs=1e-6)


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    # Mean 0.5, deviation sqrt(0.5); t for 1 degree of freedom at 50 % is tan(pi / 4) = 1.
    assert paired.compute_t_interval(np.array([0.0, 1.0]), 0.5) == pytest.approx((0.5, 0.0, 1.0))


@pytest.mark.parametrize("gains", [[], [1.0]])
def test_fewer_than_two_pairs_have_no_interval(gains: list[float]) -> None:
    assert all(map(math.isnan, paired.compute_t_interval(np.array(gains), 0.95)))


def test_pairs_that_gain_the_same_have_an_interval_without_width() -> None:
    assert paired.compute_t_interval(np.array([0.5, 0.5]), 0.95) == (0.5, 0.5, 0.5)


def ranked(*more: dict[str, Any], confidence: float = 0.95) -> leaderboard.Leaderboard:
    """Rows base (0.1, 0.2, 0.3 for the seeds 1 to 3) and what is given, base the baseline."""
    base = [a_run(f"base{n}", n / 10, seed=n, option="base") for n in (1, 2, 3)]
    return leaderboard.build(frame(*base, *more), "f1", baseline="base", confidence=confidence)


def test_differences_are_over_pairs_of_the_same_seed() -> None:
    # Gains 0.1 (seed 1) and 0.3 (seed 3); seed 9 has no partner. t(0.9, 1) = tan(0.45 pi).
    values = {3: 0.6, 1: 0.2, 9: 7.0}
    other = [a_run(f"o{n}", value, seed=n, option="o") for n, value in values.items()]
    board = ranked(*other, confidence=0.9)
    row = board.rows.loc["model=o"]
    half = math.tan(0.45 * math.pi) * 0.1
    assert (row["n"], row["pairs"], row["interval"]) == (3, 2, "paired t, 90 %")
    assert row["difference"] == pytest.approx(0.2)
    assert (row["low"], row["high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_runs_on_other_data_or_of_unknown_seed_or_data_are_no_pairs() -> None:
    board = ranked(
        *(a_run(f"x{n}", 0.5, seed=n, option="x", digest="other") for n in (1, 2)),
        *(a_run(f"y{n}", 0.5, seed=n, option="y", digest=None) for n in (1, 2)),
        *(a_run(f"z{n}", 0.5, seed=None, option="z") for n in (1, 2)),
        a_run("one", 0.5, seed=1, option="one"),
    )
    others = board.rows[board.rows.index != board.baseline]
    counts = dict(zip(others["model"], others["pairs"], strict=True))
    assert counts == {"x": 0, "y": 0, "z": 0, "one": 1}
    assert others[["low", "high", "interval", "shown"]].isna().all(axis=None)
    assert others["difference"].notna().to_dict() == {
        f"model={name}": name == "one" for name in others["model"]
    }
    assert others.set_index("model")["reason"].to_dict() == {
        **dict.fromkeys("xyz", "no run with the same seed"),
        "one": "their predictions are not on this machine",
    }


def test_the_baseline_has_no_difference_to_itself() -> None:
    board = ranked(a_run("o", 0.5, seed=1, option="o"))
    assert board.baseline == "model=base"
    assert board.rows.loc["model=base", ["difference", "low", "high", "pairs"]].isna().all()


@pytest.mark.parametrize(
    ("gains", "maximize", "words"),
    [
        ((0.20, 0.21), True, "better"),
        ((0.20, 0.21), False, "worse"),
        ((-0.20, -0.21), True, "worse"),
        ((-0.20, -0.21), False, "better"),
        ((0.20, -0.21), True, "no difference shown"),
    ],
)
def test_a_row_is_better_or_worse_where_its_interval_shows_it(
    gains: tuple[float, float], maximize: bool, words: str
) -> None:
    runs = [a_run(f"b{seed}", 0.5, seed=seed, option="b") for seed in (1, 2)]
    runs += [a_run(f"o{n}", 0.5 + gain, seed=n + 1, option="o") for n, gain in enumerate(gains)]
    board = leaderboard.build(frame(*runs), "f1", baseline="b", maximize=maximize)
    assert board.rows.loc["model=o", "shown"] == words
    assert board.rows["shown"].isna().to_dict() == {"model=o": False, "model=b": True}


TRUE = np.arange(400) % 2


def a_predicted_run(folder: Path, option: str, wrong: int, seed: int = 1) -> dict[str, Any]:
    """A run that has the first of 400 validation rows wrong, and its predictions in a folder."""
    said = np.where(np.arange(400) < wrong, 1 - TRUE, TRUE)
    part = PredictedRows(np.arange(400), TRUE, said)
    path = folder / (option if seed == 1 else f"{option}{seed}")
    validation_rows.write(path / validation_rows.FILE_NAME, [part])
    value = 1 - wrong / 400
    own = {"metrics.val_accuracy": value, "tags.output_dir": str(path)}
    return a_run(path.name, option=option, seed=seed) | own


def test_single_runs_are_compared_by_what_they_say_of_the_same_rows(tmp_path: Path) -> None:
    wrong = {"a": 100, "b": 60, "c": 98}
    runs = frame(*(a_predicted_run(tmp_path, name, count) for name, count in wrong.items()))
    rows = leaderboard.build(runs, "val_accuracy", baseline="a").rows
    # 40 of 400 rows are better, and none is worse: the spread is that of a share.
    half = 1.96 * math.sqrt(0.1 * 0.9 / 400)
    low, high = 0.1 - half, 0.1 + half
    assert rows.loc["model=b", "low"] == pytest.approx(low, abs=0.004)
    assert rows.loc["model=b", "high"] == pytest.approx(high, abs=0.004)
    assert rows.loc["model=b", "interval"] == "bootstrap over 400 validation rows, 95 %"
    assert (rows.loc["model=b", "shown"], rows.loc["model=b", "pairs"]) == ("better", 1)
    # Two rows alone are told apart, which may be chance.
    assert rows.loc["model=c", "shown"] == "no difference shown"


def test_few_seeds_are_compared_by_what_their_runs_say_of_the_same_rows(tmp_path: Path) -> None:
    wrong = {("a", 1): 100, ("a", 2): 120, ("b", 1): 60, ("b", 2): 100}
    made = [a_predicted_run(tmp_path, name, n, seed) for (name, seed), n in wrong.items()]
    row = leaderboard.build(frame(*made), "val_accuracy", baseline="a").rows.loc["model=b"]
    assert row["interval"] == "bootstrap over 400 validation rows of 2 seeds, 95 %"
    assert (row["difference"], row["pairs"]) == (pytest.approx(0.075), 2)
    # 40 rows gain a half by seed 1, 20 others by seed 2; t of the two gains would be 0.3 wide.
    spread = math.sqrt((60 * 0.25) / 400 - 0.075**2)
    half = 1.96 * spread / math.sqrt(400)
    assert row["low"] == pytest.approx(0.075 - half, abs=0.003)
    assert row["high"] == pytest.approx(0.075 + half, abs=0.003)
    assert row["shown"] == "better"


def test_few_seeds_without_predictions_have_an_interval_within_what_is_possible() -> None:
    runs = [a_run(f"b{seed}", 0.5, seed=seed, option="b") for seed in (1, 2)]
    runs += [a_run(f"o{n}", 0.5 + gain, seed=n, option="o") for n, gain in ((1, 0.4), (2, 0.1))]
    board = leaderboard.build(frame(*runs), "f1", baseline="b")
    row = board.rows.loc["model=o"]
    assert (row["low"], row["high"], row["interval"]) == (-1, 1, "paired t, 95 %")
    assert row["shown"] == "no difference shown"
    told = text_tables.make_table(board, "f1").columns["difference"]
    assert told == ["+0.2500 [-1.000, 1.000] unclear", "baseline"]
    losses = frame(*runs).rename(columns={"metrics.f1": "metrics.val_loss"})
    rows = leaderboard.build(losses, "val_loss", maximize=False, baseline="b").rows
    assert rows["high"].max() > 2


def test_intervals_to_the_best_are_wider_because_it_was_chosen(tmp_path: Path) -> None:
    wrong = {"a": 60, "b": 80, "c": 100}
    runs = frame(*(a_predicted_run(tmp_path, name, count) for name, count in wrong.items()))
    given = leaderboard.build(runs, "val_accuracy", baseline="a").rows.loc["model=b"]
    chosen = leaderboard.build(runs, "val_accuracy").rows.loc["model=b"]
    assert given["difference"] == chosen["difference"] == pytest.approx(-0.05)
    assert chosen["low"] < given["low"]
    assert chosen["interval"].endswith(", 95 %, widened for 2 comparisons")


def test_predictions_of_another_training_and_other_metrics_have_no_interval(
    tmp_path: Path,
) -> None:
    one, other = (a_predicted_run(tmp_path, name, 50) for name in "ab")
    wrong = frame(one, other | {"metrics.val_accuracy": 0.5})
    reasons = leaderboard.build(wrong, "val_accuracy").rows["reason"].tolist()
    assert reasons[1] == f"the predictions in {tmp_path}/b are of another training"
    losses = frame(one | {"metrics.val_loss": 1.0}, other | {"metrics.val_loss": 2.0})
    reasons = leaderboard.build(losses, "val_loss").rows["reason"].tolist()
    assert reasons[1] == "val_loss is no score of predicted labels"
