"""task=serve: answer requests over HTTP with a run's model."""

from __future__ import annotations

import json
import shlex

from tagifai.config.schema import Config, ServeTaskConfig
from tagifai.console.display import Display
from tagifai.models import bundles
from tagifai.runs import resolve
from tagifai.tracking.registry import CHAMPION


def run(config: Config) -> None:
    """Serve until Ctrl-C or SIGTERM, which end the server without an error."""
    task: ServeTaskConfig = config.task
    display = Display.from_config(config.console)
    run_id, bundle = resolve.choose_run(config, default=CHAMPION)
    # Late: the errors so far do not need it.
    from tagifai.serving import server

    token = server.read_token(task.token_file)
    with server.listen(task.host, task.port) as listening:
        server.require_token(listening, task, token)
        with display.show_spinner("Starting the server"):
            tagger = bundles.load(bundle)
        url = server.get_url(listening)

        def ready() -> None:
            display.show_result(f"Serving run {run_id} at {url} until Ctrl-C.")
            if not server.is_local(listening):
                asked = "who has the token" if token else "anybody"
                display.show_note(
                    f"Other machines reach this server, and it answers {asked}; what is sent is not"
                    " encrypted, which is for a proxy with TLS to do.",
                    result=True,
                )
            display.show_copyable("Health", f"curl {url}/health", result=True)
            display.show_copyable("Try it", _build_example(url, tagger.columns, token), result=True)

        try:
            server.serve(tagger, listening, task, token, ready)
        except KeyboardInterrupt:
            display.show_result("Stopped.")


def _build_example(url: str, columns: tuple[str, ...], token: str | None) -> str:
    content = json.dumps({"dataframe_records": [dict.fromkeys(columns, "Detecting cars in video")]})
    kind = "Content-Type: application/json"
    words = shlex.join(["curl", f"{url}/invocations", "-H", kind, "-d", content])
    # The variable, and not the token, which would stay on the screen and in a history.
    return words + ' -H "Authorization: Bearer $TAGIFAI_TOKEN"' * (token is not None)
