"""Data sets: labelled rows that are made of files, and kept in the store by their content."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.config.schema import DataConfig, TableConfig
from tagifai.data import blocks, sources
from tagifai.data.dataset_store import (
    MANIFEST,
    MANIFEST_FORMAT,
    TABLE,
    Dataset,
    find_by_digest,
    list_manifests,
    move_into_place,
)
from tagifai.data.projects import read_projects
from tagifai.data.sources import SourceFile
from tagifai.data.tables.chunks import CHUNK_ROWS
from tagifai.data.tables.labeled import LabeledReader
from tagifai.data.tables.options import ReadOptions, infer_format
from tagifai.data.tables.reader import TableFile
from tagifai.data.totals import DatasetTotals
from tagifai.exceptions import DataError, suggest_closest
from tagifai.utils.files import compute_sha256, write_json
from tagifai.utils.secrets import mask
from tagifai.utils.state import drafts
from tagifai.utils.urls import is_url

if TYPE_CHECKING:
    import pyarrow

SHOWN_TAGS = 10
"""Most tags that a message names."""

log = logging.getLogger(__name__)


def load(
    source: DataConfig,
    stores: Path,
    *,
    force: bool = False,
    progress: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Return the data set from the store; it is made first if it is missing or has changed.

    Args:
        source: where the tables are.
        stores: the folder of stores; the rows are kept below `data`, in a folder of their name and
            the first digits of their digest.
        force: make it again in any case.
        progress: show a bar for downloads.
        on_progress: called with the number of rows that have been read so far.

    Raises:
        DataError: a table cannot be fetched or read, has another SHA-256 than expected, or breaks
            a rule of its columns.
    """
    files = sources.list_sources(source)
    kept = None if force else _find_made(source, files, stores)
    found = _make(source, files, stores, progress, on_progress) if kept is None else kept
    return replace(found, more_notes=_check_accepted(source, found.manifest["tag_counts"]))


def _check_accepted(source: DataConfig, tags: Collection[str]) -> tuple[str, ...]:
    """Return a note on accepted tags that the data lack.

    Raises:
        DataError: they lack all.
    """
    lacking = [tag for tag in source.accepted_tags if tag not in tags]
    if not lacking:
        return ()
    close = suggest_closest(lacking[0], list(tags))
    named = ", ".join(lacking[:SHOWN_TAGS])
    if len(lacking) == len(source.accepted_tags):
        raise DataError(
            f"data.accepted_tags: the data have none of {named}.{close} They have:"
            f" {', '.join([*tags][:SHOWN_TAGS])}."
        )
    return (f"No row has these of data.accepted_tags: {named}.{close}",)


def _make(
    source: DataConfig,
    files: Mapping[str, SourceFile],
    stores: Path,
    progress: bool,
    on_progress: Callable[[int], None] | None,
) -> Dataset:
    cache = stores / "cache" / "downloads"
    paths = sources.fetch_all(files, source, cache, progress=progress)
    # Before they are read: a file that is replaced meanwhile is read again the next time.
    sums = {key: sources.compute_sum(path) for key, path in paths.items()}
    options = ReadOptions.from_config(source, sources.read_label_names(source, files, paths))
    totals = DatasetTotals()
    tables = sources.make_tables(files, paths)
    chunks = _make_chunks(source, tables, options, totals)
    kind = next(iter(tables.values())).format
    kept = replace(options, format=options.format or kind, ending=kind)
    # Before there is a folder: most errors show in the first rows.
    first = next(chunks)
    with drafts.open_folder(stores / "data" / source.name) as folder:
        blocks.write_table(folder / TABLE, _count(first, chunks, totals, on_progress))
        manifest = _make_manifest(source, files, sums, totals) | {
            "options": kept.to_document(),
            "sha256": compute_sha256(folder / TABLE),
        }
        write_json(folder / MANIFEST, manifest)
        drafts.finish_folder(folder)
        return move_into_place(folder, stores, manifest)


def _make_chunks(
    source: DataConfig,
    files: Mapping[str, TableFile],
    options: ReadOptions,
    totals: DatasetTotals,
) -> Iterator[pyarrow.Table]:
    """Yield the labelled rows, and count in the totals what was read for them."""
    import pyarrow

    if isinstance(source, TableConfig):
        drop = source.unlabeled == "drop"
        rows = source.chunk_rows or CHUNK_ROWS
        keep = tuple(source.keep)
        reader = LabeledReader(files, options, drop, rows, totals.notes, keep)
        for chunk in reader.read():
            totals.rows_read[chunk.file] += chunk.rows_read
            left = totals.counts.get("rows without a label", 0)
            without = chunk.rows_read - len(chunk.columns["tag"])
            totals.counts["rows without a label"] = left + without
            if chunk.columns["tag"]:
                yield pyarrow.table(chunk.columns)
        return
    table, read = read_projects(files)
    totals.rows_read.update(read)
    totals.counts = {
        "projects without a tag": read["projects"] - len(table),
        "tags without a project": read["tags"] - len(table),
    }
    yield pyarrow.table({name: table[name].tolist() for name in table})


def _count(
    first: pyarrow.Table,
    chunks: Iterable[pyarrow.Table],
    totals: DatasetTotals,
    on_progress: Callable[[int], None] | None,
) -> Iterator[pyarrow.Table]:
    """Yield chunks, having added them to the totals."""
    for chunk in chain([first], chunks):
        totals.add(chunk)
        if on_progress is not None:
            on_progress(totals.rows_read.total())
        yield chunk


def _make_manifest(
    source: DataConfig,
    files: Mapping[str, SourceFile],
    sums: Mapping[str, str],
    totals: DatasetTotals,
) -> dict[str, Any]:
    return {
        "format": MANIFEST_FORMAT,
        "name": source.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": totals.compute_digest(),
        "tables": {
            key: {
                "source": mask(file.location),
                "sha256": sums[key],
                "rows": totals.rows_read.get(key),
                "part": file.part,
                "format": infer_format(file.location),
            }
            for key, file in files.items()
        },
        "settings": _get_settings(source),
        "rows": totals.rows,
        "counts": totals.counts,
        "tag_counts": dict(totals.tag_counts.most_common()),
        "parts": sorted(totals.parts),
        "notes": totals.format_notes(),
    }


def _get_settings(source: DataConfig) -> dict[str, Any]:
    """Return the settings beside the files that the rows depend on."""
    if not isinstance(source, TableConfig):
        return {}
    labels = ("accepted_tags", "min_freq", "other")
    limits = ("max_download_mb", "max_download_seconds", "max_unpacked_ratio")
    apart = ("name", "sha256", "chunk_rows", "sample_rows", *limits, *labels)
    places = [name for name in vars(source) if name.endswith("path")]
    return {
        name: value
        for name, value in json.loads(json.dumps(asdict(source))).items()
        if name not in (*apart, *places)
    }


def _find_made(source: DataConfig, files: Mapping[str, SourceFile], stores: Path) -> Dataset | None:
    """Return the stored data set of a source if it is intact and the source has not changed."""
    settings, sums = _get_settings(source), {}
    for manifest in reversed(list_manifests(stores)):
        try:
            if (
                manifest["name"] != source.name
                or manifest["settings"] != settings
                or manifest["tables"].keys() != files.keys()
            ):
                continue
            for key, file in files.items():
                if key not in sums and not is_url(file.location):
                    sums[key] = sources.compute_checksum(file)
            if any(
                _has_changed(manifest["tables"][key], file, sums.get(key))
                for key, file in files.items()
            ):
                continue
        except (KeyError, TypeError, AttributeError):
            continue
        kept = find_by_digest(source.name, str(manifest["digest"]), stores)
        if kept is not None:
            return kept
        log.info("The data set %s in the store is damaged; it is made again.", source.name)
    return None


def _has_changed(entry: Mapping[str, Any], file: SourceFile, found: str | None) -> bool:
    if (entry["part"], entry["format"]) != (file.part, infer_format(file.location)):
        return True
    if found is not None:
        return bool(entry["sha256"] != found)
    if file.expected_sha256:
        return bool(entry["sha256"] != file.expected_sha256)
    return bool(entry["source"] != mask(file.location))
