"""The names of runs: what makes each different from the others, in few characters."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from tagifai.utils.board_cells import shorten_keys, shorten_value
from tagifai.utils.excerpts import make_visible, shorten
from tagifai.utils.secrets import mask_all

MOST_CHARACTERS = 64
"""Of a name; what does not fit into it is counted."""

MOST_OF_VALUE = 24
"""Characters of a value in a name."""

SEPARATOR = " · "

VARIED_VARIABLE = "TAGIFAI_VARIED"
"""Variable by which a plain multirun tells its jobs the keys in which they differ."""

UNNAMED = re.compile(
    r"(task|tracking|console|cache|plots|paths|sweep|metrics|whitelist|extensions|hydra)([./].*)?"
)
"""Keys and groups that change nothing of a model."""

OF_ROWS = re.compile(r"data\.(min_freq|other|accepted_tags|chunk_rows|sample_rows|unlabeled)")
"""Settings of data that say more than the data set's name."""


def make_run_name(
    options: Mapping[str, str | None],
    overrides: Sequence[str],
    data: str,
    trial: int | None = None,
) -> str:
    """Return the name of a run, such as "sgd · alpha=2e-4", or "sgd · sample" without overrides.

    What tells runs apart comes first: what the jobs of a multirun vary, then what was typed last,
    which for a trial is what its search has chosen.

    Args:
        options: the chosen option of each group.
        overrides: in Hydra's grammar.
        data: name of the data set.
        trial: its number, if it is one of a search.
    """
    given = _read_overrides(overrides)
    if trial is not None:
        head = f"trial {trial}"
    else:
        given.pop("model", None)
        head = _shorten(given.pop("model._target_", str(options.get("model"))))
    of_data = {key for key in given if key.partition(".")[0] == "data"}
    varied = os.environ.get(VARIED_VARIABLE, "").split()
    settings = {
        key: given[key]
        for key in (
            *(key for key in varied if key in given),
            *(k for k in given if k not in varied),
        )
        if not UNNAMED.fullmatch(key) and (key not in of_data or OF_ROWS.fullmatch(key))
    }
    names = shorten_keys(settings)
    last = [data] if trial is None and (of_data or not settings) else []
    return _join(head, [f"{names[key]}={_shorten(settings[key])}" for key in settings], last)


def make_multirun_name(keys: Collection[str]) -> str:
    """Return the name of the run of a multirun, such as "multirun · alpha, seed".

    Args:
        keys: in which its jobs differ.
    """
    return _join("multirun", [*shorten_keys([key.lstrip("+~") for key in keys]).values()])


def _read_overrides(overrides: Sequence[str]) -> dict[str, str]:
    """Return the overridden keys with their values, the last first, which counts for its key."""
    found: dict[str, str] = {}
    for item in reversed(mask_all([*overrides])):
        key, _, value = item.partition("=")
        found.setdefault(key.lstrip("+~"), value)
    return found


def _shorten(value: str) -> str:
    """Return a value without quotes, a number as boards have it, the last part of a path or class.

    Args:
        value: in Hydra's grammar.
    """
    plain = re.sub(r"""^(['"])(.*)\1$""", r"\2", value.strip())
    with suppress(ValueError):
        float(plain)
        return shorten_value(plain)
    last = plain if plain[:1] in "[{" else re.split(r"/|\.(?=[A-Z]\w+$)", plain)[-1]
    return shorten(last, MOST_OF_VALUE)


def _join(head: str, items: Sequence[str], last: Sequence[str] = ()) -> str:
    """Return a name of its parts, with the number of the items that do not fit into it."""
    name = SEPARATOR.join([head, *last])
    for count in range(len(items), 0, -1):
        left = [f"+{len(items) - count}"] if count < len(items) else []
        name = SEPARATOR.join([head, ", ".join([*items[:count], *left]), *last])
        if len(name) <= MOST_CHARACTERS:
            break
    shown = make_visible(name)
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[: MOST_CHARACTERS - 1]}…"
