"""The test rows of a run as its figures and its report show them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tagifai.data.prepare import PreparedData
from tagifai.evaluation import confusions, intervals
from tagifai.models.tagger import Tagger
from tagifai.models.thresholds import Probabilities
from tagifai.preprocessing.labels import Indices
from tagifai.training.fitting import compute_part_outputs


@dataclass(frozen=True)
class TestRows:
    """The test rows of a run, with what its tagger says of them.

    Args:
        prepared: the data.
        tagger: fitted.
    """

    __test__ = False  # pytest takes what begins with "Test" for tests

    prepared: PreparedData
    tagger: Tagger

    @cached_property
    def y_true(self) -> Indices:
        """Label indices, shape (n,)."""
        return self.prepared.get_labels("test")

    @cached_property
    def outputs(self) -> Probabilities:
        """The model's, shape (n, classes)."""
        return compute_part_outputs(self.prepared, self.tagger, "test")

    @cached_property
    def predicted(self) -> Indices:
        """Predicted indices, shape (n,)."""
        return self.tagger.decide(self.outputs)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """The confusion matrix, shape (classes, classes)."""
        return confusions.compute_confusion_matrix(self.y_true, self.predicted, len(self.classes))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by index."""
        return self.tagger.encoder.classes

    @cached_property
    def order(self) -> list[int]:
        """The order of classes in all figures and tables: the most confused first."""
        return confusions.rank_classes(self.counts)

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """The interval of each class's F1, by name."""
        found = intervals.compute_class_intervals(self.y_true, self.predicted, len(self.classes))
        return {name: (low, high) for name, (low, high) in zip(self.classes, found, strict=True)}
