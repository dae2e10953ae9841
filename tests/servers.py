"""Servers of the tests' own: MLflow's in this process, and a proxy that misbehaves before it."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

PASS = "pass"
FAULTS = ("refuse", "mute", "error", "cut", "lost", "slow", "lie")
"""What may become of a request.

refuse: the connection is reset before anything is read. mute: it is read and never answered.
error: 500, and the server behind never sees it. cut: the server does it, and the answer ends in the
middle. lost: the server does it, and there is no answer. slow: it is answered later.
lie: 200 with a page that is no answer.
"""

Plan = Callable[[int, str], str]
"""Gives the fault of a request, or PASS, from its number (from 0 on) and "METHOD path"."""


def fail_from(number: int, fault: str) -> Plan:
    """All requests from one on fail."""
    return lambda n, _: fault if n >= number else PASS


def fail_at(number: int, fault: str) -> Plan:
    """One request fails."""
    return lambda n, _: fault if n == number else PASS


class Proxy:
    """A proxy on the loopback device that does to each request what its plan says.

    Args:
        upstream: URL of the server behind it.
        plan: may be replaced at any time.

    Attributes:
        asked: "METHOD path" of each request that came, without its query.
        delay: seconds by which an answer is later that is slow.
    """

    def __init__(self, upstream: str, plan: Plan = lambda number, request: PASS) -> None:
        self.upstream = urlsplit(upstream)
        self.plan = plan
        self.asked: list[str] = []
        self.delay = 1.0
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; the port is the same each time."""
        self._released.clear()
        server = ThreadingHTTPServer(("127.0.0.1", self._port), self._make_handler())
        server.daemon_threads = True
        self._server, self._port = server, server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and let go of who waits for an answer; connections are refused."""
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _count(self, request: str) -> str:
        with self._lock:
            number = len(self.asked)
            self.asked.append(request.partition("?")[0])
        return self.plan(number, request)

    def _make_handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                # A client that is gone is no matter.
                with suppress(ConnectionError, TimeoutError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                fault = proxy._count(f"{self.command} {self.path}")
                self.close_connection = fault != PASS
                if fault == "refuse":
                    self._reset()
                elif fault == "mute":
                    self._read()
                    proxy._released.wait(600)
                elif fault == "error":
                    self._read()
                    self._answer(500, b"<html>Internal Server Error</html>", "text/html")
                elif fault == "lie":
                    self._read()
                    self._answer(200, b"<html>Welcome! Please log in.</html>", "text/html")
                else:
                    self._forward(fault)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

            def _read(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    pieces = []
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        pieces.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(pieces)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _forward(self, fault: str) -> None:
                body = self._read()
                behind = http.client.HTTPConnection(
                    str(proxy.upstream.hostname), proxy.upstream.port or 80, timeout=60
                )
                unwanted = ("host", "connection", "transfer-encoding", "content-length")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in unwanted}
                try:
                    behind.request(self.command, self.path, body or None, headers)
                    answer = behind.getresponse()
                    content = answer.read()
                except OSError:
                    self._reset()
                    return
                finally:
                    behind.close()
                if fault == "lost":
                    self._reset()
                    return
                if fault == "slow":
                    time.sleep(proxy.delay)
                kind = answer.getheader("Content-Type") or "application/octet-stream"
                self._answer(answer.status, content, kind, cut=fault == "cut")

            def _answer(self, status: int, body: bytes, kind: str, *, cut: bool = False) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                if cut:
                    self.wfile.flush()
                    self._reset()

            def _reset(self) -> None:
                self.close_connection = True
                with suppress(OSError):
                    # Closed without waiting: the other side is told by a reset.
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    self.connection.close()

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def finish(self) -> None:
                with suppress(OSError, ValueError):
                    super().finish()

        return Handler


@contextmanager
def serve_mlflow(database: Path, artifacts: Path) -> Iterator[str]:
    """Serve a made database by MLflow's own application within this process, for a block.

    Args:
        database: a SQLite file.
        artifacts: folder that the server keeps artifacts in.

    Yields:
        The server's URL.
    """
    from mlflow.server import app, constants, handlers
    from mlflow.tracking._model_registry import utils as registry
    from mlflow.tracking._tracking_service import utils
    from werkzeug.serving import WSGIRequestHandler, make_server

    # Each search asks for it, and it is not installed as a whole; what it imports warns.
    with warnings.catch_warnings(action="ignore"), suppress(ImportError):
        import_module("mlflow.server.auth")

    class Silent(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            pass

    variables = {
        constants.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{database}",
        constants.REGISTRY_STORE_URI_ENV_VAR: f"sqlite:///{database}",
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(artifacts),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    }
    known = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    before = {name: os.environ.get(name) for name in (*variables, *known)}
    uris = (utils._tracking_uri, registry._registry_uri)
    os.environ.update(variables)
    caches = ("_tracking_store", "_model_registry_store", "_job_store", "_artifact_repo")
    for name in caches:
        setattr(handlers, name, None)
    served = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    served.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        # The stores are made now: later their variables may be gone.
        urlopen(
            f"http://127.0.0.1:{served.server_port}/api/2.0/mlflow/experiments/get?experiment_id=0",
            timeout=60,
        ).close()
        handlers._get_model_registry_store()
        _restore(before)
        utils._tracking_uri, registry._registry_uri = uris
        os.environ.update({k: v for k, v in variables.items() if "ARTIFACT" in k})
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        served.server_close()
        thread.join(timeout=10)
        for name in caches:
            setattr(handlers, name, None)
        _restore(before)
        utils._tracking_uri, registry._registry_uri = uris


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class MlflowServer:
    """`mlflow server` in a process of its own, which can be killed and started again.

    Args:
        database: a made SQLite file.
        artifacts: folder that the server keeps artifacts in.
    """

    def __init__(self, database: Path, artifacts: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = int(taken.getsockname()[1])
        self._words = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{database}"),
            *("--artifacts-destination", str(artifacts)),
        ]
        self._log = artifacts.parent / f"mlflow-server-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds: float = 90) -> None:
        """Start it, and wait until it answers."""
        unwanted = ("MLFLOW_TRACKING_URI", "COVERAGE_PROCESS_CONFIG")
        variables = {k: v for k, v in os.environ.items() if k not in unwanted}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                env=variables | {"MLFLOW_DISABLE_TELEMETRY": "true"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while True:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            with suppress(OSError):
                urlopen(f"{self.url}/health", timeout=5).close()
                return
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it and its workers at once."""
        from tests.app import end_group  # late: the harness uses the rest without the application

        if self._process is not None:
            end_group(self._process)
            self._process = None
