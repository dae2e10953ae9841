"""task=evaluate: score a run on its own test rows, or on a labelled file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tagifai.config.paths import write_results
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data.tables.inputs import read_labeled
from tagifai.evaluation import scoring, summary
from tagifai.exceptions import DataError
from tagifai.models import bundles
from tagifai.reporting import run_summary
from tagifai.runs import records, resolve
from tagifai.training import objectives
from tagifai.utils.excerpts import shorten_id


def run(config: Config) -> float:
    """Score a run's model, show and write the scores, and return the weighted F1."""
    display = Display.from_config(config.console)
    task = config.task
    if task.output is not None and Path(task.output).suffix.lower() != ".json":
        raise DataError(f"task.output = {task.output!r}: the scores are JSON; give a .json file.")
    objectives.check_shown_metrics(config.metrics)
    run_id, path = resolve.choose_run(config)
    tagger = bundles.load(path)
    if task.data is None:
        texts, tags = records.load_part(path, Path(config.paths.stores))
        title = f"Run {shorten_id(run_id)} on its test rows"
    else:
        texts, tags = read_labeled(task.data, path, task)
        title = f"Run {shorten_id(run_id)} on {task.data}"
        _note_train_texts(display, path, Path(config.paths.stores), texts)
    with display.show_spinner("Predicting"):
        recorded = bundles.read_document(path, "performance.json", "test").get("baseline")
        label = recorded.get("label") if isinstance(recorded, dict) else None
        label = label if label in tagger.encoder.classes else None
        performance = scoring.score_texts(tagger, texts, tags, label)
    run_summary.show_scores(display, title, performance, config.metrics)
    for note in summary.describe_baseline(performance) if config.metrics else ():
        display.show_result(note)
    output = write_results(performance, task.output, "performance.json")
    if output is not None:
        display.show_copyable("Scores", output)
    return performance["overall"]["f1"]


def _note_train_texts(display: Display, bundle: Path, stores: Path, texts: list[str]) -> None:
    """Say how many of the texts the run was trained on, if its rows are still in the store."""
    with suppress(DataError):
        train = set(records.load_part(bundle, stores, "train")[0])
        if seen := sum(text in train for text in texts):
            display.show_note(
                f"The run was trained on {seen} of the {len(texts)} texts: scores on them are too"
                " good."
            )
