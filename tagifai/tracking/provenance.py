"""The provenance of a run: the command, the options, the versions and the code that made it."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tagifai.config import paths
from tagifai.config.job import get_job, select_places
from tagifai.config.schema import EXPERIMENT_GROUPS, Config, find_schema_name
from tagifai.tracking.recording import naming
from tagifai.utils import environment, program
from tagifai.utils.secrets import mask_all


@dataclass(frozen=True)
class Invocation:
    """The command that a run's configuration was chosen with.

    Args:
        command: the command line that makes the run again.
        output_dir: folder of its files.
        options: the chosen option of each group.
        overrides: from the command line, in Hydra's grammar.
        paths: overrides of `select_places`, which suggested commands need, too.
        rerun_of: id of the run that is trained again, or None.
        trial: its number, if the run is a trial of a search.
        started: seconds on the monotonic clock.
    """

    command: str
    output_dir: Path
    options: Mapping[str, str | None]
    overrides: Sequence[str]
    paths: Sequence[str] = ()
    rerun_of: str | None = None
    trial: int | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def overridden(self) -> set[str]:
        """The keys and groups that were set on the command line, or by a search."""
        return {item.partition("=")[0].lstrip("+~") for item in self.overrides}

    def make_name(self, data: str) -> str:
        """Return the name of the run: its model, its data if they were chosen, what was overridden.

        Args:
            data: name of the data set.
        """
        return naming.make_run_name(self.options, self.overrides, data, self.trial)

    def derive_rerun(self, record: Mapping[str, Any], run_id: str) -> Invocation:
        """Return the invocation of a rerun: this command with the options of another run's record.

        Args:
            record: what `make_record` returned for the other run.
            run_id: of the other run.
        """
        return replace(
            self,
            options=record["options"],
            overrides=record["overrides"],
            rerun_of=run_id,
        )

    def make_record(self, config: Config) -> dict[str, Any]:
        """Return the provenance that is recorded with a run; equal for equal circumstances.

        Args:
            config: of the run.

        Returns:
            Options, overrides, schemas, versions, git state and platform, as JSON's types.
        """
        git = _get_git_state()
        return {
            "options": dict(self.options),
            "overrides": mask_all([*self.overrides]),
            "schemas": {
                group: find_schema_name(getattr(config, group)) for group in EXPERIMENT_GROUPS
            },
            "versions": environment.get_versions(environment.ALL_LIBRARIES),
            "git": {key.rpartition(".")[2]: value for key, value in git.items()},
            "platform": platform.platform(),
        }


@cache
def _get_git_state() -> dict[str, str]:
    """Return the git state of the checkout, read once, because the loaded code does not change."""
    checkout = paths.find_checkout()
    return {} if checkout is None else environment.read_git_state(checkout)


def get_invocation() -> Invocation:
    """Return the invocation of the present job's run."""
    job = get_job()
    overrides = list(job.overrides)
    options = {group: job.options.get(group) for group in EXPERIMENT_GROUPS}
    return Invocation(
        command=_make_command(options, overrides),
        output_dir=job.output_dir,
        options=options,
        overrides=overrides,
        paths=select_places(overrides),
        trial=None if job.trial is None else job.trial.number,
    )


def _make_command(options: Mapping[str, str | None], overrides: Sequence[str]) -> str:
    """Return the command line; for a job of a multirun, the one that runs this job alone."""
    if not get_job().is_multirun:
        return program.get_command(overrides)
    kept = [item for item in overrides if not re.match(r"sweep[.=]", item)]
    if len(kept) < len(overrides):
        # The options that the search's preset has chosen.
        given = {item.partition("=")[0] for item in kept}
        kept += [f"{group}={options[group]}" for group in EXPERIMENT_GROUPS if group not in given]
    return program.format_command(*kept)
