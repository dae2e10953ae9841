"""The page of help, and what it loads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tagifai.help import options
from tagifai.help import page as help_page
from tests.app import ROOT, App
from tests.conftest import Compose


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.delenv("UV", raising=False)  # it would be named in the command
    return App(tmp_path).ok("--help")


def test_help_has_every_task_group_and_option_with_a_line_of_meaning(page: str) -> None:
    for path in (ROOT / "conf" / "task").glob("*.yaml"):
        assert re.search(rf"^  {path.stem}( \*)?  +\w", page, re.M), path
    for group in sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir()):
        if group not in ("hydra", "task"):
            part = page.partition(f"\n{group}: ")[2].partition("\n\n")[0]
            for path in (ROOT / "conf" / group).glob("*.yaml"):
                assert re.search(rf"^  {path.stem}( \*)?  +\w", part, re.M), path
    assert "schema" not in page
    command = re.escape(f"  python {ROOT / 'run.py'}")
    assert len(re.findall(rf"^{command}(?: |$)", page, re.MULTILINE)) == 6


def test_help_lists_groups_and_tasks_in_the_order_of_use(page: str) -> None:
    groups = re.findall(r"^([\w/]+): ", page, re.MULTILINE)
    assert groups[:9] == [
        *("data", "preprocessing", "split", "vectorizer", "sampling", "model", "threshold"),
        *("sweep", "experiment"),
    ]
    tasks = page.partition("Tasks (")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+)", tasks, re.MULTILINE)[:3] == ["train", "predict", "errors"]


def test_help_names_the_default_of_each_group(page: str) -> None:
    starred = re.findall(r"^  (\w+) \*", page, re.MULTILINE)
    assert starred == [
        *("train", "sample", "default", "stratified", "tfidf_union", "none", "sgd", "none"),
        *("mlflow", "default", "default", "default"),
    ]


def test_help_has_custom_options_and_the_presets_that_searches_and_persons_have_written(
    tmp_path: Path,
) -> None:
    app = App(tmp_path)
    found = app.stores / "presets" / "experiment" / "search-sample.yaml"
    found.parent.mkdir(parents=True)
    found.write_text("# @package _global_\n# Trial 3, the best of 9.\nseed: 1\n")
    own = app.cwd / "mine" / "model" / "plain.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# A model\x1b[31m of mine. More.\ndefaults: [sgd]\n")

    page = app.ok("--help", "--config-dir", "mine")

    assert re.search(r"^  search-sample +Trial 3, the best of 9$", page, re.MULTILINE)
    assert re.search(r"^  plain +A model\\x1b\[31m of mine$", page, re.MULTILINE)
    assert len(re.findall(r"^  custom  +Any class by its name", page, re.MULTILINE)) == 2


@pytest.mark.parametrize("columns", [60, 80])
def test_help_is_folded_between_words_at_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    wide = help_page.make_page()
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = help_page.make_page()

    commands = ("  python", "  uv run", "  tagifai", "  pytest")
    folded = [line for line in narrow.splitlines() if not line.startswith(commands)]
    assert max(map(len, folded)) <= columns
    assert narrow.split() == wide.split()


def test_the_keys_of_help_have_the_defaults_that_a_run_takes(composed: Compose) -> None:
    lines = dict(options.list_keys())

    assert len(lines) == 10
    for line in lines:
        key, _, value = line.partition("=")
        cfg = (
            composed("data=table" if key.startswith("data.") else "data=sample", "data.path=x")
            if key.startswith("data.")
            else composed()
        )
        if key != "data.path":
            assert str(OmegaConf.select(cfg, key)).replace("None", "null") == value, key


@pytest.mark.parametrize("words", [["-h"], ["--hel"], ["--help", "model=typo"]])
def test_help_is_shown_whatever_else_is_typed(tmp_path: Path, words: list[str]) -> None:
    assert App(tmp_path).ok(*words).startswith("Find, keep and use")


@pytest.mark.parametrize(
    ("name", "content", "gone"),
    [
        ("data/table.yaml", None, ["data.path="]),
        ("choices.yaml", "seed: 7\n", ["model.alpha="]),
        ("choices.yaml", "- a\n", ["model.alpha="]),
        (
            "choices.yaml",
            "defaults: [task: train, model: linear_svc]\nmodel: 3\n",
            ["model.alpha="],
        ),
        ("model/sgd.yaml", "a: [\n", ["model.alpha="]),
        ("model/sgd.yaml", "defaults: 3\n", ["model.alpha="]),
        ("model/sgd.yaml", "defaults: [/schema/model/none@_here_]\n", ["model.alpha="]),
    ],
)
def test_help_is_shown_with_an_imperfect_configuration_without_what_it_lacks(
    tmp_path: Path, name: str, content: str | None, gone: list[str]
) -> None:
    app = App(tmp_path)
    shutil.copytree(ROOT / "conf", app.cwd / "mine")
    if content is None:
        (app.cwd / "mine" / name).unlink()
    else:
        (app.cwd / "mine" / name).write_text(content)
    page = app.ok("--config-dir", "mine", "--help")
    for key in ("data.path=", "model.alpha=", "seed=", "training.epochs="):
        assert (f"\n  {key}" in page) == (key not in gone), key


def test_help_of_a_configuration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for words in (["--help"], ["--cfg", "job"], ["task=info"]):
        done = App(tmp_path).run("--config-dir", "nowhere", *words)
        assert done.returncode == 2, words
        assert done.stderr == "Error: --config-dir nowhere: there is no such folder.\n", words
