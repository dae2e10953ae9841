"""Make labelled rows of the user's own tables: id, text, tag and part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagifai.data import formats
from tagifai.exceptions import DataError
from tagifai.utils.secrets import mask

PARTS_BY_SETTING = {"path": "train", "val_path": "val", "test_path": "test"}
"""The part that a file has the rows of, by the setting that names the file."""

PART_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}

MAX_SHOWN_ROWS = 5
"""Most rows that an error names."""


SourceFiles = Mapping[str, tuple[str, Path]]
"""By setting, the source of a file (URL or path) and its local path."""

RowPlaces = Sequence[tuple[str, int]]
"""For each row, the setting of its file, and its number there."""


class TableSettings(Protocol):
    """Settings of the `data` group for a table."""

    format: str | None
    text: list[str]
    label: str
    id: str | None
    split: str | None
    encoding: str
    delimiter: str | None
    unlabeled: str


@dataclass(frozen=True)
class LabeledRows:
    """Labelled rows, and how many rows they were made from.

    Args:
        table: columns id, text, tag and, if the data have parts, split (train, val or test).
        rows_read: rows of each file, by the setting that names it.
        unlabeled: rows that were left out because they have no label.
    """

    table: pd.DataFrame
    rows_read: dict[str, int]
    unlabeled: int


def read_rows(source: TableSettings, files: SourceFiles) -> LabeledRows:
    """Return the rows of a table's files.

    Args:
        source: columns and formats.
        files: by setting (path, val_path, test_path), source and local path.

    Raises:
        DataError: a file does not match the settings, or ids, labels or parts break a rule.
    """
    read = {key: pd.concat(_read_frames(source, files, key), ignore_index=True) for key in files}
    # Row numbers as in the file, from 1 without the header line.
    place = [(key, n) for key, frame in read.items() for n in range(1, len(frame) + 1)]
    made = _make_rows(source, pd.concat(read.values(), ignore_index=True), place, files)
    if "split" in made and "train" not in set(made["split"]):
        raise _make_no_train_rows_error(source, files)
    if source.id:
        _check_ids(made["id"], place, files, source.id)
    labelled = _drop_unlabeled(source, made, place, files, f"{len(made)} rows")
    if labelled.empty:
        raise _make_no_labels_error(source, files, len(made))
    counts = {key: len(frame) for key, frame in read.items()}
    return LabeledRows(labelled, counts, len(made) - len(labelled))


def read_chunks(source: TableSettings, files: SourceFiles, size: int) -> Iterator[LabeledRows]:
    """Yield the rows that `read_rows` returns, a chunk at a time.

    In memory are one chunk and, where the rows have ids, eight bytes of each to find duplicates.

    Args:
        source: columns and formats.
        files: as for `read_rows`.
        size: most rows of a chunk.

    Raises:
        DataError: as for `read_rows`; some errors come after the last chunk.
    """
    read = dict.fromkeys(files, 0)
    sums: list[npt.NDArray[np.uint64]] = []
    parts: set[str] = set()
    labels = 0
    for key in files:
        for frame in _read_frames(source, files, key, size):
            place = [(key, n) for n in range(read[key] + 1, read[key] + len(frame) + 1)]
            made = _make_rows(source, frame, place, files, before=sum(read.values()))
            read[key] += len(frame)
            if source.id:
                _check_filled(made["id"], place, files, source.id)
                sums.append(_hash_ids(made["id"]))
            labelled = _drop_unlabeled(
                source, made, place, files, f"the first {sum(read.values())} rows"
            )
            parts |= set(made["split"]) if "split" in made else {"train"}
            labels += len(labelled)
            yield LabeledRows(labelled, {key: len(frame)}, len(made) - len(labelled))
    if "train" not in parts:
        raise _make_no_train_rows_error(source, files)
    if not labels:
        raise _make_no_labels_error(source, files, sum(read.values()))
    if source.id:
        _check_id_hashes(source, source.id, files, sums, size)


def _make_rows(
    source: TableSettings,
    table: pd.DataFrame,
    place: RowPlaces,
    files: SourceFiles,
    before: int = 0,
) -> pd.DataFrame:
    """Return id, text, tag and maybe split of rows; `before` is the number of rows before them."""
    numbers = pd.Series(range(before + 1, before + len(table) + 1))
    made = pd.DataFrame(
        {
            "id": (table[source.id].str.strip() if source.id else numbers).astype(str),
            "text": _join_texts(table, source.text),
            "tag": table[source.label].str.strip(),
        }
    )
    if source.split:
        made["split"] = _parse_parts(table[source.split], place, files, source.split)
    elif len(files) > 1:
        made["split"] = [PARTS_BY_SETTING[key] for key, _ in place]
    return made


def _read_frames(
    source: TableSettings, files: SourceFiles, key: str, size: int | None = None
) -> Iterator[pd.DataFrame]:
    where, path = files[key]
    kind = source.format or formats.infer_from_name(where.partition("?")[0])
    if kind is None:
        raise DataError(
            f"{_name_file(files, key)}: the name does not say which format it is. Set data.format"
            " to csv, tsv, jsonl or parquet."
        )
    wanted = [*source.text, source.label, source.id, source.split]
    found = formats.read_chunks(
        path,
        formats.FileFormat(kind, source.encoding, source.delimiter),
        [column for column in wanted if column],
        rows=size,
        named=_name_file(files, key),
    )
    return (piece.reset_index(drop=True) for piece in found)


def _name_file(files: SourceFiles, key: str) -> str:
    return f"data.{key}: {mask(files[key][0])}"


def _join_texts(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series[str]:
    joined = table[columns[0]]
    for column in columns[1:]:
        joined = joined + " " + table[column]
    return joined


def _format_rows(at: Sequence[int], place: RowPlaces, files: SourceFiles) -> str:
    """Return the file of the first of these rows, and the numbers of the first rows in it."""
    key = place[at[0]][0]
    numbers = [place[i][1] for i in at if place[i][0] == key]
    more = f" and {len(at) - MAX_SHOWN_ROWS} more" if len(at) > MAX_SHOWN_ROWS else ""
    return (
        f"{_name_file(files, key)}: data row {', '.join(map(str, numbers[:MAX_SHOWN_ROWS]))}{more}"
    )


def _parse_parts(
    column: pd.Series[str], place: RowPlaces, files: SourceFiles, name: str
) -> pd.Series[str]:
    parts = column.str.strip().str.lower().map(PART_SPELLINGS)
    wrong = parts.isna().to_numpy().nonzero()[0].tolist()
    if wrong:
        raise DataError(
            f"{_format_rows(wrong, place, files)}: '{name}' is {column.iloc[wrong[0]]!r}, and has"
            " to be train, val (or validation, valid, dev) or test. Without data.split the rows"
            " are split by the split group."
        )
    return parts


def _make_no_train_rows_error(source: TableSettings, files: SourceFiles) -> DataError:
    return DataError(f"{_name_file(files, 'path')}: no row has '{source.split}' = train.")


def _make_no_labels_error(source: TableSettings, files: SourceFiles, rows: int) -> DataError:
    return DataError(
        f"{_name_file(files, 'path')}: no label in '{source.label}' ({rows} of {rows} rows)."
    )


def _check_filled(ids: pd.Series[str], place: RowPlaces, files: SourceFiles, name: str) -> None:
    blank = (ids == "").to_numpy().nonzero()[0].tolist()
    if blank:
        raise DataError(
            f"{_format_rows(blank, place, files)}: '{name}' is blank. Leave data.id out to number"
            " the rows."
        )


def _check_ids(ids: pd.Series[str], place: RowPlaces, files: SourceFiles, name: str) -> None:
    _check_filled(ids, place, files, name)
    twice = ids.duplicated(keep=False)
    if twice.any():
        first = ids[twice].iloc[0]
        at = (ids == first).to_numpy().nonzero()[0].tolist()
        raise DataError(
            f"{_format_rows(at, place, files)}: the id {first!r} is there {len(at)} times"
            f" ({ids[twice].nunique()} ids are not unique). Ids tell rows apart; leave data.id out"
            " to number the rows."
        )


def _hash_ids(ids: pd.Series[str]) -> npt.NDArray[np.uint64]:
    return pd.util.hash_array(ids.to_numpy(dtype=object), categorize=False)


def _check_id_hashes(
    source: TableSettings,
    name: str,
    files: SourceFiles,
    hashes: list[npt.NDArray[np.uint64]],
    size: int,
) -> None:
    """Refuse duplicate ids; the files are read again to tell them from ids with equal hashes."""
    in_order = np.sort(np.concatenate(hashes))
    twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    if not twice.size:
        return
    ids, place = [], []
    for key in files:
        number = 0
        for frame in _read_frames(source, files, key, size):
            found = frame[name].str.strip()
            at = np.flatnonzero(np.isin(_hash_ids(found), twice))
            ids += found.iloc[at].tolist()
            place += [(key, number + int(i) + 1) for i in at]
            number += len(frame)
    _check_ids(pd.Series(ids), place, files, name)


def _drop_unlabeled(
    source: TableSettings, made: pd.DataFrame, place: RowPlaces, files: SourceFiles, among: str
) -> pd.DataFrame:
    """Return the rows that have a label; `among` says in the error which rows were read."""
    without = (made["tag"] == "").to_numpy().nonzero()[0].tolist()
    if not without:
        return made
    if source.unlabeled == "error":
        raise DataError(
            f"{_format_rows(without, place, files)}: no label in '{source.label}'"
            f" ({len(without)} of {among}). Leave such rows out with data.unlabeled=drop."
        )
    return made.drop(index=without).reset_index(drop=True)
