"""Labelled rows of the user's own tables: id, text, tag and part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagifai.data.tables.chunks import CHUNK_ROWS, EmptyTableError, Reading
from tagifai.data.tables.options import ReadOptions
from tagifai.data.tables.reader import Rows, TableFile, read_rows
from tagifai.data.tables.values import PART_SPELLINGS, name_label
from tagifai.exceptions import DataError
from tagifai.utils.labels import clean_label


@dataclass
class LabeledChunk:
    """Some labelled rows.

    Args:
        columns: id, text, tag, if the data have parts, split (train, val or test), and those that
            are carried along, see `name_kept`.
        file: key of the file that they are from.
        rows_read: rows that they were made from.
    """

    columns: dict[str, list[str]]
    file: str
    rows_read: int


@dataclass
class LabeledReader:
    """Reads the files of a data set, and refuses what breaks a rule of its columns.

    Args:
        files: by key.
        options: how they are read.
        drop_unlabeled: leave rows without a label out, where they would be refused.
        rows: most rows at a time.
        notes: what is to be said of the files, with how often it was seen.
        keep: further columns, which are carried along.
    """

    files: Mapping[str, TableFile]
    options: ReadOptions
    drop_unlabeled: bool = False
    rows: int = CHUNK_ROWS
    notes: Counter[str] = field(default_factory=Counter)
    keep: tuple[str, ...] = ()

    def read(self) -> Iterator[LabeledChunk]:
        """Yield the labelled rows of all files, in their order.

        Raises:
            DataError: a file does not match the options, or ids, labels or parts break a rule; some
                errors come after the last chunk.
        """
        names, labels, total = dict(self.options.label_names), 0, 0
        cleaned: dict[str, str] = {}
        parts: set[str] = set()
        hashes: dict[str | None, list[npt.NDArray[np.uint64]]] = {}
        for key, file in self.files.items():
            for rows in self._read_file(file):
                tags = rows.columns[self._label()]
                for tag in set(tags) - cleaned.keys():
                    cleaned[tag] = name_label(clean_label(tag), names, file.named)
                made = self._make_rows(file, rows, list(map(cleaned.__getitem__, tags)), total)
                total += len(rows)
                if self.options.id:
                    self._check_filled(made["id"], rows, file)
                    hashes.setdefault(file.part, []).append(_hash_ids(made["id"]))
                self._drop_unlabeled(made, rows, file, total)
                parts |= set(made.get("split", ("train",)))
                labels += len(made["tag"])
                yield LabeledChunk(made, key, len(rows))
        self._check_end(labels, total, parts)
        for part, found in hashes.items():
            self._check_hashes(part, found)

    def _read_file(self, file: TableFile) -> Iterator[Rows]:
        """Yield the rows of a file; one of several may have none."""
        reading = Reading(self.options, self._wanted(), rows=self.rows, notes=self.notes)
        try:
            yield from read_rows(file, reading)
        except EmptyTableError:
            if len(self.files) == 1:
                raise
            self.notes["Files without rows"] += 1

    def _label(self) -> str:
        if self.options.label is None:
            raise DataError("data.label is not set.")
        return self.options.label

    def _wanted(self) -> tuple[str, ...]:
        options = self.options
        found = [*options.text, options.label, options.id, options.split, *self.keep]
        return tuple(dict.fromkeys(column for column in found if column))

    def _make_rows(
        self, file: TableFile, rows: Rows, tags: list[str], before: int
    ) -> dict[str, list[str]]:
        options, columns = self.options, rows.columns
        ids = (
            [value.strip() for value in columns[options.id]]
            if options.id
            else list(map(str, range(before + 1, before + len(tags) + 1)))
        )
        texts = rows.join_texts(options.text)
        if blank := texts.count("") + sum(map(str.isspace, texts)):
            self.notes["Rows without a text"] += blank
        made = {"id": ids, "text": texts, "tag": tags}
        if options.split:
            made["split"] = self._parse_parts(columns[options.split], rows, file)
        elif file.part is not None:
            made["split"] = [file.part] * len(tags)
        return made | {name_kept(name): list(columns[name]) for name in self.keep}

    def _parse_parts(self, column: list[str], rows: Rows, file: TableFile) -> list[str]:
        spelled = {value: PART_SPELLINGS.get(value.strip().lower(), "") for value in set(column)}
        parts = [spelled[value] for value in column]
        wrong = [place for place, part in enumerate(parts) if not part]
        if wrong:
            raise DataError(
                f"{file.named}: {rows.format_places(wrong)}: '{self.options.split}' is"
                f" {column[wrong[0]]!r}, and has to be train, val (or validation, valid, dev) or"
                " test. Without data.split the rows are split by the split group."
            )
        return parts

    def _drop_unlabeled(
        self, made: dict[str, list[str]], rows: Rows, file: TableFile, total: int
    ) -> None:
        """Leave out rows without a label, in place."""
        if all(made["tag"]):
            return
        without = [place for place, tag in enumerate(made["tag"]) if not tag]
        if not self.drop_unlabeled:
            raise DataError(
                f"{file.named}: {rows.format_places(without)}: no label in '{self._label()}'"
                f" ({len(without)} of the first {total} rows). Leave such rows out with"
                " data.unlabeled=drop."
            )
        left = set(without)
        for name, values in made.items():
            made[name] = [value for place, value in enumerate(values) if place not in left]

    def _check_filled(self, ids: Sequence[str], rows: Rows, file: TableFile) -> None:
        blank = [place for place, value in enumerate(ids) if not value]
        if blank:
            raise DataError(
                f"{file.named}: {rows.format_places(blank)}: '{self.options.id}' is blank. Leave"
                " data.id out to number the rows."
            )

    def _check_end(self, labels: int, total: int, parts: set[str]) -> None:
        named = next(iter(self.files.values())).named
        if not labels:
            raise DataError(f"{named}: no label in '{self._label()}' ({total} of {total} rows).")
        if "train" not in parts:
            why = (
                f"no row has '{self.options.split}' = train"
                if self.options.split
                else "no train rows"
            )
            raise DataError(f"{named}: {why}.")

    def _check_hashes(self, part: str | None, hashes: list[npt.NDArray[np.uint64]]) -> None:
        """Refuse ids that are there twice in a part; the files are read again to name the rows."""
        in_order = np.sort(np.concatenate(hashes))
        twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
        if not twice.size or not self.options.id:
            return
        seen: dict[str, list[str]] = {}
        for file in self.files.values():
            if file.part != part:
                continue
            for rows in read_rows(file, Reading(self.options, (self.options.id,))):
                ids = [value.strip() for value in rows.columns[self.options.id]]
                for place in np.flatnonzero(np.isin(_hash_ids(ids), twice)):
                    where = f"{file.named}: {rows.chunk.locate(int(place))}"
                    seen.setdefault(ids[place], []).append(where)
        doubled = {name: places for name, places in seen.items() if len(places) > 1}
        for name, places in doubled.items():
            shown = " and ".join(places[:2])
            raise DataError(
                f"{shown}: the id {name!r} is there {len(places)} times ({len(doubled)} ids are not"
                " unique). Ids tell rows apart; leave data.id out to number the rows."
            )


def name_kept(column: str) -> str:
    """Return the name that a column of the user's has among the stored ones."""
    return f"data.{column}"


def _hash_ids(ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    return pd.util.hash_array(np.array(ids, dtype=object), categorize=False)
