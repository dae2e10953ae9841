"""Values of tables as texts, by the same rules for every format.

Missing are null, NaN, the empty text, and what `missing` lists. Numbers and booleans are texts as
JSON writes them, dates in ISO form, bytes are UTF-8. A list of one value is that value. Longer
lists and objects are refused, and so are NUL and halves of surrogate pairs, unless U+FFFD is to
take their place.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tagifai.exceptions import DataError
from tagifai.utils.labels import clean_label

NO_TEXT = re.compile("[\0\ud800-\udfff]")

PART_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}
"""How the parts of a data set are called, in a column and in names of files."""

PART_OF_NAME = re.compile(rf"({'|'.join(PART_SPELLINGS)})(?![a-z])", re.IGNORECASE)


def find_part(name: str) -> str | None:
    """Return the part that the name of a file or folder begins with: train, val or test.

    Args:
        name: such as "test-00000.parquet".
    """
    found = PART_OF_NAME.match(name)
    return PART_SPELLINGS[found[1].lower()] if found else None


def convert(value: Any) -> str:
    """Return a value as a text.

    Raises:
        ValueError: it is none; with the reason.
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{_shorten(value)} are bytes that are not UTF-8") from None
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple) and len(value) <= 1:
        return convert(value[0]) if value else ""
    kind = f"a {type(value).__name__}"
    if isinstance(value, Mapping | list | tuple):
        kind = "an object" if isinstance(value, Mapping) else f"a list of {len(value)} values"
    raise ValueError(f"{_shorten(value)} is {kind}, and has to be a text or a number")


def convert_all(
    values: Sequence[Any], missing: Collection[str], *, replace: bool
) -> tuple[list[str], dict[int, str]]:
    """Return the values of a column as texts, and why some are none.

    Args:
        values: n of them.
        missing: texts that mean that there is none.
        replace: put U+FFFD in the place of what no text may have.

    Returns:
        n texts, and the reasons by position.
    """
    problems: dict[int, str] = {}
    if set(map(type, values)) <= {str}:
        texts = list(values)
    else:
        texts = []
        for place, value in enumerate(values):
            try:
                texts.append(convert(value))
            except ValueError as error:
                problems[place] = str(error)
                texts.append("")
    if missing:
        texts = ["" if text.strip() in missing else text for text in texts]
    joined = "".join(texts)
    if "\0" in joined or not _is_unicode(joined):
        for place, text in enumerate(texts):
            if replace:
                texts[place] = NO_TEXT.sub("\ufffd", text)
            elif found := NO_TEXT.search(text):
                what = "NUL" if found[0] == "\0" else "half of a surrogate pair"
                problems[place] = f"{_shorten(text)} has {what}, which no text has"
                texts[place] = ""
    return texts, problems


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:
        return False


def _shorten(value: Any) -> str:
    shown = repr(value)
    return f"{shown[:40]}…" if len(shown) > 40 else shown


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; a key that is there twice has a list of its values, which is no text."""
    found = dict(pairs)
    if len(found) < len(pairs):
        values: dict[str, list[Any]] = {}
        for key, value in pairs:
            values.setdefault(key, []).append(value)
        found = {key: several if several[1:] else several[0] for key, several in values.items()}
    return found


_DECODE = json.JSONDecoder(
    object_pairs_hook=_make_object,
    parse_int=str,
    parse_float=str,
    parse_constant=lambda name: None if name == "NaN" else name,
).decode


def parse_json(text: str) -> Any:
    """Return what JSON says; numbers stay the characters that they are written with.

    Raises:
        ValueError: it is no JSON; with the reason.
    """
    try:
        return _DECODE(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


MAX_SHOWN_NAMES = 5
"""Most known codes that an error lists."""


def list_label_names(names: Any) -> dict[str, str]:
    """Return the names of labels by their codes, from a mapping or the list of 0, 1 and so on."""
    pairs = names.items() if isinstance(names, dict) else enumerate(names)
    return {convert(code): clean_label(convert(name)) for code, name in pairs}


def read_label_names(path: Path, named: str) -> dict[str, str]:
    """Return the names of labels by their codes, from a file.

    Args:
        path: of the file: a code and a name a line, with a tab, a comma, a semicolon or spaces
            between; or the JSON of a mapping or a list.
        named: the setting and the file, for errors.

    Raises:
        DataError: it cannot be read, or a line has no name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith(("[", "{")):
            return list_label_names(json.loads(text))
        lines = text.splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{named} cannot be read ({error}).") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        code, *name = re.split(r"\t|,|;|\s+", line.strip(), maxsplit=1)
        if not name or not name[0].strip():
            raise DataError(
                f"{named}: line {number} is {line.strip()!r}, and has to be a code and a name."
                " Names alone are given as data.label_names=[…] for 0, 1 and so on."
            )
        if code in found:
            raise DataError(f"{named}: line {number}: the code {code!r} is there twice.")
        found[code] = clean_label(name[0])
    return found


def name_label(label: str, names: Mapping[str, str], named: str) -> str:
    """Return the name of a label that may be a code.

    Args:
        label: as in the file.
        names: by code; with none, labels are names.
        named: the setting and the file, for errors.

    Raises:
        DataError: it is neither a code nor a name of these.
    """
    if not names or not label or label in names.values():
        return names.get(label, label)
    if label not in names:
        known = ", ".join(list(names)[:MAX_SHOWN_NAMES])
        raise DataError(
            f"{named}: the label {label!r} is not in data.label_names, which has: {known}."
        )
    return names[label]
