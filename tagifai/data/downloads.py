"""Downloads: files by URL, verified by their sum, kept in a cache."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

from tagifai.exceptions import DataError
from tagifai.utils.secrets import mask
from tagifai.utils.terminal import is_ansi_enabled

TIMEOUT_SECONDS = (5, 30)
"""To connect, and between two packets."""
RETRIES = 2


def fetch(
    setting: str,
    checksum_setting: str,
    url: str,
    expected_sha256: str | None,
    cache_dir: Path,
    progress: bool,
) -> Path:
    """Return the path of a table that was fetched now or before.

    Args:
        setting: what names the table in the configuration, for errors.
        checksum_setting: what has its sum there.
        url: where it is.
        expected_sha256: its SHA-256; None accepts any content and fetches it anew.
        cache_dir: the folder of downloads.
        progress: show a bar on standard error, if that is a terminal.

    Raises:
        DataError: it cannot be fetched, or has another sum.
    """
    # Late: only downloads need them.
    import pooch
    import requests

    # Without a sum there is no telling whether a file in the cache is still what the URL has.
    file = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{setting}"
    if expected_sha256 is None:
        (cache_dir / file).unlink(missing_ok=True)
    pooch.get_logger().setLevel(logging.WARNING)
    fetcher = pooch.create(
        path=cache_dir,
        base_url="",
        registry={file: f"sha256:{expected_sha256}" if expected_sha256 else None},
        urls={file: url},
        retry_if_failed=RETRIES,
    )
    bar = _make_bar(file) if progress and is_ansi_enabled(sys.stderr) else False
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS, progressbar=bar)
    try:
        return Path(fetcher.fetch(file, downloader=downloader))
    except (requests.RequestException, OSError) as error:
        raise DataError(
            f"{setting}: {mask(url)} could not be fetched in {RETRIES + 1} tries"
            f" ({_format_reason(error)}). With the file at hand, give its path:"
            f" {setting}=/path/to/file (its sum is checked just the same)."
        ) from None
    except ValueError as error:
        # Pooch's way of saying that the sum is wrong.
        raise DataError(
            f"{setting}: {mask(url)} does not have the SHA-256 that {checksum_setting} expects"
            f" ({' '.join(str(error).split())}). If its content is what you want, set"
            f" {checksum_setting}=null (and a data.name of its own)."
        ) from None


def _make_bar(file: str) -> Any:
    """Return a bar that is gone at the end; pooch tells it how much there is."""
    from tqdm import tqdm

    name = file.partition("-")[2]
    return tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False, dynamic_ncols=True)


def _format_reason(error: Exception) -> str:
    """Return the first sentence of an error and its kind; connection errors nest a long chain."""
    text = mask(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
