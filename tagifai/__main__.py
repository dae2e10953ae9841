"""The command `tagifai`, also as `python -m tagifai`."""

from __future__ import annotations

import atexit
import gc

gc.set_threshold(100_000)  # what is loaded stays: to look for garbage in it is a tenth of a start
atexit.register(gc.freeze)  # and seconds of the end of a search

import sys

from tagifai.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
