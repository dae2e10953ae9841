"""The jobs of a plain multirun: which there are, where they write, and how they end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, open_dict

from tagifai.config.error_messages import explain_plugin
from tagifai.config.job import use_hydra_config
from tagifai.config.paths import LONGEST_NAME
from tagifai.exceptions import ConfigError, UserError
from tagifai.sweeping._hydra import BasicSweeper
from tagifai.tracking import multirun
from tagifai.utils.board_cells import MISSING
from tagifai.utils.excerpts import shorten
from tagifai.utils.system import errors

RUN_ID = "run_id.txt"
"""File in a job's folder with the id of the run that it trained."""


@dataclass(frozen=True)
class Multirun:
    """A plain multirun, before its jobs run.

    Args:
        cfg: that its jobs are composed from.
        loader: of Hydra.
        jobs: the overrides of each, in the order in which they run.
    """

    cfg: DictConfig
    loader: ConfigLoader
    jobs: Sequence[list[str]]

    @classmethod
    def from_sweeper(
        cls, sweeper: BasicSweeper, cfg: DictConfig, loader: ConfigLoader, arguments: Sequence[str]
    ) -> Multirun:
        """Return the multirun that a sweeper makes of the arguments of a command line."""
        given = [f"{key}={value}" for key, value in sweeper.params.items()]
        parser = OverridesParser.create(config_loader=loader)
        batches = sweeper.split_arguments(parser.parse_overrides([*given, *arguments]), None)
        return cls(cfg, loader, [job for batch in batches for job in batch])

    @property
    def folder(self) -> Path:
        """The folder of all jobs."""
        return Path(str(self.cfg.hydra.sweep.dir)).absolute()

    def list_varied(self) -> list[dict[str, str]]:
        """Return for each job the overrides in which the jobs differ, by key."""
        pairs = [dict(item.partition("=")[::2] for item in job) for job in self.jobs]
        keys = dict.fromkeys(key for job in pairs for key in job)
        varied = [key for key in keys if len({job.get(key) for job in pairs}) > 1]
        return [{key: job.get(key, MISSING) for key in varied} for job in pairs]

    def compose(self, number: int) -> DictConfig:
        """Return the configuration of a job, with Hydra's own."""
        cfg = self.loader.load_sweep_config(self.cfg, list(self.jobs[number]))
        with open_dict(cfg):
            cfg.hydra.job.num = number
        return cfg

    def find_folder(self, number: int) -> Path | None:
        """Return the folder of a job, or None if it is known only when the job runs."""
        cfg = self.compose(number)
        with use_hydra_config(cfg):
            found = OmegaConf.select(
                cfg, "hydra.sweep.subdir", throw_on_missing=False, throw_on_resolution_failure=False
            )
        return None if found is None else self.folder / str(found)

    def refuse_folders(self) -> None:
        """Refuse a folder with the jobs of an earlier multirun, and jobs that share a folder.

        Raises:
            ConfigError: with a way out.
        """
        used = multirun.list_earlier_jobs(self.folder)
        if used:
            named = ", ".join(used[:3]) + (", …" if len(used) > 3 else "")
            raise ConfigError(
                f"hydra.sweep.dir = {self.folder} has the jobs of an earlier multirun ({named})."
                " Choose another folder, or remove that one."
            )
        settings: Any = OmegaConf.to_container(self.cfg.hydra.sweep, resolve=False)
        if "job.num" in str(settings["subdir"]):  # each has its own
            return
        numbers: dict[str, int] = {}
        for number in range(len(self.jobs)):
            folder = self.find_folder(number)
            if folder is None:
                return
            _refuse_long_name(folder)
            other = numbers.setdefault(os.path.normpath(folder), number)
            if other != number:
                raise ConfigError(
                    f"hydra.sweep.subdir = {shorten(folder.name, 60)} is the folder of job"
                    f" {other} and of job {number}, which would overwrite each other. Give each job"
                    f" its own, as in hydra.sweep.subdir='${{hydra.job.num}}'."
                )


def _refuse_long_name(folder: Path) -> None:
    name = max(folder.parts, key=lambda part: len(os.fsencode(part)))
    size = len(os.fsencode(name))
    if size > LONGEST_NAME:
        raise ConfigError(
            f"hydra.sweep.subdir: the name {shorten(name, 60)} has {size} bytes, and the system"
            f" takes {LONGEST_NAME}. Choose another (hydra.sweep.subdir='${{hydra.job.num}}'), or"
            " leave out keys with hydra.job.config.override_dirname.exclude_keys=[...]."
        )


@dataclass
class NotingLauncher:
    """Launches the jobs of a multirun by another launcher, and keeps how they ended.

    Args:
        launcher: of Hydra, set up.
        folder: of the multirun.
        ended: the jobs that have ended, in their order.
    """

    launcher: Any
    folder: Path
    ended: list[JobReturn] = field(default_factory=list)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs, and return how they ended.

        Raises:
            ConfigError: the launcher cannot begin a job with its settings.
        """
        try:
            found: Sequence[JobReturn] = self.launcher.launch(
                job_overrides, initial_job_idx=initial_job_idx
            )
        except (UserError, OSError):
            raise
        except Exception as error:
            if errors.describe_limit(error) or any(self.folder.glob("*/.hydra")):
                raise
            raise ConfigError(explain_plugin(error)) from error
        self.ended += found
        return found


def read_run_id(folder: Path) -> str | None:
    """Return the id of the run that a job trained into its folder, or None if it trained none."""
    path = folder / RUN_ID
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None
