"""Standard input as data: kept by its content before there are workers, which have none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tagifai.config import paths
from tagifai.config.schema import PIPED
from tagifai.exceptions import ConfigError
from tagifai.utils.files import is_writable, read_pieces
from tagifai.utils.state import drafts

PIECE = 2**20
MAX_LINE = 2**26
"""Bytes of a first line that are looked at."""

PIPE = re.compile(r"""(\+{0,2}data\.(?:val_|test_)?(?:text_|label_)?path)=(\[?)(['"]?)-\3(\]?)""")
"""An argument that names standard input."""

SHOWN = {"-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "-i", "--info", "-sc"}
"""Flags of commands that read no data."""

MAGIC = {b"PAR1": ".parquet", bytes.fromhex("d0cf11e0"): ".xls"}


def keep(arguments: Sequence[str]) -> list[str]:
    """Return arguments with a file in place of standard input, where data are read from it.

    The file is below `data/piped` of the stores, under a name that its content decides. What is
    recorded and what workers read is that file.

    Args:
        arguments: of the command line, such as "data.path=-".

    Raises:
        ConfigError: there is no standard input, or nothing in it, or the folder cannot be written.
    """
    found = [match for item in arguments if (match := PIPE.fullmatch(item))]
    if not found or not SHOWN.isdisjoint(arguments):
        return [*arguments]
    if len({match[1].lstrip("+") for match in found}) > 1:
        named = " and ".join(match[0] for match in found)
        raise ConfigError(f"{named}: standard input is one file. Give paths for the others.")
    stores = _find_stores(arguments)
    if not is_writable(stores / "data" / PIPED):
        raise ConfigError(paths.explain_unwritable(stores, "paths.stores=..."))
    kept = _copy(_get_stream(found[0][0]), stores / "data" / PIPED)
    return [f"{match[1]}={kept}" if (match := PIPE.fullmatch(item)) else item for item in arguments]


def _find_stores(arguments: Sequence[str]) -> Path:
    """Return the folder of stores; that of `paths.stores=...` is in the environment by now."""
    roots = [item.partition("=")[2].strip("'\"") for item in arguments if "paths.root=" in item]
    if roots and roots[-1] and not os.environ.get("TAGIFAI_STORES", "").strip():
        return Path(roots[-1]).expanduser().absolute() / "stores"
    return paths.get_stores()


def _get_stream(argument: str) -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigError(f"{argument}: there is no standard input. Give a path.")
    if sys.stdin.isatty():
        raise ConfigError(
            f"{argument}: standard input is a terminal. Give a file's path, or pipe one into the"
            " command: < reviews.csv"
        )
    return sys.stdin.buffer


def _copy(stream: BinaryIO, folder: Path) -> Path:
    """Return the file that has the content of a stream."""
    digest = hashlib.sha256()
    with drafts.open_file(folder / "piped", "wb") as (file, made):
        for piece in read_pieces(stream):
            digest.update(piece)
            file.write(piece)
        drafts.finish_file(file)
        if not made.stat().st_size:
            raise ConfigError("Standard input is empty; there are no data to read.")
        kept = made.replace(folder / f"{digest.hexdigest()[:16]}{_recognize(made)}")
    drafts.sync_folder(folder)
    return kept


def _recognize(path: Path) -> str:
    """Return the ending of a file's name that its content shows, or nothing."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE).removeprefix(b"\xef\xbb\xbf").strip()
        more = bool(file.read(PIECE).strip())
    names: set[str] = set()
    if line[:4] in MAGIC:
        return MAGIC[line[:4]]
    if line[:4] == b"PK\3\4":
        import zipfile  # late: hardly anybody pipes a workbook

        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names.update(archive.namelist())
        ods = {"mimetype", "content.xml"} <= names
        return ".xlsx" if "xl/workbook.xml" in names else ".ods" if ods else ""
    if line[:1] not in (b"[", b"{"):
        return ""
    try:
        whole = isinstance(json.loads(line), dict)
    except ValueError:
        whole = False
    return ".jsonl" if whole and more else ".json"
