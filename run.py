"""The command of a checkout; shells complete only a file that has "@hydra.main" in it."""

import sys

from tagifai.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
