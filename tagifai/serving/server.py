"""MLflow's scoring server in this process, behind a check of the requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from tagifai.exceptions import ConfigError
from tagifai.preprocessing.inputs import join_values
from tagifai.serving import pyfunc

if TYPE_CHECKING:
    from tagifai.models.tagger import Tagger

LARGEST = 2**26
"""Most bytes of a request; more is refused before it fills the memory."""

GRACE_SECONDS = 5
"""Seconds that requests under way have to end when the server is stopped."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: address.
        port: number; 0 takes a free one.

    Raises:
        ConfigError: the address or the port cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"task.host = {host!r}, task.port = {port}: {error.strerror or error}. Choose another"
            " task.port; 0 takes one that is free."
        ) from None
    # Connections inherit it; without it each answer is delayed by 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def get_url(listening: socket.socket) -> str:
    """Return the URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(tagger: Tagger, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until a signal ends it, which is raised as it would be without a server.

    Args:
        tagger: predicts.
        listening: the socket.
        ready: called when the server is ready for requests.
    """
    app = ValidationMiddleware(scoring_server.init(pyfunc.wrap_tagger(tagger)), tagger.columns)
    # Logging stays as it is configured here.
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _NotifyingServer(settings, ready).run(sockets=[listening])


class _NotifyingServer(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class ValidationMiddleware:
    """An ASGI application in front of another: it refuses bad rows, and hides tracebacks.

    Args:
        app: the application behind.
        columns: of a text.
    """

    def __init__(
        self, app: Callable[[Message, Receive, Send], Awaitable[None]], columns: Sequence[str]
    ) -> None:
        self._app, self._columns = app, columns

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a bad request with an error, and pass all others on."""
        if scope["type"] != "http" or scope["path"] != "/invocations":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            await _send_error(send, 413, f"The request has more than {LARGEST} bytes; send less.")
            return
        kind = dict(scope["headers"]).get(b"content-type")
        if kind is None:
            await _send_error(send, 415, "Set the Content-Type: application/json or text/csv.")
            return
        try:
            _check_rows(kind.decode("latin-1"), body, self._columns)
        except MlflowException as error:
            await _send_error(send, 400, error.message)
            return
        await self._app(scope, _replay_body(body, receive), _strip_traceback(send))


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if it is too large."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > LARGEST:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _check_rows(kind: str, body: bytes, columns: Sequence[str]) -> None:
    """Refuse rows that are no texts; other errors of a request are left to MLflow.

    Raises:
        MlflowException: with the row.
    """
    if not kind.startswith(scoring_server.CONTENT_TYPE_JSON):
        return
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(content, dict) and (rows := _parse_rows(content, columns)) is not None:
        pyfunc.check_texts([*map(join_values, rows)], columns)


def _parse_rows(content: dict[str, Any], columns: Sequence[str]) -> list[list[Any]] | None:
    """Return the columns of the rows of a request in one of MLflow's forms; None if it is none."""
    rows = content.get("dataframe_records", content.get("instances"))
    if isinstance(rows, list):
        return [
            [row.get(name) for name in columns] if isinstance(row, dict) else [row] for row in rows
        ]
    by_name = content.get("inputs")
    if isinstance(by_name, dict):
        found = [by_name.get(name) for name in columns]
        lists = [values for values in found if isinstance(values, list)]
        return (
            [list(row) for row in zip(*lists, strict=False)] if len(lists) == len(found) else None
        )
    table = content.get("dataframe_split")
    if isinstance(table, dict) and isinstance(table.get("data"), list):
        names = table.get("columns")
        if not isinstance(names, list) or not any(name in names for name in columns):
            return None
        places = [names.index(name) if name in names else len(names) for name in columns]
        return [[_get_cell(row, place) for place in places] for row in table["data"]]
    return None


def _get_cell(row: Any, place: int) -> Any:
    return row[place] if isinstance(row, list) and len(row) > place else None


def _replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives a body that was read already, and then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _strip_traceback(send: Send) -> Send:
    """Return a sender that passes answers on, but of errors only the code and the message."""
    status: int | None = None
    parts: list[bytes] = []

    async def filtered(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start" and message["status"] >= 400:
            status = message["status"]
        elif status is None:
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await _send_error(send, status, _parse_message(b"".join(parts)))

    return filtered


def _parse_message(body: bytes) -> str:
    """Return the message of an error of MLflow or of the framework below it."""
    try:
        content = json.loads(body)
        return str(content.get("message", content.get("detail")))
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")


async def _send_error(send: Send, status: int, message: str) -> None:
    code = "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR"
    body = json.dumps({"error_code": code, "message": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
