"""Origins: the command, or the record of another run, that a run's configuration comes from."""

from __future__ import annotations

import platform
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from tagifai import provenance, sweeps
from tagifai.schema import EXPERIMENT, Config, schema_of


@dataclass(frozen=True)
class Origin:
    """What a run's configuration does not say of how it was chosen.

    Args:
        name: of the run, unless it is given one.
        command: the command line that makes it.
        output: folder of its files.
        options: chosen, by group; empty where a record does not say them.
        overrides: chosen, in Hydra's grammar; None where a record does not say them.
        paths: overrides of paths on the command line, which the commands to go on with need too.
        rerun_of: id of the run that is trained again, or None.
        began: seconds on the monotonic clock.
    """

    name: str
    command: str
    output: Path
    options: Mapping[str, str | None]
    overrides: Sequence[str] | None
    paths: Sequence[str] = ()
    rerun_of: str | None = None
    began: float = field(default_factory=time.monotonic)

    def again(self, record: Mapping[str, Any], run_id: str) -> Origin:
        """Return the origin of a run that is made by this command from the record of another.

        Args:
            record: what `document` returned for the other run, or nothing.
            run_id: of the other run.
        """
        options = record.get("options", {})
        return replace(
            self,
            name=_name(options) if options else f"rerun-{run_id[:8]}",
            options=options,
            overrides=record.get("overrides"),
            rerun_of=run_id,
        )

    def document(self, config: Config) -> dict[str, Any]:
        """Return all that is kept of how a run came about; equal for equal circumstances.

        Args:
            config: of the run.
        """
        git = _git_state(Path(config.paths.root))
        return {
            "options": dict(self.options),
            "overrides": None if self.overrides is None else list(self.overrides),
            "schemas": {group: schema_of(getattr(config, group)) for group in EXPERIMENT},
            "versions": provenance.versions(provenance.ALL_LIBRARIES),
            "git": {key.rpartition(".")[2]: value for key, value in git.items()},
            "platform": platform.platform(),
        }


@cache
def _git_state(root: Path) -> dict[str, str]:
    """Return the state of the checkout, asked for once: the code of this process stays as it is."""
    return provenance.git_state(root)


def of_command() -> Origin:
    """Return the origin of the present job's run."""
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    options = {group: hydra.runtime.choices.get(group) for group in EXPERIMENT}
    return Origin(
        name=f"trial-{hydra.job.num}" if sweeps.in_search() else _name(options),
        command=_command(options, overrides),
        output=Path(hydra.runtime.output_dir),
        options=options,
        overrides=overrides,
        paths=[item for item in overrides if item.startswith("paths.")],
    )


def _name(options: Mapping[str, str | None]) -> str:
    """Return the options that runs differ in most, which say more than MLflow's random names."""
    return "-".join(str(options.get(group)) for group in ("model", "vectorizer", "data"))


def _command(options: Mapping[str, str | None], overrides: Sequence[str]) -> str:
    """Return the command line; of a job in a sweep, the one that runs this job alone."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return shlex.join(["run.py", *sys.argv[1:]])
    kept = [item for item in overrides if not re.match(r"sweep[.=]", item)]
    if len(kept) < len(overrides):
        # The options that the search's preset has chosen.
        given = {item.partition("=")[0] for item in kept}
        kept += [f"{group}={options[group]}" for group in EXPERIMENT if group not in given]
    return shlex.join(["run.py", *kept])
