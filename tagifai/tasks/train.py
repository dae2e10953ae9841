"""task=train: from data to a tracked run with a model that can be used."""

from __future__ import annotations

from typing import Any

from tagifai import clerk, origins, store, sweeps, views
from tagifai.console import Display
from tagifai.schema import Config


def run(config: Config) -> Any:
    """Train, score and record a run; return the objective, a list if it has several metrics."""
    in_search = sweeps.in_search()
    if config.tracking.enabled and not in_search:
        clerk.begin(store.tracking_uri(config.tracking.uri))
    origin = origins.of_command()
    display = Display.of(config.console, silent=in_search)
    views.header(display, config, origin)
    # From here on half of the scientific stack is imported, which takes longer than the header.
    with display.waiting("Loading libraries"):
        from tagifai import trainer

    if in_search:
        return trainer.attempt(config, origin, display)
    return trainer.train(config, origin, display).value
