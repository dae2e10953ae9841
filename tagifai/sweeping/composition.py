"""Compose the configurations of a search's jobs, and choose their folders."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict, read_write

from tagifai.config import paths
from tagifai.config.job import (
    SEARCH_TARGET,
    Job,
    SearchTrial,
    strip_hydra_node,
    use_hydra_config,
    use_job,
)
from tagifai.config.schema import EXPERIMENT_GROUPS, Config, check
from tagifai.console import logs
from tagifai.sweeping._hydra import apply_overrides
from tagifai.sweeping.settings import JOBLIB, SweeperPlugin, get_launcher_kind
from tagifai.sweeping.studies import Study
from tagifai.tracking import multirun

FOLDER = "folder"
"""Attribute of a study: its folder below the outputs."""

Compose = Callable[[Sequence[str]], tuple[Config, dict[str, str]]]
"""Takes a trial's overrides and returns its configuration and its chosen options."""


def make_composer(sweeper: SweeperPlugin) -> Compose:
    """Return the function that composes a trial's configuration."""
    return TrialComposer(sweeper.context.config_loader, sweeper.master).compose_checked


def make_run_composer(sweeper: SweeperPlugin) -> Callable[[Sequence[str]], Config]:
    """Return the function that composes a single run's configuration from overrides alone."""
    own, name = sweeper.context.config_loader, sweeper.master.hydra.job.config_name

    def compose(overrides: Sequence[str]) -> Config:
        cfg = own.load_configuration(name, list(overrides), run_mode=RunMode.RUN)
        return paths.resolve(check(strip_hydra_node(cfg)))

    return compose


def make_job_config(sweeper: SweeperPlugin, study: Study, outputs: Path, n_jobs: int) -> DictConfig:
    """Return the configuration that a launcher composes the jobs of a study from.

    Args:
        sweeper: the plugin, with what Hydra gave it.
        study: that jobs report to.
        outputs: the folder of outputs.
        n_jobs: jobs at a time.
    """
    cfg = copy.deepcopy(sweeper.master)
    OmegaConf.set_readonly(cfg.hydra, False)
    OmegaConf.set_struct(cfg.hydra, False)
    _choose_folder(cfg, study, outputs)
    set_hydra_value(cfg, "hydra.sweeper.study_name", study.name)
    if get_launcher_kind(cfg) == JOBLIB:
        set_hydra_value(cfg, "hydra.launcher.n_jobs", n_jobs)
    if cfg.hydra.hydra_logging.root is not None:
        # Lines of every job would be mixed with those of the search.
        OmegaConf.update(cfg, "hydra.hydra_logging.root.level", "WARNING")
    return cfg


def _choose_folder(cfg: DictConfig, study: Study, outputs: Path) -> None:
    """Set the folder of the study, or a new one, unless the command line sets one."""
    if any(item.startswith("hydra.sweep.dir=") for item in cfg.hydra.overrides.hydra):
        return
    known = study.get_attribute(FOLDER)
    # The study may be somebody else's.
    if known is not None and (outputs / known).is_relative_to(outputs) and _is_plain(known):
        folder = outputs / known
    else:
        new = Path(cfg.hydra.sweep.dir).absolute()
        folder = new.with_name(f"{new.name.removesuffix('-multirun')}-{study.name}")
        if folder.is_relative_to(outputs):
            study.set_attribute(FOLDER, folder.relative_to(outputs).as_posix())
    set_hydra_value(cfg, "hydra.sweep.dir", str(folder))


def _is_plain(path: str) -> bool:
    return ".." not in Path(path).parts and "${" not in path


def set_hydra_value(cfg: DictConfig, key: str, value: str | int) -> None:
    """Set a value of Hydra's own, here and in what jobs are composed from.

    Args:
        cfg: from `make_job_config`.
        key: such as "hydra.sweep.dir"; a missing key is added.
        value: its value.
    """
    shown = QuotedString(value, Quote.double).with_quotes() if isinstance(value, str) else value
    plus = "+" if "env_set" in key and OmegaConf.select(cfg, key) is None else ""
    OmegaConf.update(cfg, key, value)
    # Not resolved: what is told of each job alone, such as its number, is missing here.
    told: Any = OmegaConf.to_container(cfg.hydra.overrides.hydra, resolve=False)
    kept = [item for item in told if item.lstrip("+").partition("=")[0] != key]
    cfg.hydra.overrides.hydra = [*kept, f"{plus}{key}={shown}"]


class TrialComposer:
    """Composes trials, quickly from the second one with the same options on, and opens their jobs.

    It does not see edits of YAML files during a search.

    Args:
        loader: Hydra's own.
        master: of the multirun, that trials are composed from.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._records: dict[int, dict[str, Any]] = {}
        self._composed: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        """Return a trial's configuration, and what it was made of, with Hydra's own node.

        Args:
            overrides: of the trial.
        """
        parsed = [_parse_override(text) for text in overrides]
        options = tuple(str(o.input_line) for o in parsed if not _is_value(o))
        if options not in self._composed:
            whole = self._loader.load_sweep_config(self._master, list(options))
            self._composed[options] = (strip_hydra_node(whole), whole)
        alone, whole = self._composed[options]
        cfg = copy.deepcopy(alone)
        with flag_override(cfg, "readonly", False):
            apply_overrides(filter(_is_value, parsed), cfg)
        OmegaConf.copy_cache(from_config=self._master, to_config=cfg)
        return cfg, whole

    def _get_record(self, whole: DictConfig) -> dict[str, Any]:
        """Return the content of Hydra's own node; of what trials do not change, a kept one."""
        if id(whole) not in self._records:
            self._records[id(whole)] = multirun.get_content(whole)
        hydra = whole.hydra
        own = {key: OmegaConf.to_container(hydra[key]) for key in ("overrides", "job", "runtime")}
        return self._records[id(whole)] | own

    def compose_checked(self, overrides: Sequence[str]) -> tuple[Config, dict[str, str]]:
        """Return a trial's checked configuration and its chosen options."""
        cfg, whole = self.compose(overrides)
        choices = {group: str(whole.hydra.runtime.choices[group]) for group in EXPERIMENT_GROUPS}
        return paths.resolve(check(cfg)), choices

    @contextmanager
    def open_job(self, trial: SearchTrial, overrides: Sequence[str]) -> Iterator[DictConfig]:
        """Give the configuration of a trial whose job is the present one in a block.

        It has a folder, a log and a record of its own, as a job of Hydra's.

        Args:
            trial: whose number is that of the job, too.
            overrides: of the trial.
        """
        cfg, whole = self.compose(overrides)
        hydra = whole.hydra
        with read_write(hydra), open_dict(hydra):
            hydra.overrides.task = list(overrides)
            hydra.job.num = trial.number
            hydra.job.id = f"{hydra.job.name}_{trial.number}"
            # By its number, whatever hydra.sweep.subdir is: it is its own, and the results name it.
            folder = Path(hydra.sweep.dir, str(trial.number)).absolute()
            hydra.runtime.output_dir = str(folder)
        job = Job(
            output_dir=folder,
            overrides=tuple(overrides),
            hydra_overrides=tuple(hydra.overrides.hydra),
            options=dict(hydra.runtime.choices),
            number=trial.number,
            multirun_dir=Path(hydra.sweep.dir).absolute(),
            trial=trial,
            sweeper=SEARCH_TARGET,
        )
        folder.mkdir(parents=True, exist_ok=True)
        with use_hydra_config(whole), use_job(job), logs.redirect(folder):
            multirun.write_record(cfg, self._get_record(whole))
            yield cfg


def load_space_extension(name: str | None) -> Callable[[DictConfig, Any], None] | None:
    """Return the user's function that adds parameters to a trial, or None.

    Args:
        name: of a function that takes the configuration and the trial.

    Raises:
        ConfigError: there is no such function, or it is not allowed.
    """
    if name is None:
        return None
    from tagifai.config.instantiate import locate_function

    return locate_function("hydra.sweeper.custom_search_space", name)


@lru_cache(maxsize=1024)
def _parse_override(text: str) -> Override:
    return OverridesParser.create().parse_override(text)


def _is_value(override: Override) -> bool:
    """Return whether an override is applied after composition, and cannot choose an option."""
    name = override.key_or_group
    return "." in name and "/" not in name and override.package is None
