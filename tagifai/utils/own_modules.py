"""Own modules: code of a person's own that this process knows, and what it may be used for.

A bundle says which of them it needs; whatever else it names is not loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tagifai.exceptions import BundleError

LONGEST_NAME = 100
"""Characters of the name of an extension's file."""

_files: dict[str, Path | None] = {}
"""By name, the modules that were loaded as extensions or have registered something."""

_packages: set[str] = set()
"""Names of packages whose classes may be used, with a dot behind each."""


def register(module: str, file: Path | None = None) -> None:
    """Let a module be known.

    Args:
        module: its name; those of this package are known anyway.
        file: that it is in; None is the one that it was imported from.
    """
    if module.partition(".")[0] != "tagifai":
        origin = getattr(sys.modules.get(module), "__file__", None)
        _files[module] = file or (Path(origin) if origin else _files.get(module))


def register_function(function: Callable[..., Any]) -> None:
    """Let the module be known that a function is in; built-in ones have none."""
    module = getattr(function, "__module__", None)
    if module is not None:
        register(module)


def allow_packages(patterns: Iterable[str]) -> None:
    """Let classes of packages be used.

    Args:
        patterns: such as "mypackage.*".
    """
    _packages.update(pattern.removesuffix("*") for pattern in patterns)


def is_known(module: str) -> bool:
    """Return whether a module was loaded, or is of a package that is allowed."""
    return module in _files or f"{module}.".startswith(tuple(_packages))


def require(path: Path, needs: Any) -> None:
    """Refuse a bundle that needs a module which this process does not know.

    Args:
        path: the bundle, for the error.
        needs: what the bundle says: by the module's name its file, or None for one of a package.

    Raises:
        BundleError: with the extension or the package, and how to let it be known.
    """
    if not isinstance(needs, dict):
        raise BundleError(f"{path} does not say which code of a person's own it needs.")
    for module, file in needs.items():
        if is_known(module):
            continue
        if not re.fullmatch(r"[A-Za-z_][\w.]{0,99}", module) or len(str(file)) > LONGEST_NAME:
            raise BundleError(f"{path} needs code that has no name of a module: {module!r:.80}.")
        if module == "__main__":
            raise BundleError(
                f"{path} needs functions or classes of the notebook or program that trained it. Put"
                " them into a file, name it in extensions of conf/config.yaml, and train again."
            )
        package = module.partition(".")[0]
        allow = f"TAGIFAI_WHITELIST='{package}.*'"
        if file is None:
            raise BundleError(
                f"{path} needs the package {package}, which is not allowed. If you know and trust"
                f" it, add {package}.* to whitelist in conf/config.yaml, or allow it by the"
                f" environment: {allow}"
            )
        raise BundleError(
            f"{path} needs the extension {file}, which is not loaded. Add the file to extensions in"
            " conf/config.yaml, or in the config.yaml of a folder that is given by --config-dir"
            f" (in Python: import it, and allow its classes by {allow})."
        )


def find_file(module: str) -> Path | None:
    """Return the file of a module that is known and is one file, which can be taken elsewhere."""
    file = _files.get(module)
    return file if file is not None and file.name == f"{module}.py" else None
