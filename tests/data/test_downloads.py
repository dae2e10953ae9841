from __future__ import annotations

import gzip
import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tagifai.config.schema import DataConfig
from tagifai.data import downloads
from tagifai.data.downloads import fetch
from tagifai.data.sources import SourceFile
from tagifai.exceptions import DataError
from tests.conftest import Site

CONTENT = b"id,tag\n1,cv\n"
SUM = sha256(CONTENT).hexdigest()


class Terminal(io.StringIO):
    """Standard error as a user sees it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def url(site: Site) -> str:
    site.files["tags.csv"] = CONTENT
    return site.url("tags.csv")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def get(
    url: str, expected: str | None, cache: Path, *, progress: bool = False, **limits: Any
) -> bytes:
    file = SourceFile("tags", url, expected, "tags_sha256")
    path = fetch(file, DataConfig("mine", **limits), cache, progress=progress)
    assert path.parent == cache
    return path.read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_is_kept_under_the_name_of_its_url(url: str, cache: Path) -> None:
    assert get(url, SUM, cache) == CONTENT
    assert names(cache) == [f"{sha256(url.encode()).hexdigest()[:16]}-data.tags"]


def test_a_file_with_a_sum_is_fetched_once(site: Site, url: str, cache: Path) -> None:
    for _ in range(2):
        assert get(url, SUM, cache) == CONTENT
    assert site.asked == ["tags.csv"]


def test_a_file_without_a_sum_is_fetched_anew(site: Site, url: str, cache: Path) -> None:
    assert get(url, None, cache) == CONTENT
    site.files["tags.csv"] = b"new"
    assert get(url, None, cache) == b"new"
    assert site.asked == ["tags.csv"] * 2


def test_two_urls_of_one_name_are_two_files(site: Site, url: str, cache: Path) -> None:
    site.files["old/tags.csv"] = b"old"
    assert get(site.url("old/tags.csv"), None, cache) == b"old"
    assert get(url, SUM, cache) == CONTENT
    assert len(names(cache)) == 2


@pytest.mark.usefixtures("one_try")
def test_a_damaged_file_in_the_cache_is_fetched_again(url: str, cache: Path) -> None:
    get(url, SUM, cache)
    (cache / names(cache)[0]).write_text("damaged")
    assert get(url, SUM, cache) == CONTENT


@pytest.mark.usefixtures("one_try")
def test_a_wrong_sum_names_the_expected_and_the_found_one_and_the_way_out(
    url: str, cache: Path
) -> None:
    with pytest.raises(DataError) as caught:
        get(url, "0" * 64, cache)
    message = str(caught.value)
    assert message.startswith(f"data.tags: {url} does not have the SHA-256")
    for part in ("0" * 64, SUM, "set data.tags_sha256=null (and a"):
        assert part in message
    assert "data.tags=/path" not in message
    assert names(cache) == []


@pytest.mark.usefixtures("one_try")
def test_a_site_that_is_gone_is_told_with_what_was_tried_and_the_way_out(
    nobody: str, cache: Path
) -> None:
    with pytest.raises(DataError) as caught:
        get(f"{nobody}/tags.csv", SUM, cache)
    message = str(caught.value)
    assert message.startswith(f"data.tags: {nobody}/tags.csv could not be fetched in 1 tries")
    assert "ConnectionError" in message
    assert "If you have the file, give its path: data.tags=/path/to/file" in message
    assert len(message) < 600
    assert names(cache) == []


def test_a_failing_site_is_asked_three_times(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.core.time.sleep", lambda _seconds: None)
    with pytest.raises(DataError, match=r"could not be fetched in 3 tries \(HTTPError: 404"):
        get(site.url("nowhere.csv"), SUM, cache)
    assert site.asked == ["nowhere.csv"] * 3


@pytest.mark.usefixtures("one_try")
def test_of_an_address_that_is_none_no_part_of_a_password_is_told(cache: Path) -> None:
    with pytest.raises(DataError, match=r"\(it is no valid URL\)") as caught:
        get("http://me:pass\\@host/x", SUM, cache)
    assert "pass" not in str(caught.value)


@pytest.mark.usefixtures("one_try")
@pytest.mark.parametrize("bad", ["gopher://x/y", "http://", "http://[x/y"])
def test_an_address_that_is_none_is_a_file_that_cannot_be_fetched(bad: str, cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        get(bad, SUM, cache)
    assert str(caught.value).startswith(f"data.tags: {bad} could not be fetched")


def test_a_cache_that_cannot_be_written_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"data\.tags: http://.* could not be fetched"):
        get(url, SUM, tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_a_bar_is_shown_to_those_who_want_it_and_see_it(
    url: str,
    cache: Path,
    progress: bool,
    terminal: bool,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert get(url, SUM, cache, progress=progress) == CONTENT
    assert ("data.tags:   0%" in stream.getvalue()) is shown
    assert stream.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""  # it is gone


@pytest.mark.parametrize("name", ["tags.csv", "nowhere.csv"])
@pytest.mark.usefixtures("one_try")
def test_the_password_of_an_address_is_not_told(site: Site, cache: Path, name: str) -> None:
    site.files["tags.csv"] = CONTENT
    address = site.url(name).replace("://", "://me:secret@")
    with pytest.raises(DataError, match=r"^(?!.*secret)data\.tags: http://me:\*\*\*@"):
        get(address, "0" * 64, cache)


# --- sites that mean no good -------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
LARGE = b"x" * 3_000_000


class Hostile(BaseHTTPRequestHandler):
    """Answers as its path says."""

    timeout = 10

    def do_GET(self) -> None:
        with suppress(OSError):
            getattr(self, f"send_{self.path[1:].partition('?')[0]}")()
        self.close_connection = True

    def send_slowly(self) -> None:
        self.wfile.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        self.drip()

    def send_no_head(self) -> None:
        self.wfile.write(HEAD + b"X: ")
        self.drip()

    def drip(self) -> None:
        for _ in range(200):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def send_without_length(self) -> None:
        self.wfile.write(HEAD + b"\r\n")
        for _ in range(1000):
            self.wfile.write(LARGE)

    def send_in_chunks(self) -> None:
        self.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            self.wfile.write(b"%x\r\n" % len(LARGE) + LARGE + b"\r\n")

    def send_packed(self) -> None:
        content = gzip.compress(b"\0" * 50_000_000)
        self.wfile.write(HEAD + b"Content-Encoding: gzip\r\n\r\n" + content)

    def send_packed_otherwise(self) -> None:
        self.wfile.write(HEAD + b"Content-Encoding: zstd\r\n\r\nx")

    def redirect(self, to: str) -> None:
        self.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n".encode())

    def send_file(self) -> None:
        self.redirect("file:///etc/passwd")

    def send_round(self) -> None:
        self.redirect("/round")

    def send_on(self) -> None:
        self.redirect("/end")

    def send_end(self) -> None:
        self.wfile.write(HEAD + b"Content-Length: 3\r\n\r\nend")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    made.daemon_threads = True
    made.block_on_close = False
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join(timeout=10)


@pytest.mark.parametrize("name", ["slowly", "no_head"])
def test_a_site_that_sends_a_byte_now_and_then_is_given_up(
    other: str, cache: Path, name: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"not there after 0\.5 seconds.*max_download_seconds=1\."):
        get(f"{other}/{name}", None, cache, max_download_seconds=0.5)
    assert time.monotonic() - begun < 3
    assert names(cache) == []


@pytest.mark.parametrize("name", ["without_length", "in_chunks", "packed"])
def test_a_file_that_is_too_large_is_not_taken_to_its_end(
    other: str, cache: Path, name: str
) -> None:
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"has more than 5 MB\. If .* data\.max_download_mb=10\."):
        get(f"{other}/{name}", None, cache, max_download_mb=5)
    assert time.monotonic() - begun < 5
    assert names(cache) == []


@pytest.mark.usefixtures("one_try")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("packed_otherwise", "it is sent packed with 'zstd'"),
        ("file", "it leads to 'file:///etc/passwd', which is not the web"),
        ("round", "more than 10 redirects"),
    ],
)
def test_a_site_that_leads_elsewhere_is_not_followed(
    other: str, cache: Path, name: str, said: str
) -> None:
    with pytest.raises(DataError) as caught:
        get(f"{other}/{name}", None, cache)
    assert said in str(caught.value)
    assert names(cache) == []


@pytest.mark.usefixtures("one_try")
def test_a_site_of_the_internet_does_not_lead_into_a_private_net(
    other: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get(f"{other}/on", None, cache) == b"end"
    inside = downloads._is_inside
    assert inside(other)
    assert inside("http://169.254.169.254/latest")
    assert inside("http://[::1]/")
    assert not inside("http://1.1.1.1/")
    monkeypatch.setattr(downloads, "_is_inside", lambda url: not url.endswith("/on"))
    with pytest.raises(DataError, match="inside a private net"):
        get(f"{other}/on", None, cache)
    assert names(cache) == []
