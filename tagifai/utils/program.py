"""The program: how it was called, for messages, records and the processes that it begins."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tagifai.utils.excerpts import UNSEEN
from tagifai.utils.secrets import mask
from tagifai.utils.terminal import format_path

PROGRAM_VARIABLE = "TAGIFAI_PROGRAM"
"""Variable by which the first process tells the others the name that it was called by."""

COMMAND_VARIABLE = "TAGIFAI_COMMAND"
"""Variable by which it tells them the whole command."""

SCRIPT_VARIABLE = "TAGIFAI_SCRIPT"
"""Variable by which it tells them the path that it was called by."""

FOLDER_VARIABLE = "TAGIFAI_FOLDER"
"""Variable by which it tells them its working directory."""

CONFIG_DIR_VARIABLE = "TAGIFAI_CONFIG_DIR"
"""Variable by which it tells them the folder that `--config-dir` named."""


_started = [time.monotonic()]
"""When the present command began, in seconds on the monotonic clock."""


def get_start_time() -> float:
    """Return when the present command began, in seconds on the monotonic clock."""
    return _started[-1]


def export_command(argv: Sequence[str]) -> None:
    """Keep how this process was called, for all that has to name its command from then on.

    Its secrets are left out: every process that this one begins has the command.

    Args:
        argv: the path of what was called, and the arguments as they were typed.
    """
    _started[:] = [time.monotonic()]
    with suppress(OSError):  # it may be gone
        os.environ[FOLDER_VARIABLE] = str(Path.cwd())
    os.environ[SCRIPT_VARIABLE] = str(argv[0])
    os.environ[PROGRAM_VARIABLE] = shlex.join(_name(Path(argv[0])))
    os.environ[COMMAND_VARIABLE] = " ".join(
        [get_name(), *(shlex.quote(mask(word)) for word in argv[1:])]
    )


def _name(called: Path) -> list[str]:
    if called.name == "__main__.py":
        return ["python", "-m", called.parent.name]
    return [called.name.removesuffix(".exe")]


def get_name() -> str:
    """Return the command's name: `tagifai`, `python -m tagifai` or `run.py`."""
    return os.environ.get(PROGRAM_VARIABLE, "tagifai")


def get_folder() -> str | None:
    """Return the working directory of the command, if it is known to this process."""
    return os.environ.get(FOLDER_VARIABLE)


def format_command(*arguments: str) -> str:
    """Return a command of this program, quoted for a shell.

    Args:
        arguments: such as "task=predict".
    """
    words = [*_list_config_dir(), *arguments]
    return " ".join([get_name(), *map(shlex.quote, words)])


def _list_config_dir() -> list[str]:
    """Return what names the folder of options and extensions that this command was given."""
    folder = os.environ.get(CONFIG_DIR_VARIABLE)
    return ["--config-dir", format_path(folder)] if folder else []


def get_command(otherwise: Sequence[str] = ()) -> str:
    """Return the command as it was typed.

    Args:
        otherwise: the arguments that stand for it where no command was.
    """
    return os.environ.get(COMMAND_VARIABLE) or format_command(*otherwise)


@contextmanager
def use_command(*arguments: str) -> Iterator[None]:
    """Let a command be the one that was typed for a block, which does what it would do.

    Args:
        arguments: as of `format_command`.
    """
    before = os.environ.get(COMMAND_VARIABLE)
    os.environ[COMMAND_VARIABLE] = format_command(*arguments)
    try:
        yield
    finally:
        os.environ.pop(COMMAND_VARIABLE)
        if before is not None:
            os.environ[COMMAND_VARIABLE] = before


def format_call(*arguments: str) -> str:
    """Return a command of this program as it is typed here: with what runs it, where it is.

    Args:
        arguments: as of `format_command`; a --config-dir among them takes the place of the present.
    """
    given = [] if "--config-dir" in arguments else _list_config_dir()
    return _join([*_list_caller(), *given, *arguments])


def format_repetition(command: str) -> str:
    """Return a command of this program as a shell takes it in any folder: how it was called, where.

    Args:
        command: as of `get_command` or `format_command`.
    """
    given = shlex.split(command)[len(shlex.split(get_name())) :]
    folder = get_folder() or str(Path.cwd())
    return f"{_join(['cd', folder])} && {_join([*_list_caller(), *given])}"


def _list_caller() -> list[str]:
    """Return the words that call this program; by a path what a shell would not find by its name.

    What uv runs, it finds.
    """
    name, by_uv = shlex.split(get_name()), ["uv", "run"] if "UV" in os.environ else []
    script, python = os.environ.get(SCRIPT_VARIABLE, name[-1]), Path(sys.executable)
    if len(name) == 1 and not script.endswith(".py"):
        return [*by_uv, *(name if by_uv or shutil.which(name[0]) == script else [script])]
    if len(name) == 1 and by_uv:
        return [*by_uv, script]
    found = {each: shutil.which(each) for each in ("python", python.name)}
    near = (each for each, path in found.items() if path and Path(path).parent == python.parent)
    caller = "python" if by_uv else next(near, str(python))
    return [*by_uv, caller, *(name[1:] or [script])]


def _join(words: Sequence[str]) -> str:
    """Return words quoted for a shell; characters that are not shown as they are, by their bytes.

    So a command can be copied from where it is shown.
    """
    return " ".join(_quote_bytes(w) if UNSEEN.search(w) else shlex.quote(w) for w in words)


def _quote_bytes(word: str) -> str:
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + UNSEEN.sub(lambda found: str(os.fsencode(found[0]))[2:-1], plain) + "'"


def list_words(*arguments: str) -> list[str]:
    """Return a command of this program as the words that begin a process of it.

    Args:
        arguments: as of `format_command`.
    """
    script = Path(sys.argv[0])
    is_script = script.suffix == ".py" and script.name != "__main__.py"
    begin = [str(script)] if is_script else ["-m", "tagifai"]
    return [sys.executable, *begin, *_list_config_dir(), *arguments]
