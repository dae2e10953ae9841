"""Errors of the system, wherever they come from: what is full, closed or odd, and the way out.

Libraries pass them on in forms of their own, so the first error that one came from counts.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tagifai.utils.state import drafts
from tagifai.utils.system.space import describe_space, find_tightest

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LIMITS = (*FULL, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Codes of what this machine has too little of."""

CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)

SQLITE_IOERR = 10
"""SQLite's code of an error that it does not tell apart."""

SQLITE_CODES = {7: errno.ENOMEM, 8: errno.EROFS, 13: errno.ENOSPC}
"""SQLite's codes of an error, as the system's: NOMEM, READONLY and FULL."""

TEXTS = {
    errno.ENOSPC: r"errno 28\b|No space left on device|\d+ requested and \d+ written",
    errno.EDQUOT: r"Disk quota exceeded",
    errno.EFBIG: r"errno 27\b|File too large",
    errno.EMFILE: r"errno 24\b|Too many open files",
    errno.ENOMEM: r"failed to map segment|Cannot allocate memory|can't start new thread",
}
"""What an error says whose code is lost: one that was put into a list, or into another's text."""

STANDARD_OUTPUT = "standard output"
"""What stands in place of a path for what a command prints."""

LESS_MEMORY = (
    "Have it need less: vectorizer=hashing, or fewer features (vectorizer.max_features=50000),"
    " rows in pieces (data=streamed, or a smaller data.chunk_rows), fewer processes"
    " (hydra.sweeper.n_jobs=1, task.n_jobs=1) or a smaller task.batch_size."
)

LEAST_MEMORY = 10**9
"""Bytes of address space that a process takes by loading the libraries."""

_folders: dict[str, Path] = {}
"""The folders that are written to, by the setting that chooses another."""


def note_folders(folders: dict[str, Path]) -> None:
    """Remember the folders of the present command, by the setting that chooses another.

    Args:
        folders: such as {"paths.stores": Path("/stores")}, absolute.
    """
    _folders.clear()
    _folders.update(folders)


@contextmanager
def name_file(path: Path) -> Iterator[None]:
    """Add the path that a block writes to an error of the system that names none."""
    try:
        yield
    except OSError as error:
        if error.errno is None and (number := find_code(error)) is not None:
            error.errno, error.strerror = number, os.strerror(number)
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def check_memory() -> None:
    """Refuse a limit in which the numeric libraries cannot even be loaded; some hang in it.

    Raises:
        MemoryError: with the limit as its note.
    """
    limits = _get_limits()
    if limits and 0 <= limits[2] < LEAST_MEMORY:
        error = MemoryError()
        error.add_note(
            f"This process may have {limits[2] // 10**6:,} MB (ulimit -v), and the libraries alone"
            f" take {LEAST_MEMORY // 10**6:,}. Allow more, as in: ulimit -v 4000000"
        )
        raise error


def describe_limit(error: BaseException) -> str | None:
    """Return one line for an error that came from too little space, memory or files, else None.

    Args:
        error: that was raised, perhaps because of another one.
    """
    for cause in list_causes(error):
        number = find_code(cause)
        if number in LIMITS:
            return _describe(cause, number)
    return None


def is_full(error: BaseException) -> bool:
    """Return whether an error came from a disk or a quota that has no room."""
    return any(find_code(cause) in FULL for cause in list_causes(error))


def describe(error: OSError) -> str:
    """Return one line for an error of the system: the path, what is wrong, and the way out."""
    number = find_code(error)
    return _describe(error, number) if number is not None else _join(error)


def strip_codes(text: str) -> str:
    """Return a text without the numbers of the system's errors, whose names stand beside them."""
    return re.sub(r"\[Errno -?\d+\] ?", "", text)


def find_code(error: BaseException) -> int | None:
    """Return the system's code of an error, or None if it is not one of the system's."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        limited = code & 0xFF == SQLITE_IOERR and _is_file_size_limited()
        return errno.EFBIG if limited else SQLITE_CODES.get(code & 0xFF)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError | RuntimeError | ImportError):
        text = str(error)
        return next(
            (code for code, wanted in TEXTS.items() if re.search(wanted, text, re.IGNORECASE)), None
        )
    return None


def list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        yield at
        seen.add(id(at))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def _describe(error: BaseException, number: int) -> str:
    if number == errno.ENOMEM:
        # NumPy says how much; others say nothing that helps.
        wanted = re.search(r"Unable to allocate ([\d.]+ \w+)", str(error))
        more = f" ({wanted[1]} more were wanted)" if wanted else ""
        return f"Memory ran out{more}. {LESS_MEMORY}"
    if number in (errno.EMFILE, errno.ENFILE):
        return f"Too many files are open at once{_get_limit()}. Allow more, as in: ulimit -n 4096"
    path = _find_path(error)
    if number in FULL:
        return _describe_full(path, number)
    if path is None:
        return _join(error)
    reasons = {
        errno.ENAMETOOLONG: "the name is longer than the file system takes. Give a shorter one.",
        errno.ELOOP: "its symbolic links lead in a circle. Give another path.",
        errno.ENOTDIR: "what stands where a folder should be is a file. Give another path.",
        errno.EEXIST: "something else stands there. Move it, or give another path.",
        errno.EIO: "the device cannot read or write it. Look at the system's messages (dmesg).",
    }
    return f"{path}: {reasons[number]}" if number in reasons else _join(error)


def _describe_full(path: Path | None, number: int) -> str:
    tight = find_tightest(path, [*_folders.values(), Path(tempfile.gettempdir())])
    inside = [name for name, folder in _folders.items() if tight.is_relative_to(folder)]
    if not inside and tight.is_relative_to(tempfile.gettempdir()):
        inside = ["TMPDIR"]
    ways = " or ".join(f"{name}=..." for name in inside)
    way = f"choose another folder: {ways}" if ways else "choose another place."
    what = "your quota is used up" if number == errno.EDQUOT else "the disk is full"
    if str(path) == STANDARD_OUTPUT:
        return f"Standard output cannot be written: {what}. Send it to another place."
    if number == errno.EFBIG:
        return (
            f"{tight} cannot be written: it became larger than a file may be here. Raise the limit"
            f" (ulimit -f), or {way}"
        )
    return (
        f"{tight} cannot be written: {what} ({describe_space(tight)}). Make room there (task=clean"
        f" finds what can go), or {way}"
    )


def _find_path(error: BaseException) -> Path | None:
    """Return the path that an error is about: the one that was written, if there are two."""
    if isinstance(error, OSError):
        for name in (error.filename2, error.filename):
            if isinstance(name, str | bytes | os.PathLike):
                return _leave_out_draft(Path(os.fsdecode(name)))
    # `shutil` copies a folder's files and has a list of what failed, as texts.
    for failed in error.args[:1]:
        if isinstance(failed, list) and failed and isinstance(failed[0], tuple):
            return _leave_out_draft(Path(str(failed[0][1])))
    return None


def _leave_out_draft(path: Path) -> Path:
    """Return the folder of a file that nobody was to see before it is whole, else the path."""
    hidden = next((n for n, part in enumerate(path.parts) if drafts.DRAFT.fullmatch(part)), None)
    return path if hidden is None else Path(*path.parts[:hidden])


def _get_limit() -> str:
    limits = _get_limits()
    return f" (ulimit -n is {limits[0]})" if limits else ""


def _is_file_size_limited() -> bool:
    limits = _get_limits()
    return bool(limits) and limits[1] >= 0


def _get_limits() -> tuple[int, ...]:
    """Return how many files may be open, and the bytes of a file and of memory, or nothing."""
    try:
        import resource  # where there is none, nobody set a limit
    except ImportError:
        return ()
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS)
    return tuple(resource.getrlimit(kind)[0] for kind in kinds)


def _join(error: BaseException) -> str:
    """Return the system's own words, and the path."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    names = [repr(n) for n in (error.filename, error.filename2) if n is not None]
    return f"{error.strerror}: {' -> '.join(names)}" if names else error.strerror
