from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tagifai.exceptions import ConfigError
from tagifai.models.tagger import Tagger
from tagifai.serving import server
from tests.conftest import TEXTS

JSON = "application/json"


@dataclass
class Client:
    url: str

    def post(self, content: Any, kind: str | None = JSON) -> tuple[int, Any]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {} if kind is None else {"Content-Type": kind}
        answer = requests.post(f"{self.url}/invocations", data=body, headers=headers, timeout=30)
        return answer.status_code, answer.json()

    def refusal(self, content: Any, kind: str | None = JSON) -> tuple[int, str]:
        status, answer = self.post(content, kind)
        assert set(answer) == {"error_code", "message"}
        assert "Traceback" not in answer["message"]
        return status, answer["message"]


@pytest.fixture(scope="module")
def client(tagger: Tagger) -> Iterator[Client]:
    """A client of a server in a thread, which a signal would not reach."""
    running: list[Any] = []
    ready = threading.Event()
    with pytest.MonkeyPatch.context() as patch, server.listen("127.0.0.1", 0) as listening:
        patch.setattr(server, "LARGEST", 100_000)
        start = server._NotifyingServer.startup

        async def startup(self: Any, sockets: Any = None) -> None:
            running.append(self)
            await start(self, sockets)

        patch.setattr(server._NotifyingServer, "startup", startup)
        arguments = (tagger, listening, ready.set)
        thread = threading.Thread(target=server.serve, args=arguments, daemon=True)
        thread.start()
        assert ready.wait(60)
        yield Client(server.get_url(listening))
        running[0].should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_every_form_of_a_request_gives_what_the_tagger_gives(
    client: Client, tagger: Tagger
) -> None:
    texts = [*TEXTS[:3], "", 'Ünïcode, "quoted"\n']
    records = [{"text": text} for text in texts]
    for content in (
        {"dataframe_records": records},
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}},
        {"instances": records},
        {"inputs": {"text": texts}},
    ):
        assert client.post(content) == (200, {"predictions": tagger.predict(texts)})
    table = b"text\nImages with convolutions\n"
    assert client.post(table, "text/csv")[1] == {"predictions": tagger.predict(TEXTS[:1])}


def test_it_says_that_it_is_well(client: Client) -> None:
    assert requests.get(f"{client.url}/health", timeout=30).status_code == 200
    assert requests.get(f"{client.url}/ping", timeout=30).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_records": [{"text": "a"}, {"text": 3}]},
        {"dataframe_split": {"columns": ["n", "text"], "data": [[1, "a"], [2, 3]]}},
        {"instances": [{"text": "a"}, {"text": 3}]},
        {"instances": ["a", 3]},
        {"inputs": {"text": ["a", 3]}},
    ],
)
def test_a_row_that_is_no_text_is_named(client: Client, content: Any) -> None:
    status, message = client.refusal(content)
    assert (status, message.partition(";")[0]) == (400, "Row 2 of 2: 3 is not a text")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"dataframe_records": [{"text": "a"}, {"txt": "b"}]}, "Row 2 of 2: there is no text"),
        ({"dataframe_split": {"columns": ["text"], "data": [["a"], []]}}, "Row 2 of 2: there is"),
        ({"dataframe_records": [{"text": "\ud800"}]}, "Row 1 of 1: the text is not valid Unicode"),
        ({"dataframe_split": {"columns": ["x"], "data": [["a"]]}}, "missing inputs ['text']"),
        ({"dataframe_records": 5}, "must be a list of records"),
        ({}, "exactly one of the input fields"),
        ([1], "Received a list"),
        (b"{bad", "valid JSON"),
        (b"\xff", "valid JSON"),
    ],
)
def test_a_request_that_is_none_gets_a_reason_and_no_traceback(
    client: Client, content: Any, said: str
) -> None:
    status, message = client.refusal(content)
    assert status == 400
    assert said in message


def test_what_is_not_a_kind_of_request_is_said(client: Client) -> None:
    assert client.refusal(b"x", "text/plain")[0] == 415
    assert client.refusal(b"x", None) == (
        415,
        "Set the Content-Type: application/json or text/csv.",
    )
    assert client.refusal({"instances": ["x" * 100_000]})[0] == 413
    asked = requests.get(f"{client.url}/invocations", timeout=30, headers={"Content-Type": JSON})
    assert (asked.status_code, asked.json()["message"]) == (405, "Method Not Allowed")
    assert "missing inputs" in client.refusal(b"txt\na\n", "text/csv")[1]


def test_an_unforeseen_error_keeps_its_traceback_to_itself(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tagger, "compute_outputs", lambda *_: 1 / 0)
    status, message = client.refusal({"instances": ["a"]})
    assert status == 400
    assert "ZeroDivisionError" not in message


def test_a_port_that_is_taken_is_an_error_with_the_way_out() -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"task.port = {port}: .* 0 takes one that is free"):
            server.listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"task.host = 'no\.such\.host\.invalid'"):
        server.listen("no.such.host.invalid", 0)


def test_the_address_of_a_socket_is_a_url() -> None:
    with server.listen("127.0.0.1", 0) as listening:
        assert server.get_url(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"
    if socket.has_ipv6:
        with server.listen("::1", 0) as listening:
            assert server.get_url(listening).startswith("http://[::1]:")
