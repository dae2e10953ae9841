"""task=predict: tag a text, or the texts of a file, with a trained model."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path

from tagifai.config.schema import Config, PredictTaskConfig
from tagifai.data import predictions
from tagifai.data.tables.inputs import InputBatch, read_inputs
from tagifai.exceptions import ConfigError, DataError
from tagifai.models import bundles
from tagifai.models.tagger import PredictedColumns, Tagger
from tagifai.runs import resolve
from tagifai.utils import table_files
from tagifai.utils.excerpts import shorten
from tagifai.utils.terminal import is_ansi_enabled

SHOWN_ERRORS = 3
SHOWN_CHARACTERS = 150
"""Of an error, of which there may be many."""

ADVICE = "try fewer processes (task.n_jobs) or smaller batches (task.batch_size)"

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write a prediction for each text to `task.output` or to standard output, and nothing else."""
    task: PredictTaskConfig = config.task
    _check(task)
    run_id, path = resolve.choose_run(config)
    batches = _read_batches(task, path)
    # What is wrong with the file as a whole is found here. A single batch needs no more processes.
    begin = list(islice(batches, 2))
    many = len(begin) > 1
    tagger = bundles.load(path)
    if task.top_k > 1 or task.probabilities:
        tagger.require_probabilities()
    table = predictions.PredictionTable(begin[0].kept if begin else (), task, tagger)
    if table.renamed:
        log.warning("Of columns with one name, the output has %s", ", ".join(table.renamed))
    log.info("Predicting with run %s", run_id)
    failed = FailedRows()
    with (
        _show_count(config, many=many) as count,
        _open_predictor(tagger, task, task.n_jobs if many else 1) as predict,
        table_files.open_writer(task.output, table.fields) as write,
    ):
        for batch, found in predict(chain(begin, batches)):
            columns, errors = table.tabulate(batch, found)
            write(columns)
            failed.add(len(batch.texts), errors.values())
            count(failed.rows)
        if task.output is not None:
            failed.require_others()  # here, where it leaves no file
    failed.require_others()
    if failed.count:
        log.warning("%s", failed.describe())


class FailedRows:
    """Counts the rows that could not be predicted, and keeps what was wrong with the first."""

    def __init__(self) -> None:
        self.rows = 0
        self.count = 0
        self._first: list[str] = []

    def add(self, rows: int, errors: Collection[str]) -> None:
        """Be told of so many rows, and of the errors among them."""
        self.rows += rows
        self.count += len(errors)
        for error in islice(errors, SHOWN_ERRORS - len(self._first)):
            self._first.append(shorten(error, SHOWN_CHARACTERS))

    def describe(self) -> str:
        """Return how many rows failed, and what is wrong with the first of them."""
        more = self.count - len(self._first)
        reasons = "; ".join([*self._first, *([f"and {more:,} more"] if more else [])])
        if self.count == self.rows:
            return f"None of {self.rows:,} rows could be predicted: {reasons}"
        return f"{self.count:,} of {self.rows:,} rows could not be predicted: {reasons}"

    def require_others(self) -> None:
        """Refuse an input without a single row that could be predicted.

        Raises:
            DataError: there are rows, and all have failed.
        """
        if self.rows and self.count == self.rows:
            raise DataError(f"{self.describe()}.")


def _check(task: PredictTaskConfig) -> None:
    """Refuse what cannot be read or written, before anything is loaded."""
    if (task.input is None) == (task.text is None):
        raise ConfigError(
            'task=predict needs one of task.text="..." and task.input=FILE (in any format of'
            " `data`, .txt with a text a line, or - for standard input)."
        )
    if task.text is not None and not task.text.isascii():
        try:
            task.text.encode()
        except UnicodeEncodeError:
            raise DataError("task.text: the text is not valid Unicode.") from None
    table_files.parse_target(task.output)


def _read_batches(task: PredictTaskConfig, bundle: Path) -> Iterator[InputBatch]:
    if task.input is None:
        return iter([InputBatch([str(task.text)], {}, {})])
    return read_inputs(task.input, bundle, task, keep=task.keep, rows=task.batch_size)


Predict = Callable[[Iterable[InputBatch]], Iterator[tuple[InputBatch, PredictedColumns]]]


@contextmanager
def _open_predictor(
    tagger: Tagger, task: PredictTaskConfig, number: int | None
) -> Iterator[Predict]:
    """Give a function from batches to their predictions, computed in `number` processes."""
    function = partial(tagger.predict_columns, top_k=task.top_k, matrix=task.probabilities)
    if number == 1:
        yield partial(_predict, partial(map, function))
        return
    # Late: only many texts need it.
    from tagifai.utils import process_pool

    with process_pool.ProcessPool(
        function, number or process_pool.count_processors(), ahead=2, advice=ADVICE
    ) as crew:
        yield partial(_predict, crew.map)


def _predict(
    compute: Callable[[Iterable[list[str]]], Iterator[PredictedColumns]],
    batches: Iterable[InputBatch],
) -> Iterator[tuple[InputBatch, PredictedColumns]]:
    """Yield batches with the predictions of their rows without an error, which alone are sent."""
    waiting: deque[InputBatch] = deque()

    def send() -> Iterator[list[str]]:
        for batch in batches:
            waiting.append(batch)
            yield [text for row, text in enumerate(batch.texts) if row not in batch.errors]

    for found in compute(send()):
        yield waiting.popleft(), found


@contextmanager
def _show_count(config: Config, *, many: bool) -> Iterator[Callable[..., None]]:
    """Give a function that takes how many rows are done, which is shown on standard error.

    It is not where it would stand among predictions.
    """
    free = config.task.output is not None or not sys.stdout.isatty()
    if not (many and free and config.console.verbosity == "normal"):
        yield lambda done: None
        return
    from tagifai.console import progress

    live = is_ansi_enabled(sys.stderr) and config.console.style != "plain"
    with progress.show_rows_on_error("Predicting", live=live) as tell:
        yield tell
