"""Arguments: what is typed on a command line, made ready for Hydra's grammar."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from tagifai.config import standard_input, words
from tagifai.config.paths import FOLDERS, PATHS, refuse_long_path
from tagifai.config.texts import escape, get_shapes
from tagifai.exceptions import ConfigError
from tagifai.utils import program
from tagifai.utils.secrets import mask

LITERAL = "task.text"
"""The argument that is taken as it stands, quotes and all."""

NODES = ("hydra.sweeper", "hydra.launcher", "hydra.callbacks", "hydra.callbacks.sweep")
"""What Hydra takes apart without a look at what it is."""

PHRASES = ("task.filter", "task.baseline")
"""Arguments that are quoted where they need it, because they have spaces and commas."""

INTERPOLATED = (*PATHS, *FOLDERS, *PHRASES)
"""Arguments in which ${...} refers to another setting."""

PLAIN = re.compile(
    r"(?!(true|false|null|inf|nan)$)[A-Za-z_][\w-]*"
    r"|(?=.*[./])([A-Za-z/]|\.\.?/)[A-Za-z0-9_./:@%+-]*|-",
    re.ASCII | re.IGNORECASE,
)
"""Names and paths that Hydra's grammar takes as they are."""

QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
"""A text in quotes, as Hydra's grammar has it."""

CHOICE = re.compile(r"choice\((.*)\)", re.DOTALL)
SWEEP = re.compile(r"(shuffle|sort|tag|range|interval|glob)\(.*\)", re.DOTALL)
"""Functions of Hydra's that give the values of a sweep."""


PROGRAM_WORDS = 2
"""Words of a line that may be the program: `tagifai`, or `python run.py`."""


def prepare(argv: list[str]) -> None:
    """Make what was typed ready for Hydra, in place, and the line that a shell completes.

    Data that are piped into the command are in a file from then on: see `standard_input.keep`.

    Args:
        argv: the path of what was called, and the arguments.
    """
    if "COMP_LINE" in os.environ and not {"-sc", "--shell-completion"}.isdisjoint(argv):
        os.environ["COMP_LINE"] = leave_out_texts(os.environ["COMP_LINE"])
    words.refuse_unknown_flags(argv[1:])
    kept = standard_input.keep(argv[1:])
    if kept != argv[1:]:
        program.export_command([argv[0], *kept])
    kept = words.prepare_flags(kept)
    sweep = not {"-m", "--multirun", words.MULTIRUN}.isdisjoint(kept)
    argv[1:] = [quote(argument, sweep=sweep) for argument in kept]


def leave_out_texts(line: str) -> str:
    """Return a line to complete without what is taken as typed; Hydra would stumble over it.

    Args:
        line: up to where it is completed, quoted for a shell.
    """
    try:
        words = shlex.split(line)
    except ValueError:  # it ends within quotes, where there is nothing to complete
        rest = line[: max(line.rfind("'"), line.rfind('"'))].rpartition(" ")[0]
        return leave_out_texts(f"{rest} {LITERAL}=??")
    last = [] if line[-1:].isspace() else words[-1:]
    before = words[: len(words) - len(last)]
    kept = [
        word
        for number, word in enumerate(before)
        if not (_is_typed(word) or re.search(r"\s", word))
        and (number < PROGRAM_WORDS or re.match(r"[-~]|.*=", word))
    ]
    key, _, value = (last or [""])[0].partition("=")
    if _is_typed(key + "=") and value and not PLAIN.fullmatch(value):
        last = [f"{key}=?"]
    return " ".join([*kept, *(last or [""])])


def _is_typed(word: str) -> bool:
    key, equals, _ = word.lstrip("+").partition("=")
    return bool(equals) and (get_shapes(key) is not None or key in (LITERAL, *PHRASES))


def quote(argument: str, *, sweep: bool = False) -> str:
    """Return a command-line argument, quoted for Hydra where it is not to be read by its grammar.

    That is `task.text`, whatever it is, and the settings that are taken as they are typed: a text,
    or a list or mapping of texts, unless it is in quotes already. The word null by itself is none.

    Args:
        argument: one argument, such as "data.text=[Review Text (en),title]".
        sweep: whether commas and choice(...) give the values of a sweep.

    Raises:
        ConfigError: a folder that is blank, which would become the root of the file system.
    """
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if not equals:
        return argument
    _refuse_own(name)
    if name in (*FOLDERS, "hydra.run.dir", "hydra.sweep.dir"):
        if not value.strip():
            raise ConfigError(f"{name} is blank; give a folder.")
        if mask(value) != value:
            raise ConfigError(f"{name} = {mask(value)!r} has a secret, and names are seen by all.")
        refuse_long_path(name, value)
        # The shell does so at the start of a word only.
        value = str(Path(value).expanduser()) if value.startswith("~") else value
    if name == LITERAL:
        return f"{key}={_enclose(value)}"
    value = write_choices(value) if sweep else value
    shapes = "" if name in (*FOLDERS, *PHRASES) else get_shapes(name)
    if shapes is None or not value:
        return f"{key}={value}"
    interpolated = name in INTERPOLATED
    if shapes == "[]" and not sweep and not (value[0] + value[-1] == "[]" or value == "null"):
        raise ConfigError(f"{name} takes a list: '{key}=[{value}]'")
    if not sweep or name in (*FOLDERS, *PHRASES):
        return f"{key}={_quote_value(value, shapes, interpolated)}"
    if SWEEP.fullmatch(value):
        return argument
    choice = CHOICE.fullmatch(value)
    # What choice(...) has in quotes, Hydra would give to the jobs without them.
    items = _split(choice[1] if choice else value, nested=bool(shapes))
    return f"{key}={','.join(_quote_value(item, shapes, interpolated) for item in items)}"


def write_choices(value: str) -> str:
    """Return choice(...) as its values alone where null is one, which Hydra does not take there."""
    choice = CHOICE.fullmatch(value)
    found = _split(choice[1], nested=True) if choice else []
    return ",".join(found) if len(found) > 1 and "null" in map(str.lower, found) else value


def _refuse_own(name: str) -> None:
    """Refuse settings of Hydra's that are ours to choose, and those that are no values."""
    if name == "hydra.output_subdir":
        raise ConfigError(
            f"{name} cannot be chosen: a job's record is in .hydra in its folder, written without"
            " secrets. Leave it out."
        )
    if name in NODES:
        raise ConfigError(
            f"{name} is no value: choose an option of {name.replace('.', '/')}, or set one of its"
            f" keys, as in {name}.key=..."
        )


def _enclose(text: str) -> str:
    return QuotedString(escape(text), Quote.double).with_quotes()


def _quote_value(value: str, shapes: str, interpolated: bool) -> str:
    if value == "null":
        return value
    if "[" in shapes and value[0] == "[" and value[-1] == "]":
        items = [_quote_text(item, interpolated) for item in _split(value[1:-1])]
        # What is missing between two commas is refused by the grammar.
        return f"[{','.join(items)}]"
    if "{" in shapes and value[0] == "{" and value[-1] == "}":
        # As JSON: keys in Hydra's grammar have no quotes, and are of ASCII.
        pairs = [_split_pair(item) for item in _split(value[1:-1])]
        return _enclose(json.dumps(dict(pairs), ensure_ascii=False))
    return _quote_text(value, interpolated)


def _quote_text(text: str, interpolated: bool) -> str:
    taken = not text or PLAIN.fullmatch(text) or QUOTED.fullmatch(text)
    return text if taken or (interpolated and "${" in text) else _enclose(text)


def _split(text: str, *, nested: bool = False) -> list[str]:
    """Return what is between commas, without the space around; quotes protect commas.

    Args:
        text: such as "a b, 'c, d'".
        nested: whether brackets and braces protect commas, too.
    """
    return [] if not text.strip() else [item.strip() for item in _scan(text, nested)]


def _scan(text: str, nested: bool) -> Iterator[str]:
    start = place = depth = 0
    while place < len(text):
        quoted = QUOTED.match(text, place)
        # An apostrophe within a name is no quote.
        before = text[:place].rstrip()[-1:]
        if (
            quoted
            and before in ("", ",", ":", "[", "{")
            and re.match(r"\s*([],:}]|$)", text[quoted.end() :])
        ):
            place = quoted.end()
            continue
        if nested and (
            text[place] in "]}" or (text[place] in "[{" and (depth or before in ("", ",")))
        ):
            depth += 1 if text[place] in "[{" else -1
        if text[place] == "," and depth <= 0:
            yield text[start:place]
            start = place + 1
        place += 1
    yield text[start:]


def _split_pair(item: str) -> tuple[str, str]:
    """Return key and value of "key: value", each of which may be in quotes."""
    quoted = QUOTED.match(item)
    end = item.find(":", quoted.end() if quoted else 0)
    if end < 0:
        raise ConfigError(f"{item!r} is no pair: a mapping has the form {{a: b, 'c, d': e}}.")
    return _read(item[:end].strip()), _read(item[end + 1 :].strip())


def _read(text: str) -> str:
    """Return a text without its quotes, if it has some."""
    if not QUOTED.fullmatch(text):
        return text
    # Backslashes count where they stand before a quote.
    halved = re.sub(
        rf"(\\*)\\(?={text[0]})", lambda match: match[1][: len(match[1]) // 2], text[1:-1]
    )
    return re.sub(r"\\+$", lambda match: match[0][: len(match[0]) // 2], halved)
