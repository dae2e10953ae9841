"""Searches within one process, by what they leave behind and refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from tagifai.models import bundles
from tagifai.tracking.recording import validation_rows
from tagifai.tracking.run import OWN_TAGS
from tests.app import ROOT, SMALL, App, tracked_runs
from tests.showcase import SERIAL, SHOWN_SEARCH, Showcase
from tests.sweeping.searches import by_state, names, results, runs, study, validation

FAILING = ("-m", "hydra/sweeper=tagifai", *SMALL, "hydra/sweeper/sampler=grid")


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    """An application without runs, whose data and databases are made."""
    return showcase.prepare(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, showcase: Showcase) -> App:
    """An application after a search of six trials; tests leave it as it is."""
    return showcase.copy("search", tmp_path_factory.mktemp("search"))


def test_the_study_has_all_trials_and_their_reports(done: App) -> None:
    app = done
    found = study(app)

    assert [trial.number for trial in found.trials] == list(range(6))
    assert all(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in found.trials)
    assert found.direction is optuna.study.StudyDirection.MAXIMIZE
    complete = by_state(found.trials, TrialState.COMPLETE)
    assert {tuple(trial.intermediate_values) for trial in complete} == {(0, 1, 2)}
    # After its last epoch a trial's report is its value.
    assert [t.intermediate_values[2] for t in complete] == [t.value for t in complete]


def test_jobs_have_folders_by_trial_number_and_keep_no_model(done: App) -> None:
    app = done
    folder, _ = results(app)

    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == list("012345")
    assert folder.name.endswith("-search-sample")
    assert list(app.folder.rglob("bundle")) == []
    assert not (app.stores / "run_id.txt").exists()
    assert not (app.stores / "performance.json").exists()


def test_mlflow_has_one_parent_and_a_child_for_each_trial(done: App) -> None:
    app = done
    parent, children = runs(app)
    trials = study(app).trials

    assert parent.info.status == "FINISHED"
    assert parent.data.params["space.model.alpha"] == "from 1e-06 to 0.01, log"
    assert parent.data.tags["trials"].startswith("6 of 6: ")
    assert [*parent.data.metrics] == ["val_f1"]
    of_all = {name for run in (parent, *children.values()) for name in run.data.tags}
    assert {name for name in of_all if not name.startswith("mlflow.")} <= OWN_TAGS
    assert parent.data.tags["command"].startswith("run.py -m hydra/sweeper=tagifai")
    assert parent.data.metrics["val_f1"] == study(app).best_value
    assert parent.data.tags["best.trial"] == str(study(app).best_trial.number)
    assert sorted(children) == [trial.number for trial in trials]
    for trial in trials:
        child = children[trial.number]
        pruned = trial.state is TrialState.PRUNED
        assert child.data.tags["trial.state"] == trial.state.name
        assert child.info.status == ("KILLED" if pruned else "FINISHED")
        assert child.data.params["model.alpha"] == str(trial.params["model.alpha"])
        assert child.info.run_id == trial.user_attrs["run_id"]
        assert pruned or child.data.metrics["objective"] == trial.value


def test_every_epoch_of_a_trial_is_in_mlflow(done: App) -> None:
    app = done
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    _, children = runs(app)

    for trial in study(app).trials:
        history = client.get_metric_history(
            children[trial.number].info.run_id, "per_epoch/val_loss"
        )
        epochs = 3 if trial.state is TrialState.COMPLETE else max(trial.intermediate_values) + 1
        assert [point.step for point in history] == list(range(epochs))


def test_no_figure_of_the_test_rows_is_recorded(done: App) -> None:
    app = done
    _, children = runs(app)

    recorded = {name for child in children.values() for name in child.data.metrics}
    assert "val_f1" in recorded
    assert [name for name in recorded if "test" in name] == []


def test_the_results_name_the_best_trial_and_the_command_that_trains_it(
    done: App, showcase: Showcase
) -> None:
    app, output = done, showcase.output("search")
    folder, content = results(app)
    best = study(app).best_trial

    assert (content["trial"], content["best_value"]) == (best.number, best.value)
    assert content["best_params"] == best.params
    assert content["folder"] == str(folder / str(best.number))
    assert content["run_id"] == best.user_attrs["run_id"]
    assert content["command"].startswith("run.py experiment=search-sample")
    assert sum(content["trials"][state] for state in ("complete", "pruned")) == 6
    assert re.search(rf"^0\.\d{{4}} +\w{{8}} +{best.number} +alpha=", output, re.M)


def test_a_search_shows_a_line_a_trial_and_no_epochs(showcase: Showcase) -> None:
    output = showcase.output("search")

    ended = re.findall(r"^Trial (\d) (complete|pruned)", output, re.M)
    assert sorted(number for number, _ in ended) == list("012345")
    assert "6 of 6 done" in output
    assert "Epoch" not in output
    assert "Launching" not in output
    assert [c for c in output if ord(c) < 32 and c != "\n"] == []


def test_the_winner_is_an_experiment_that_gives_its_value_exactly(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("search", tmp_path)
    output = app.ok("experiment=search-sample", "console=plain", "plots=none")

    assert validation(app) == study(app).best_value
    assert ": test, refitted to train and validation rows" in output
    assert app.bundle().is_dir()
    # It is offered with the options of the group.
    assert "search-sample" in app.run("experiment=nope").stderr


def test_the_same_command_again_finds_nothing_to_do(done: App) -> None:
    app = done
    before = [(t.number, t.state, t.datetime_complete) for t in study(app).trials]

    output = app.ok(*SHOWN_SEARCH)

    assert "Nothing to do: 6 of 6 trials are done" in output
    assert [(t.number, t.state, t.datetime_complete) for t in study(app).trials] == before
    assert len(runs(app)[1]) == 6


def test_a_search_of_something_else_is_refused_with_the_difference(done: App) -> None:
    for change, shown in (
        ("training.epochs=4", "training.epochs: 3 in the study, 4 now"),
        ("model.eta0=0.1", "model.eta0: from 0.01 to 1.0, log in the study, 0.1 now"),
        (
            "objective.direction=minimize",
            "objective.direction: maximize in the study, minimize now",
        ),
        ("data.min_freq=70", "data.min_freq: 60 in the study, 70 now"),
    ):
        refused = done.run(*SHOWN_SEARCH, "hydra.sweeper.n_trials=7", change)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert f"  {shown}\n" in refused.stderr, change
        assert "sweep.restart=true" in refused.stderr
    assert len(study(done).trials) == 6


def test_restart_begins_another_study_and_keeps_the_old_one(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("search", tmp_path)
    other = ("seed=7", "tracking=none")

    app.ok(*SERIAL, *other, "hydra.sweeper.n_trials=1", "sweep.restart=true")
    app.ok(*SERIAL, *other, "hydra.sweeper.n_trials=2")

    assert names(app) == ["search-sample", "search-sample-2"]
    assert len(study(app).trials) == 6
    assert len(study(app, "search-sample-2").trials) == 2


def test_a_serial_search_with_one_seed_gives_the_same_trials(
    app: App, tmp_path: Path, showcase: Showcase
) -> None:
    other = showcase.prepare(tmp_path / "other")
    three = (
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.sampler.n_startup_trials=2",
        "tracking=none",
    )

    for one in (app, other):
        one.ok(*SERIAL, *three)

    found = [[(t.params, t.values) for t in study(one).trials] for one in (app, other)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("metric", "direction", "tracking"),
    [("val_f1", "maximize", "mlflow"), ("val_loss", "minimize", "none")],
)
def test_a_planted_bad_trial_is_pruned_and_a_planted_good_one_never(
    app: App, metric: str, direction: str, tracking: str
) -> None:
    good, bad = (1e-4, 9e-5, 8e-5), (1.0, 2.0, 3.0)  # such a penalty leaves no weights

    app.ok(
        "-m", "hydra/sweeper=tagifai", *SMALL, "training.epochs=6", "objective.report_every=1",
        f"objective.metric={metric}", f"objective.direction={direction}", f"tracking={tracking}",
        f"model.alpha=choice({','.join(map(str, good + bad))})", "hydra.sweeper.n_trials=6",
        "hydra/sweeper/sampler=random", "hydra.sweeper.pruner.n_startup_trials=2",
        "hydra.sweeper.pruner.n_warmup_steps=2",
    )  # fmt: skip

    trials = study(app).trials
    planted = {
        values: [t for t in trials if t.params["model.alpha"] in values] for values in (good, bad)
    }
    pruned = by_state(planted[bad], TrialState.PRUNED)
    assert pruned
    assert by_state(planted[good], TrialState.COMPLETE) == planted[good]
    assert all(2 <= max(trial.intermediate_values) < 5 for trial in pruned)
    assert study(app).best_params["model.alpha"] in good
    children = runs(app)[1] if tracking == "mlflow" else {}
    for trial in [t for t in pruned if "same_as" not in t.user_attrs] if children else []:
        assert children[trial.number].data.tags["trial.state"] == "PRUNED"
        assert children[trial.number].info.status == "KILLED"


def test_the_test_rows_are_never_vectorized(app: App, tmp_path: Path) -> None:
    spy = tmp_path / "spy.jsonl"
    env = {"TAGIFAI_WHITELIST": "tests.*", "PYTHONPATH": str(ROOT), "SPY": str(spy)}
    vectorizer = ("vectorizer=custom", "vectorizer._target_=tests.spies.SpyVectorizer")
    training = (
        *("plots=none", "tracking=none", "training.epochs=2"),
        "model.alpha=choice(1e-4,1e-5)",
        "hydra.sweeper.n_trials=2",
    )

    done = app.run("-m", "hydra/sweeper=tagifai", *vectorizer, *training, env=env)
    assert done.returncode == 0, done.stderr
    seen = {json.loads(line) for line in spy.read_text(encoding="utf-8").splitlines()}

    # A run of the same seed says which rows are for what.
    app.ok(*SMALL, "console=quiet", "tracking=none")
    splits = json.loads((app.bundle() / "splits.json").read_text())
    table = pd.read_parquet(app.dataset("sample") / "rows.parquet").set_index("id")
    texts = table["title"] + " " + table["description"]
    tagger = bundles.load(app.bundle())
    cleaned = {
        part: set(tagger.clean(texts.loc[splits[part]])) for part in ("train", "val", "test")
    }
    assert seen == cleaned["train"] | cleaned["val"]
    assert cleaned["test"] - seen == cleaned["test"]


def test_trials_that_fail_are_recorded_with_their_reason_and_the_search_goes_on(app: App) -> None:
    space = ("vectorizer.ngram_min=choice(1,2,3)", "vectorizer.ngram_max=choice(1,2)")

    done = app.run(*FAILING, *space, "vectorizer=tfidf_word", "hydra.sweeper.n_trials=20")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    trials = study(app).trials
    assert len(trials) == 6  # a grid ends when it is used up
    failed = by_state(trials, TrialState.FAIL)
    assert [
        t for t in failed if t.params["vectorizer.ngram_min"] <= t.params["vectorizer.ngram_max"]
    ] == []
    assert len(failed) == 3
    _, children = runs(app)
    for trial in failed:
        assert "n-gram range is empty" in trial.user_attrs["error"]
        child = children[trial.number]
        assert (child.info.status, child.data.tags["trial.state"]) == ("FAILED", "FAIL")
        assert child.data.tags["error"] == trial.user_attrs["error"]
    assert "3 failed" in done.stdout
    assert "n-gram range is empty" in done.stdout


def test_a_search_in_which_all_fail_is_an_error(app: App) -> None:
    space = ("vectorizer.min_df=choice(900,901)",)  # more than there are texts

    done = app.run(*FAILING, *space)

    assert done.returncode == 1
    assert "2 of 2 trials of 'search-sample' failed" in done.stderr
    assert "Traceback" not in done.stderr
    parent, children = runs(app)
    assert parent.info.status == "FAILED"
    assert {child.info.status for child in children.values()} == {"FAILED"}


def test_a_failure_rate_of_zero_ends_the_search_at_the_first(app: App) -> None:
    space = ("vectorizer.min_df=choice(900,901,902,903)", "hydra.sweeper.max_failure_rate=0.0")

    done = app.run(*FAILING, *space)

    assert done.returncode == 1
    assert len(study(app).trials) == 1


def test_parameters_that_belong_to_an_option_are_searched_with_it_only(app: App) -> None:
    few = (
        *("training.epochs=1", "hydra.sweeper.n_trials=3", "hydra/launcher=basic"),
        *("plots=none", "tracking=none"),
    )
    app.ok("-m", "sweep=text", *few, "console=quiet")

    found = study(app, "text-sample")
    for trial in found.trials:
        option = trial.params["vectorizer"]
        conditional = {name for name in trial.params if "[" in name}
        assert all(name.endswith(f"[vectorizer={option}]") for name in conditional)
        own = f"vectorizer.ngram_max [vectorizer={option}]"
        assert (own in conditional) == (option != "tfidf_union")
    app.ok("experiment=text-sample", "console=quiet", "plots=none")
    assert validation(app) == found.best_value


def test_the_objective_may_be_a_mean_over_seeds_and_the_winner_repeats_it(app: App) -> None:
    repeats = ("objective.repeats=3", "objective.report_every=1", "hydra.sweeper.n_trials=2")

    app.ok(*SERIAL, *repeats)
    best = study(app).best_trial
    output = app.ok("experiment=search-sample", "console=plain", "plots=none")

    assert sorted(best.intermediate_values) == list(range(9))  # three epochs in three repeats
    assert (
        f"Objective:     val_f1 = {best.value:.3f} (validation rows, mean over 3 seeds)" in output
    )
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    assert client.get_run(app.run_id()).data.metrics["objective"] == best.value
    history = client.get_metric_history(best.user_attrs["run_id"], "per_epoch/seed_2/val_loss")
    assert len(history) == 3
    # A board and the file of predictions are of the same trainings.
    trials = runs(app)[1]
    assert trials[best.number].data.metrics["val_f1"] == best.value
    for metric in ("val_f1", "val_accuracy"):
        one, other = (trials[number].data for number in (0, 1))
        folders = (Path(one.tags["output_dir"]), Path(other.tags["output_dir"]))
        found = validation_rows.compare(
            [folders], metric, (one.metrics[metric], other.metrics[metric])
        )
        assert found.one == pytest.approx(one.metrics[metric], abs=1e-12)


def test_several_objectives_give_a_front(app: App) -> None:
    app.ok(
        "-m", "hydra/sweeper=tagifai", "vectorizer=tfidf_word", "training.epochs=2", "plots=none",
        "objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]",
        "hydra/sweeper/pruner=none", "vectorizer.min_df=choice(1,20)",
        "hydra/sweeper/sampler=grid", "tracking=none",
    )  # fmt: skip

    found = study(app)
    assert len(found.directions) == 2
    _, content = results(app)
    assert content["metrics"] == ["val_f1", "model_bytes"]
    assert len(content["solutions"]) == len(found.best_trials)
    sizes = {t.params["vectorizer.min_df"]: t.values[1] for t in found.trials}
    assert sizes[20] < sizes[1]
    (first, *_) = found.best_trials
    app.ok(f"experiment=search-sample-trial{first.number}", "console=quiet", "plots=none")
    assert validation(app) == first.values[0]


@pytest.mark.parametrize(
    "sweeper",
    [
        ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1",
         "model.alpha=interval(1e-5,1e-4)"],
        ["model.alpha=1e-4,1e-5"],
    ],
    ids=["optuna", "basic"],
)  # fmt: skip
def test_the_stock_sweepers_work_and_their_runs_have_a_parent(app: App, sweeper: list[str]) -> None:
    done = app.run("-m", *SMALL, "console=quiet", *sweeper)

    assert done.returncode == 0, done.stderr
    found = tracked_runs(app)
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert len(found) == 3
    assert {r.data.tags["mlflow.parentRunId"] for r in found if r is not parent} == {
        parent.info.run_id
    }


REFUSED = [
    (["sweep=qick"], "Did you mean 'quick'?"),
    (["sweep=quick", "model.alhpa=interval(0.1,1)"], "model.alhpa"),
    (["sweep=quick", "model.alpha=interval(-2,-1)"], "has no allowed value"),
    (["sweep=quick", "vectorizer=choice(tfidf_word,tfidf_wrd)"], "tfidf_wrd"),
    (["sweep=quick", "data=choice(sample,madewithml)"], "cannot be searched over"),
    (["sweep=quick", "hydra.sweeper.n_trials=0"], "n_trials = 0 is not allowed"),
    (["sweep=quick", "hydra.sweeper.storage=nosuchdb://host/x"], "cannot be used"),
    (["sweep=quick", "objective.metric=val_class/nobody/f1"], "no such metric"),
    (["sweep=quick", "hydra/sweeper/sampler=cmaes"], "pip install cmaes"),
    (["sweep=quick", "hydra/sweeper/pruner=medain"], "Did you mean 'median'?"),
    (["sweep=quick", "hydra.sweeper.pruner._target_=os.system"], "pruner"),
    (["sweep=quick", "task=predict", "task.text=x"], "a search trains"),
    (["hydra/sweeper=tagifai"], "The search has no parameters"),
]  # fmt: skip
"""One or two of each part of a search; what else they refuse is in the tests of the parts."""


def test_bad_input_is_one_clear_error_before_the_first_trial(app: App) -> None:
    for arguments, said in REFUSED:
        done = app.run("-m", *arguments)
        assert done.returncode == 2, (arguments, done.stdout + done.stderr)
        assert done.stderr.startswith("Error: "), arguments
        assert said in done.stderr, arguments
        assert "Traceback" not in done.stderr, arguments
        assert names(app) == [], arguments
