"""How trials end: judged by what their jobs return or raise."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import Trial, TrialState

from tagifai.exceptions import UserError
from tagifai.tracking import multirun, session
from tagifai.tracking.recording import naming
from tagifai.tracking.store import Experiment
from tagifai.training.trial import PRUNED, STALE
from tagifai.utils import program
from tagifai.utils.system import errors

if TYPE_CHECKING:
    from tagifai.sweeping.workers.worker import Worker

TRACE = "failed during processing with trace:"
"""Text that submitit writes above the traceback of a job that failed."""

INTERRUPTED = "Its job was interrupted."


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        state: COMPLETE, PRUNED or FAIL.
        values: of the objectives, or None.
        reason: of a failure or a death.
        is_dead: whether the trial is not to blame, and another takes its place.
    """

    state: TrialState
    values: list[float] | None = None
    reason: str = ""
    is_dead: bool = False


def judge(value: Any, n_values: int) -> Outcome:
    """Return how a trial ended, from what its job returned.

    Args:
        value: the objective, or a list of several, or a word of `tagifai.training.trial`.
        n_values: of the objectives.
    """
    if isinstance(value, str) and value == PRUNED:
        return Outcome(TrialState.PRUNED)
    if isinstance(value, str) and value == STALE:
        return Outcome(TrialState.FAIL, reason=INTERRUPTED, is_dead=True)
    try:
        values = [float(v) for v in (value if n_values > 1 else [value])]
    except (TypeError, ValueError):
        return Outcome(TrialState.FAIL, reason=f"The job returned {value!r}, not a number.")
    if len(values) != n_values:
        reason = f"The job returned {len(values)} values for {n_values} objectives."
        return Outcome(TrialState.FAIL, reason=reason)
    if any(math.isnan(v) for v in values):
        return Outcome(TrialState.FAIL, reason=f"The job returned {value!r}.")
    return Outcome(TrialState.COMPLETE, values)


def judge_error(error: BaseException) -> Outcome:
    """Return how a trial ended whose job raised an error; a full disk is not its fault."""
    return Outcome(TrialState.FAIL, reason=format_error(error), is_dead=errors.is_full(error))


def format_error(error: BaseException) -> str:
    """Return an error as one line."""
    if limit := errors.describe_limit(error):
        return limit
    if TRACE in str(error):
        lines = str(error).splitlines()
        return lines[lines.index("-" * 22, 2) - 2].strip()
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def advise(reason: str) -> str:
    """Return what helps if a worker was ended by the system, which does not say why."""
    ended = "SIGKILL" in reason or "terminated" in reason
    return f" If memory ran out: {errors.LESS_MEMORY}" if ended else ""


def record_failure(worker: Worker, trial: Trial, reason: str) -> str | None:
    """Record a failed run for a trial whose job failed before it had one; return its id.

    Args:
        worker: of the trial.
        trial: that failed.
        reason: of the failure.
    """
    if not worker.config.tracking.enabled:
        return None
    words = worker.space.make_overrides(trial.params)
    tags = {
        "mlflow.parentRunId": multirun.ensure_parent_run(worker.config) or "",
        "study": worker.study.name,
        "trial.number": str(trial.number),
        "trial.state": "FAIL",
        "command": program.format_command(*(w for w in words if not re.match(r"sweep[.=]", w))),
    }
    experiment = Experiment.from_config(worker.config)
    name = naming.make_run_name({}, words, worker.config.data.name, trial.number)
    with session.start_run(experiment, name, tags) as made:
        made.status = "FAILED"
        made.log_tags({"error": reason})
        return made.id
