"""What can go wrong on the user's side: one sentence each, with the way out and an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """Something that the user can put right; the message says what, where and how."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration value that is refused before anything is loaded."""


class DataError(UserError):
    """Data that are missing, unreadable or not what the configuration says they are."""


class DamagedFileError(DataError):
    """A file of the stores that cannot be read, or something else in its place.

    Args:
        path: of the file.
        reason: why not, as the end of a sentence.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}. To put it aside: task=repair")
        self.path = path
        self.reason = reason


class BundleError(UserError):
    """A saved model that is missing, damaged or not to be trusted."""


class TrackingError(UserError):
    """The tracking server or store failed; what was trained is still on disk."""

    exit_code = 1


class StoreUnavailableError(TrackingError):
    """The tracking store does not answer now; it may do so later."""


class TrackingSettingError(TrackingError):
    """A store or an experiment that a setting or a variable names, and that is of no use."""

    exit_code = 2


class NotRecordedError(TrackingError):
    """A run is trained and kept, and the tracking store does not have it yet."""

    exit_code = 3


class StaleTrialError(Exception):
    """The trial of a search was taken for dead, or given up, while a job was at it."""


class InvalidValueError(ValueError):
    """A value that breaks a field's rule; the caller knows the group and adds it.

    Args:
        key: the field.
        value: what it was given.
        allowed: what would be accepted, as a phrase.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key} = {value!r} is not allowed: {allowed}")
        self.key = key
        self.value = value
        self.allowed = allowed


def suggest_closest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to this one, or nothing."""
    names = list(known)
    same = [found for found in names if found.lower() == name.lower()]
    match = [*sorted(same, key=lambda found: found != name), *get_close_matches(name, names, n=1)]
    return f" Did you mean '{match[0]}'?" if match else ""
