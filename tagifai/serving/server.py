"""The server: its socket, its deadlines for connections, and who may ask."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tagifai.exceptions import ConfigError
from tagifai.serving.application import Application
from tagifai.utils import signals

if TYPE_CHECKING:
    from tagifai.config.schema import ServeTaskConfig
    from tagifai.models.tagger import Tagger

GRACE_SECONDS = 2
"""Seconds that requests under way have to end when the server is stopped."""

TOKEN_VARIABLE = "TAGIFAI_TOKEN"  # noqa: S105 # nosec B105
SHORTEST_TOKEN = 16

MAKE_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe())'"  # noqa: S105 # nosec B105


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


def is_local(listening: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def read_token(file: str | None) -> str | None:
    """Return the token that requests need: from a file or from `TAGIFAI_TOKEN`, or None.

    Raises:
        ConfigError: the file cannot be read, or what it has is no token.
    """
    where = f"task.token_file: {file}" if file is not None else TOKEN_VARIABLE
    try:
        given = (
            os.environ.get(TOKEN_VARIABLE, "") if file is None else Path(file).read_text("utf-8")
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"{where} cannot be read: {reason}.") from None
    token = given.strip()
    if not token and file is None:
        return None
    if (
        len(token) < SHORTEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise ConfigError(
            f"{where} has no token: that is {SHORTEST_TOKEN} or more letters, digits and signs on"
            f" one line. One is made by: {MAKE_TOKEN}"
        )
    return token


def require_token(listening: socket.socket, task: ServeTaskConfig, token: str | None) -> None:
    """Refuse to serve more than this machine without a token, unless that is asked for.

    Raises:
        ConfigError: with the ways out.
    """
    if token is None and task.require_token and not is_local(listening):
        raise ConfigError(
            f"task.host = {task.host!r} can be reached from other machines, and there is no token."
            f" Put one into the variable {TOKEN_VARIABLE} or into a file (task.token_file=...), or"
            " let anybody ask: task.require_token=false."
        )


def serve(
    tagger: Tagger,
    listening: socket.socket,
    task: ServeTaskConfig,
    token: str | None,
    ready: Callable[[], None],
) -> None:
    """Answer requests until a signal ends it, which is raised as it would be without a server.

    Args:
        tagger: predicts.
        listening: the socket.
        task: limits and deadlines.
        token: that requests need, or None.
        ready: called when the server is ready for requests.
    """
    address, port = listening.getsockname()[:2]
    hosts = {"localhost", "127.0.0.1", "::1", address, task.host.lower()}
    if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
        hosts.add(socket.gethostname().lower())
    settings = uvicorn.Config(
        Application(tagger, task, hosts, port, token),
        http=partial(_Protocol, task),  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        # Logging stays as it is configured here, and who asks cannot fill it.
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=math.ceil(task.head_seconds),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _NotifyingServer(settings, ready).run(sockets=[listening])


class _NotifyingServer(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and raise it when the server has stopped."""
        with signals.hold_back(lambda number: self.handle_exit(number, None)):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Protocol(H11Protocol):
    """A connection with a deadline for whatever its other side has to do next.

    Where there are too many, the one that has waited the longest for a request gives way.
    """

    def __init__(self, task: ServeTaskConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task = task
        self.waits_since: float | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        others = [c for c in self.connections - {self} if not c.transport.is_closing()]
        idle = [c for c in others if isinstance(c, _Protocol) and c.waits_since is not None]
        # Where none is idle, most are about to be told that there are too many requests.
        if len(others) >= self._task.max_connections and idle:
            min(idle, key=lambda c: c.waits_since or 0.0).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self.waits_since = None
            # The application has deadlines of its own, and answers when they are over.
            task = self._task
            self._set_deadline(task.body_seconds + task.predict_seconds + task.head_seconds)

    def on_response_complete(self) -> None:
        self._await_request()
        if self.transport.get_write_buffer_size():
            self._set_deadline(self._task.body_seconds)  # to take the answer
        super().on_response_complete()

    def _await_request(self) -> None:
        self.waits_since = time.monotonic()
        self._set_deadline(self._task.head_seconds)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)
