from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import RandomState

from tagifai.config.schema import check
from tagifai.exceptions import ConfigError
from tagifai.runs.learning_curve import LearningCurve, check_supported, draw_shares
from tests.conftest import Compose


def curve(*scores: list[float]) -> LearningCurve:
    return LearningCurve("test_f1", [0.7, 1.0], [70, 100], np.array(scores))


def test_each_share_is_in_the_next_and_has_its_share_of_each_class() -> None:
    y = np.repeat([0, 1, 2], [100, 50, 2])
    rows = np.arange(2, 152)
    found = [*draw_shares(rows, y, [0.1, 0.5, 1.0], RandomState(0))]
    assert [np.bincount(y[part]).tolist() for part in found] == [
        [10, 5, 1],
        [49, 25, 1],
        [98, 50, 2],
    ]
    assert set(found[0]) <= set(found[1]) <= set(found[2])
    assert found[2].tolist() == rows.tolist()


def test_another_seed_draws_other_rows() -> None:
    y, rows = np.arange(100) % 2, np.arange(100)
    one, again, other = (next(draw_shares(rows, y, [0.2], RandomState(s))) for s in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (
            ([0.70, 0.72], [0.71, 0.72]),
            "of the train rows test_f1 rose by 0.015 ± 0.007: more labels will probably help.",
        ),
        (([0.70, 0.72], [0.72, 0.71]), "it is not shown that more labels would help."),
        (([0.8, 0.7], [0.8, 0.7]), "fell by 0.100 ± 0.000: more labels of this kind will hardly"),
    ],
)
def test_whether_more_labels_would_help_is_said_in_words(
    scores: tuple[list[float], list[float]], said: str
) -> None:
    assert said in curve(*scores).describe()


def test_a_loss_that_falls_is_what_more_labels_are_for() -> None:
    scores = np.array([[0.9, 0.7], [0.9, 0.8]])
    found = LearningCurve("test_log_loss", [0.7, 1.0], [70, 100], scores, maximize=False)
    assert found.describe().endswith("fell by 0.150 ± 0.071: more labels will probably help.")
    rising = replace(found, scores=scores[:, ::-1])
    assert rising.describe().endswith("more labels of this kind will hardly help.")


def test_the_document_has_every_score_and_their_means() -> None:
    found = curve([0.5, 0.6], [0.7, 0.9]).to_document()
    assert found["means"] == pytest.approx([0.6, 0.75])
    assert found["last_gain"] == {
        "mean": pytest.approx(0.15),
        "std": pytest.approx(np.std([0.1, 0.2], ddof=1)),
    }


def test_streamed_data_are_refused(composed: Compose) -> None:
    config = check(composed("task=curve", "data=table", "data.path=a.csv", "data.chunk_rows=10"))
    with pytest.raises(ConfigError, match=r"Leave data\.chunk_rows out"):
        check_supported(config)
