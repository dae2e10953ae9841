"""task=train: train a model, score it, and record the run."""

from __future__ import annotations

from typing import Any

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.reporting import run_summary
from tagifai.tracking import provenance, recorder, store


def run(config: Config) -> Any:
    """Train, score and record a run, and return the objective; a list for several metrics."""
    in_search = get_job().trial is not None
    if config.tracking.enabled and not in_search:
        recorder.start_if_useful(store.get_tracking_uri(config.tracking.uri))
    invocation = provenance.get_invocation()
    display = Display.from_config(config.console, silent=in_search)
    run_summary.show_header(display, config, invocation)
    # From here on the scientific libraries are imported, which takes longer than the header.
    with display.show_spinner("Loading libraries"):
        from tagifai.runs import trainer

    if in_search:
        return trainer.train_trial(config, invocation, display)
    return trainer.train(config, invocation, display).value
