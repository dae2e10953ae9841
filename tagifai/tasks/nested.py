"""task=nested: what a search gains, on test rows that have chosen nothing."""

from __future__ import annotations

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.runs import nested_estimate
from tagifai.runs.nested_estimate import NestedEstimate
from tagifai.utils.files import write_json


def run(config: Config) -> float:
    """Show and write the scores of a search's winners, and return their mean."""
    display, task = Display.from_config(config.console), config.task
    metric = nested_estimate.check_objective(config)
    estimator = nested_estimate.SplitEstimator(config)
    display.show_fact("Searches", f"sweep={task.sweep} inside each of {task.splits} splits")
    found = []
    with display.show_step_progress("Split", task.splits) as show:
        for number in range(task.splits):
            seed = (config.seed + number) % 2**32
            found.append(estimator.estimate(seed))
            show(number + 1, f"{metric} {found[-1].test[metric]:.4f}")
            if not display.live:
                display.show_line(f"Split {seed} | {metric} {found[-1].test[metric]:.4f}")
    estimate = NestedEstimate(metric, found)
    output = get_job().output_dir / "nested.json"
    write_json(output, estimate.to_document())
    _show(display, estimate)
    display.show_copyable("Scores", output)
    return sum(estimate.scores) / len(found)


def _show(display: Display, estimate: NestedEstimate) -> None:
    metric, val = estimate.metric, estimate.metric.replace("test_", "val_", 1)
    rows = [
        [
            str(split.seed),
            f"{split.val[val]:.4f}",
            f"{split.test[metric]:.4f}",
            ", ".join(f"{key}={value}" for key, value in split.chosen.items()),
        ]
        for split in estimate.splits
    ]
    columns = ["seed", f"{val} (chose it)", metric, "chosen"]
    display.show_table("A search inside each split", columns, rows)
    display.show_result(estimate.describe())
    for note in estimate.list_notes():
        display.show_note(note)
