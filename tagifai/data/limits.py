"""What a packed file may become."""

from __future__ import annotations

from dataclasses import dataclass

from tagifai.exceptions import DataError

FREE_BYTES = 100_000_000
"""Bytes that any file may become, however small it is."""


@dataclass(frozen=True)
class UnpackLimits:
    """What a packed file may become.

    Args:
        max_mb: most megabytes (of 1,000,000 bytes).
        max_ratio: most times of its own size, beyond `FREE_BYTES`: text becomes 3 to 20 times as
            large, and what was made to fill a memory 1,000 times.
        setting: the group of the settings that raise them: data or task.
    """

    max_mb: int = 4000
    max_ratio: int = 50
    setting: str = "data"

    def refuse_excess(self, unpacked: int, packed: int, named: str) -> None:
        """Refuse so many bytes that have come out of a file of so many.

        Raises:
            DataError: with the setting.
        """
        if unpacked > self.max_mb * 1_000_000:
            raise DataError(
                f"{named} has more than {self.max_mb:,} MB when it is unpacked; if that is right,"
                f" set {self.setting}.max_unpacked_mb={2 * self.max_mb}."
            )
        if unpacked > max(FREE_BYTES, self.max_ratio * packed):
            raise DataError(
                f"{named} becomes more than {self.max_ratio} times as large when it is unpacked,"
                " which tables do not. If that is right, set"
                f" {self.setting}.max_unpacked_ratio={20 * self.max_ratio}."
            )
