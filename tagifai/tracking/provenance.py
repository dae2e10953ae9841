"""Origins: the command, or the record of another run, that a run's configuration comes from."""

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
from tagifai.config.job import get_job
from tagifai.config.schema import EXPERIMENT_GROUPS, Config, find_schema_name
from tagifai.utils import environment, program
from tagifai.utils.secrets import mask


@dataclass(frozen=True)
class Invocation:
    """What a run's configuration does not say of how it was chosen.

    Args:
        name: of the run, unless it is given one.
        command: the command line that makes it.
        output_dir: folder of its files.
        options: chosen, by group.
        overrides: chosen, in Hydra's grammar.
        paths: overrides of paths on the command line, which the commands to go on with need too.
        rerun_of: id of the run that is trained again, or None.
        started: seconds on the monotonic clock.
    """

    name: str
    command: str
    output_dir: Path
    options: Mapping[str, str | None]
    overrides: Sequence[str]
    paths: Sequence[str] = ()
    rerun_of: str | None = None
    started: float = field(default_factory=time.monotonic)

    def derive_rerun(self, record: Mapping[str, Any], run_id: str) -> Invocation:
        """Return the origin of a run that is made by this command from the record of another.

        Args:
            record: what `make_record` returned for the other run.
            run_id: of the other run.
        """
        return replace(
            self,
            name=_make_name(record["options"]),
            options=record["options"],
            overrides=record["overrides"],
            rerun_of=run_id,
        )

    def make_record(self, config: Config) -> dict[str, Any]:
        """Return all that is kept of how a run came about; equal for equal circumstances.

        Args:
            config: of the run.
        """
        git = _get_git_state()
        return {
            "options": dict(self.options),
            "overrides": [*map(mask, self.overrides)],
            "schemas": {
                group: find_schema_name(getattr(config, group)) for group in EXPERIMENT_GROUPS
            },
            "versions": environment.get_versions(environment.ALL_LIBRARIES),
            "git": {key.rpartition(".")[2]: value for key, value in git.items()},
            "platform": platform.platform(),
        }


@cache
def _get_git_state() -> dict[str, str]:
    """Return the state of the checkout, asked for once: the code of this process stays as it is."""
    checkout = paths.find_checkout()
    return {} if checkout is None else environment.read_git_state(checkout)


def get_invocation() -> Invocation:
    """Return the origin of the present job's run."""
    job = get_job()
    overrides = list(job.overrides)
    options = {group: job.options.get(group) for group in EXPERIMENT_GROUPS}
    return Invocation(
        name=_make_name(options) if job.trial is None else f"trial-{job.trial.number}",
        command=_make_command(options, overrides),
        output_dir=job.output_dir,
        options=options,
        overrides=overrides,
        paths=[item for item in overrides if item.startswith("paths.")],
    )


def _make_name(options: Mapping[str, str | None]) -> str:
    """Return the options that runs differ in most, which say more than MLflow's random names."""
    return "-".join(str(options.get(group)) for group in ("model", "vectorizer", "data"))


def _make_command(options: Mapping[str, str | None], overrides: Sequence[str]) -> str:
    """Return the command line; of a job in a sweep, the one that runs this job alone."""
    if not get_job().is_multirun:
        return program.get_command(overrides)
    kept = [item for item in overrides if not re.match(r"sweep[.=]", item)]
    if len(kept) < len(overrides):
        # The options that the search's preset has chosen.
        given = {item.partition("=")[0] for item in kept}
        kept += [f"{group}={options[group]}" for group in EXPERIMENT_GROUPS if group not in given]
    return program.format_command(*kept)
