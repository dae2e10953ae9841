"""Splitters: the ways of the `split` group to share rows out, and what they say of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagifai.data.splitting import stratified
from tagifai.data.splitting.parts import find_parts, list_cuts
from tagifai.data.splitting.stratified import Split, SplitSizes
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder


class Splitter(ABC):
    """A way to share rows out; rows are given by their label indices, shape (n,)."""

    @abstractmethod
    def split(
        self,
        y: Indices,
        encoder: LabelEncoder,
        parts: Sequence[str] | None,
        sizes: SplitSizes,
        random_state: np.random.RandomState,
    ) -> Split:
        """Return the parts of the rows.

        Args:
            y: label indices.
            encoder: the names of the labels, for errors.
            parts: train, val or test for each row, where the data say it, shape (n,); what is
                missing is taken from the train rows.
            sizes: shares of the parts.
            random_state: advanced by the draws.

        Raises:
            DataError: a class would have no train rows, or the rows cannot be split.
        """

    @abstractmethod
    def resplit_train_val(
        self, y: Indices, encoder: LabelEncoder, split: Split, random_state: np.random.RandomState
    ) -> Split:
        """Split the train and validation rows again; the test rows stay the same.

        Raises:
            DataError: the rows cannot be split.
        """

    @abstractmethod
    def make_folds(
        self,
        y: Indices,
        encoder: LabelEncoder,
        split: Split,
        n: int,
        random_state: np.random.RandomState,
    ) -> list[Split]:
        """Split the train and validation rows into n folds; the test rows stay the same.

        Raises:
            DataError: the rows cannot be split.
        """

    @abstractmethod
    def list_notes(self, split: Split) -> list[str]:
        """Return notes on how the rows were shared out, a sentence each."""


class StratifiedSplitter(Splitter):
    """Every part has the classes in the same proportions."""

    def split(
        self,
        y: Indices,
        encoder: LabelEncoder,
        parts: Sequence[str] | None,
        sizes: SplitSizes,
        random_state: np.random.RandomState,
    ) -> Split:
        """Return the parts of the rows."""
        shares = (sizes.train_size, sizes.val_size, random_state)
        if parts is None:
            return stratified.make_stratified(y, encoder, *shares)
        return stratified.make_predefined(parts, y, encoder, *shares)

    def resplit_train_val(
        self, y: Indices, encoder: LabelEncoder, split: Split, random_state: np.random.RandomState
    ) -> Split:
        """Split the train and validation rows again, in the same sizes."""
        return stratified.resplit_train_val(y, encoder, split, random_state)

    def make_folds(
        self,
        y: Indices,
        encoder: LabelEncoder,
        split: Split,
        n: int,
        random_state: np.random.RandomState,
    ) -> list[Split]:
        """Split the train and validation rows into stratified folds."""
        return stratified.make_folds(y, encoder, split, n, random_state)

    def list_notes(self, split: Split) -> list[str]:
        """Return nothing: this is what everybody expects."""
        return []


@dataclass(frozen=True)
class CutSplitter(Splitter):
    """Rows are shared out by cuts, each of which takes a part of the train rows away.

    Args:
        named: the setting that asked for it, which begins an error.
    """

    named: str

    @abstractmethod
    def cut(
        self, rows: Indices, y: Indices, share: float, random_state: np.random.RandomState
    ) -> tuple[Indices, Indices]:
        """Return the rows that stay, and those that have about a share of them all."""

    @abstractmethod
    def cut_folds(
        self, rows: Indices, y: Indices, n: int, random_state: np.random.RandomState
    ) -> list[tuple[Indices, Indices]]:
        """Return for each of n folds the rows that train, and those that it is scored on."""

    @abstractmethod
    def explain_absence(self, y: Indices, absent: Indices) -> str:
        """Return why classes have no train rows, as a clause."""

    def split(
        self,
        y: Indices,
        encoder: LabelEncoder,
        parts: Sequence[str] | None,
        sizes: SplitSizes,
        random_state: np.random.RandomState,
    ) -> Split:
        """Return the parts of the rows; test rows are taken first."""
        rows = find_parts(["train"] * len(y) if parts is None else parts)
        cuts = list_cuts(rows, sizes.train_size, sizes.val_size)
        if not cuts:
            raise DataError(
                f"{self.named}: the data say for every row whether it is train, validation or test,"
                " so there is nothing to split. Leave the setting out, or leave out what gives the"
                " parts (data.split, data.val_path, data.test_path)."
            )
        for name, share in cuts:
            if len(rows["train"]) < 2:
                raise DataError(f"{self.named}: there are too few rows to take {name} rows from.")
            rows["train"], rows[name] = self.cut(rows["train"], y, share, random_state)
        found = Split(rows["train"], rows["val"], rows["test"])
        self.check_train_rows(y, encoder, found, np.arange(len(y)), "")
        return found

    def make_folds(
        self,
        y: Indices,
        encoder: LabelEncoder,
        split: Split,
        n: int,
        random_state: np.random.RandomState,
    ) -> list[Split]:
        """Split the train and validation rows into folds, each with train rows of every class."""
        rest = split.rest
        folds = self.cut_folds(rest, y, n, random_state)
        found = [Split(train, val, split.test) for train, val in folds]
        for number, fold in enumerate(found):
            self.check_train_rows(y, encoder, fold, rest, f" in fold {number + 1} of {n}")
        return found

    def check_train_rows(
        self, y: Indices, encoder: LabelEncoder, split: Split, rows: Indices, where: str
    ) -> None:
        """Refuse a split in which a class has no train rows.

        Args:
            y: label indices.
            encoder: the names of the labels.
            split: the parts.
            rows: whose classes need train rows.
            where: of which of several splits this is, such as " in fold 1".

        Raises:
            DataError: with the classes and the ways out.
        """
        absent = np.setdiff1d(y[rows], y[split.train])
        if not absent.size:
            return
        named = stratified.name_classes(encoder.decode(absent))
        ways = "objective.by=seeds, fewer folds" if where else "a larger split.train_size"
        raise DataError(
            f"{self.named}: {absent.size} of {len(encoder.classes)} classes have no train"
            f" rows{where}, {self.explain_absence(y, absent)}: {named}. Leave them out"
            f" (data.accepted_tags, data.min_freq), or use {ways} or split=stratified."
        )
