"""The files of a data set: which and where they are, and whether they are as expected."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePath

from tagifai.config.schema import DataConfig, TableConfig, TwoTablesConfig
from tagifai.data import downloads
from tagifai.data.tables import lines, values
from tagifai.data.tables.containers import refuse_endless
from tagifai.data.tables.options import infer_format
from tagifai.data.tables.reader import TableFile
from tagifai.exceptions import DataError
from tagifai.utils.files import compute_sha256
from tagifai.utils.urls import is_url, locate_file

PART_KEYS = {"": "train", "val_": "val", "test_": "test"}
"""The part that files have the rows of, by the beginning of the settings that name them."""


@dataclass(frozen=True)
class SourceFile:
    """One file that a data set is made from.

    Args:
        key: the setting of the `data` group that names it.
        location: URL or path.
        expected_sha256: SHA-256 that it must have; None accepts any content.
        checksum_key: the setting that has this SHA-256.
        part: of all its rows, or None.
        records: path of the rows inside a JSON file, or None.
        labels: key of the file with the labels of its lines, or None.
        is_table: whether rows are read from it, and not only beside another one.
    """

    key: str
    location: str
    expected_sha256: str | None = None
    checksum_key: str = "sha256"
    part: str | None = None
    records: str | None = None
    labels: str | None = None
    is_table: bool = True

    @property
    def named(self) -> str:
        """The setting and the file, for errors."""
        return f"data.{self.key}: {self.location}"


def list_sources(source: DataConfig) -> dict[str, SourceFile]:
    """Return the files of a data set by key: globs and folders are looked up.

    Raises:
        DataError: a glob or a folder has no files.
    """
    if isinstance(source, TwoTablesConfig):
        return {
            key: SourceFile(
                key, getattr(source, key), getattr(source, f"{key}_sha256"), f"{key}_sha256"
            )
            for key in ("projects", "tags")
        }
    if not isinstance(source, TableConfig):
        raise TypeError(f"{type(source).__name__} is no configuration of a data set.")
    found = [*_list_tables(source), *_list_pairs(source)]
    parts = {file.part for file in found if file.is_table}
    if parts == {"train"}:
        # The files say nothing of parts.
        found = [replace(file, part=None) for file in found]
    if isinstance(source.label_names, str):
        found.append(SourceFile("label_names", source.label_names, is_table=False))
    return {file.key: file for file in found}


def _list_tables(source: TableConfig) -> Iterator[SourceFile]:
    for prefix, part in PART_KEYS.items():
        records = getattr(source, f"{prefix}records")
        given = getattr(source, f"{prefix}path")
        if given is None and records is not None and prefix:
            given = source.path
        files = [
            file for location in given or () for file in _expand(f"{prefix}path", location, source)
        ]
        for number, (location, own) in enumerate(_add_parts(files)):
            key = f"{prefix}path" if len(files) == 1 else f"{prefix}path[{number}]"
            expected = source.sha256 if key == "path" else None
            yield SourceFile(key, location, expected, part=own or part, records=records)


def _add_parts(files: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Return files with the parts that their names say, if those of all say one."""
    parts = [part or values.find_part(PurePath(location).name) for location, part in files]
    if None in parts or len(parts) == 1:
        return list(files)
    return [(location, part) for (location, _), part in zip(files, parts, strict=True)]


def _list_pairs(source: TableConfig) -> Iterator[SourceFile]:
    for prefix, part in PART_KEYS.items():
        texts, labels = (getattr(source, f"{prefix}{name}_path") for name in ("text", "label"))
        if texts is not None and labels is not None:
            key = f"{prefix}label_path"
            yield SourceFile(f"{prefix}text_path", texts, part=part, labels=key)
            yield SourceFile(key, labels, is_table=False)


def _expand(key: str, location: str, source: TableConfig) -> Iterator[tuple[str, str | None]]:
    """Yield the files of a path, a glob or a folder, with their parts where names say them."""
    path = locate_file(location)
    if is_url(location) or path.is_file():
        yield location, None
    elif path.is_dir():
        yield from _expand_folder(key, path, source)
    elif glob.has_magic(location):
        files = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
        if not files:
            raise DataError(f"data.{key}: no file matches {location}.")
        yield from ((file, None) for file in files)
    else:
        yield location, None


def _expand_folder(key: str, folder: Path, source: TableConfig) -> Iterator[tuple[str, str | None]]:
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if source.format != "folder":
        tables = [path for path in inside if infer_format(path.name) not in (None, "txt")]
        parts = {path: values.find_part(path.name) for path in tables}
        if tables and all(parts.values()):
            yield from ((str(path), parts[path]) for path in tables)
            return
        if tables and not any(parts.values()):
            yield from ((str(path), None) for path in tables)
            return
        if tables:
            other = next(path.name for path in tables if not parts[path])
            raise DataError(
                f"data.{key}: {folder} has files of parts (train-…, test-…) and others"
                f" ({other}). Give the files of each part: data.path, data.val_path and so on."
            )
    folders = [path for path in inside if path.is_dir()]
    for inner in folders if source.format != "folder" else ():
        if any(infer_format(path.name) not in (None, "txt", "json") for path in inner.iterdir()):
            raise DataError(
                f"data.{key}: {folder} has its tables in {inner.name}: data.{key}={inner}."
            )
    parts = {path: values.find_part(path.name) for path in folders}
    if folders and all(parts.values()):
        yield from ((str(path), parts[path]) for path in folders)
    elif folders:
        yield str(folder), None
    else:
        raise DataError(
            f"data.{key}: {folder} is a folder without tables, and without a folder of documents"
            " for each label."
        )


def fetch_all(
    files: Mapping[str, SourceFile], limits: DataConfig, cache: Path, *, progress: bool
) -> dict[str, Path]:
    """Return where files are on disk, by key; they are downloaded where they have a URL.

    Args:
        files: by key.
        limits: of downloads.
        cache: folder of downloads.
        progress: show a bar for downloads on standard error.

    Raises:
        DataError: a file is not there, cannot be fetched, or has another SHA-256 than expected.
    """
    return {
        key: downloads.fetch(file, limits, cache, progress=progress)
        if is_url(file.location)
        else _verify(file)
        for key, file in files.items()
    }


def make_tables(files: Mapping[str, SourceFile], paths: Mapping[str, Path]) -> dict[str, TableFile]:
    """Return the files that have rows, by key."""
    rest = [file for file in files.values() if not file.is_table]
    labels = {file.key: TableFile(paths[file.key], file.named, format="labels") for file in rest}
    return {
        key: TableFile(
            paths[key],
            file.named,
            file.part,
            file.records,
            "folder" if paths[key].is_dir() else infer_format(file.location),
            labels[file.labels] if file.labels else None,
        )
        for key, file in files.items()
        if file.is_table
    }


def read_label_names(
    source: DataConfig, files: Mapping[str, SourceFile], paths: Mapping[str, Path]
) -> dict[str, str]:
    """Return the names of labels by their codes; none where labels are names."""
    given = source.label_names if isinstance(source, TableConfig) else None
    if isinstance(given, str):
        return values.read_label_names(paths["label_names"], files["label_names"].named)
    return values.list_label_names(given) if given else {}


def locate(file: SourceFile) -> Path:
    """Return where a local file is.

    Raises:
        DataError: it is not there.
    """
    path = locate_file(file.location)
    if not path.exists():
        raise DataError(
            f"data.{file.key}: there is no file {path}. Relative paths on the command line start"
            " at the working directory, those in YAML at the project's root."
        )
    return path


def _verify(file: SourceFile) -> Path:
    compute_checksum(file)
    return locate(file)


def compute_checksum(file: SourceFile) -> str:
    """Return a local file's SHA-256, or that of all files of a folder.

    Raises:
        DataError: it is not there, or has another one than expected.
    """
    path = locate(file)
    try:
        refuse_endless(path, file.named)
        found = compute_sum(path)
    except OSError as error:
        raise DataError(f"{file.named} cannot be read: {error.strerror}.") from None
    if file.expected_sha256 is not None and found != file.expected_sha256:
        raise DataError(
            f"data.{file.key}: {path} has SHA-256 {found}, and data.{file.checksum_key} expects"
            f" {file.expected_sha256}. If this content is what you want, set"
            f" data.{file.checksum_key}=null (and a data.name of its own)."
        )
    return found


def compute_sum(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and sums of the documents of a folder."""
    if not path.is_dir():
        return compute_sha256(path)
    documents = lines.list_documents(path)
    sums = (f"{item.relative_to(path)} {compute_sha256(item)}\n" for item in documents)
    return sha256("".join(sums).encode("utf-8", "surrogateescape")).hexdigest()
