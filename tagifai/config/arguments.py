"""Arguments: what is typed on a command line, made ready for Hydra's grammar."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from tagifai.config.paths import FOLDERS, PATHS
from tagifai.exceptions import ConfigError

LITERAL = "task.text"
"""The argument that is taken as it stands, not by Hydra's grammar."""

QUOTED = (*PATHS, *FOLDERS, "task.filter", "task.baseline")
"""Arguments that are quoted where they need it: paths, and phrases that have spaces and commas."""

READ_BY_HYDRA = re.compile(
    r"""(?=.*[./])([A-Za-z/]|\.\.?/)[A-Za-z0-9_./:@%+-]*|-|null|(['"]).*\2|.*\$\{.*""", re.DOTALL
)
"""Paths that Hydra's grammar takes as they are: plain ones, quoted ones, interpolations, none."""


def quote(argument: str) -> str:
    """Return a command-line argument, quoted for Hydra where it is not to be read by its grammar.

    That is `task.text`, whatever it is, and what is `QUOTED` if it has spaces, commas and the like.

    Args:
        argument: one argument, such as "task.text=a (b), c".

    Raises:
        ConfigError: a folder that is blank, which would become the root of the file system.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if equals and name in (*FOLDERS, "hydra.run.dir", "hydra.sweep.dir"):
        if not value.strip():
            raise ConfigError(f"{name} is blank; give a folder.")
        # The shell does so at the start of a word only.
        value = str(Path(value).expanduser()) if value.startswith("~") else value
    if equals and name == LITERAL:
        # What OmegaConf would take for an interpolation or for a missing value is escaped.
        value = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", value)
        value = "\\" + value if re.fullmatch(r"\\*\?\?\?", value) else value
    elif not equals or name not in QUOTED or READ_BY_HYDRA.fullmatch(value):
        return f"{key}{equals}{value}"
    return f"{key}={QuotedString(value, Quote.double).with_quotes()}"
