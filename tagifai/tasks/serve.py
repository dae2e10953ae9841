"""task=serve: answer requests over HTTP with a run's model."""

from __future__ import annotations

import json
import shlex

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.models import bundles
from tagifai.runs import resolve
from tagifai.tracking.registry import CHAMPION


def run(config: Config) -> None:
    """Serve until Ctrl-C or SIGTERM, which end the server without an error."""
    display, task = Display.from_config(config.console), config.task
    run_id, bundle = resolve.choose_run(config, default=CHAMPION)
    with display.show_spinner("Starting the server"):
        tagger = bundles.load(bundle)
        # Late: it imports MLflow's server, which the errors so far do not need.
        from tagifai.serving import server

    with server.listen(task.host, task.port) as listening:
        url = server.get_url(listening)

        def ready() -> None:
            display.show_result(f"Serving run {run_id} at {url} until Ctrl-C.")
            display.show_copyable("Health", f"curl {url}/health", result=True)
            display.show_copyable("Try it", _build_example(url), result=True)

        try:
            server.serve(tagger, listening, ready)
        except KeyboardInterrupt:
            display.show_result("Stopped.")


def _build_example(url: str) -> str:
    content = json.dumps({"dataframe_records": [{"text": "Detecting cars in video"}]})
    kind = "Content-Type: application/json"
    return shlex.join(["curl", f"{url}/invocations", "-H", kind, "-d", content])
