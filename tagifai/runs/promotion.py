"""Decide whether a run becomes the champion, by its scores on the same test rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError
from tagifai.tracking import store
from tagifai.tracking.registry import ModelRegistry
from tagifai.utils import locks

if TYPE_CHECKING:
    from tagifai.evaluation.paired import ScoreDifference
    from tagifai.models.tagger import Tagger


@contextmanager
def lock_registry(config: Config) -> Iterator[ModelRegistry]:
    """Give the registry to a block that may move the champion's alias.

    Only one block at a time runs on this machine, so that the second sees the decision of the
    first.

    Raises:
        ConfigError: tracking is off, so there is no registry.
        DataError, TrackingError: there is no store yet, or it does not answer.
    """
    if not config.tracking.enabled:
        raise ConfigError("The registry is part of the tracking store, and tracking=none has none.")
    models = ModelRegistry(store.get_tracking_uri(config.tracking.uri), config.tracking.model)
    with locks.wait_for(Path(config.paths.stores) / ".promote.lock"):
        yield models


@dataclass(frozen=True)
class Contender:
    """A run that is or may become the champion.

    Args:
        run_id: of the run.
        tagger: of its bundle.
        data: SHA-256 of the data set.
        test_rows: digest of the ids and labels of its test rows; see `compute_rows_digest`.
        texts: of its test rows.
        labels: of its test rows.
    """

    run_id: str
    tagger: Tagger
    data: str
    test_rows: str
    texts: list[str]
    labels: list[str]

    @classmethod
    def from_bundle(cls, run_id: str, bundle: Path, stores: Path) -> Contender:
        """Return a run with its test rows.

        Raises:
            BundleError: its bundle cannot be trusted.
            DataError: its data are gone from the store.
        """
        # Late: a rollback only moves the alias.
        from tagifai.models import bundles
        from tagifai.runs import records

        tagger = bundles.load(bundle)
        splits = bundles.read_document(bundle, "splits.json")
        texts, labels = records.load_part(bundle, stores)
        digest = compute_rows_digest(splits["test"], labels)
        return cls(run_id, tagger, splits["data"]["digest"], digest, texts, labels)

    def predict(self) -> list[str]:
        """Return what it says of its test rows, n labels."""
        return self.tagger.encoder.decode(
            self.tagger.decide(self.tagger.compute_outputs(self.texts))
        )

    def compute_f1(self) -> float:
        """Return the weighted F1 on its test rows, scored now."""
        from tagifai.evaluation import scoring

        return scoring.score_texts(self.tagger, self.texts, self.labels)["overall"]["f1"]


def compute_rows_digest(ids: list[str], labels: list[str]) -> str:
    """Return a digest of rows, which does not depend on their order.

    Args:
        ids: of the rows.
        labels: of the rows, in the same order.
    """
    pairs = sorted(zip(ids, labels, strict=True))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


@dataclass(frozen=True)
class Decision:
    """The decision about a challenger.

    Args:
        promoted: whether it is the champion from now on.
        reason: as a sentence.
        f1: of the challenger, on its test rows.
        champion_f1: of the champion, on its test rows; None without a champion.
        difference: of the two on the same test rows, with its interval, in words; None if they
            were not compared.
    """

    promoted: bool
    reason: str
    f1: float
    champion_f1: float | None
    difference: str | None = None


def decide(challenger: Contender, champion: Contender | None, *, force: bool) -> Decision:
    """Compare a challenger with the champion on the same test rows.

    Args:
        challenger: the run that is to be promoted.
        champion: the present one, or None.
        force: promote the challenger in any case.

    Raises:
        ConfigError: they cannot be compared, and the promotion is not forced.
    """
    f1 = challenger.compute_f1()
    if champion is None:
        return Decision(True, "There was no champion before.", f1, None)
    difference = _explain_incomparable(challenger, champion)
    if difference is not None and not force:
        raise ConfigError(
            f"Run {challenger.run_id} cannot be compared with the champion, run"
            f" {champion.run_id}: {difference} Promote a run of the champion's data and seed"
            " (task.run_id=..., task.filter=...), or this one without a comparison by"
            " task.force=true."
        )
    before = champion.compute_f1()
    if difference is not None:
        return Decision(True, f"Forced, without a comparison: {difference}", f1, before)
    if f1 > before:
        promoted, reason = True, "It is better on the same test rows."
    elif force:
        promoted, reason = True, "Forced: it is not better on the same test rows."
    else:
        promoted, reason = False, "It is not better on the same test rows."
    difference = compute_difference(challenger, champion, "f1").describe("f1", "test rows")
    return Decision(promoted, reason, f1, before, difference)


def compute_difference(one: Contender, other: Contender, score: str) -> ScoreDifference:
    """Return the difference of a score of two runs on the same test rows.

    Args:
        one: the run whose difference to the other is asked for.
        other: with the same test rows.
        score: of `intervals.SCORES`.

    Raises:
        DataError: a label is unknown to a run that has no fallback label.
    """
    import numpy as np

    from tagifai.evaluation import paired  # late, as scoring is
    from tagifai.preprocessing.labels import LabelEncoder, replace_unknown

    true, *others = (
        replace_unknown(run.labels, run.tagger.encoder.classes, run.tagger.other)
        for run in (one, other)
    )
    # What is unknown to one run alone is wrong in it.
    true = true if others == [true] else one.labels
    said = [run.predict() for run in (one, other)]
    encoder = LabelEncoder.fit([*true, *said[0], *said[1]])
    numbers, indices = np.arange(len(true)), encoder.encode(true)
    first, second = (
        [paired.PredictedRows(numbers, indices, encoder.encode(labels))] for labels in said
    )
    return paired.compute_score_difference(first, second, score)


def _explain_incomparable(challenger: Contender, champion: Contender) -> str | None:
    """Return why two runs cannot be compared, or None."""
    if challenger.data != champion.data:
        return f"its data differ ({challenger.data[:12]}… and {champion.data[:12]}…)."
    if challenger.test_rows != champion.test_rows:
        return (
            "its test rows differ, and some of them may be train rows of the champion"
            f" ({challenger.test_rows[:12]}… and {champion.test_rows[:12]}…)."
        )
    return None
