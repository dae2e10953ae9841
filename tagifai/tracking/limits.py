"""What MLflow takes: the sizes of calls, and of names and values."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tagifai.utils.secrets import mask

BATCH_SIZES = {"metrics": 800, "params": 100, "tags": 100}
"""Most items of each kind in one call of MLflow; a thousand in all."""

MAX_PARAM_LENGTH = 6000
MAX_NAME_LENGTH = 250
MAX_TAG_LENGTH = 5000
MAX_DIGEST_LENGTH = 36

T = TypeVar("T")


def split(items: list[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def sanitize_model_name(name: str) -> str:
    """Return a name that MLflow takes for a model: without dots, colons, slashes and quotes."""
    return re.sub(r"[/:.%\"']", "_", mask(name))[:MAX_NAME_LENGTH]


def sanitize_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name a unique one that MLflow accepts.

    Class names, for one, may have any characters, and may be long.
    """
    accepted: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w .:/-]", "_", mask(name))
        is_path = posixpath.normpath(plain) == plain and not plain.startswith("..")
        if not is_path or len(plain) > MAX_NAME_LENGTH or plain in accepted.values():
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            plain = (
                re.sub(r"[^\w -]", "_", plain)[: MAX_NAME_LENGTH - len(digest) - 1] + "-" + digest
            )
        accepted[name] = plain
    return accepted
