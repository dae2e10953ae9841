"""task=predict: tag a text, or the texts of a file, with a trained model."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tagifai import artifacts, readers, runs
from tagifai.errors import ConfigError
from tagifai.schema import Config, Predict

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write a prediction for each text to `task.output` or to standard output, and nothing else."""
    texts = _texts(config.task)
    readers.refuse_overwriting(config.task.input, config.task.output)
    run_id, path = runs.chosen(config)
    tagger = artifacts.load(path, few=config.task.input is None)
    log.info("Predicting with run %s", run_id)
    with readers.writer(config.task.output) as write:
        for batch in readers.batches(texts, config.task.batch_size):
            write(tagger.predict(batch))


def _texts(task: Predict) -> Iterable[str]:
    if task.text is not None and task.input is None:
        return [readers.valid(task.text, "task.text")]
    if task.input is None or task.text is not None:
        raise ConfigError(
            'task=predict needs one of task.text="..." and task.input=FILE'
            " (.txt, .csv, .jsonl, or - for standard input)."
        )
    return readers.texts(task.input)
