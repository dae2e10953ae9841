"""A server that does not do as a tracking server should."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n"

BEHAVIOURS = (
    *("mute", "deaf", "cut", "reset", "garbage", "fails", "fails for an hour", "round", "page"),
    *("not found", "drips its head", "drips its body", "endless", "short"),
)


@contextmanager
def misbehave(how: str) -> Iterator[str]:
    """Run a server that misbehaves, and give its URL.

    Args:
        how: one of the behaviours.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while not over.is_set():
                    client, _ = server.accept()
                    threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client, suppress(OSError):
                if how != "deaf":
                    client.recv(2**16)
                _answer(client, how, url, over)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield url
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)


def _answer(client: socket.socket, how: str, url: str, over: threading.Event) -> None:
    plain = {
        "cut": b"",
        "garbage": b"\x00\xff garbage\r\n\r\n",
        "fails": ANSWER % (b"500 Oh", b""),
        "fails for an hour": ANSWER % (b"503 Busy", b"Retry-After: 3600\r\n"),
        "round": ANSWER % (b"302 Found", f"Location: {url}/x\r\n".encode()),
        "page": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        "not found": ANSWER % (b"404 Not Found", b""),
        "short": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    }
    if how in plain:
        client.sendall(plain[how])
    elif how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how in ("mute", "deaf"):
        over.wait(60)
    else:
        client.sendall(b"HTTP/1.1 200 OK\r\n" + b"\r\n" * (how != "drips its head"))
        while not over.is_set():
            client.sendall(b"{" * (2**16 if how == "endless" else 1))
            time.sleep(0 if how == "endless" else 0.2)
