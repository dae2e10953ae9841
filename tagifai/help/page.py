"""The page of --help, as wide as the terminal."""

from __future__ import annotations

import shutil
import textwrap

from tagifai.help import options
from tagifai.utils import program
from tagifai.utils.excerpts import make_visible

PURPOSE = "Find, keep and use the best way of classifying texts."

WHAT_RUNS = (
    "A run composes one option of each group, trains a model with them, scores it and saves it. A"
    " multirun (-m) makes a run of every combination of the values that are given with commas."
)

EXAMPLES = (
    ((), "train on the embedded data"),
    (("model=sgd_huber", "vectorizer=tfidf_word"), "swap two options"),
    (("model.alpha=1e-5", "training.patience=5"), "change values"),
    (("-m", "model=sgd,linear_svc", "seed=1,2"), "four runs"),
    (("task=predict", "task.text=Cars in video"), "use the latest run's model"),
)

FLAGS = {
    "-m": "multirun",
    "--cfg job": "show the composed configuration, and run nothing",
    "--info defaults-tree": "what it is made of",
    "-sc install=bash": "install tab completion (zsh and fish too)",
    "--config-dir FOLDER": "options of your own, or all of them: see task=init",
    "--hydra-help": "all flags",
}

WIDEST, NARROWEST = 100, 40
"""Columns of the page."""


def make_page() -> str:
    """Return the page, as wide as the terminal."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
    call = program.format_call()
    usage = [f"{call} [task=TASK] [group=option ...]", "[key=value ...]"]
    lines = [*_fold(PURPOSE, width), ""]
    one = "  " + " ".join(usage)
    lines += [one] if len(one) <= width else [f"  {usage[0]}", f"      {usage[1]}"]
    lines += ["", *_fold(WHAT_RUNS, width), "", "Tasks (task=...; * is the default)"]
    default = options.read_choices().get("task")
    tasks = [
        (name, options.say_shortly(options.describe_schema(f"task/{name}")))
        for name in options.list_tasks()
    ]
    lines += _list_entries(
        [(f"{name} *" if name == default else name, t) for name, t in tasks], width
    )
    lines += ["", "Groups and options (group=option; * is the default)"]
    for group, decides in options.GROUPS.items():
        lines += ["", *_fold(f"{group}: {decides.replace('`', '')}", width, "    ")]
        lines += _list_entries([*options.list_options(group)], width)
    lines += ["", "Keys that are set most, with their defaults (key=value)"]
    lines += _list_entries([*options.list_keys()], width)
    lines += ["", "Examples"]
    for arguments, meaning in EXAMPLES:
        lines += [f"  {program.format_call(*arguments)}", f"      {meaning}"]
    lines += ["", "Flags", *_list_entries([*FLAGS.items()], width)]
    return "\n".join(lines) + "\n"


def _fold(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        make_visible(text),
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _list_entries(entries: list[tuple[str, str]], width: int) -> list[str]:
    """Return names and what they mean in two columns, the second of which is folded."""
    column = min(24, max(len(name) for name, _ in entries) + 4)
    lines = []
    for name, text in entries:
        begin = f"  {make_visible(name)}"
        head = begin.ljust(column)
        fits = len(begin) + 2 <= column
        lines += [] if fits and text else [begin]
        lines += _fold((head if fits else " " * column) + text, width, " " * column) if text else []
    return lines
