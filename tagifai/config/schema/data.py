"""Schemas of the `data` group: where rows come from, and which labels are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omegaconf import MISSING

from tagifai.config.schema.rules import (
    represent,
    require,
    require_at_least,
    require_no_secret,
    require_not_blank,
    require_positive,
)
from tagifai.config.schema.sources import require_source
from tagifai.utils.labels import clean_label

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(repr=False)
class DataConfig:
    """Settings of all data sets: a name, and which labels are kept.

    Args:
        name: folder of the stored table below the data store.
        accepted_tags: tags that may keep their name; empty accepts all.
        min_freq: rows that a tag needs to keep its name.
        other: fallback label, for rows whose tag is rare or not accepted; None leaves them out.
        max_download_mb: most megabytes (of 1,000,000 bytes) of a file that is fetched by its URL.
        max_download_seconds: most seconds that it may take, with all tries.
    """

    name: str = MISSING
    accepted_tags: list[str] = field(default_factory=list)
    min_freq: int = 1
    other: str | None = None
    max_download_mb: int = 2000
    max_download_seconds: float = 600.0

    __repr__ = represent

    def __post_init__(self) -> None:
        require_at_least("max_download_mb", self.max_download_mb, 1)
        require_positive("max_download_seconds", self.max_download_seconds)
        plain = re.fullmatch(r"[\w][\w.-]*", self.name) is not None
        require(plain, "name", self.name, "letters, digits, '.', '_' and '-'")
        require_no_secret("name", self.name)
        require_not_blank("other", self.other)
        # As the labels of the data are: see `clean_label`.
        self.accepted_tags = list(map(clean_label, self.accepted_tags))
        require_at_least("min_freq", self.min_freq, 1)

    def _require_checksums(self, *keys: str) -> None:
        for key in keys:
            value = getattr(self, key)
            known = value is None or SHA256.fullmatch(value) is not None
            require(known, key, value, "64 lower-case hexadecimal digits, or null")


@dataclass(repr=False)
class TwoTablesConfig(DataConfig):
    """Two tables, projects and tags, that are joined on `id`.

    Args:
        projects: URL or path of a CSV with columns id, created_on, title, description.
        tags: URL or path of a CSV with columns id, tag.
        projects_sha256: the file's expected SHA-256 in hexadecimal; None accepts any content.
        tags_sha256: likewise.
    """

    projects: str = MISSING
    tags: str = MISSING
    projects_sha256: str | None = None
    tags_sha256: str | None = None
    other: str | None = "other"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("projects", "tags"):
            require_source(key, getattr(self, key))
        self._require_checksums("projects_sha256", "tags_sha256")
