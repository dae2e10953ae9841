"""What a request to the server asks for, in MLflow's forms, and what is wrong with it."""

from __future__ import annotations

import csv
import io
import json
import math
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tagifai.preprocessing.inputs import join_values
from tagifai.serving.pyfunc import find_wrong_row

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")
_FORMS = ", ".join(FORMS)

KINDS = ("application/json", "text/csv")


class Refusal(Exception):
    """A request that is not answered with predictions.

    Args:
        status: of HTTP.
        message: the reason, for the client.
        headers: that the status asks for.
    """

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


def check_kind(headers: Mapping[bytes, bytes]) -> str:
    """Return the content type of a request.

    Raises:
        Refusal: it is another one than we read, or another encoding.
    """
    kind, _, rest = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    if kind.strip() not in KINDS:
        raise Refusal(415, f"Set the Content-Type: {' or '.join(KINDS)}.")
    charset = rest.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise Refusal(415, f"The charset {charset!r} is not read; send UTF-8.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(415, "A packed body (Content-Encoding) is not read; send it as it is.")
    return kind.strip()


def parse_texts(kind: str, body: bytes, columns: Sequence[str], max_rows: int) -> list[str]:
    """Return the texts of a request.

    Args:
        kind: its content type.
        body: of the request.
        columns: of a text.
        max_rows: most texts.

    Raises:
        Refusal: with the reason, and the row if it is one.
    """
    try:
        content = body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, f"The body is not valid UTF-8 (byte {error.start + 1}).") from None
    read = _read_csv if kind == "text/csv" else _read_json
    rows = read(content, columns, max_rows)
    texts = [*map(join_values, rows)]
    if (wrong := find_wrong_row(texts, columns)) is not None:
        raise Refusal(400, wrong)
    return texts


def _read_csv(content: str, columns: Sequence[str], max_rows: int) -> list[list[Any]]:
    csv.field_size_limit(len(content) + 1)  # the body as a whole has a limit
    reader = csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[list[str]] = []
    try:
        names = next(reader, [])
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > max_rows:
                break
    except csv.Error as error:
        raise Refusal(400, f"The body is not valid CSV, line {reader.line_num}: {error}.") from None
    _check_count(rows, max_rows)
    return _select(names, [[cell or None for cell in row] for row in rows], columns)


def _check_count(rows: Sequence[Any], max_rows: int) -> None:
    """Refuse too many rows, before each gets a list of its own."""
    if len(rows) > max_rows:
        raise Refusal(413, f"The request has {len(rows):,} rows, and {max_rows:,} are the most.")


def _read_json(content: str, columns: Sequence[str], max_rows: int) -> list[list[Any]]:
    found = _parse_json(content, max_rows)
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise Refusal(400, f"Received a {kind}; the body is an object with one of {_FORMS}.")
    given = [name for name in FORMS if name in found]
    if len(given) != 1:
        has = f"both {' and '.join(given)}" if given else "none of them"
        raise Refusal(
            400, f"The body needs exactly one of the input fields {_FORMS}; it has {has}."
        )
    form, rows = given[0], found[given[0]]
    if form == "dataframe_split":
        if not isinstance(rows, dict) or not all(
            isinstance(rows.get(key), list) for key in ("columns", "data")
        ):
            raise Refusal(400, "dataframe_split must have lists of columns and of data.")
        _check_count(rows["data"], max_rows)
        return _select(rows["columns"], rows["data"], columns)
    if form == "inputs" and isinstance(rows, dict):
        return _transpose(rows, columns, max_rows)
    if not isinstance(rows, list):
        raise Refusal(400, f"{form} must be a list of records.")
    _check_count(rows, max_rows)
    if form == "dataframe_records" and not all(isinstance(row, dict) for row in rows):
        raise Refusal(400, "dataframe_records must be a list of records, each an object.")
    return [[*map(row.get, columns)] if isinstance(row, dict) else [row] for row in rows]


def _select(names: list[Any], rows: Iterable[Any], columns: Sequence[str]) -> list[list[Any]]:
    """Return the cells of the columns of a text; a row may be too short for them."""
    missing = [name for name in columns if name not in names]
    if missing:
        raise Refusal(
            400, f"The model is missing inputs {missing}; the request has {reprlib.repr(names)}."
        )
    places = [names.index(name) for name in columns]
    return [
        [row[at] if isinstance(row, list) and at < len(row) else None for at in places]
        for row in rows
    ]


def _transpose(lists: Mapping[str, Any], columns: Sequence[str], max_rows: int) -> list[list[Any]]:
    missing = [name for name in columns if name not in lists]
    if missing:
        raise Refusal(400, f"The model is missing inputs {missing}.")
    found = [lists[name] for name in columns]
    if not all(isinstance(cells, list) and len(cells) == len(found[0]) for cells in found):
        raise Refusal(400, "inputs must have a list for each column, all of one length.")
    _check_count(found[0], max_rows)
    return [[*cells] for cells in zip(*found, strict=True)]


def _parse_json(content: str, max_rows: int) -> Any:
    objects = 0

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal objects
        objects += 1
        if objects > max_rows + 2:  # of the body, and of a table
            raise Refusal(413, f"The request has more objects than {max_rows:,} rows have.")
        found = dict(pairs)
        if len(found) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise ValueError(f"the key {twice!r:.80} stands there twice")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    def convert(number: str) -> float:
        if math.isinf(value := float(number)):
            raise ValueError(f"{number:.80} is too large a number")
        return value

    try:
        return json.loads(
            content, object_pairs_hook=build, parse_constant=refuse, parse_float=convert
        )
    except RecursionError:
        raise Refusal(400, "The body is not valid JSON: it is nested too deeply.") from None
    except ValueError as error:
        raise Refusal(400, f"The body is not valid JSON: {error}.") from None
