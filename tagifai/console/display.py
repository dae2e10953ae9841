"""Show results: aligned lines, tables and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagifai.console import progress, rich_tables
from tagifai.console.notebook import Cell, find_cell
from tagifai.console.progress import EpochProgress, SearchProgress
from tagifai.utils.excerpts import make_visible
from tagifai.utils.terminal import (
    discard_output,
    format_path,
    is_ansi_enabled,
    mention,
    wrap_stream,
)

if TYPE_CHECKING:
    from tagifai.config.schema.settings import ConsoleConfig

log = logging.getLogger(__name__)

PLAIN_WIDTH = 100
"""Columns where the output is no terminal."""


class Display:
    """Writes to standard output.

    On a terminal lines are folded between words to its width; elsewhere they are not.

    Args:
        quiet: only results.
        plain: no colours, bars or other control characters, even on a terminal.
        every: epochs between two plain lines.
        silent: not even results.
        cell: of a notebook, that bars are drawn below, whatever else is shown.
    """

    def __init__(
        self,
        *,
        quiet: bool,
        plain: bool,
        every: int,
        silent: bool = False,
        cell: Cell | None = None,
    ) -> None:
        draws = is_ansi_enabled(sys.stdout) and not plain
        self._folds = sys.stdout.isatty() and not plain
        self._quiet, self._every, self._begun = quiet or silent, every, False
        self._console = _Console(
            file=wrap_stream(sys.stdout),
            force_terminal=None if draws else False,
            no_color=None if draws else True,
            width=None if sys.stdout.isatty() else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            quiet=silent,
        )
        self._bars = cell or (self._console if draws and not self._quiet else None)

    @classmethod
    def from_config(cls, settings: ConsoleConfig, *, silent: bool = False) -> Display:
        """Return the display that the `console` group describes, or a silent one."""
        quiet, plain = settings.verbosity != "normal", settings.style == "plain"
        cell = find_cell() if settings.style == "notebook" and not silent else None
        silent = silent or settings.verbosity == "silent"
        return cls(quiet=quiet, plain=plain, every=settings.every, silent=silent, cell=cell)

    @property
    def live(self) -> bool:
        """Whether bars are drawn."""
        return self._bars is not None

    def show_header(
        self, title: str, groups: rich_tables.Groups, chosen: Collection[str] = ()
    ) -> None:
        """Show a task and a line for each group of settings, which ends where a terminal does.

        Settings that were `chosen`, such as "model.alpha", come first.
        """
        self.show_line(title, "bold")
        for head, line in () if self._quiet else rich_tables.format_header(groups, chosen):
            self._print(line, head)

    def show_line(self, text: str, style: str = "") -> None:
        """Show a line of text."""
        if not self._quiet:
            self._print(Text(make_visible(text), style))

    def show_note(self, text: str, *, result: bool = False) -> None:
        """Show a note, and log it; if it is a result, even where only results are shown."""
        log.info("Note: %s", text)
        if result or not self._quiet:
            self._print(Text(make_visible(text), "yellow"), Text("Note: ", "yellow"))

    def show_fact(self, name: str, text: str, style: str = "", *, result: bool = False) -> None:
        """Show a name and a text; an empty name continues the one before."""
        if result or not self._quiet:
            self._print(Text(make_visible(text), style), rich_tables.make_head(name and f"{name}:"))

    def show_copyable(self, name: str, text: str | Path, *, result: bool = False) -> None:
        """Show a path or a command in one piece, so that it can be copied."""
        if result or not self._quiet:
            head = rich_tables.make_head(f"{name}:")
            line = Text(make_visible(format_path(text) if isinstance(text, Path) else text))
            if self._folds and head.cell_len + line.cell_len > self._console.width:
                self._print(head)
                head = Text()
            self._write(head + line)

    def show_report(self, path: Path | None) -> None:
        """Show the path of a report, or that it could not be written."""
        if path is None:
            self.show_fact("Report", "not written; the log says why", "yellow")
        else:
            self.show_copyable("Report", path)

    def show_result(self, text: str, indent: int = 0) -> None:
        """Show a line of the result; where it is folded, further lines are indented."""
        self._print(Text(make_visible(text[indent:])), Text(make_visible(text[:indent])))

    def show_spinner(self, what: str, *, at_once: bool = False) -> AbstractContextManager[Any]:
        """Show what is being done in the block; without a terminal if it takes long, or at once.

        Where only results are shown, who waits at a terminal is told on standard error.
        """
        if isinstance(self._bars, Console):
            return self._bars.status(what)
        if self._quiet:
            silent = self._console.quiet
            return nullcontext() if silent else progress.show_late(mention, what)
        if at_once:
            self._show_plain(what)
            return nullcontext()
        return progress.show_late(self._show_plain, what)

    def _show_plain(self, line: str) -> None:
        """Show a line where there are no bars."""
        if self._bars is None:
            self.show_line(line)

    @contextmanager
    def show_epoch_progress(self, total: int, rows: int | None = None) -> Iterator[EpochProgress]:
        """Give the progress of a training; `rows` are those of an epoch that are streamed."""
        with progress.show_bar(self._bars, "Epoch", total, "vectorizing") as show:
            told = EpochProgress(show, self._show_plain, self._every, rows)
            try:
                yield told
            finally:
                told.finish()
        if self.live and told.ended:
            self.show_fact("Epochs", f"{told.ended} of {total}, {told.losses.replace(' | ', ', ')}")

    def show_row_progress(self, what: str) -> AbstractContextManager[Callable[..., None]]:
        """Give a function that takes how many rows are done, such as "Reading", and their total."""
        return progress.show_rows(self._bars, what, self._show_plain)

    def show_step_progress(self, name: str, total: int) -> AbstractContextManager[progress.Show]:
        """Give a function that takes how many steps, such as "Figure", are done, and the last."""
        bars = self._bars if total else None
        show_line = self._show_plain if total and not self._quiet else None
        return progress.show_bar(bars, name, total, show_line=show_line)

    @contextmanager
    def show_trial_progress(self, total: int | None) -> Iterator[Callable[[SearchProgress], None]]:
        """Give a function that takes the progress of a search; no total where time decides."""
        with progress.show_bar(self._bars, "Trial", total, left=True) as show:
            yield progress.follow_search(show, self._show_plain, total)

    def show_table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        texts: Collection[int] | None = None,
        optional: Sequence[str] = (),
    ) -> list[str]:
        """Show results in rows within the width of the terminal; without room, as a list.

        Args:
            title: of the table.
            columns: their names.
            rows: texts, one for each column; where all are empty, there is a line.
            texts: numbers of the columns that have texts, which are folded between words; the
                others are numbers, aligned to the right and in one piece. By default the last one.
            optional: columns that may be left out, the least important first, where rows have no
                room or would have more than two lines.

        Returns:
            The columns that were left out.
        """
        # By their numbers: two may have one name.
        cells = {i: [make_visible(row[i]) for row in (columns, *rows)] for i in range(len(columns))}
        folded, left_out = [len(columns) - 1] if texts is None else texts, []
        table = rich_tables.make_table(cells, folded, self._console)
        for number in (columns.index(name) for name in optional if name in columns):
            if self._is_tall(table, len(rows)):
                left_out.append(cells.pop(number)[0])
                table = rich_tables.make_table(cells, folded, self._console)
        if self._begun:
            self._write(Text())
        self._print(Text(make_visible(title), "bold"))
        if table is not None:
            self._draw(table)
        names, *lines = zip(*cells.values(), strict=True)
        for line in filter(any, lines) if table is None else ():
            self._write(Text())
            for name, text in zip(names, line, strict=True):
                self._print(Text(text), rich_tables.make_head(name, rich_tables.find_width(names)))
        self._write(Text())
        return left_out

    def _draw(self, table: Table) -> None:
        """Show a table; without the blanks that fill its last column where there is no terminal."""
        if self._console.is_terminal:
            self._console.print(table)
            return
        with self._console.capture() as drawn:
            self._console.print(table)
        for line in drawn.get().rstrip("\n").split("\n"):
            self._write(Text(line.rstrip()))

    def _is_tall(self, table: Table | None, rows: int) -> bool:
        """Return whether a table does not fit, or its rows have more than two lines on average."""
        return table is None or len(self._console.render_lines(table)) > 2 * rows + 3

    def _print(self, text: Text, head: Text | None = None) -> None:
        """Print a text behind what begins its first line; it is folded within its own columns."""
        head = head or Text()
        if self._folds:
            lines = text.wrap(self._console, max(20, self._console.width - head.cell_len))
            for line in lines:
                line.rstrip()
            text = Text("\n" + " " * head.cell_len).join(lines)
        self._write(head + text)

    def _write(self, line: Text) -> None:
        self._begun = True
        self._console.print(line, soft_wrap=True)


class _Console(Console):
    """Goes silent when its reader has gone, because that is no reason to end a training."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        discard_output()
