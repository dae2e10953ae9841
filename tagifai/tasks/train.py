"""task=train: from data to a tracked run with a model that can be used."""

from __future__ import annotations

from typing import Any

from tagifai import clerk, origins, store, sweeps, views
from tagifai.console import Display
from tagifai.schema import Config


def run(config: Config) -> Any:
    """Train, score and record a run; return the objective, a list if it has several metrics."""
    in_search = sweeps.is_search_trial()
    if config.tracking.enabled and not in_search:
        clerk.start_if_useful(store.get_tracking_uri(config.tracking.uri))
    origin = origins.get_invocation()
    display = Display.from_config(config.console, silent=in_search)
    views.show_header(display, config, origin)
    # From here on half of the scientific stack is imported, which takes longer than the header.
    with display.show_spinner("Loading libraries"):
        from tagifai import trainer

    if in_search:
        return trainer.train_trial(config, origin, display)
    return trainer.train(config, origin, display).value
