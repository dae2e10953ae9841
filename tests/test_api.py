"""What `import tagifai` offers: its names, what they do, and that they leave no trace."""

from __future__ import annotations

import _thread
import base64
import doctest
import importlib
import json
import logging
import os
import pickle
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from joblib.externals.loky.backend.reduction import dumps
from mlflow import MlflowClient

import tagifai
from tagifai.api import explanation, functions, html, isolation, loading, tables
from tagifai.config import paths
from tagifai.evaluation import metrics, slices
from tagifai.models import bundles
from tagifai.preprocessing import cleaning
from tagifai.reporting import run_ending
from tagifai.utils import process_pool
from tests.app import App, environment
from tests.conftest import CONF, TEXTS

PUBLIC = {
    "Board": "tagifai.api.results",
    "BundleError": "tagifai.exceptions",
    "Config": "tagifai.config.schema.root",
    "ConfigError": "tagifai.exceptions",
    "DataError": "tagifai.exceptions",
    "Explanation": "tagifai.api.explanation",
    "Run": "tagifai.api.results",
    "Search": "tagifai.api.results",
    "Tagger": "tagifai.models.tagger",
    "TrackingError": "tagifai.exceptions",
    "UserError": "tagifai.exceptions",
    "cleaning_step": "tagifai.preprocessing.cleaning",
    "compare": "tagifai.api.functions",
    "compose": "tagifai.api.functions",
    "explain": "tagifai.api.explanation",
    "load": "tagifai.api.loading",
    "metric": "tagifai.evaluation.metrics",
    "search": "tagifai.api.functions",
    "slicing_function": "tagifai.evaluation.slices",
    "train": "tagifai.api.functions",
}
"""All that is public, and the module that it is made in."""

REVIEWS = ("data=table", "data.path=reviews.csv", "data.text=[title,body]", "data.label=stars")
SMALL = (*REVIEWS, "vectorizer=tfidf_word", "training.epochs=3")
SPACE = ("model.alpha=tag(log,interval(1e-6,1e-3))", "hydra.sweeper.n_trials=2")

PAGE = Path(__file__).parent.parent / "docs" / "python.md"

LONG_SECONDS = 120


@pytest.fixture(scope="module")
def project(ready: Callable[[Path], App], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own with a table; figures are not drawn unless they are asked for."""
    folder = ready(tmp_path_factory.mktemp("project")).folder
    shutil.copytree(CONF, folder / "conf")
    choices = folder / "conf" / "choices.yaml"
    choices.write_text(choices.read_text().replace("plots: default", "plots: none"))
    rows = [
        {"title": f"Lamp {number}", "body": text, "stars": stars}
        for number in range(20)
        for text, stars in (("It works well", 5), ("It broke in a week", 1))
    ]
    pd.DataFrame(rows).to_csv(folder / "reviews.csv", index=False)
    return folder


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the project be the present one, and its folder the working directory."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(paths, "get_conf_folder", lambda: project / "conf")
    monkeypatch.setattr(paths, "get_root", lambda: project)
    for name in isolation.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # Otherwise they begin processes.
    monkeypatch.setattr(process_pool, "count_processors", lambda: 1)
    monkeypatch.setattr("tagifai.utils.environment.read_git_state", lambda root: {})
    for module in (metrics, slices, cleaning):
        monkeypatch.setattr(module, "_REGISTERED", dict(module._REGISTERED))
    return project


@pytest.fixture(scope="module")
def trained() -> dict[str, tagifai.Run]:
    """The run that several tests look at, once one of them has made it."""
    return {}


@pytest.fixture
def run(here: Path, trained: dict[str, tagifai.Run]) -> tagifai.Run:
    if not trained:
        trained["run"] = tagifai.train(*SMALL, "objective.report_every=1")
    return trained["run"]


def outputs(project: Path) -> list[Path]:
    return sorted(project.glob("outputs/*/*"))


# --- names -------------------------------------------------------------------------------------


def test_the_public_names_are_these() -> None:
    assert sorted(tagifai.__all__) == sorted([*PUBLIC, "__version__"])
    assert set(tagifai.__all__) <= set(dir(tagifai))
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", tagifai.__version__)


def test_no_public_name_is_hidden_by_a_module_of_the_package() -> None:
    for module in pkgutil.walk_packages(tagifai.__path__, "tagifai."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert {name: getattr(tagifai, name).__module__ for name in PUBLIC} == PUBLIC


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tagifai' has no attribute 'fit'"):
        _ = tagifai.fit


# --- examples ----------------------------------------------------------------------------------


def examples(text: str, name: str) -> doctest.DocTest:
    names = {"__name__": "__main__", "tagifai": tagifai}
    return doctest.DocTestParser().get_doctest(text, names, name, None, 0)


def check(test: doctest.DocTest) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner()
    assert test.examples
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_the_examples_of_the_functions_do_what_they_say(here: Path) -> None:
    documented = [tagifai, *(getattr(functions, name) for name in ("train", "search", "compare"))]
    for item in (*documented, functions.compose, loading.load, explanation.explain):
        check(examples(str(item.__doc__), str(item.__name__)))


def test_the_examples_of_the_page_do_what_they_say(
    here: Path, ready: Callable[[Path], App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(tmp_path)
    monkeypatch.setattr(paths, "get_root", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    check(examples("\n".join(blocks), PAGE.name))


# --- train -------------------------------------------------------------------------------------


def test_a_run_has_its_scores_by_part_group_and_name(run: tagifai.Run) -> None:
    kept = bundles.read_document(run.bundle, "performance.json")
    assert run.scores.index.names == ["part", "group", "name"]
    assert set(run.scores.index.get_level_values("part")) == {"val", "test"}
    for part, scored in kept.items():
        of_all_rows = {**scored["overall"], **scored["metrics"]}
        assert run.scores.loc[part, "overall"].to_dict("records") == [of_all_rows]
        for group, expected in (("class", scored["class"]), ("slice", scored["slices"])):
            # They have no metrics of all rows.
            of_group = run.scores.loc[part, group].dropna(axis="columns", how="all")
            assert of_group.to_dict("index") == expected
    assert len(run.scores) == sum(1 + len(p["class"]) + len(p["slices"]) for p in kept.values())


def test_a_run_has_its_losses_and_what_was_reported_by_epoch(run: tagifai.Run) -> None:
    assert list(run.history) == ["train_loss", "val_loss", "val_f1"]
    assert run.history.index.tolist() == [0, 1, 2]
    client = MlflowClient(f"sqlite:///{paths.get_stores()}/mlflow.db")
    for column, name in (("val_loss", "per_epoch/val_loss"), ("val_f1", "per_epoch/reported")):
        recorded = {m.step: m.value for m in client.get_metric_history(run.id, name)}
        assert run.history[column].to_dict() == recorded


def test_a_run_is_recorded_as_one_of_the_command_is(run: tagifai.Run) -> None:
    client = MlflowClient(f"sqlite:///{paths.get_stores()}/mlflow.db")
    found = client.get_run(run.id)
    assert found.info.status == "FINISHED"
    command = "tagifai console=silent data=table data.path=reviews.csv"
    assert found.data.tags["command"].startswith(command)
    assert found.data.metrics["objective"] == run.objective["val_f1"]
    assert sorted(path.name for path in (run.folder / ".hydra").iterdir()) == [
        "config.yaml",
        "hydra.yaml",
        "overrides.yaml",
    ]
    assert f"Run {run.id} in {run.folder}" in (run.folder / "run.log").read_text()


def test_the_model_of_a_run_is_the_one_that_is_kept(run: tagifai.Run) -> None:
    assert run.tagger.predict("It works very well")["predicted_tag"] == "5"
    assert run.tagger is run.tagger
    assert run.tagger.predict("a") == tagifai.load(run.id).predict("a")


def test_a_run_is_shown_in_a_line_and_in_a_notebook_as_a_table(run: tagifai.Run) -> None:
    assert repr(run) == f"Run({run.id}, val_f1 = {run.objective['val_f1']:.4f})"
    page = run._repr_html_()
    assert f"<b>Run {run.id[:8]}</b>" in page
    assert page.count("<tr") == (1 + 2) + (1 + 2)  # both parts, and both classes
    assert str(run.report) in page


def test_figures_that_were_drawn_are_shown_by_a_notebook(here: Path) -> None:
    drawn = tagifai.train(*SMALL, "plots=default", "tracking=none")
    assert {"confusion", "losses", "class_balance"} <= set(drawn.figures)
    losses = drawn.figures["losses"]
    assert repr(losses) == "SavedFigure(losses)"
    shown = losses._repr_html_()
    image = re.fullmatch(r'<img alt="losses" src="data:image/svg\+xml;base64,(\S+)" .*>', shown)
    assert image is not None
    svg = base64.b64decode(image[1]).decode()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "background: white" in shown  # which is read on a dark page too


def test_a_run_without_figures_has_none(run: tagifai.Run) -> None:
    assert run.figures == {}
    assert run.report == run.folder / "report.html"


def test_nothing_is_shown_unless_the_console_is_chosen(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tagifai.train(*SMALL, "tracking=none")
    assert capfd.readouterr() == ("", "")
    tagifai.train(*SMALL, "tracking=none", "console=default")
    output, errors = capfd.readouterr()
    assert "Epoch 2 | train_loss" in output
    assert errors == ""


# --- search ------------------------------------------------------------------------------------


def test_a_search_has_its_trials_and_the_best_of_them(here: Path) -> None:
    begun = trace()
    found = tagifai.search(*SMALL, *SPACE)
    assert trace() == begun
    assert found.study == "search-reviews"
    assert found.trials.index.tolist() == [0, 1]
    columns = ["state", "val_f1", "model.alpha", "seconds", "run_id"]
    assert list(found.trials) == columns
    assert found.best is not None
    assert found.best["val_f1"] == found.trials["val_f1"].max()
    assert found.report == found.folder / "report.html"
    said = f"2 trials, the best is trial {found.best.name}"
    assert repr(found) == f"Search(search-reviews, {said})"
    page = found._repr_html_()
    assert f"<b>Search search-reviews</b>: {said}" in page
    best_first = re.findall(r'<tr><td style="text-align: left">(\d)</td>', page)
    assert best_first == [str(found.best.name), str(1 - int(str(found.best.name)))]

    again = tagifai.search(*SMALL, *SPACE)
    pd.testing.assert_frame_equal(again.trials, found.trials)
    best = tagifai.train(f"experiment={found.study}")
    assert best.objective["val_f1"] == found.best["val_f1"]


def test_searches_in_memory_know_nothing_of_each_other(here: Path) -> None:
    memory = ("hydra.sweeper.storage=null", "hydra/sweeper/pruner=none", "tracking=none")
    for metric in ("val_f1", "val_loss"):
        found = tagifai.search(*SMALL, *SPACE, *memory, f"objective.metric={metric}")
        assert found.trials[metric].notna().all()


def test_a_search_whose_trials_fail_says_why(here: Path) -> None:
    broken = ("vectorizer.min_df=39", "hydra.sweeper.study_name=broken")
    with pytest.raises(tagifai.UserError) as caught:
        tagifai.search(*SMALL, *SPACE, *broken)
    said = str(caught.value)
    assert said.startswith("2 of 2 trials of 'broken' failed; the first reason: The vectorizer")


def test_functions_of_a_notebook_reach_the_processes_of_a_search(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def kappa(y_true, y_pred):\n    return 0.5", scope)
    tagifai.metric(scope["kappa"])
    tagifai.cleaning_step(len)  # type: ignore[arg-type]
    sent = bytes(dumps(functions._list_own_functions()))
    monkeypatch.setattr(metrics, "_REGISTERED", {})
    for register, given in pickle.loads(sent):
        for function in given:
            register(function)
    assert metrics.get_registered()["kappa"](None, None) == 0.5  # type: ignore[arg-type]
    assert set(slices.get_registered()) == {"nlp_cnn", "short_text"}


# --- compare, compose, load --------------------------------------------------------------------


def test_a_comparison_is_a_table_and_leaves_no_folder(run: tagifai.Run, here: Path) -> None:
    before = outputs(here)
    board = tagifai.compare("task.metric=test_f1", "task.output=board.csv")
    assert board.rows["mean"].is_monotonic_decreasing
    assert board.rows["n"].sum() >= 1
    assert len((here / "board.csv").read_text().splitlines()) == 1 + len(board.rows)
    assert outputs(here) == before


def test_a_board_is_shown_in_a_line_and_in_a_notebook_as_the_command_shows_it(
    run: tagifai.Run,
) -> None:
    board = tagifai.compare("task.metric=test_f1")
    best = board.rows["mean"].iloc[0]
    assert repr(board) == f"Board(test_f1, {len(board.rows)} rows, the best {best:.4g})"
    page = board._repr_html_()
    assert page.count("<tr>") == len(board.tables) + len(board.rows)
    assert page.count("by test_f1</b>") == len(board.tables)
    for name in ("test_f1", "run"):
        assert page.count(f">{name}</th>") == len(board.tables)
    assert run.id[:8] in page


def test_an_explanation_marks_the_words_of_a_text(run: tagifai.Run) -> None:
    found = tagifai.explain(run.tagger, "It broke <b>in</b> a week")
    assert found.prediction == run.tagger.predict("It broke <b>in</b> a week")
    assert found.label == found.prediction["predicted_tag"] == "1"
    assert found.words is not None
    values = {word.strip(): value for word, value in found.words}
    assert max(values, key=values.__getitem__) in ("broke", "week")
    assert repr(found).startswith(f"1 ({found.prediction['probability']:.2f}). ")
    page = found._repr_html_()
    assert "<b>in" not in page
    assert "&lt;b&gt;in" in page
    assert page.count("<span") == len(found.words)


def test_a_model_whose_features_are_no_terms_says_that_it_cannot_be_explained(here: Path) -> None:
    hashed = tagifai.train(*REVIEWS, "vectorizer=hashing", "tracking=none")
    found = tagifai.explain(hashed.tagger, "It broke")
    assert found.words is None
    assert repr(found).endswith(").")
    assert "does not tell what its words add" in found._repr_html_()


def test_what_is_under_the_threshold_is_explained_by_its_most_probable_label(
    tagger: tagifai.Tagger,
) -> None:
    unsure = replace(tagger, threshold=0.999999, other="cv")
    plain = replace(tagger, threshold=None)
    text = next(text for text in TEXTS if plain.predict(text)["predicted_tag"] != "cv")
    label = plain.predict(text)["predicted_tag"]
    found = tagifai.explain(unsure, text)
    assert (found.label, found.prediction["predicted_tag"]) == (label, "cv")
    assert repr(found).startswith(f"cv, because {label} (0.")


def test_secrets_and_markup_of_data_are_not_shown_to_a_notebook() -> None:
    page = html.format_table({"<i>": ["a\x1b[1m", "postgresql://me:hidden@host/db"]}, ["<i>"])
    assert "hidden" not in page
    assert "\x1b" not in page
    assert "&lt;i&gt;" in page


# --- in a notebook -----------------------------------------------------------------------------


class Kernel:
    """What a notebook's shell has, and what was displayed."""

    kernel = None

    def __init__(self) -> None:
        self.frames: list[dict[str, str]] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Kernel:
        self.frames.append(data)
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        self.frames.append(data)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    shell = types.ModuleType("IPython")
    shell.get_ipython = lambda: made  # type: ignore[attr-defined]
    shell.display = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", shell)
    return made


def test_bars_are_shown_below_a_cell_and_are_gone_at_the_end(
    here: Path, kernel: Kernel, capfd: pytest.CaptureFixture[str]
) -> None:
    tagifai.train(*SMALL, "tracking=none")
    said = [frame.get("text/plain", "") for frame in kernel.frames]
    assert "Epoch 0 of 3 vectorizing" in said
    assert any(line.startswith("Epoch 3 of 3 train_loss ") for line in said)
    assert kernel.frames[-1] == {}
    assert said.count("") == sum("0 of" in line or line.startswith("Reading") for line in said)
    assert all("<progress" in frame["text/html"] for frame in kernel.frames if frame)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("console", ["silent", "quiet"])
def test_a_notebook_that_chooses_a_console_has_no_bars(
    console: str, here: Path, kernel: Kernel
) -> None:
    tagifai.train(*SMALL, "tracking=none", f"console={console}")
    assert kernel.frames == []


def test_the_console_of_a_notebook_is_silent_elsewhere(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tagifai.train(*SMALL, "tracking=none", "console=notebook")
    assert capfd.readouterr() == ("", "")


def test_a_configuration_is_composed_with_absolute_paths(here: Path) -> None:
    config = tagifai.compose("seed=7", "data=table", "data.path=${hydra:runtime.cwd}/a.csv")
    assert config.seed == 7
    assert config.data.path == [str(here / "a.csv")]  # type: ignore[attr-defined]
    assert tagifai.compose("data=table", "data.path=a b,c.csv").data.name == "a_b_c"


def test_a_run_is_loaded_by_each_of_its_names(run: tagifai.Run, here: Path, tmp_path: Path) -> None:
    expected = run.tagger.predict("a lamp")
    latest = (here / "stores" / "run_id.txt").read_text().strip()
    assert tagifai.load().predict("a") == tagifai.load(latest).predict("a")
    for name in (run.id, run.bundle, str(run.bundle), os.path.relpath(run.bundle)):
        assert tagifai.load(name).predict("a lamp") == expected
    assert isinstance(tagifai.load("best"), tagifai.Tagger)
    with pytest.raises(tagifai.BundleError, match="has no champion yet"):
        tagifai.load("champion")


def test_models_are_looked_for_where_the_variable_says(
    run: tagifai.Run, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles.publish(run.bundle, tmp_path / "elsewhere", "mine")
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "elsewhere"))
    assert tagifai.load("mine").predict("a") == run.tagger.predict("a")
    with pytest.raises(tagifai.BundleError, match="There is no run"):
        tagifai.load(run.id)
    assert tagifai.load(run.id, stores=here / "stores").predict("a") == run.tagger.predict("a")


def test_without_a_checkout_stores_are_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAGIFAI_STORES", raising=False)
    monkeypatch.setattr(paths, "find_checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tagifai.BundleError) as caught:
        tagifai.load()
    assert f"No run has been trained into {tmp_path}/stores yet" in str(caught.value)


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "overrides", "kind", "message"),
    [
        ("train", ["model=sdg"], "ConfigError", "model=sdg: there is no such option. Did you"),
        ("train", ["modle=sgd"], "ConfigError", "'modle' is not a key of the configuration. Did"),
        ("train", ["model.alpha=-1"], "ConfigError", "model.alpha = -1.0 is not allowed"),
        ("train", ["model=[1,"], "ConfigError", "'model=[1,' does not follow Hydra's grammar"),
        ("train", ["data=table", "data.path=no.csv"], "DataError", "data.path: there is no file"),
        ("train", ["task=predict"], "ConfigError", "task=predict is not what tagifai.train does."),
        ("train", ["sweep=quick"], "ConfigError", "sweep=quick is a search: tagifai.search('sw"),
        ("train", ["-m", "seed=1,2"], "ConfigError", "'-m' is a flag of the command line"),
        ("train", ["paths.stores= "], "ConfigError", "paths.stores is blank; give a folder."),
        ("train", [["seed=1"]], "ConfigError", "['seed=1'] is not an override; those are texts"),
        ("search", ["seed=1"], "ConfigError", "The search has no parameters."),
        ("search", ["hydra/sweeper=optuna"], "ConfigError", "hydra/sweeper=optuna: tagifai.search"),
        ("compare", ["task=info"], "ConfigError", "task=info is not what tagifai.compare does."),
        ("compose", ["whitelist=[os.*]"], "ConfigError", "whitelist = ['os.*'] has no effect"),
        ("load", ["nobody"], "BundleError", "There is no run 'nobody' with a model in"),
        ("load", ["no/bundle"], "BundleError", "There is no model at no/bundle."),
    ],
)
def test_what_the_command_refuses_is_an_error_with_its_sentence(
    here: Path, name: str, overrides: list[Any], kind: str, message: str
) -> None:
    before, begun = outputs(here), trace()
    with pytest.raises(tagifai.UserError) as caught:
        getattr(tagifai, name)(*overrides)
    assert type(caught.value) is getattr(tagifai, kind)
    assert str(caught.value).startswith(message)
    if kind == "ConfigError":
        assert outputs(here) == before
    assert trace() == begun


def test_what_was_not_foreseen_is_raised_as_it_is_and_logged(here: Path) -> None:
    @tagifai.cleaning_step
    def broken(text: str) -> str:
        raise ZeroDivisionError(text)

    before = outputs(here)
    with pytest.raises(ZeroDivisionError):
        tagifai.train(*SMALL, "preprocessing.first=[broken]", "tracking=none")
    (folder,) = sorted({*outputs(here)} - {*before})
    assert "ZeroDivisionError" in (folder / "run.log").read_text()


def test_a_model_is_kept_whatever_goes_wrong_with_showing_its_scores(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    kept = {*here.glob("stores/artifacts/*/artifacts/bundle")}
    monkeypatch.setattr(run_ending, "show_scores", fail)
    with pytest.raises(ZeroDivisionError) as caught:
        tagifai.train(*SMALL, "tracking=none")
    (saved,) = {*here.glob("stores/artifacts/*/artifacts/bundle")} - kept
    assert bundles.load(saved).predict(["It broke"])
    assert "The model is trained and saved anyway" in "".join(caught.value.__notes__)


# --- somebody else's process -------------------------------------------------------------------


def trace() -> dict[str, Any]:
    """Return what a call might have changed of this process."""
    root, own = logging.getLogger(), logging.getLogger("tagifai")
    return {
        "argv": [*sys.argv],
        "folder": Path.cwd(),
        "variables": {k: v for k, v in os.environ.items() if k.startswith("TAGIFAI")},
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "handlers": [
            (logger.level, [*logger.handlers], logger.propagate) for logger in (root, own)
        ],
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "job": JobRuntime.instance().get("name"),
        "threads": [thread.name for thread in threading.enumerate()],
    }


def test_a_hydra_of_the_callers_own_is_as_it_was(here: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), job_name="theirs"):
        begun = trace()
        assert tagifai.compose("seed=3").seed == 3
        with pytest.raises(tagifai.ConfigError):
            tagifai.compose("seed=x")
        assert trace() == begun
        loader = GlobalHydra.instance().config_loader()
        assert "theirs" in loader.get_group_options("", None)


def test_handlers_of_the_callers_own_get_warnings_and_no_more(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tagifai.cleaning_step
    def chatty(text: str) -> str:
        logging.getLogger("tagifai.mine").info("of no interest")
        logging.getLogger("tagifai.mine").warning("look here")
        return text

    seen: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: seen.append(record.getMessage()))
    logging.getLogger().addHandler(handler)
    try:
        run = tagifai.train(*SMALL, "preprocessing.first=[chatty]", "tracking=none")
    finally:
        logging.getLogger().removeHandler(handler)
    assert set(seen) == {"look here"}
    logged = (run.folder / "run.log").read_text()
    assert " INFO tagifai.mine | of no interest" in logged
    assert " WARNING tagifai.mine | look here" in logged


def test_while_one_thread_trains_another_call_is_refused_and_models_predict(
    run: tagifai.Run, here: Path
) -> None:
    begun, release = threading.Event(), threading.Event()

    @tagifai.cleaning_step
    def waiting(text: str) -> str:
        begun.set()
        release.wait(LONG_SECONDS)
        return text

    made: list[tagifai.Run] = []
    overrides = (*SMALL, "preprocessing.first=[waiting]", "tracking=none")
    thread = threading.Thread(target=lambda: made.append(tagifai.train(*overrides)))
    thread.start()
    try:
        assert begun.wait(LONG_SECONDS)
        with pytest.raises(tagifai.UserError, match="does one thing at a time: wait until"):
            tagifai.compose()
        assert tagifai.load(run.id).predict("It works")["predicted_tag"] == "5"
    finally:
        release.set()
        thread.join(LONG_SECONDS)
    assert made[0].objective == run.objective
    assert tagifai.compose("seed=2").seed == 2


def test_an_interrupt_closes_the_run_and_lets_the_next_one_begin(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    called = []

    @tagifai.metric
    def interrupting(y_true: Any, y_pred: Any) -> float:
        called.append(1)
        _thread.interrupt_main()
        return 0.0

    try:
        begun = trace()
        with pytest.raises(KeyboardInterrupt):
            tagifai.train(*SMALL, "tracking.run_name=interrupted")
        assert trace() == begun
    finally:
        signal.signal(signal.SIGINT, before)
    assert called
    client = MlflowClient(f"sqlite:///{paths.get_stores()}/mlflow.db")
    experiments = [found.experiment_id for found in client.search_experiments()]
    (found,) = client.search_runs(experiments, "attributes.run_name = 'interrupted'")
    assert found.info.status == "KILLED"
    assert tagifai.compose("seed=2").seed == 2


SCRIPT = """
import json, logging, multiprocessing, sys
import tagifai

small = [*sys.argv[1:], "vectorizer=tfidf_word", "training.epochs=2", "plots=none"]
run = tagifai.train(*small)

@tagifai.metric
def hits(y_true, y_pred):
    return float((y_true == y_pred).mean())

found = tagifai.search(
    *small, "sweep=quick", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2",
    "objective.metric=val_hits",
)
print(json.dumps({
    "run": run.id,
    "scores": run.scores.loc["test", "overall"].iloc[0].to_dict(),
    "states": found.trials["state"].tolist(),
    "hits": found.trials["val_hits"].between(0, 1).all().item(),
    "left": len(multiprocessing.active_children()),
    "handlers": len(logging.getLogger().handlers),
}))
"""
"""A script somewhere else, without a main function."""


@pytest.mark.e2e
def test_a_script_trains_and_searches_with_workers_and_the_command_repeats_its_run(
    ready: Callable[[Path], App], tmp_path: Path
) -> None:
    app = ready(tmp_path)
    (app.cwd / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", f"paths.stores={app.stores}", f"paths.outputs={app.outputs}"],
        cwd=app.cwd,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * LONG_SECONDS,
    )
    # On a busy machine the store is opened slowly, and that is said.
    told = [line for line in done.stderr.splitlines() if "takes a while" not in line]
    assert (done.returncode, told) == (0, [])
    said = json.loads(done.stdout)
    assert said["states"] == ["complete"] * 3
    assert (said["hits"], said["left"], said["handlers"]) == (True, 0, 0)
    assert "is reproduced" in app.ok("task=rerun", f"task.run_id={said['run']}", "plots=none")


def test_scores_of_all_rows_have_the_metrics_of_ones_own() -> None:
    scores = {"precision": 1.0, "recall": 0.5, "f1": 0.75, "num_samples": 4}
    part = {"overall": scores, "class": {"a": scores}, "slices": {}, "metrics": {"accuracy": 0.5}}
    table = tables.tabulate_scores({"val": part})
    assert table["accuracy"].fillna(-1).to_dict() == {
        ("val", "overall", "overall"): 0.5,
        ("val", "class", "a"): -1,
    }
