"""task=serve and MLflow's own tools end to end, against task=predict."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.app import App, children, environment
from tests.showcase import Showcase

TEXTS = [
    "Detecting cars in video",
    'A corpus of dialogues, "quoted"; with commas',
    "?!",
    "Ünïcode 文字",
    *(f"Deploying model number {number} behind an API" for number in range(1000)),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, showcase: Showcase) -> App:
    """A trained application with a champion that is not the latest run."""
    app = showcase.copy("runs", tmp_path_factory.mktemp("served"))
    app.ok("task=promote", "task.metric=val_loss", "task.direction=maximize", "console=quiet")
    return app


@pytest.fixture(scope="module")
def predicted(app: App) -> list[dict[str, Any]]:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (app.cwd / "texts.jsonl").write_text(lines)
    output = app.ok("task=predict", "task.run_id=champion", "task.input=texts.jsonl")
    return list(json.loads(output))


@contextmanager
def serving(app: App, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server; give its process and its address."""
    process = app.start("task=serve", "task.port=0", *arguments)
    try:
        assert process.stdout is not None
        shown = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", shown)):
            line = process.stdout.readline()
            assert line, shown + process.communicate()[1]
            shown += line
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def tagged(url: str, texts: list[str]) -> Any:
    content = {"dataframe_records": [{"text": text} for text in texts]}
    answer = requests.post(f"{url}/invocations", json=content, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def stopped(process: subprocess.Popen[str], url: str, number: int) -> None:
    """End a server by a signal, and see that it ends well and answers no more."""
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == "Stopped."
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=60)


@pytest.mark.e2e
def test_the_champion_answers_in_one_process_as_the_command_line_does_until_ctrl_c(
    app: App, predicted: list[dict[str, Any]]
) -> None:
    with serving(app) as (process, url):
        assert requests.get(f"{url}/health", timeout=60).status_code == 200
        assert tagged(url, TEXTS) == predicted
        assert [tagged(url, [text]) for text in TEXTS[:5]] == [[row] for row in predicted[:5]]
        if Path("/proc/self/task").exists():
            assert children(process.pid) == []
        stopped(process, url, signal.SIGINT)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("curl") is None, reason="the line is one for curl")
def test_the_line_to_try_it_works_as_printed_until_the_server_is_told_to_end(app: App) -> None:
    with serving(app, f"task.run_id={app.run_id()}") as (process, url):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        example = next(line for line in lines if line.startswith("Try it: "))
        done = subprocess.run(
            ["bash", "-c", f"{example.removeprefix('Try it: ').strip()} --silent"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        text = "task.text=Detecting cars in video"
        assert json.loads(done.stdout)["predictions"] == json.loads(app.ok("task=predict", text))
        stopped(process, url, signal.SIGTERM)


@pytest.mark.e2e
def test_mlflow_s_own_command_line_predicts_the_same(
    app: App, predicted: list[dict[str, Any]], tmp_path: Path
) -> None:
    given, written = tmp_path / "in.json", tmp_path / "out.json"
    given.write_text(json.dumps({"dataframe_records": [{"text": text} for text in TEXTS]}))
    program = Path(sys.executable).with_name("mlflow")
    subprocess.run(
        [
            str(program), "models", "predict", "-m", "models:/tagifai@champion",
            "-i", str(given), "-o", str(written), "-t", "json", "--env-manager", "local",
        ],
        cwd=tmp_path, check=True, capture_output=True, timeout=240,
        env=environment({"MLFLOW_TRACKING_URI": f"sqlite:///{app.stores}/mlflow.db"}),
    )  # fmt: skip
    assert json.loads(written.read_text())["predictions"] == predicted


def test_what_cannot_be_served_is_one_error(app: App) -> None:
    for arguments, said in (
        (("task.run_id=nobody",), "There is no run 'nobody'"),
        (("tracking.model=other",), "has no champion yet"),
        (("task.port=70000",), "a whole number from 0 to 65535"),
        (("task.host=no.such.host.invalid",), "task.host = 'no.such.host.invalid'"),
    ):
        done = app.run("task=serve", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
