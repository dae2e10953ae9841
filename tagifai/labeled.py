"""Labelled rows of a table of one's own: its columns as id, text, tag and part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from tagifai import formats
from tagifai.errors import DataError

PARTS = {"path": "train", "val_path": "val", "test_path": "test"}
"""Which rows a file has where each part has its own, by the setting that names it."""

SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}

SHOWN = 5
"""Rows that an error names."""


class Columns(Protocol):
    """What the `data` group says of a table."""

    format: str | None
    text: list[str]
    label: str
    id: str | None
    split: str | None
    encoding: str
    delimiter: str | None
    unlabeled: str


@dataclass(frozen=True)
class Rows:
    """Labelled rows, and what they were made from.

    Args:
        table: columns id, text, tag and, if the data say it, split (train, val or test).
        rows: of each file, by the setting that names it.
        unlabeled: rows that were left out because they have no label.
    """

    table: pd.DataFrame
    rows: dict[str, int]
    unlabeled: int


def rows(source: Columns, files: Mapping[str, tuple[str, Path]]) -> Rows:
    """Return the rows of a table's files.

    Args:
        source: columns and formats.
        files: by setting (path, val_path, test_path), where it came from and where it is now.

    Raises:
        DataError: a file is not what the settings say, or ids, labels or parts break a rule.
    """
    read = {key: _read(source, key, *file) for key, file in files.items()}
    table = pd.concat(read.values(), ignore_index=True)
    # What a person finds in the file: the row's number in it, from 1 without the header line.
    place = [(key, n) for key, frame in read.items() for n in range(1, len(frame) + 1)]
    named = {key: f"data.{key}: {where}" for key, (where, _) in files.items()}
    ids = table[source.id].str.strip() if source.id else pd.Series(range(1, len(table) + 1))
    made = pd.DataFrame(
        {
            "id": ids.astype(str),
            "text": _joined(table, source.text),
            "tag": table[source.label].str.strip(),
        }
    )
    if source.split:
        made["split"] = _parts(table[source.split], place, named, source.split)
    elif len(files) > 1:
        made["split"] = [PARTS[key] for key, _ in place]
    if source.id:
        _check_ids(made["id"], place, named, source.id)
    labelled = _labelled(source, made, place, named)
    counts = {key: len(frame) for key, frame in read.items()}
    return Rows(labelled, counts, len(made) - len(labelled))


def _read(source: Columns, key: str, where: str, path: Path) -> pd.DataFrame:
    named = f"data.{key}: {where}"
    kind = source.format or formats.of_name(where.partition("?")[0])
    if kind is None:
        raise DataError(
            f"{named}: the name does not say which format it is. Set data.format to csv, tsv, jsonl"
            " or parquet."
        )
    wanted = [*source.text, source.label, source.id, source.split]
    return formats.read(
        path,
        kind,
        [column for column in wanted if column],
        encoding=source.encoding,
        delimiter=source.delimiter,
        named=named,
    )


def _joined(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series[str]:
    joined = table[columns[0]]
    for column in columns[1:]:
        joined = joined + " " + table[column]
    return joined


Place = Sequence[tuple[str, int]]


def _shown(at: Sequence[int], place: Place, named: Mapping[str, str]) -> str:
    """Return the first of these rows, by the number that they have in the first one's file."""
    key = place[at[0]][0]
    numbers = [place[i][1] for i in at if place[i][0] == key]
    more = f" and {len(at) - SHOWN} more" if len(at) > SHOWN else ""
    return f"{named[key]}: data row {', '.join(map(str, numbers[:SHOWN]))}{more}"


def _parts(
    column: pd.Series[str], place: Place, named: Mapping[str, str], name: str
) -> pd.Series[str]:
    parts = column.str.strip().str.lower().map(SPELLINGS)
    wrong = parts.isna().to_numpy().nonzero()[0].tolist()
    if wrong:
        raise DataError(
            f"{_shown(wrong, place, named)}: '{name}' is {column.iloc[wrong[0]]!r}, and has to be"
            " train, val (or validation, valid, dev) or test. Without data.split the rows are"
            " split by the split group."
        )
    if "train" not in set(parts):
        raise DataError(f"{named[place[0][0]]}: no row has '{name}' = train.")
    return parts


def _check_ids(ids: pd.Series[str], place: Place, named: Mapping[str, str], name: str) -> None:
    blank = (ids == "").to_numpy().nonzero()[0].tolist()
    if blank:
        raise DataError(
            f"{_shown(blank, place, named)}: '{name}' is blank. Leave data.id out to number the"
            " rows."
        )
    twice = ids.duplicated(keep=False)
    if twice.any():
        first = ids[twice].iloc[0]
        at = (ids == first).to_numpy().nonzero()[0].tolist()
        raise DataError(
            f"{_shown(at, place, named)}: the id {first!r} is there {len(at)} times"
            f" ({ids[twice].nunique()} ids are not unique). Ids tell rows apart; leave data.id out"
            " to number the rows."
        )


def _labelled(
    source: Columns, made: pd.DataFrame, place: Place, named: Mapping[str, str]
) -> pd.DataFrame:
    without = (made["tag"] == "").to_numpy().nonzero()[0].tolist()
    if not without:
        return made
    if source.unlabeled == "error" or len(without) == len(made):
        raise DataError(
            f"{_shown(without, place, named)}: no label in '{source.label}'"
            f" ({len(without)} of {len(made)} rows). Leave such rows out with data.unlabeled=drop."
        )
    return made.drop(index=without).reset_index(drop=True)
