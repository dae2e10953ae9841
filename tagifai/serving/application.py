"""The server's answers: who may ask, what is read, and predictions in a thread of their own."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import queue
import re
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tagifai.serving.payloads import Refusal, check_kind, parse_texts

if TYPE_CHECKING:
    from tagifai.config.schema import ServeTaskConfig
    from tagifai.models.tagger import Tagger

BODIES = 8
"""Bodies of the largest size that may be in memory at a time, however many are being sent."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]\s]+)(?::(\d{1,5}))?", re.IGNORECASE)

ROUTES = dict.fromkeys(("/health", "/ping", "/ready", "/version"), "GET") | {"/invocations": "POST"}
"""What may be asked, and by which method."""

log = logging.getLogger(__name__)


class Application:
    """Answers requests, as an ASGI application.

    Args:
        tagger: predicts.
        task: limits and deadlines.
        hosts: names that requests may call this machine by, with the port.
        port: that it listens on.
        token: that a request needs for all but /health; None needs none.
    """

    def __init__(
        self,
        tagger: Tagger,
        task: ServeTaskConfig,
        hosts: Collection[str],
        port: int,
        token: str | None,
    ) -> None:
        self._tagger, self._task, self._columns = tagger, task, tagger.columns
        self._hosts, self._port, self._token = {*hosts}, port, token
        self._any_port = {name.lower() for name in task.allowed_hosts}
        self._most = int(task.max_request_mb * 2**20)
        self._held = self._reading = 0
        self._worker = SerialWorker(task.max_waiting)
        self._logged: set[type[Exception]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request; whatever goes wrong is a status and a reason."""
        try:
            status, body, headers = 200, await self._answer(scope, receive), {}
        except Refusal as refusal:
            status, body, headers = refusal.status, *_describe(refusal)
        except Exception as error:
            if type(error) not in self._logged:  # once: who asks could fill the disk
                self._logged.add(type(error))
                log.warning("A request failed: %s", type(error).__name__, exc_info=error)
            failed = Refusal(500, "The model could not answer this request; the log says why.")
            status, body, headers = failed.status, *_describe(failed)
        sent = {"content-type": "application/json", "content-length": str(len(body))} | headers
        pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> bytes:
        headers, path = dict(scope["headers"]), scope["path"]
        if b"transfer-encoding" in headers and b"content-length" in headers:
            raise Refusal(400, "Content-Length and Transfer-Encoding exclude each other.")
        self._check_host(scope, headers)
        if path not in ROUTES:
            raise Refusal(404, f"Not Found; there are {', '.join(ROUTES)}.")
        if scope["method"] not in (ROUTES[path], "HEAD" if ROUTES[path] == "GET" else ""):
            raise Refusal(405, "Method Not Allowed", allow=ROUTES[path])
        if path != "/health":
            self._check_token(headers)
        if path == "/invocations":
            return await self._predict(headers, receive)
        if path == "/ready" and not self._worker.is_free(self._task.predict_seconds):
            raise Refusal(503, "The model is busy; ask again later.", **{"retry-after": "1"})
        return version("mlflow").encode() if path == "/version" else b"\n"

    def _check_host(self, scope: Message, headers: dict[bytes, bytes]) -> None:
        """Refuse a name that is not this machine's: a web page may have led a browser here."""
        given = headers.get(b"host", b"").decode("latin-1").lower()
        found = HOST.fullmatch(given)
        if found is not None:
            name, port = found[1].strip("[]"), int(found[2] or 80)
            if name in self._any_port or given in self._any_port:
                return
            if port == self._port and (name in self._hosts or name == scope["server"][0]):
                return
        raise Refusal(400, "The Host is not one of this server; task.allowed_hosts adds names.")

    def _check_token(self, headers: dict[bytes, bytes]) -> None:
        if self._token is None:
            return
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            reason = "Give the server's token, as in Authorization: Bearer TOKEN."
            raise Refusal(401, reason, **{"www-authenticate": "Bearer"})

    async def _predict(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        kind = check_kind(headers)
        if int(headers.get(b"content-length", b"0")) > self._most:
            raise self._refuse_size()
        if self._reading >= max(1, self._task.max_connections // 2):
            raise refuse_load()  # so that slow senders leave connections to others
        parts: list[bytes] = []
        try:
            await self._read(receive, parts)
            result = self._worker.submit(partial(self._compute, kind, b"".join(parts)))
            return await asyncio.wait_for(result, self._task.predict_seconds)
        except TimeoutError:
            raise Refusal(504, "The prediction takes too long; send fewer texts.") from None
        finally:
            self._held -= sum(map(len, parts))
            parts.clear()  # an answer's error has this frame, and with it the body, for a while

    async def _read(self, receive: Receive, parts: list[bytes]) -> None:
        """Read a body; what is left of one that is refused is read over by the server."""
        size, more, seconds = 0, True, self._task.body_seconds
        self._reading += 1
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "The connection ended before the request did.")
                    parts.append(message.get("body", b""))
                    self._held += len(parts[-1])
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > self._most:
                        raise self._refuse_size()
                    if self._held > BODIES * self._most:
                        raise refuse_load()
        except TimeoutError:
            raise Refusal(408, f"The body was not there within {seconds:g} seconds.") from None
        finally:
            self._reading -= 1

    def _compute(self, kind: str, body: bytes) -> bytes:
        texts = parse_texts(kind, body, self._columns, self._task.max_rows)
        most = self._task.max_characters
        if (longest := max(map(len, texts), default=0)) > most:
            raise Refusal(413, f"A text has {longest:,} characters, and {most:,} are the most.")
        found = [row for some in _batch(texts, most) for row in self._tagger.predict(some)]
        return json.dumps({"predictions": found}, allow_nan=False).encode()

    def _refuse_size(self) -> Refusal:
        return Refusal(413, f"The request has more than {self._most:,} bytes; send less.")


class SerialWorker:
    """A thread that computes one thing after the other, and the few that wait for it.

    It does not keep the process from ending, whatever it computes.

    Args:
        most: things that may wait.
    """

    def __init__(self, most: int) -> None:
        self._waiting: queue.Queue[tuple[asyncio.Future[bytes], Callable[[], bytes]]]
        self._waiting = queue.Queue(most)
        self._since: float | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, function: Callable[[], bytes]) -> asyncio.Future[bytes]:
        """Return what a function will return.

        Raises:
            Refusal: too many wait already.
        """
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((future, function))
        except queue.Full:
            raise refuse_load() from None
        return future

    def is_free(self, seconds: float) -> bool:
        """Return whether more may wait, and nothing is computed for longer than so many seconds."""
        since = self._since
        return not self._waiting.full() and (since is None or time.monotonic() - since <= seconds)

    def _work(self) -> None:
        while True:
            future, function = self._waiting.get()
            if future.cancelled():
                continue
            self._since = time.monotonic()
            result: bytes | None = None
            error: Exception | None = None
            try:
                result = function()
            except Refusal as found:
                found.__context__ = None
                error = found.with_traceback(None)  # whose frames have the request
            except Exception as found:
                error = found
            self._since = None
            with suppress(RuntimeError):  # the server has ended meanwhile
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            del future, function, result, error


def _batch(texts: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Yield texts, at most so many characters at a time, so that memory is bounded."""
    begin = size = 0
    for place, text in enumerate(texts):
        if size + len(text) > most:
            yield texts[begin:place]
            begin, size = place, 0
        size += len(text)
    yield texts[begin:]


def _settle(future: asyncio.Future[bytes], result: bytes | None, error: Exception | None) -> None:
    if future.done():
        return  # nobody waits for it any more
    if error is not None:
        future.set_exception(error)
    elif result is not None:
        future.set_result(result)


def refuse_load() -> Refusal:
    """Return the answer to a request that is one too many."""
    reason = "Too many requests are waiting; ask again later."
    return Refusal(429, reason, **{"retry-after": "1"})


def _describe(refusal: Refusal) -> tuple[bytes, dict[str, str]]:
    code = "BAD_REQUEST" if refusal.status < 500 else "INTERNAL_ERROR"
    content = {"error_code": code, "message": refusal.message}
    return json.dumps(content).encode(), refusal.headers
