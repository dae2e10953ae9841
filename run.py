"""Compose the configuration, check it, run the task that it names, return the objective."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

gc.set_threshold(100_000)  # what is loaded stays: to look for garbage in it is a tenth of a start

import hydra
from omegaconf import DictConfig

from tagifai import cli
from tagifai.config import instantiate, paths
from tagifai.config.schema import check

# The configuration finds the project by it, in the processes of a sweep too.
ROOT = Path(__file__).resolve().parent
os.environ["TAGIFAI_ROOT"] = str(ROOT)


def main(cfg: DictConfig) -> Any:
    """Run one task and return its objective, if it has one."""
    with cli.guard_job():
        config = paths.resolve(check(cfg))
        instantiate.check_whitelist(config.whitelist, ROOT)
        return cli.import_task(config).run(config)


def command() -> Any:
    """Have Hydra compose for `main`; shells complete only what has "@hydra.main" in its file."""
    allowed = instantiate.get_whitelist()
    return hydra.main(config_path="conf", config_name="config", execution_whitelist=allowed)(main)()


if __name__ == "__main__":
    sys.exit(cli.run_main(command))
