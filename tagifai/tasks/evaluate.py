"""task=evaluate: score a run on its own test rows, or on a labelled file."""

from __future__ import annotations

from pathlib import Path

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.data.tables.inputs import read_labeled
from tagifai.evaluation import scoring
from tagifai.exceptions import DataError
from tagifai.models import bundles
from tagifai.runs import records, resolve
from tagifai.utils import files


def run(config: Config) -> float:
    """Score a run's model, show and write the scores, and return the weighted F1."""
    display = Display.from_config(config.console)
    task = config.task
    if task.output is not None and Path(task.output).suffix.lower() != ".json":
        raise DataError(f"task.output = {task.output!r}: the scores are JSON; give a .json file.")
    files.check_output(task.output, task.data)
    run_id, path = resolve.choose_run(config)
    tagger = bundles.load(path)
    if task.data is None:
        texts, tags = records.load_part(path, Path(config.paths.stores))
        title = f"Run {run_id} on its test rows"
    else:
        texts, tags = read_labeled(task.data, path, task)
        title = f"Run {run_id} on {task.data}"
    with display.show_spinner("Predicting"):
        performance = scoring.score_texts(tagger, texts, tags)
    output = Path(task.output or get_job().output_dir / "performance.json")
    with files.open_output(output) as file:
        file.write(files.format_json(performance))
    display.show_scores(title, performance)
    display.show_copyable("Scores", output)
    return performance["overall"]["f1"]
