"""task=promote and rollback end to end, and the names that stand for a run."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

import tagifai
from tagifai.exceptions import BundleError
from tagifai.tasks import promote
from tagifai.tracking import session
from tagifai.tracking.registry import ModelRegistry
from tagifai.tracking.store import Experiment
from tests.app import App, tracked_runs
from tests.showcase import Showcase


@dataclass(frozen=True)
class Promoting:
    """An application with runs, and a registered model of the test's own."""

    app: App
    model: str
    runs: dict[str, str]

    def arguments(self, task: str, *more: str) -> tuple[str, ...]:
        return (f"task={task}", f"tracking.model={self.model}", *more)

    def ok(self, task: str, *more: str) -> str:
        return self.app.ok(*self.arguments(task, *more))

    def promote(self, run: str, *more: str) -> str:
        return self.ok("promote", f"task.run_id={self.runs[run]}", *more)

    def refusal(self, task: str, *more: str) -> str:
        done = self.app.run(*self.arguments(task, *more))
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr
        return done.stderr

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.app.stores}/mlflow.db")

    def champion(self) -> str:
        found = self.client.get_model_version_by_alias(self.model, "champion")
        return next(name for name, run_id in self.runs.items() if run_id == found.run_id)

    def versions(self) -> dict[int, ModelVersion]:
        found = self.client.search_model_versions(f"name = '{self.model}'")
        return {int(version.version): version for version in found}


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, showcase: Showcase
) -> tuple[App, dict[str, str]]:
    """A worse and a better run on the same test rows, and one on others."""
    app = showcase.copy("runs", tmp_path_factory.mktemp("trained"))
    found = sorted(tracked_runs(app), key=lambda run: run.info.start_time)
    names = ("worse", "elsewhere", "better")
    return app, {name: run.info.run_id for name, run in zip(names, found, strict=True)}


@pytest.fixture
def promoting(trained: tuple[App, dict[str, str]], request: pytest.FixtureRequest) -> Promoting:
    app, runs = trained
    return Promoting(app, re.sub(r"\W+", "-", request.node.name), runs)


def test_the_best_run_by_validation_rows_is_the_first_champion(promoting: Promoting) -> None:
    output = promoting.ok("promote")
    assert "Version 1 is the champion now. There was no champion before." in output
    assert promoting.champion() == "better"
    scores = {
        run.info.run_id: run.data.metrics
        for run in tracked_runs(promoting.app)
        if run.info.run_id in promoting.runs.values()
    }
    ranked = sorted(scores, key=lambda run_id: -scores[run_id]["val_f1"])
    assert output.startswith("Candidates by val_f1 (validation rows), the highest first\n")
    listed = re.findall(r"^([0-9a-f]{8}) .* (0\.\d{4}) +(0\.\d{4}) *(champion)?$", output, re.M)
    assert listed == [
        (x[:8], f"{scores[x]['val_f1']:.4f}", f"{scores[x]['test_f1']:.4f}", "") for x in ranked
    ]
    assert re.search(r"^Chosen: +the best of 3 finished runs on sample, by val_f1$", output, re.M)
    assert re.search(r"^run .* val_f1 +test_f1 +is$", output, re.M)
    assert re.search(rf"^champion +1 +{promoting.runs['better'][:8]} +0\.\d{{4}}$", output, re.M)
    assert "challenger" not in output
    assert re.search(r"^Use it: .* task=predict task.run_id=champion .*task.text", output, re.M)
    again = promoting.ok("promote")
    assert re.search(rf"^{promoting.runs['better'][:8]} .* champion$", again, re.M)
    assert "is the champion already, version 1" in again
    assert list(promoting.versions()) == [1]
    one = promoting.ok("promote", f"task.filter=attributes.run_id = '{promoting.runs['better']}'")
    assert re.search(r"^Chosen: +the only finished run on sample, by val_f1$", one, re.M)
    # The worst by its loss, or the best of those that a filter finds, is another.
    promoting.ok("promote", "task.metric=val_loss", "task.direction=maximize", "task.force=true")
    assert promoting.champion() == "worse"


def test_a_better_challenger_takes_the_alias_and_a_worse_one_does_not(
    promoting: Promoting,
) -> None:
    promoting.promote("worse")
    output = promoting.promote("better")
    assert "Version 2 is the champion now. It is better on the same test rows." in output
    assert re.search(rf"challenger +2 +{promoting.runs['better'][:8]} +0\.\d{{4}}$", output, re.M)
    assert re.search(rf"champion +1 +{promoting.runs['worse'][:8]} +0\.\d{{4}}$", output, re.M)
    assert re.search(r"^Test rows: +135, the same for both$", output, re.M)
    assert re.search(
        r"^Difference: +\w.* in f1 on the same 135 test rows: [-+]0.\d+, 95 % int", output, re.M
    )
    assert re.search(r"^Undo it: .* task=rollback ", output, re.M)
    assert "Candidates" not in output
    assert promoting.champion() == "better"

    output = promoting.promote("worse")
    assert "Version 1 is registered, but not the champion." in output
    anyway = rf"^Anyway: .* task=promote task.run_id={promoting.runs['worse'][:8]} task.force=true"
    assert re.search(anyway, output, re.M)
    assert promoting.champion() == "better"
    tags = {number: version.tags for number, version in promoting.versions().items()}
    assert (tags[2]["decision"], tags[2]["forced"]) == ("promoted", "false")
    assert (tags[1]["decision"], tags[1]["compared_with"]) == (
        "not promoted",
        promoting.runs["better"],
    )
    assert float(tags[1]["test_f1"]) < float(tags[1]["champion_test_f1"])
    assert float(tags[2]["test_f1"]) == float(tags[1]["champion_test_f1"])


def test_a_challenger_of_other_test_rows_is_refused_unless_forced(promoting: Promoting) -> None:
    promoting.promote("better")
    message = promoting.refusal("promote", f"task.run_id={promoting.runs['elsewhere']}")
    assert "its test rows differ" in message
    assert (promoting.champion(), list(promoting.versions())) == ("better", [1])
    output = promoting.promote("elsewhere", "task.force=true")
    assert "Forced, without a comparison" in output
    assert "135 and 135 others: these scores cannot be compared" in output
    assert "Difference:" not in output
    assert promoting.versions()[2].tags["forced"] == "true"
    assert promoting.champion() == "elsewhere"


def test_rolling_back_gives_the_alias_to_the_one_before_and_keeps_it_there(
    promoting: Promoting,
) -> None:
    assert "has no champion" in promoting.refusal("rollback")
    promoting.promote("worse")
    assert (
        "Version 1 is the champion, and there is no earlier one to go back to"
        in promoting.refusal("rollback")
    )
    promoting.promote("better")
    output = promoting.ok("rollback")
    assert f"Champion:      version 1, run {promoting.runs['worse']}" in output
    assert promoting.champion() == "worse"
    # By itself it does not come back; by name it does.
    left = ("task.filter=params.seed = '42'",)
    assert "is the champion already, version 1" in promoting.ok("promote", *left)
    promoting.promote("better")
    assert (promoting.champion(), list(promoting.versions())) == ("better", [2, 1])
    assert "rolled_back" not in promoting.versions()[2].tags


@pytest.mark.e2e
def test_of_two_promotions_at_once_the_second_sees_what_the_first_decided(
    promoting: Promoting,
) -> None:
    started = [
        promoting.app.start(*promoting.arguments("promote", f"task.run_id={promoting.runs[name]}"))
        for name in ("worse", "better")
    ]
    outputs = [finished(process) for process in started]
    assert sum("There was no champion before." in output for output in outputs) == 1
    assert promoting.champion() == "better"
    assert list(promoting.versions()) == [2, 1]


def finished(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (0, ""), output
    return output


def test_names_stand_for_runs_wherever_a_run_is_taken(promoting: Promoting) -> None:
    text = "task.text=Detecting cars in video"
    unknown = promoting.refusal("predict", text, "task.run_id=champion")
    assert "has no champion yet. Make one with task=promote" in unknown
    promoting.promote("worse")
    for name, run in (("champion", "worse"), ("best", "better"), ("latest", "better")):
        by_name = promoting.ok("predict", text, f"task.run_id={name}")
        by_id = promoting.ok("predict", text, f"task.run_id={promoting.runs[run]}")
        assert json.loads(by_name) == json.loads(by_id)
    assert promoting.runs["worse"][:8] in promoting.ok("evaluate", "task.run_id=champion")
    loaded = tagifai.load(
        "champion", f"tracking.model={promoting.model}", stores=promoting.app.stores
    )
    named = tagifai.load(promoting.runs["worse"], stores=promoting.app.stores)
    assert loaded.predict(["a corpus"]) == named.predict(["a corpus"])
    off = promoting.refusal("predict", text, "task.run_id=best", "tracking=none")
    assert "tracking=none knows no best run" in off


def test_what_cannot_be_promoted_is_one_error_and_registers_nothing(promoting: Promoting) -> None:
    for arguments, said in (
        ("task.run_id=nobody", "There is no run 'nobody' with a model"),
        ("task.metric=test_f1", "a metric of validation rows"),
        ("task.metric=val_f2", "Did you mean 'val_f1'?"),
        ("task.direction=up", "one of null, maximize, minimize"),
        ("task.experiment=none", "there is no such experiment"),
        ("task.filter=params.seed = '99'", "There is no training run"),
        ("tracking=none", "tracking=none has none"),
        ("tracking.model=a/b", "letters, digits"),
    ):
        assert said in promoting.refusal("promote", arguments), arguments
    assert promoting.versions() == {}


def test_a_champion_that_cannot_be_scored_again_is_said(promoting: Promoting) -> None:
    promoting.promote("worse")
    table = promoting.app.dataset("sample") / "rows.parquet"
    kept = table.rename(table.with_suffix(".kept"))
    table.write_bytes(kept.read_bytes() + b"more")
    try:
        message = promoting.refusal("promote", f"task.run_id={promoting.runs['better']}")
    finally:
        kept.replace(table)
    assert "is damaged" in message
    assert promoting.champion() == "worse"


def test_a_run_without_an_mlflow_model_is_refused_with_the_way_out(tracked_stores: Path) -> None:
    uri = f"sqlite:///{tracked_stores}/mlflow.db"
    run = session.create_run(Experiment(uri, "tagifai", tracked_stores))
    with pytest.raises(BundleError) as caught:
        promote._register_run(ModelRegistry(uri, "tagifai"), run)
    assert str(caught.value) == (
        f"Run {run.id} has no MLflow model: train it again with task=rerun task.run_id={run.id}"
    )
    assert ModelRegistry(uri, "tagifai").list_versions() == []
