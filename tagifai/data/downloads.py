"""Download files by URL, verify their SHA-256, and cache them."""

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
"""Seconds to connect, and between two packets."""
RETRIES = 2


def fetch(
    setting: str,
    checksum_setting: str,
    url: str,
    expected_sha256: str | None,
    cache_dir: Path,
    progress: bool,
) -> Path:
    """Return the local path of a file, downloaded if the cache does not have it.

    Args:
        setting: full key of the setting that names the file, for errors.
        checksum_setting: full key of the setting that has its SHA-256.
        url: of the file.
        expected_sha256: its SHA-256; None accepts any content and fetches it anew.
        cache_dir: folder of downloads.
        progress: show a bar on standard error, if that is a terminal.

    Raises:
        DataError: it cannot be fetched, or has another SHA-256.
    """
    # Late: only downloads need them.
    import pooch
    import requests

    # Without a SHA-256 nobody knows whether a cached file is still the one at the URL.
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
            f" ({_format_reason(error)}). If you have the file, give its path:"
            f" {setting}=/path/to/file (its SHA-256 is checked, too)."
        ) from None
    except ValueError as error:
        # Pooch raises it for a wrong SHA-256.
        raise DataError(
            f"{setting}: {mask(url)} does not have the SHA-256 that {checksum_setting} expects"
            f" ({' '.join(str(error).split())}). If its content is what you want, set"
            f" {checksum_setting}=null (and a data.name of its own)."
        ) from None


def _make_bar(file: str) -> Any:
    """Return a bar that is removed at the end; pooch sets its total."""
    from tqdm import tqdm

    name = file.partition("-")[2]
    return tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False, dynamic_ncols=True)


def _format_reason(error: Exception) -> str:
    """Return the kind and the beginning of an error; connection errors nest a long chain."""
    text = mask(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
