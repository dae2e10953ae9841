"""task=compare end to end: runs in a database, and what is said, written and refused of them."""

from __future__ import annotations

import csv
import html
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

from tests.app import App
from tests.showcase import Showcase

VALUES = {("sgd", 1): 0.5, ("sgd", 2): 0.7, ("huber", 1): 0.6, ("huber", 2): 0.9}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, ready: Callable[[Path], App]) -> App:
    """Children of one parent, by model and seed, an unfinished one and one without parent."""
    app = ready(tmp_path_factory.mktemp("compared"))
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.create_experiment(
        "tagifai", artifact_location=str(app.stores / "artifacts")
    )
    parent = client.create_run(experiment, run_name="sweep").info.run_id
    for (model, seed), value in VALUES.items():
        a_training(client, experiment, parent, model, seed, value)
    a_training(client, experiment, parent, "huber", 3, 0.1, status="FAILED")
    a_training(client, experiment, None, "alone", 1, 0.2)
    return app


def a_training(
    client: MlflowClient,
    experiment: str,
    parent: str | None,
    model: str,
    seed: int,
    value: float,
    status: str = "FINISHED",
    digest: str = "abc",
) -> None:
    tags = {"purpose": model}
    run_id = client.create_run(
        experiment, tags=tags | ({"mlflow.parentRunId": parent} if parent else {})
    ).info.run_id
    params = {"task.name": "train", "seed": seed, "model": model, "model.loss": f"of {model}"}
    for key, text in params.items():
        client.log_param(run_id, key, text)
    client.log_metric(run_id, "val_f1", value)
    client.log_metric(run_id, "test_f1", value / 2)
    dataset = Dataset("s", digest, "local", "{}", profile='{"rows": 1234}')
    client.log_inputs(run_id, [DatasetInput(dataset, [])])
    client.set_terminated(run_id, status)


def refused(app: App, *arguments: str) -> str:
    """Run what must be refused: one message, exit code 2, no file written."""
    done = app.run("task=compare", "task.output=refused.csv", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (app.cwd / "refused.csv").exists()
    (line,) = done.stderr.splitlines()
    return line.removeprefix("Error: ")


def lines(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line.strip(" ─")]


def test_the_children_of_the_latest_sweep_are_ranked_and_named_by_what_differs(
    compared: App,
) -> None:
    output = compared.ok("task=compare", "plots=none")
    said, left_out, title, header, *rows, to, none, report = lines(output)
    assert re.fullmatch(r"Compared: 4 runs, children of sweep \(\w{8}\)", " ".join(said))
    assert left_out == ["Left", "out:", "1", "not", "finished"]
    assert report[0] == "Report:"
    assert " ".join(title) == "data (abc), 1,234 rows: by val_f1 (maximize)"
    assert header == ["val_f1", "difference", "std", "n", "run", "settings", "test_f1", "seconds"]
    first, second = (" ".join(row) for row in rows)
    assert re.match(r"0\.7500 first 0\.2121 2 [0-9a-f]{8} model=huber 0\.3750 ", first)
    # Gains -0.1 and -0.2; t for 1 degree of freedom at 95 % is 12.7062.
    assert re.match(
        r"0\.6000 -0\.1500 ±0\.6353 unclear 0\.1414 2 [0-9a-f]{8} model=sgd 0\.3000 ", second
    )
    assert " ".join(to).endswith(": paired t, 95 %")
    assert none[0] == "Unclear:"


def test_differences_are_paired_and_the_same_in_every_file(compared: App) -> None:
    # Gains 0.1 and 0.2; t for 1 degree of freedom at 90 % is tan(0.45 pi) = 6.3138.
    given = ("task.baseline=sgd", "task.confidence=0.9", "plots=none")
    shown = compared.ok("task=compare", *given, "task.output=a.csv")
    assert re.search(
        r"0\.7500 .* \+0\.1500 ±0\.3157 unclear +0\.2121 +2 +\w{8} +model=huber ", shown
    )
    assert re.search(r"Differences:   to baseline \(\w{8}\): paired t, 90 %", shown)
    with (compared.cwd / "a.csv").open(encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert float(first["difference"]) == pytest.approx(0.15)
    assert (first["interval"], second["interval"]) == ("paired t, 90 %", "")

    compared.ok("task=compare", *given, "task.output=a.json")
    content = json.loads((compared.cwd / "a.json").read_text())
    assert [row["compared_with"] for row in content["rows"]] == ["model=sgd", None]
    assert all(row["run_id"].startswith(row["run"]) for row in content["rows"])
    assert content["rows"][0]["low"] == pytest.approx(0.15 - 0.31569, abs=1e-5)
    assert content["rows"][0]["high"] == float(first["high"])

    compared.ok("task=compare", *given, "task.output=a.md")
    assert "| +0.1500 ±0.3157 unclear |" in (compared.cwd / "a.md").read_text()


def test_runs_are_found_by_filter_and_by_tags(compared: App) -> None:
    by_filter = compared.ok("task=compare", "plots=none", "task.filter=metrics.val_f1 > 0.65")
    assert "Compared:      2 runs, those where metrics.val_f1 > 0.65" in by_filter
    by_tags = compared.ok("task=compare", "plots=none", "+task.tags.purpose=alone")
    assert "Compared:      1 runs, those with purpose=alone" in by_tags


def test_more_rows_than_the_limit_are_counted_and_written(compared: App) -> None:
    given = ("plots=none", "task.limit=1", "task.direction=minimize", "task.output=all.csv")
    output = compared.ok("task=compare", *given)
    assert "... and 1 more (task.limit = 1)" in output
    assert "huber" not in output
    assert (compared.cwd / "all.csv").read_text().count("\n") == 3


def test_the_command_of_the_report_gives_the_same_board_though_there_are_later_runs(
    compared: App,
) -> None:
    shown = compared.ok("task=compare", "task.metric=test_f1", "task.limit=3", "plots=none")
    page = html.unescape(max(compared.outputs.glob("*/*/report.html")).read_text("utf-8"))
    (command,) = set(re.findall(r"[^<>]*task=compare[^<>]*", page))
    words = shlex.split(command)
    client = MlflowClient(f"sqlite:///{compared.stores}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'tagifai'")
    later = client.create_run(experiment.experiment_id, run_name="later").info.run_id
    a_training(client, experiment.experiment_id, later, "later", 1, 0.99)
    again = compared.ok(*words[words.index("task=compare") :])
    client.delete_run(later)
    for run in client.search_runs([experiment.experiment_id], "tags.purpose = 'later'"):
        client.delete_run(run.info.run_id)
    assert lines(again)[1:-1] == lines(shown)[1:-1]


def test_a_baseline_that_is_no_row_is_refused_with_the_rows(compared: App) -> None:
    line = refused(compared, "task.baseline=model=sgd, seed=1")
    assert line.endswith("model=huber; model=sgd.")


def test_what_cannot_be_compared_is_one_message(compared: App) -> None:
    for argument, said in (
        ("task.experiment=tagfai", "Did you mean 'tagifai'?"),
        ("task.metric=test_f2", "There are: test_f1, val_f1."),
        ("task.filter=metrics.test_f1 >", "Invalid clause"),
        ("task.parent=nobody", "children of nobody"),
        ("tracking=none", "tracking=none has none"),
    ):
        assert said in refused(compared, argument), argument


def test_without_a_store_there_is_nothing_to_compare_and_none_is_made(tmp_path: Path) -> None:
    app = App(tmp_path)
    assert "no tracked runs yet" in refused(app)
    assert not (app.stores / "mlflow.db").exists()


def test_a_multirun_is_compared_right_after_it(tmp_path: Path, showcase: Showcase) -> None:
    app = showcase.copy("multirun", tmp_path)
    output = app.ok("task=compare", "task.baseline=sgd", "task.output=board.json", "plots=none")
    assert re.search(r"Compared:      4 runs, children of .+ \(\w{8}\)\n", output)

    # Their models are there, and those of one seed have the same test rows.
    best_two = r"Best two: .* in f1 on the same \d+ test rows: .*, of seed 1 alone; the board is by"
    assert re.search(best_two, output)

    # So are their predictions of validation rows, by which a single pair of runs is compared.
    single = app.ok("task=compare", "task.filter=params.seed = '1'", "plots=none")
    assert re.search(r"[-+]0\.\d+ ±0\.\d+ (unclear|worse) ", single), single
    assert re.search(r"bootstrap over \d+ validation rows, 95 %\n", single)

    content = json.loads((app.cwd / "board.json").read_text())
    assert {row["model"] for row in content["rows"]} == {"sgd", "sgd_huber"}
    runs = [json.loads(p.read_text()) for p in sorted(app.outputs.glob("*/*/*/performance.json"))]
    scores = [run["val"]["overall"]["f1"] for run in runs]  # sgd 1, sgd 2, sgd_huber 1, 2
    by_model = {row["model"]: row for row in content["rows"]}
    assert by_model["sgd"]["mean"] == pytest.approx(sum(scores[:2]) / 2)
    gain = (scores[2] - scores[0] + scores[3] - scores[1]) / 2
    assert by_model["sgd_huber"]["difference"] == pytest.approx(gain)
    assert (by_model["sgd_huber"]["pairs"], by_model["sgd"]["pairs"]) == (2, None)


def test_runs_on_two_data_sets_are_two_boards_and_it_is_said(
    tmp_path: Path, ready: Callable[[Path], App]
) -> None:
    app = ready(tmp_path)
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    experiment = client.create_experiment(
        "tagifai", artifact_location=str(app.stores / "artifacts")
    )
    a_training(client, experiment, None, "sgd", 1, 0.9, digest="german")
    a_training(client, experiment, None, "sgd", 1, 0.1, digest="news")
    output = app.ok("task=compare", "plots=none", "task.output=boards.csv")
    assert "Data:          2 data sets: one board each" in output
    titles = re.findall(r"^data \((\w+)\), 1,234 rows: by", output, re.MULTILINE)
    assert sorted(titles) == ["german", "news"]
    rows = [*csv.DictReader((app.cwd / "boards.csv").read_text().splitlines())]
    assert {row["data"]: row["mean"] for row in rows} == {
        "data (german)": "0.9",
        "data (news)": "0.1",
    }
