"""Read Parquet files, whose values become what the other formats have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tagifai.data.tables.chunks import RawChunk, Reading, find_columns

if TYPE_CHECKING:
    import pyarrow


_VALUE_BYTES = 64
"""Of a value in a list or a mapping, besides its text."""

MOST_ROWS, MOST_BYTES = 1_000_000, 500_000_000
"""Rows that any file may have; with more it has a byte a row. Bytes of text in a batch of rows."""


def read_parquet(table: Reading, file: BinaryIO | Path) -> Iterator[RawChunk]:
    """Yield the rows of a Parquet file.

    Args:
        table: being read.
        file: its bytes, or its path.
    """
    # Late: only Parquet needs it.
    import pyarrow
    import pyarrow.parquet

    try:
        _refuse_inflated(table, file)
        with pyarrow.parquet.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            paths = _list_paths(schema)
            names = [".".join(path) for path in paths]
            found = find_columns(table, names)
            alone = {
                at for at, path in enumerate(paths) if len(path) == names.count(names[at]) == 1
            }
            own = {name: at for name, at in found.kept.items() if at in alone}
            codes = _read_class_names(schema)
            before = 0
            used = {*found.wanted.values(), *own.values()}
            heads = list(dict.fromkeys(paths[at][0] for at in used))
            for batch in opened.iter_batches(table.rows, columns=heads):
                wanted, kept = (
                    {
                        name: _take(batch, paths[at], names[:at].count(names[at]), codes)
                        for name, at in places.items()
                    }
                    for places in (found.wanted, own)
                )
                locate = partial(_format_row, before + 1)
                yield RawChunk(wanted, locate, kept)
                before += len(batch)
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise table.fail(f" is not a Parquet file: {reason}") from None


def _refuse_inflated(table: Reading, file: BinaryIO | Path) -> None:
    """Refuse a file that has far more rows, or far longer ones, than there is in it.

    A text that many rows share is kept once, and would be in memory as often as there are rows.
    """
    from pyarrow.parquet import ParquetFile

    size = file.stat().st_size if isinstance(file, Path) else file.seek(0, 2)
    with ParquetFile(file) as opened:
        rows, schema = opened.metadata.num_rows, opened.schema
        paths = [schema.column(at).path for at in range(len(schema))]
        texts = [at for at in range(len(schema)) if schema.column(at).physical_type == "BYTE_ARRAY"]
    if rows > max(MOST_ROWS, size):
        raise table.fail(f" says that it has {rows:,} rows, in {size:,} bytes. That is no table.")
    shared = [paths[at] for at in texts]
    with ParquetFile(file, read_dictionary=shared) as opened:
        for batch in opened.iter_batches(table.rows, columns=shared) if shared else ():
            if (length := sum(map(_measure_texts, batch.columns))) > MOST_BYTES:
                raise table.fail(
                    f" has {length / 1e6:,.0f} MB of text in {len(batch):,} rows, and at most"
                    f" {MOST_BYTES / 1e6:,.0f} MB are read at a time."
                )


def _measure_texts(array: Any) -> int:
    """Return the bytes of an array's texts, each as often as it stands there."""
    import pyarrow
    from pyarrow import compute

    kind = array.type
    if pyarrow.types.is_dictionary(kind):
        lengths = compute.cast(compute.binary_length(array.dictionary), pyarrow.int64())
        return int(compute.sum(lengths.take(array.indices)).as_py() or 0)
    if pyarrow.types.is_nested(kind):
        inside = array.flatten()
        inside = inside if isinstance(inside, list) else [inside]
        values = _VALUE_BYTES * sum(map(len, inside))
        return values if values > MOST_BYTES else values + sum(map(_measure_texts, inside))
    return int(array.nbytes)


def _format_row(first: int, place: int) -> str:
    return f"row {first + place}"


def _list_paths(schema: pyarrow.Schema) -> list[list[str]]:
    """Return the names of columns, and those of the fields inside of them."""
    import pyarrow

    paths = [[name] for name in schema.names]
    inside = [([field.name], field.type) for field in schema]
    while inside:
        path, kind = inside.pop(0)
        for inner in kind if pyarrow.types.is_struct(kind) else ():
            inside.append(([*path, inner.name], inner.type))
            if [".".join([*path, inner.name])] not in paths:
                paths.append([*path, inner.name])
    return paths


def _take(
    batch: pyarrow.RecordBatch, path: list[str], before: int, codes: Mapping[str, list[str]]
) -> list[Any]:
    """Return the values of a column, or of a field inside of it.

    Args:
        batch: rows.
        path: names of the column and the field.
        before: columns of this name that are before it.
        codes: names of codes by column.
    """
    import pyarrow
    from pyarrow.compute import struct_field

    at = [number for number, name in enumerate(batch.schema.names) if name == path[0]]
    values = batch.column(at[before])
    if len(path) > 1:
        # Unlike values.field, of a missing object all is missing.
        values = struct_field(values, path[1:])
    try:
        found: list[Any] = values.to_pylist()
    except UnicodeDecodeError:
        found = values.cast(pyarrow.large_binary()).to_pylist()
    names = codes.get(".".join(path))
    return found if names is None else [_name_code(value, names) for value in found]


def _name_code(value: Any, names: list[str]) -> Any:
    """Return the name of a code, or of the codes in a list; -1 has none.

    A code that has no name is given as a mapping, which is no value of a table.
    """
    if isinstance(value, list):
        return [_name_code(inner, names) for inner in value]
    if not isinstance(value, int) or value == -1:
        return None if value == -1 else value
    return names[value] if 0 <= value < len(names) else {"a code without a name": value}


def _read_class_names(schema: pyarrow.Schema) -> Mapping[str, list[str]]:
    """Return the names of codes by column, as the `datasets` library keeps them in a schema."""
    try:
        content = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = content["info"]["features"]
        found = {column: _find_feature(feature) for column, feature in features.items()}
        return {
            column: list(map(str, feature["names"]))
            for column, feature in found.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _find_feature(feature: Any) -> Any:
    """Return the feature of a column, or that of the items of its lists."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return feature.get("feature", feature) if isinstance(feature, dict) else feature
