from __future__ import annotations

import asyncio
import gc
import json
import math
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests

from tagifai.config.schema import ServeTaskConfig
from tagifai.exceptions import ConfigError
from tagifai.models.tagger import Tagger
from tagifai.serving import server
from tagifai.serving.application import Application
from tests.conftest import TEXTS

JSON = "application/json"


@dataclass
class Client:
    url: str

    def post(self, content: Any, kind: str | None = JSON, **headers: str) -> tuple[int, Any]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        given = headers if kind is None else {"Content-Type": kind, **headers}
        answer = requests.post(f"{self.url}/invocations", data=body, headers=given, timeout=30)
        return answer.status_code, answer.json()

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=headers, timeout=30)

    def refusal(self, content: Any, kind: str | None = JSON, **headers: str) -> tuple[int, str]:
        status, answer = self.post(content, kind, **headers)
        assert set(answer) == {"error_code", "message"}
        assert "Traceback" not in answer["message"]
        return status, answer["message"]

    def connect(self, content: bytes = b"") -> socket.socket:
        """Return a connection that has sent something."""
        host, port = self.url.removeprefix("http://").split(":")
        made = socket.create_connection((host, int(port)), timeout=10)
        made.sendall(content.replace(b"HOST", f"{host}:{port}".encode()))
        return made

    def exchange(self, content: bytes) -> bytes:
        """Return all that comes back until the other side closes."""
        with self.connect(content) as made:
            return read_all(made)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with suppress(ConnectionError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


@contextmanager
def serving(tagger: Tagger, token: str | None = None, **settings: Any) -> Iterator[Client]:
    """Give a client of a server in a thread, which a signal would not reach."""
    running: list[Any] = []
    ready = threading.Event()
    task = ServeTaskConfig(**settings)
    with pytest.MonkeyPatch.context() as patch, server.listen("127.0.0.1", 0) as listening:
        start = server._NotifyingServer.startup

        async def startup(self: Any, sockets: Any = None) -> None:
            running.append(self)
            await start(self, sockets)

        patch.setattr(server, "GRACE_SECONDS", 1)
        patch.setattr(server._NotifyingServer, "startup", startup)
        arguments = (tagger, listening, task, token, ready.set)
        thread = threading.Thread(target=server.serve, args=arguments, daemon=True)
        thread.start()
        assert ready.wait(60)
        yield Client(server.get_url(listening))
        running[0].should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(tagger: Tagger) -> Iterator[Client]:
    small = {"max_request_mb": 0.1, "max_connections": 20, "max_rows": 100, "max_characters": 5_000}
    short = {"head_seconds": 0.5, "body_seconds": 0.7, "predict_seconds": 5}
    settings: dict[str, Any] = {**small, **short}
    with serving(tagger, **settings) as made:
        yield made


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
    assert client.post(table, "text/csv; charset=UTF-8")[0] == 200
    assert client.post({"instances": texts}, "application/json; charset=utf-8")[0] == 200


def test_texts_that_are_predicted_in_several_steps_are_in_order(
    client: Client, tagger: Tagger
) -> None:
    texts = ["x" * 4_000, "", *TEXTS, "y" * 4_999, "z", "Images " * 500]
    assert client.post({"instances": texts}) == (200, {"predictions": tagger.predict(texts)})
    assert client.post({"instances": []}) == (200, {"predictions": []})


def test_it_says_that_it_is_well_and_what_it_is(client: Client) -> None:
    assert [client.get(path).status_code for path in ("/health", "/ping", "/ready")] == [200] * 3
    assert client.get("/version").text == mlflow.__version__
    assert [client.get(f"/{name}").status_code for name in ("docs", "redoc", "openapi.json")] == [
        404
    ] * 3


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
        ({"inputs": {"text": ["a"]}, "instances": ["a"]}, "exactly one of the input fields"),
        ({"inputs": {"text": "a"}}, "a list for each column"),
        ({"inputs": {"txt": ["a"]}}, "missing inputs ['text']"),
        ({"dataframe_split": {"columns": "text"}}, "lists of columns and of data"),
        ({"dataframe_records": ["a"]}, "each an object"),
        ({"instances": [{"text": [[["a"] * 9] * 9] * 9}]}, "Row 1 of 1: [[["),
        (b"{bad", "valid JSON"),
        (b"\xff", "not valid UTF-8 (byte 1)"),
        ('{"instances": ["é"]}'.encode("utf-16"), "not valid UTF-8"),
        (b'{"instances": [NaN]}', "NaN is no number of JSON"),
        (b'{"instances": [-Infinity]}', "-Infinity is no number"),
        (b'{"instances": [1e999]}', "1e999 is too large a number"),
        (b'{"instances": [' + b"9" * 5000 + b"]}", "valid JSON: Exceeds the limit"),
        (b'{"instances": ["a"], "instances": ["b"]}', "'instances' stands there twice"),
        (b'{"instances": ' + b"[" * 50_000, "nested too deeply"),
        (b'{"a":' * 10_000, "nested too deeply"),
        (b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}", "Row 1 of 1: [["),
    ],
)
def test_a_request_that_is_none_gets_a_reason_and_no_traceback(
    client: Client, content: Any, said: str
) -> None:
    status, message = client.refusal(content)
    assert status == 400
    assert said in message


def test_what_is_not_a_kind_of_request_is_said(client: Client) -> None:
    kinds = "Set the Content-Type: application/json or text/csv."
    assert client.refusal(b"x", "text/plain") == (415, kinds)
    assert client.refusal(b"x", None) == (415, kinds)
    assert client.refusal(b"{}", "application/json; charset=utf-16")[0] == 415
    assert client.refusal(b"{}", JSON, **{"Content-Encoding": "gzip"})[0] == 415
    assert client.get("/invocations").headers["allow"] == "POST"
    asked = requests.get(f"{client.url}/invocations", timeout=30, headers={"Content-Type": JSON})
    assert (asked.status_code, asked.json()["message"]) == (405, "Method Not Allowed")
    assert client.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"txt\na\n", "missing inputs"),
        (b'text\n"a\n', "not valid CSV"),
        (b"text,n\na,1\n,2\n", "Row 2 of 2: there is no text"),
        (b"", "missing inputs"),
    ],
)
def test_a_table_that_is_none_gets_a_reason(client: Client, content: bytes, said: str) -> None:
    status, message = client.refusal(content, "text/csv")
    assert status == 400
    assert said in message


def test_a_request_that_is_too_large_is_refused_by_bytes_and_by_rows(client: Client) -> None:
    assert client.refusal({"instances": ["x" * 200_000]})[0] == 413
    assert client.refusal({"instances": ["x"] * 101}) == (
        413,
        "The request has 101 rows, and 100 are the most.",
    )
    assert client.refusal(b'{"dataframe_records": [' + b"{}," * 30_000 + b"{}]}")[0] == 413
    assert client.refusal(b"text\n" + b"a\n" * 200, "text/csv")[0] == 413
    assert client.refusal({"instances": ["a", "x" * 5_001]}) == (
        413,
        "A text has 5,001 characters, and 5,000 are the most.",
    )
    parts = (b"x" * 1000 for _ in range(1000))
    headers = {"Content-Type": JSON}
    asked = requests.post(f"{client.url}/invocations", data=parts, headers=headers, timeout=30)
    assert asked.status_code == 413


def test_a_key_that_stands_there_twice_among_many_takes_no_time(client: Client) -> None:
    keys = ",".join(f'"{number}":1' for number in range(9_000))
    begun = time.monotonic()
    for _ in range(5):
        said = client.refusal(f'{{{keys},"8999":1}}'.encode())
        assert said == (400, "The body is not valid JSON: the key '8999' stands there twice.")
    assert time.monotonic() - begun < 3


def test_of_a_refused_request_nothing_stays_in_memory(tagger: Tagger) -> None:
    body = b'{"inputs": [' + b"9" * 2_000_000 + b"]}"
    task = ServeTaskConfig()
    application = Application(tagger, task, {"host"}, 80, None)
    headers = [(b"host", b"host"), (b"content-type", b"application/json")]
    scope = {"path": "/invocations", "method": "POST", "headers": headers, "server": ("host", 80)}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(bytearray(body))}

    async def send(message: Any) -> None:
        sent.append(message.get("status"))

    async def ask() -> None:
        for _ in range(10):
            await application(scope, receive, send)

    gc.disable()
    tracemalloc.start()
    try:
        asyncio.run(ask())
        assert tracemalloc.get_traced_memory()[0] < 2 * len(body)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert sent[::2] == [400] * 10


def test_an_unforeseen_error_keeps_its_traceback_to_itself(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Tagger, "compute_outputs", lambda *_: 1 / 0)
    for _ in range(3):
        status, message = client.refusal({"instances": ["a"]})
        assert status == 500
        assert "ZeroDivisionError" not in message
    assert len(caplog.records) == 1


def test_a_number_that_is_none_is_no_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tagger, "predict", lambda *_: [{"probability": math.nan}])
    assert client.refusal({"instances": ["a"]})[0] == 500


# --- who may ask -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "localhost", "", "a b"],
)
def test_a_name_of_another_host_is_refused(client: Client, host: str) -> None:
    host = host.replace("PORT", client.url.rpartition(":")[2])
    answer = client.get("/health", Host=host)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT"]
)
def test_the_names_of_this_machine_are_taken(client: Client, host: str) -> None:
    host = host.replace("PORT", client.url.rpartition(":")[2])
    assert client.get("/health", Host=host).status_code == 200


def test_without_a_token_only_health_is_told(tagger: Tagger) -> None:
    token = "a-token-of-some-length"
    with serving(tagger, token, allowed_hosts=["proxy.example"]) as client:
        assert client.get("/health").status_code == 200
        assert [client.get(p).status_code for p in ("/ping", "/ready", "/version")] == [401] * 3
        assert client.refusal({"instances": ["a"]})[0] == 401
        for wrong in (f"Bearer {token}x", token, "Bearer ", f"bearer {token}", "Bearer \xe9"):
            given = {"Authorization": wrong.encode("latin-1")}
            assert client.refusal({"instances": ["a"]}, JSON, **given)[0] == 401  # type: ignore[arg-type]
        right = {"Authorization": f"Bearer {token}", "Host": "proxy.example"}
        assert client.post({"instances": ["a"]}, JSON, **right)[0] == 200


def test_a_token_comes_from_a_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGIFAI_TOKEN", raising=False)
    assert server.read_token(None) is None
    monkeypatch.setenv("TAGIFAI_TOKEN", "a-token-of-the-variable")
    assert server.read_token(None) == "a-token-of-the-variable"
    (tmp_path / "token").write_text("a-token-of-the-file\n")
    assert server.read_token(str(tmp_path / "token")) == "a-token-of-the-file"
    for bad in ("", "short", "with a blank, and long", "with a line\nend, and long", "é" * 20):
        (tmp_path / "token").write_text(bad)
        with pytest.raises(ConfigError, match="has no token: that is 16 or more") as caught:
            server.read_token(str(tmp_path / "token"))
        assert not bad or bad not in str(caught.value)
    with pytest.raises(ConfigError, match=r"task\.token_file: .*nowhere cannot be read: No such"):
        server.read_token(str(tmp_path / "nowhere"))


def test_other_machines_need_a_token_unless_it_is_said_that_they_do_not() -> None:
    task = ServeTaskConfig(host="0.0.0.0")
    with server.listen("0.0.0.0", 0) as everywhere, server.listen("127.0.0.1", 0) as here:
        with pytest.raises(ConfigError, match="can be reached from other machines"):
            server.require_token(everywhere, task, None)
        server.require_token(everywhere, task, "a-token-of-some-length")
        server.require_token(everywhere, ServeTaskConfig(require_token=False), None)
        server.require_token(here, task, None)


# --- who sends what no client sends ------------------------------------------------------------

HEAD = b"POST /invocations HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
BODY = b'{"instances": ["a"]}'
WHOLE = HEAD + b"Content-Length: 20\r\n\r\n" + BODY
HEALTH = b"GET /health HTTP/1.1\r\nHost: HOST\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health HT", HEAD, WHOLE[:-1], HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"],
)
def test_half_a_request_is_closed_at_its_deadline(client: Client, sent: bytes) -> None:
    begun = time.monotonic()
    answer = client.exchange(sent)
    assert time.monotonic() - begun < 3
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")


def test_a_byte_now_and_then_does_not_keep_a_connection_open(client: Client) -> None:
    for begin in (b"GET /health HTTP/1.1\r\nX: ", HEAD + b"Content-Length: 9999\r\n\r\n"):
        begun = time.monotonic()
        with client.connect(begin) as made, suppress(ConnectionError):
            while time.monotonic() - begun < 5:
                made.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() - begun < 4


def test_a_connection_that_asks_nothing_more_is_closed(client: Client) -> None:
    begun = time.monotonic()
    assert client.exchange(HEALTH).startswith(b"HTTP/1.1 200 OK")
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("sent", [b"", HEAD + b"Content-Length: 9999\r\n\r\n{"])
def test_many_connections_keep_nobody_out(client: Client, sent: bytes) -> None:
    held = [client.connect(sent) for _ in range(100)]
    try:
        begun = time.monotonic()
        assert client.get("/health").status_code == 200
        assert time.monotonic() - begun < 2
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: client.post({"instances": ["a"]})[0] == 200)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 20\r\nContent-Length: 5\r\n",
        b"Content-Length: 20\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 20\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e3\r\n",
        b"Content-Length : 20\r\n",
        b"Host: evil.example\r\nContent-Length: 20\r\n",
        b"X: " + b"a" * 100_000 + b"\r\n",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(client: Client, headers: bytes) -> None:
    answer = client.exchange(HEAD + headers + b"\r\n" + BODY)
    assert re.match(rb"HTTP/1.1 (4\d\d|501) ", answer), answer[:100]


def test_what_follows_a_body_is_a_request_of_its_own_or_none(client: Client) -> None:
    answers = client.exchange(WHOLE + HEALTH + b"junk\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"400"]
    # A length that is too small leaves the rest to be taken for a request.
    short = client.exchange(HEAD + b"Content-Length: 5\r\n\r\n" + BODY + b"\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", short) == [b"400", b"400"]


def test_a_body_without_end_is_refused_and_cut_off(client: Client) -> None:
    begun = time.monotonic()
    with client.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n") as made:
        with suppress(ConnectionError):
            while time.monotonic() - begun < 5:
                made.sendall(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
        assert time.monotonic() - begun < 4


def test_who_takes_no_answer_is_cut_off(client: Client) -> None:
    large = {"instances": ["x" * 900] * 100}
    content = json.dumps(large).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content
    with client.connect() as made:
        made.settimeout(3)
        with suppress(OSError):
            while True:
                made.sendall(request.replace(b"HOST", client.url[7:].encode()))
    wait_until(lambda: client.get("/ready").status_code == 200)


# --- load --------------------------------------------------------------------------------------


def test_past_the_queue_it_says_so_and_health_is_well(
    tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, predict = threading.Event(), threading.Event(), Tagger.predict

    def wait(*given: Any) -> Any:
        begun.set()
        return go.wait(20) and predict(*given)

    monkeypatch.setattr(Tagger, "predict", wait)
    found: list[int] = []
    with serving(tagger, max_waiting=2, predict_seconds=10) as client:
        askers = [
            threading.Thread(target=lambda: found.append(client.post({"instances": ["a"]})[0]))
            for _ in range(3)
        ]
        for asker in askers:
            asker.start()
            assert begun.wait(20)  # the first waits no more when the others come
        wait_until(lambda: client.get("/ready").status_code == 503)
        answer = requests.post(f"{client.url}/invocations", json={"instances": ["a"]}, timeout=30)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert client.get("/health").status_code == 200
        go.set()
        for asker in askers:
            asker.join()
        assert found == [200] * 3
        assert client.get("/ready").status_code == 200


def test_a_stuck_prediction_is_told_and_keeps_the_server_neither_ready_nor_from_ending(
    tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tagger, "predict", lambda *_: time.sleep(20))
    with serving(tagger, predict_seconds=0.3) as client:
        assert client.refusal({"instances": ["a"]})[0] == 504
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- sockets -----------------------------------------------------------------------------------


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
