"""A schema's parameters as a table in Markdown: type, default, range and meaning."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from tagifai.exceptions import InvalidValueError
from tagifai.help.options import list_meanings

SHOWN = 48
"""Characters of a value that are shown."""


def kind_of(hint: Any) -> str:
    """Return a type in words."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(kind_of(part) for part in get_args(hint))
    if get_origin(hint) is list:
        return f"list of {kind_of(get_args(hint)[0])}s"
    if get_origin(hint) is dict:
        return "mapping"
    named = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    # Any is a text or a list of them, and an option of a group of its own in the sweeper.
    return {**named, type(None): "null", Any: "any"}.get(hint, "option")


def shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = str(value).replace("'", "") if isinstance(value, list | dict) else str(value)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= SHOWN else text[: SHOWN - 2].rstrip() + " …"


def default_of(field: Field[Any]) -> str:
    made = field.default_factory() if field.default_factory is not MISSING else field.default
    if made in (MISSING, "???"):
        return "to be given"
    return "(blank)" if made == "" else f"`{shown(made)}`"


def allowed(schema: type, field: Field[Any], hint: Any) -> str:
    """Return what the schema says when it refuses a value, if it refuses any."""
    named = {"name": "x"} if any(f.name == "name" for f in fields(schema)) else {}
    for value in _wrong(hint):
        try:
            schema(**{**named, field.name: value})
        except InvalidValueError as error:
            if error.key == field.name:
                return (
                    error.allowed.partition(" = ")[0] if " - " in error.allowed else error.allowed
                )
        except (AttributeError, TypeError, ValueError):
            continue
    return ""


def _wrong(hint: Any) -> list[Any]:
    parts = set(get_args(hint)) or {hint}
    found: list[Any] = []
    if int in parts:
        found.append(-1)
    if float in parts:
        found.extend([-1.0, 2.0])
    if str in parts or Any in parts:
        found.append("?")
    return found


def parameters(schema: type, prefix: str) -> list[str]:
    """Return a table of a schema's parameters, without those that belong to the option."""
    hints, said = get_type_hints(schema), list_meanings(schema)
    rows = []
    for field in fields(schema):
        if field.name in ("_target_", "defaults") or f"{prefix}.{field.name}" == "task.name":
            continue
        kind, takes = kind_of(hints[field.name]), allowed(schema, field, hints[field.name])
        meaning = with_null(said.get(field.name, ""))
        row = [f"`{prefix}.{field.name}`", kind, default_of(field), takes, meaning]
        rows.append(f"| {' | '.join(escaped(cell) for cell in row)} |")
    if not rows:
        return []
    return ["| parameter | type | default | takes | meaning |", "|---|---|---|---|---|", *rows]


def escaped(cell: str) -> str:
    """Return a text without what would end a table's cell or, but in code, begin a tag."""
    parts = re.sub(r"(?<!\\)\|", r"\\|", cell).split("`")
    return "`".join(p if n % 2 else p.replace("<", r"\<") for n, p in enumerate(parts))


def with_null(text: str) -> str:
    return re.sub(r"\bNone\b", "`null`", text)


def first_sentence(schema: type) -> str:
    return with_null(" ".join((schema.__doc__ or "").partition("\n\n")[0].split()))


def undocumented(schemas: Iterable[type]) -> list[str]:
    """Return the fields of which no docstring says anything."""
    unsaid = ("_target_", "defaults", "name")
    known = [(s, f.name) for s in schemas for f in fields(s) if f.name not in unsaid]
    return sorted(f"{s.__name__}.{name}" for s, name in known if not list_meanings(s).get(name))
