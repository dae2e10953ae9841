"""task=predict: tag a text, or the texts of a file, with a trained model."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice

from tagifai import artifacts, readers, runs
from tagifai.errors import ConfigError
from tagifai.schema import Config, Predict
from tagifai.tagger import Prediction, Tagger
from tagifai.terminals import draws

FEW = 1000
"""Texts that one process predicts without scikit-learn sooner than that is imported."""

Batches = Iterable[list[str]]

ADVICE = "try fewer (task.n_jobs) or smaller batches (task.batch_size)"

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write a prediction for each text to `task.output` or to standard output, and nothing else."""
    task: Predict = config.task
    texts = _texts(task)
    readers.refuse_overwriting(task.input, task.output)
    run_id, path = runs.chosen(config)
    few = min(FEW, task.batch_size)
    begin = list(islice(texts, few + 1))
    many = len(begin) > few
    tagger = artifacts.load(path, few=not many)
    log.info("Predicting with run %s", run_id)
    batches = readers.batches(chain(begin, texts), task.batch_size)
    with (
        _mapping(tagger, task.n_jobs if many else 1) as predictions,
        readers.writer(task.output) as write,
        _counting(shown=many and _has_room(config)) as count,
    ):
        for batch in predictions(batches):
            write(batch)
            count(len(batch))


@contextmanager
def _mapping(
    tagger: Tagger, number: int | None
) -> Iterator[Callable[[Batches], Iterable[list[Prediction]]]]:
    """Give a function from batches to their predictions, in so many processes."""
    if number == 1:
        yield partial(map, tagger.predict)
        return
    # Late: few predictions are of so many texts.
    from tagifai import workers

    with workers.Workers(
        tagger.predict, number or workers.processors(), ahead=2, advice=ADVICE
    ) as crew:
        yield crew.map


def _has_room(config: Config) -> bool:
    """Return whether a count may be shown on standard error, which no predictions run through."""
    wanted = config.console.verbosity != "quiet" and config.console.style != "plain"
    free = config.task.output is not None or not sys.stdout.isatty()
    return wanted and free and draws(sys.stderr)


@contextmanager
def _counting(*, shown: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that is told of rows and, where it is shown, shows how many there were."""
    if not shown:
        yield lambda rows: None
        return
    from tagifai import progress

    with progress.rows() as count:
        yield count


def _texts(task: Predict) -> Iterator[str]:
    if task.text is not None and task.input is None:
        return iter([readers.valid(task.text, "task.text")])
    if task.input is None or task.text is not None:
        raise ConfigError(
            'task=predict needs one of task.text="..." and task.input=FILE'
            " (.txt, .csv, .jsonl, or - for standard input)."
        )
    return readers.texts(task.input)
