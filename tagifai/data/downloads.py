"""Download files by URL within limits of size and time, verify their SHA-256, and cache them."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tagifai.exceptions import DataError
from tagifai.utils import program
from tagifai.utils.secrets import HIDDEN, mask
from tagifai.utils.terminal import is_ansi_enabled
from tagifai.utils.urls import FETCHED

if TYPE_CHECKING:
    from tagifai.config.schema import DataConfig
    from tagifai.data.sources import SourceFile

TIMEOUT_SECONDS = (5, 30)
"""Seconds to connect, and between two packets."""
RETRIES = 2
MOST_REDIRECTS = 10
BLOCK_BYTES = 2**16

UNPACKED_ON_THE_WAY = ("", "identity", "gzip", "deflate")
"""What a server may do to a file; others become a thousand times larger in one block."""


def fetch(file: SourceFile, limits: DataConfig, cache_dir: Path, *, progress: bool) -> Path:
    """Return the local path of a file, downloaded if the cache does not have it.

    Args:
        file: its URL and SHA-256; without one any content is accepted, and fetched anew.
        limits: most megabytes and seconds.
        cache_dir: folder of downloads.
        progress: show a bar on standard error, if that is a terminal.

    Raises:
        DataError: it cannot be fetched, is too large or too slow, or has another SHA-256.
    """
    setting, url, expected = f"data.{file.key}", file.location, file.expected_sha256
    _refuse_masked(setting, url)
    import pooch  # late: only downloads need them
    import requests

    # Without a SHA-256 nobody knows whether a cached file is still the one at the URL.
    name = f"{hashlib.sha256(mask(url).encode()).hexdigest()[:16]}-{setting}"
    if expected is None:
        (cache_dir / name).unlink(missing_ok=True)
    pooch.get_logger().setLevel(logging.WARNING)
    known = {name: f"sha256:{expected}" if expected else None}
    fetcher = pooch.create(
        path=cache_dir, base_url="", registry=known, urls={name: url}, retry_if_failed=RETRIES
    )
    download = _Downloader(file.named, limits, shown=progress and is_ansi_enabled(sys.stderr))
    try:
        return Path(fetcher.fetch(name, downloader=download))
    except (requests.RequestException, OSError) as error:
        raise DataError(
            f"{setting}: {mask(url)} could not be fetched in {RETRIES + 1} tries"
            f" ({_format_reason(error)}). If you have the file, give its path:"
            f" {setting}=/path/to/file (its SHA-256 is checked, too)."
        ) from None
    except ValueError as error:
        # Pooch raises it for a wrong SHA-256.
        checksum = f"data.{file.checksum_key}"
        raise DataError(
            f"{setting}: {mask(url)} does not have the SHA-256 that {checksum} expects"
            f" ({' '.join(str(error).split())}). If its content is what you want, set"
            f" {checksum}=null (and a data.name of its own)."
        ) from None


def _refuse_masked(setting: str, url: str) -> None:
    if HIDDEN in url:
        raise DataError(
            f"{setting}: {url} was recorded without its secret, so that it cannot be fetched. Make"
            f" the data set with the whole URL first, {program.format_command('task=elt')}"
            f" data=... {setting}=URL; from then on it is in the store."
        )


class _Downloader:
    """Writes what is at a URL to a file, as pooch has it called for each try.

    A thread of its own waits for the site, which may send a byte a second.

    Args:
        named: the setting and the URL, for errors.
        limits: most megabytes, and most seconds of all tries.
        shown: whether to show a bar.
    """

    def __init__(self, named: str, limits: DataConfig, *, shown: bool) -> None:
        self._named, self._limits, self._shown = named, limits, shown
        self._end = time.monotonic() + limits.max_download_seconds
        self._over = threading.Event()

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Download a file.

        Raises:
            DataError: it is too large or too slow.
        """
        failed: list[BaseException] = []

        def work() -> None:
            try:
                self._write(url, Path(output_file))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            thread.join(max(0.0, self._end - time.monotonic()))
            if thread.is_alive():
                seconds = self._limits.max_download_seconds
                raise DataError(
                    f"{self._named} was not there after {seconds:g} seconds. If it takes longer,"
                    f" set data.max_download_seconds={2 * seconds:g}."
                )
        finally:
            self._over.set()
        self._over.clear()
        if failed:
            raise failed[0]

    def _write(self, url: str, path: Path) -> None:
        most, size = self._limits.max_download_mb * 1_000_000, 0
        with _open(url) as response, path.open("wb") as file:
            bar = self._make_bar(response) if self._shown else None
            for block in response.iter_content(BLOCK_BYTES):
                size += len(block)
                if self._over.is_set():
                    return  # nobody waits any more
                if size > most:
                    raise DataError(
                        f"{self._named} has more than {self._limits.max_download_mb:,} MB. If that"
                        f" is right, set data.max_download_mb={2 * self._limits.max_download_mb}."
                    )
                file.write(block)
                if bar is not None:
                    bar.update(len(block))
            if bar is not None:
                bar.close()

    def _make_bar(self, response: Any) -> Any:
        """Return a bar that is removed at the end."""
        from tqdm import tqdm

        total = response.headers.get("content-length", "")
        name = self._named.partition(":")[0]
        return tqdm(
            desc=name,
            total=int(total) if total.isdecimal() else None,
            unit="B",
            unit_scale=True,
            leave=False,
            dynamic_ncols=True,
        )


@contextmanager
def _open(url: str) -> Iterator[Any]:
    """Give the answer of a site, after redirects: by HTTP, and from the internet not into a net.

    Raises:
        OSError: there is none.
    """
    import requests

    begun_inside = None
    with ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        for _ in range(MOST_REDIRECTS):
            response = session.get(
                url,
                stream=True,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                headers={"Accept-Encoding": "identity"},
            )
            stack.callback(response.close)
            response.raise_for_status()
            if not response.is_redirect:
                encoding = response.headers.get("content-encoding", "").lower()
                if encoding not in UNPACKED_ON_THE_WAY:
                    raise requests.RequestException(f"it is sent packed with {encoding!r:.40}")
                yield response
                return
            begun_inside = _is_inside(url) if begun_inside is None else begun_inside
            url = urljoin(url, response.headers["location"])
            shown = f"{mask(url)!r:.80}"
            if urlsplit(url).scheme not in FETCHED:
                raise requests.RequestException(f"it leads to {shown}, which is not the web")
            if not begun_inside and _is_inside(url):
                raise requests.RequestException(f"it leads to {shown}, inside a private net")
        raise requests.TooManyRedirects(f"more than {MOST_REDIRECTS} redirects")


def _is_inside(url: str) -> bool:
    """Return whether a URL's host is in a private net or this machine; maybe only a proxy knows."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname or "", None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    addresses = [str(item[4][0]).partition("%")[0] for item in found]
    return not all(ipaddress.ip_address(address).is_global for address in addresses)


def _format_reason(error: Exception) -> str:
    """Return the kind and the beginning of an error; connection errors nest a long chain."""
    import requests

    if isinstance(error, requests.exceptions.InvalidURL):
        return "it is no valid URL"  # what the library says of it has parts of a password
    text = mask(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
