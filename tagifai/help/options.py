"""Tasks, groups, options and keys in the order of use, a line of meaning each.

What is said of an option stands at the head of its file in conf/, of a task or a key in the
docstring of its schema. The pages below docs/ are made from the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from yaml import YAMLError

from tagifai.config import paths
from tagifai.config.plugins import PRESET_GROUP, PresetSource
from tagifai.config.schema import CUSTOM_OPTIONS, SCHEMA_CLASSES, Config
from tagifai.config.texts import parse_yaml
from tagifai.utils.program import CONFIG_DIR_VARIABLE

TASKS = (
    *("train", "predict", "errors", "evaluate", "compare", "runs", "rerun", "curve", "nested"),
    *("elt", "promote", "rollback", "serve", "export", "import", "info", "init"),
    *("clean", "repair", "sync"),
)
"""Tasks in the order of use; those that are not named come last."""

GROUPS = {
    "data": "where the rows come from, and which labels are kept",
    "preprocessing": "cleaning",
    "split": "which rows are for training, validation and test",
    "vectorizer": "features",
    "sampling": "balancing of the train rows; `model.class_weight=balanced` weighs them instead",
    "model": "the classifier",
    "threshold": 'below which probability a text becomes "other"',
    "sweep": "presets of searches, which need `-m`",
    "experiment": "presets of runs: they choose options, and options of the command line win; the"
    " best trials of your searches are among them",
    "hydra/sweeper/pruner": "when a trial of a search is pruned",
    "hydra/launcher": "where trials run",
    "tracking": "where runs are recorded",
    "console": "what you see",
    "plots": "whether figures are drawn",
    "cache": "how much of cleaned texts and features is kept for later runs",
}
"""What a group decides, in the order of use."""

CUSTOM = "Any class by its name."
"""What an option is that has no file."""

KEYS = {
    "data.path": "table",
    "data.text": "table",
    "data.label": "table",
    "seed": "",
    "model.alpha": "",
    "model.class_weight": "",
    "training.epochs": "",
    "training.patience": "",
    "objective.metric": "",
    "sweep.budget": "",
}
"""The keys that people set most, and the option that has them where the default has not."""

HEAD_CHARACTERS = 4_000
"""Of a file of options that are read for what it is."""


def say_shortly(text: str) -> str:
    """Return the first sentence of a text, without its dot.

    Args:
        text: of several sentences.
    """
    found = re.match(r""".*?(?<=[\w)\]"'][\w)\]"'])\.(?=\s+[A-Z]|\s*$)""", text)
    return (found[0] if found else text).rstrip(".").replace("`", "")


def list_tasks() -> list[str]:
    """Return the tasks in the order of use."""
    known = [name.removeprefix("task/") for name in SCHEMA_CLASSES if name.startswith("task/")]
    return sorted(known, key=lambda name: TASKS.index(name) if name in TASKS else len(TASKS))


def list_options(group: str) -> Iterator[tuple[str, str]]:
    """Yield the options of a group with what they are, the default first.

    Args:
        group: such as "model".
    """
    found: dict[str, Path] = {}
    for folder in (os.environ.get(CONFIG_DIR_VARIABLE), paths.get_conf_folder()):
        found |= {path.stem: path for path in Path(folder or "", group).glob("*.yaml") if folder}
    if group == PRESET_GROUP:
        folder = paths.get_stores() / "presets"
        names = PresetSource("tagifai", f"{PresetSource.scheme()}://{folder}").list(
            group, ObjectType.CONFIG
        )
        found |= {name: folder / group / f"{name}.yaml" for name in names if name not in found}
    default = read_choices().get(group)
    for name in sorted(found, key=lambda name: (name != default, name)):
        yield f"{name} *" if name == default else name, say_shortly(read_about(found[name]))
    if f"{group}/custom" in CUSTOM_OPTIONS and "custom" not in found:
        yield "custom", f"{say_shortly(CUSTOM)}: {group}._target_=..."


def read_about(path: Path) -> str:
    """Return what the comment at the head of an option's file says, without indented examples.

    Args:
        path: of the file.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(HEAD_CHARACTERS).removeprefix("# @package _global_\n")
    except OSError:
        return ""
    head = re.match(r"(#.*\n)*", text)
    lines = [line.removeprefix("#") for line in head[0].splitlines()] if head else []
    about = " ".join(line.strip() for line in lines if not line.startswith("   "))
    return re.sub(r":$", ".", about)


# --- what is taken by default ------------------------------------------------------------------


@cache
def _read(path: Path) -> dict[Any, Any]:
    """Return what a file of options has; nothing of one that is missing, or is no YAML."""
    try:
        return parse_yaml(path.read_bytes())
    except (OSError, ValueError, YAMLError):
        return {}


def _read_defaults(path: Path) -> list[Any]:
    listed = _read(path).get("defaults")
    return listed if isinstance(listed, list) else []


def read_choices() -> dict[str, str]:
    """Return the default options by group."""
    listed = _read_defaults(paths.get_conf_folder() / paths.CHOICES)
    return {key: value for item in listed if isinstance(item, dict) for key, value in item.items()}


def list_keys() -> Iterator[tuple[str, str]]:
    """Yield the keys that are set most with their defaults, and what they mean.

    Those that the options of the configuration do not have are left out.
    """
    for key, option in KEYS.items():
        group, _, name = key.rpartition(".")
        if said := list_meanings(_find_schema(group, option)).get(name):
            text = re.split(r"[;:] ", re.sub(r"\bNone\b", "null", said))[0].rstrip(".")
            hint = f" (data={option})" if option else ""
            yield f"{key}={_find_default(group, name, option)}", f"{text}{hint}"


def _find_default(group: str, name: str, option: str) -> str:
    files = [_read(path) for path in _list_files(group, option)]
    chosen = _read(paths.get_conf_folder() / paths.CHOICES)
    for content in (chosen.get(group) if group else chosen, *files):
        if isinstance(content, dict) and name in content:
            return _format(content[name])
    (field,) = (field for field in fields(_find_schema(group, option)) if field.name == name)
    return "..." if field.default is MISSING else _format(field.default)


def _format(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "..." if value == "???" else str(value)


def _list_files(group: str, option: str) -> Iterator[Path]:
    """Yield the file of the default option of a group, and those that it builds on."""
    name: str | None = option or read_choices().get(group)
    seen: set[str] = set()
    while name is not None and name not in seen:
        seen.add(name)
        path = paths.get_conf_folder() / group / f"{name}.yaml"
        yield path
        listed = [item for item in _read_defaults(path) if isinstance(item, str)]
        name = next((item for item in listed if "/" not in item and " " not in item), None)


def _find_schema(group: str, option: str) -> type:
    for path in _list_files(group, option):
        for item in map(str, _read_defaults(path)):
            name = item.removeprefix("/schema/").removesuffix("@_here_")
            if item.startswith("/schema/") and name in SCHEMA_CLASSES:
                return SCHEMA_CLASSES[name]
    found = [f.default_factory for f in fields(Config) if f.name == group]
    return found[0] if found and isinstance(found[0], type) else Config


# --- what is said in the docstrings of schemas -------------------------------------------------


def describe_schema(name: str) -> str:
    """Return the first paragraph of a schema's docstring.

    Args:
        name: such as "task/train".
    """
    return " ".join((SCHEMA_CLASSES[name].__doc__ or "").partition("\n\n")[0].split())


def list_meanings(schema: type) -> Mapping[str, str]:
    """Return what the docstrings of a schema and of those that it extends say of its fields.

    Args:
        schema: with a section of arguments in its docstring.
    """
    found: dict[str, str] = {}
    for kind in reversed(schema.__mro__):
        _, _, listed = (kind.__doc__ or "").partition("Args:\n")
        for name, text in re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", listed, re.MULTILINE):
            words = " ".join(text.split())
            # It stands below the one that it is like, wherever that is listed.
            before = next(reversed(found.values()), "")
            found[name] = before if words == "likewise." and before else words
    return found
