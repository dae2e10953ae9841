"""Texts: the settings whose values are taken as they are typed, in arguments and in YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tagifai.exceptions import ConfigError

TEXTS = {
    **dict.fromkeys(("data.projects", "data.tags"), ""),
    **dict.fromkeys(("data.path", "data.val_path", "data.test_path"), "["),
    **dict.fromkeys(("data.text_path", "data.val_text_path", "data.test_text_path"), ""),
    **dict.fromkeys(("data.label_path", "data.val_label_path", "data.test_label_path"), ""),
    **dict.fromkeys(("data.label", "data.id", "data.split", "data.other", "data.name"), ""),
    "split.by": "",
    **dict.fromkeys(("data.records", "data.val_records", "data.test_records", "data.sheet"), ""),
    **dict.fromkeys(("data.delimiter", "data.quotechar", "data.escape"), ""),
    "data.text": "[",
    **dict.fromkeys(("data.accepted_tags", "data.missing", "data.columns", "data.keep"), "[]"),
    "data.label_names": "[{",
    **dict.fromkeys(("task.input", "task.output", "task.data", "task.path"), ""),
    **dict.fromkeys(("task.records", "task.sheet"), ""),
    **dict.fromkeys(("task.delimiter", "task.quotechar", "task.escape"), ""),
    "task.missing": "[]",
    **dict.fromkeys(("task.columns", "objective.constraints"), "{"),
}
"""What each may be besides a text: a list of texts ("["), a mapping ("{"); "[]" is a list only."""


def get_shapes(name: str) -> str | None:
    """Return what a setting may be besides a text, or None if it is not taken as typed.

    Args:
        name: such as "data.text", or a key in a mapping: "task.columns.title".
    """
    mapping = name.rpartition(".")[0]
    return TEXTS.get(name, "" if "{" in TEXTS.get(mapping, "") else None)


def escape(value: Any) -> Any:
    """Return a value whose texts OmegaConf takes as they are: it looks nothing up for them.

    Args:
        value: a text, or lists and mappings of whatever.
    """
    if isinstance(value, dict):
        return {key: escape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape(item) for item in value]
    if not isinstance(value, str):
        return value
    # What would be an interpolation, or a missing value.
    escaped = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", value)
    return "\\" + escaped if re.fullmatch(r"\\*\?\?\?", escaped) else escaped


# --- in YAML -----------------------------------------------------------------------------------

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one of libyaml, where PyYAML was built with it, is ten times faster."""

MOST_CHARACTERS, MOST_DEPTH = 2**22, 20
"""Of a recorded configuration: ours have some thousand characters, or those of its lists of words.
"""


def parse_yaml(text: str | bytes) -> dict[Any, Any]:
    """Return what a file of YAML has, which makes no objects; empty if it is no mapping.

    Errors of YAML are raised as they are.
    """
    content = yaml.load(text, Loader=LOADER)  # noqa: S506 # nosec B506
    return content if isinstance(content, dict) else {}


def check_plain_yaml(yaml_text: str, most: int = MOST_CHARACTERS) -> None:
    """Refuse YAML that is more than plain values: it could be small, and fill memory when read.

    Args:
        yaml_text: from wherever.
        most: characters.

    Raises:
        ConfigError: with the reason.
    """
    if len(yaml_text) > most:
        raise ConfigError(f"it has more than {most:,} characters.")
    depth = 0
    try:
        for event in yaml.parse(yaml_text, Loader=LOADER):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
                raise ConfigError("it has YAML's anchors or tags, which nothing of ours writes.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise ConfigError(f"it is more than {MOST_DEPTH} deep.")
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"it is no YAML ({' '.join(str(error).split())}).") from None


def read_typed(content: Mapping[str, Any], package: str, yaml_text: str) -> dict[str, Any]:
    """Return what YAML's rules took for numbers, booleans and nulls, as it is typed in the file.

    Args:
        content: of the file, as it was loaded.
        package: where its content goes, such as "data"; empty is the whole configuration.
        yaml_text: of the file.

    Returns:
        Texts, and lists and mappings of texts, by key in the file.
    """
    names = [name.removeprefix(f"{package}.") for name in TEXTS if name.startswith(package)]
    found = {name: _select(content, name) for name in names}
    misread = [name for name, value in found.items() if value is not None and _is_misread(value)]
    if not misread:
        return {}
    root = yaml.compose(yaml_text, Loader=LOADER)
    typed = {name: _read_node(_find_node(root, name.split("."))) for name in misread}
    return {name: value for name, value in typed.items() if value is not None}


def _select(content: Any, name: str) -> Any:
    for key in name.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _is_misread(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_misread, (*value, *value.values())))
    return any(map(_is_misread, value)) if isinstance(value, list) else not isinstance(value, str)


def _find_node(node: Any, keys: list[str]) -> Any:
    if not keys:
        return node
    for key, value in reversed(node.value if isinstance(node, yaml.MappingNode) else []):
        merged = key.tag.endswith(":merge")
        found = (
            _find_node(value, keys if merged else keys[1:])
            if key.value in ("<<", keys[0])
            else None
        )
        if found is not None:
            return found
    return None


def _read_node(node: Any) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [*map(_read_node, node.value)]
    if isinstance(node, yaml.MappingNode):
        return {key.value: _read_node(value) for key, value in node.value}
    # A dash with nothing behind it is no text.
    return node.value if node is not None and (node.value or node.style) else None
