"""Configurations as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

from omegaconf import OmegaConf

from tagifai.utils.secrets import mask_all

_formatted: dict[tuple[str, str], str] = {}
"""YAML of the keys that this process has formatted, by their name and content."""


def format_yaml(content: Mapping[str, Any], depth: int = 3) -> str:
    """Return a configuration as YAML without secrets.

    Args:
        content: by its outermost keys.
        depth: of the mappings that are formatted by themselves.
    """
    texts = []
    for name, value in content.items():
        # A key at a time, because most are equal in all trials of a search.
        if depth > 1 and isinstance(value, dict) and value:
            inside = format_yaml(value, depth - 1)
            texts += [_format(name, {}).removesuffix(" {}\n"), "\n", indent(inside, "  ")]
        else:
            texts.append(_format(name, value))
    return "".join(texts)


def _format(name: str, value: Any) -> str:
    key = (name, repr(value))
    if key not in _formatted:
        _formatted[key] = OmegaConf.to_yaml(OmegaConf.create(mask_all({name: value})))
    return _formatted[key]
