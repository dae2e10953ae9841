"""task=train: train a model, score it, and record the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.reporting import run_summary
from tagifai.tracking import provenance

RUN_ID = "run_id.txt"
"""File in a run's folder with its id."""

if TYPE_CHECKING:
    from tagifai.runs.trainer import TrainedRun


def run(config: Config) -> Any:
    """Train, score and record a run, and return the objective; a list for several metrics."""
    if get_job().trial is None:
        return train(config).value
    from tagifai.runs import trainer

    silent = Display.from_config(config.console, silent=True)
    return trainer.train_trial(config, provenance.get_invocation(), silent)


def train(config: Config) -> TrainedRun:
    """Train, score, record and show a run."""
    invocation = provenance.get_invocation()
    display = Display.from_config(config.console)
    run_summary.show_header(display, config, invocation)
    # From here on the scientific libraries are imported, which takes longer than the header.
    with display.show_spinner("Loading libraries"):
        from tagifai.runs import trainer

    trained = trainer.train(config, invocation, display)
    (invocation.output_dir / RUN_ID).write_text(f"{trained.run_id}\n", encoding="utf-8")
    return trained
