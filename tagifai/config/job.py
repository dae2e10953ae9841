"""The present job. This is the only module that reads Hydra's own configuration."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override

SEARCH_TARGET = "tagifai.sweeping.sweeper.SearchSweeper"
"""The sweeper whose jobs are trials of a search."""

GRID_TARGET = "tagifai.sweeping.sweeper.GridSweeper"
"""The sweeper of plain multiruns; it takes no folder in which a multirun has left jobs."""


@dataclass(frozen=True)
class SearchTrial:
    """The trial of a search that a job works on.

    Args:
        number: of the trial in its study.
        study: name of the study.
    """

    number: int
    study: str


@dataclass(frozen=True)
class Job:
    """One execution of a task, alone or as one of a multirun.

    Args:
        output_dir: folder of its files.
        overrides: from the command line, in Hydra's grammar, without those of Hydra's own keys.
        hydra_overrides: from the command line, of Hydra's own keys.
        options: the chosen option of each group.
        number: of the job in its multirun; None where it runs alone.
        multirun_dir: folder of the multirun; None where it runs alone.
        trial: that it works on, if the multirun is a search.
        sweeper: full name of the sweeper's class.
    """

    output_dir: Path
    overrides: Sequence[str] = ()
    hydra_overrides: Sequence[str] = ()
    options: Mapping[str, str | None] = field(default_factory=dict)
    number: int | None = None
    multirun_dir: Path | None = None
    trial: SearchTrial | None = None
    sweeper: str = ""

    @property
    def is_multirun(self) -> bool:
        """Whether the job is part of a multirun."""
        return self.multirun_dir is not None

    @property
    def chosen_keys(self) -> set[str]:
        """The keys and groups that the overrides set, such as "model.alpha" or "model"."""
        return {item.partition("=")[0].lstrip("+") for item in self.overrides}


PLACES = re.compile(r"\+*(paths\.|tracking(=|\.(?!tags|run_name)))")
"""Beginnings of overrides that say where things are kept."""


def select_places(overrides: Iterable[str]) -> list[str]:
    """Return the overrides of folders and of the tracking store, which suggested commands need."""
    return [item for item in overrides if PLACES.match(item)]


_given: list[Job] = []
"""Jobs that were not started by Hydra; the last one is the present one."""


def get_job() -> Job:
    """Return the present job."""
    return _given[-1] if _given else _read_hydra()


def remove_refused_output(job: Job) -> None:
    """Remove the folder of a refused job, which has nothing in it but Hydra's record of it.

    Only a folder that was named for this run: one that the user chose may have been there before.
    """
    output_dir, chosen = job.output_dir, any(i.startswith("hydra.") for i in job.hydra_overrides)
    if not chosen and [entry.name for entry in output_dir.iterdir()] == [".hydra"]:
        shutil.rmtree(output_dir)
        if not any(output_dir.parent.iterdir()):
            output_dir.parent.rmdir()


@contextmanager
def use_job(job: Job) -> Iterator[None]:
    """Make a job the present one for a block, where Hydra has not started it."""
    _given.append(job)
    try:
        yield
    finally:
        _given.pop()


def strip_hydra_node(cfg: DictConfig) -> DictConfig:
    """Return a composed configuration without Hydra's own node."""
    alone = copy.deepcopy(cfg)
    with flag_override(alone, ["struct", "readonly"], [False, False]):
        del alone["hydra"]
    return alone


@contextmanager
def use_hydra_config(cfg: Any) -> Iterator[None]:
    """Let a composed configuration, with Hydra's own node, be Hydra's present one for a block."""
    hydra = HydraConfig.instance()
    before, hydra.cfg = hydra.cfg, cfg
    try:
        yield
    finally:
        hydra.cfg = before


_read: list[tuple[Any, Job]] = []
"""What Hydra had when it was read last, with the job that it describes."""


def _read_hydra() -> Job:
    """Return the present job, read once.

    Launchers copy Hydra's configuration, each in a thread of its own. Meanwhile it is taken apart,
    and for good if two do so at once: values that refer to others cannot be read any more.
    """
    hydra: Any = HydraConfig.get()
    if not _read or _read[0][0] is not hydra:
        _read[:] = [(hydra, _read_node(hydra))]
    return _read[0][1]


def is_multirun() -> bool:
    """Return whether the present job is one of several, whatever is wrong with Hydra's node."""
    return _given[-1].is_multirun if _given else bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def _read_node(hydra: Any) -> Job:
    is_multirun = hydra.mode == RunMode.MULTIRUN
    # Neither is known in the process that launches the jobs of a multirun.
    number = None if OmegaConf.is_missing(hydra.job, "num") else hydra.job.num
    unknown = OmegaConf.is_missing(hydra.runtime, "output_dir")
    target = str(hydra.sweeper.get("_target_"))
    return Job(
        output_dir=Path(hydra.sweep.dir if unknown else hydra.runtime.output_dir),
        overrides=tuple(hydra.overrides.task),
        hydra_overrides=tuple(hydra.overrides.hydra),
        options=dict(hydra.runtime.choices),
        number=number if is_multirun else None,
        multirun_dir=Path(hydra.sweep.dir).absolute() if is_multirun else None,
        trial=SearchTrial(number, str(hydra.sweeper.study_name))
        if is_multirun and number is not None and target == SEARCH_TARGET
        else None,
        sweeper=target,
    )
