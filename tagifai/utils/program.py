"""The program: how it was called, for messages, records and the processes that it begins."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tagifai.utils.secrets import mask
from tagifai.utils.terminal import format_path

PROGRAM_VARIABLE = "TAGIFAI_PROGRAM"
"""Variable by which the first process tells the others the name that it was called by."""

COMMAND_VARIABLE = "TAGIFAI_COMMAND"
"""Variable by which it tells them the whole command."""

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
        arguments: as of `format_command`.
    """
    name = shlex.split(get_name())
    is_script = name[-1].endswith(".py")
    words = [sys.argv[0]] if is_script else name
    if "UV" in os.environ:
        words = ["uv", "run", *words]
    elif is_script:
        words = ["python", *words]
    return shlex.join([*words, *_list_config_dir(), *arguments])


def list_words(*arguments: str) -> list[str]:
    """Return a command of this program as the words that begin a process of it.

    Args:
        arguments: as of `format_command`.
    """
    script = Path(sys.argv[0])
    is_script = script.suffix == ".py" and script.name != "__main__.py"
    begin = [str(script)] if is_script else ["-m", "tagifai"]
    return [sys.executable, *begin, *_list_config_dir(), *arguments]


def name_in_help(page: str) -> str:
    """Return the page of help with the command that was typed; what is behind it stays in place."""

    def name(line: re.Match[str]) -> str:
        command = f"  {format_call()}{line[1]}"
        return f"{command}  ".ljust(len(line[0])) if line[2] else command

    return re.sub(r"^  tagifai\b(.*?)(  +|$)", name, page, flags=re.MULTILINE)
