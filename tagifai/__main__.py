"""The command `tagifai`, also as `python -m tagifai`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

import os
import sys


def _show_start(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show what escapes the first imports, of which Ctrl-C may be one."""
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, b"Interrupted.\n")
        os._exit(130)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _show_start  # until the command has its own

from tagifai.utils.processes import beginning

beginning.guard_start()  # before the other imports, which take a second

import atexit
import gc

gc.set_threshold(100_000)  # what is loaded stays: to look for garbage in it is a tenth of a start
atexit.register(gc.freeze)  # and seconds of the end of a search

from tagifai import cli
from tagifai.utils import signals

__all__ = ["main"]


def main() -> int:
    """Do what the command line says, and return the exit code."""
    code = cli.main()
    signals.guard_end(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
