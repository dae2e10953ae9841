"""task=predict: tag a text, or the texts of a file, with a trained model."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice

from tagifai.config.schema import Config, PredictTaskConfig
from tagifai.data import readers
from tagifai.exceptions import ConfigError
from tagifai.models import bundles
from tagifai.models.tagger import Prediction, Tagger
from tagifai.runs import resolve
from tagifai.utils.terminal import is_ansi_enabled

FEW_TEXTS = 1000
"""Texts that one process predicts faster than further processes start."""

Batches = Iterable[list[str]]

ADVICE = "try fewer processes (task.n_jobs) or smaller batches (task.batch_size)"

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write a prediction for each text to `task.output` or to standard output, and nothing else."""
    task: PredictTaskConfig = config.task
    texts = _read_texts(task)
    readers.refuse_overwriting(task.input, task.output)
    run_id, path = resolve.choose_run(config)
    few = min(FEW_TEXTS, task.batch_size)
    begin = list(islice(texts, few + 1))
    many = len(begin) > few
    tagger = bundles.load(path)
    log.info("Predicting with run %s", run_id)
    batches = readers.make_batches(chain(begin, texts), task.batch_size)
    with (
        _open_predictor(tagger, task.n_jobs if many else 1) as predictions,
        readers.open_writer(task.output) as write,
        _show_count(shown=many and _can_show_count(config)) as count,
    ):
        for batch in predictions(batches):
            write(batch)
            count(len(batch))


@contextmanager
def _open_predictor(
    tagger: Tagger, number: int | None
) -> Iterator[Callable[[Batches], Iterable[list[Prediction]]]]:
    """Give a function from batches to their predictions, computed in `number` processes."""
    if number == 1:
        yield partial(map, tagger.predict)
        return
    # Late: only many texts need it.
    from tagifai.utils import process_pool

    with process_pool.ProcessPool(
        tagger.predict, number or process_pool.count_processors(), ahead=2, advice=ADVICE
    ) as crew:
        yield crew.map


def _can_show_count(config: Config) -> bool:
    """Return whether a count may be shown on standard error without mixing with predictions."""
    wanted = config.console.verbosity == "normal" and config.console.style != "plain"
    free = config.task.output is not None or not sys.stdout.isatty()
    return wanted and free and is_ansi_enabled(sys.stderr)


@contextmanager
def _show_count(*, shown: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that adds rows to the count, which is shown if `shown` is true."""
    if not shown:
        yield lambda rows: None
        return
    from tagifai.console import progress

    with progress.show_row_count() as count:
        yield count


def _read_texts(task: PredictTaskConfig) -> Iterator[str]:
    if task.text is not None and task.input is None:
        return iter([readers.validate_text(task.text, "task.text")])
    if task.input is None or task.text is not None:
        raise ConfigError(
            'task=predict needs one of task.text="..." and task.input=FILE'
            " (.txt, .csv, .jsonl, or - for standard input)."
        )
    return readers.read_texts(task.input)
