"""Downloads: files by URL, verified by their sum, kept in a cache."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path

from tagifai.errors import DataError

TIMEOUT_SECONDS = (5, 30)
"""To connect, and between two packets."""
RETRIES = 2


def download(name: str, url: str, expected: str | None, cache: Path, progress: bool) -> Path:
    """Return the path of a table that was fetched now or before.

    Args:
        name: "projects" or "tags", for errors.
        url: where it is.
        expected: its SHA-256; None accepts any content and fetches it anew.
        cache: the folder of downloads.
        progress: show a bar on standard error, if that is a terminal.

    Raises:
        DataError: it cannot be fetched, or has another sum.
    """
    # Late: only downloads need them.
    import pooch
    import requests

    # Without a sum there is no telling whether a file in the cache is still what the URL has.
    file = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}.csv"
    if expected is None:
        (cache / file).unlink(missing_ok=True)
    pooch.get_logger().setLevel(logging.WARNING)
    fetcher = pooch.create(
        path=cache,
        base_url="",
        registry={file: f"sha256:{expected}" if expected else None},
        urls={file: url},
        retry_if_failed=RETRIES,
    )
    bar = progress and sys.stderr.isatty()
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, progressbar=bar)
    try:
        return Path(fetcher.fetch(file, downloader=downloader))
    except (requests.RequestException, OSError) as error:
        raise DataError(
            f"data.{name}: {url} could not be fetched in {RETRIES + 1} tries ({_reason(error)})."
            " With the files at hand, give their paths:"
            " data.projects=/path/projects.csv data.tags=/path/tags.csv"
            " (the same sums are checked)."
        ) from None
    except ValueError as error:
        # Pooch's way of saying that the sum is wrong.
        raise DataError(
            f"data.{name}: {url} does not have the SHA-256 that data.{name}_sha256 expects"
            f" ({' '.join(str(error).split())}). If its content is what you want, set"
            f" data.{name}_sha256=null (and a data.name of its own)."
        ) from None


def _reason(error: Exception) -> str:
    """Return the first sentence of an error and its kind; connection errors nest a long chain."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
