from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tagifai import cli
from tagifai.config import paths
from tagifai.config.job import Job, use_job
from tagifai.config.schema import SCHEMA_CLASSES, Config, check
from tagifai.config.schema.settings import PathsConfig
from tests.conftest import Compose


def resolved(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, cwd: Path, *overrides: str
) -> Config:
    cwd.mkdir(exist_ok=True)
    monkeypatch.chdir(cwd)
    with use_job(Job(cwd, overrides=overrides)):
        return paths.resolve(check(composed("preprocessing=none", *overrides)))


Resolve = Callable[..., Config]


@pytest.fixture
def resolve(composed: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Resolve:
    return lambda *overrides: resolved(composed, monkeypatch, tmp_path / "cwd", *overrides)


def test_relative_paths_in_yaml_start_at_the_project_s_root(
    resolve: Resolve, tmp_path: Path
) -> None:
    data = resolve().data
    assert vars(data)["projects"] == f"{tmp_path}/tagifai/sample/projects.csv"
    assert vars(data)["tags"] == f"{tmp_path}/tagifai/sample/tags.csv"


@pytest.mark.parametrize("plus", ["", "++"])
def test_relative_paths_on_the_command_line_start_at_the_working_directory(
    resolve: Resolve, tmp_path: Path, plus: str
) -> None:
    data = resolve(f"{plus}data.projects=p.csv").data
    assert vars(data)["projects"] == f"{tmp_path}/cwd/p.csv"
    assert vars(data)["tags"] == f"{tmp_path}/tagifai/sample/tags.csv"


@pytest.mark.parametrize(
    ("given_path", "found"),
    [
        ("../a.csv", "{tmp}/a.csv"),
        ("./b//c/../a.csv", "{tmp}/cwd/b/a.csv"),
        ("/abs/a.csv", "/abs/a.csv"),
        ('"~/a.csv"', "{tmp}/home/a.csv"),
        ("b (1), c.csv", "{tmp}/cwd/b (1), c.csv"),
        ("-", "-"),
    ],
)
def test_paths_of_a_task_are_made_absolute(
    resolve: Resolve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given_path: str,
    found: str,
) -> None:
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    task = resolve("task=predict", cli.quote(f"task.input={given_path}")).task
    assert task.input == found.format(tmp=tmp_path)
    assert task.output is None


@pytest.mark.parametrize("url", ["https://host/p.csv", "HTTP://host/../p.csv", "s3://b/p.csv"])
def test_urls_are_left_as_they_are(resolve: Resolve, url: str) -> None:
    assert vars(resolve(f'data.projects="{url}"').data)["projects"] == url


def test_folders_are_made_absolute(resolve: Resolve, tmp_path: Path) -> None:
    folders = resolve("paths.outputs=out", "paths.stores=/abs/stores").paths
    assert (folders.root, folders.outputs) == (str(tmp_path), f"{tmp_path}/cwd/out")
    assert folders.stores == "/abs/stores"


def test_a_file_of_one_task_is_not_looked_for_in_another(resolve: Resolve, tmp_path: Path) -> None:
    config = resolve("task=evaluate", "task.data=mine.csv")
    assert config.task.data == f"{tmp_path}/cwd/mine.csv"
    assert not hasattr(config.task, "input")


def test_paths_are_made_absolute_in_place_and_once(resolve: Resolve, tmp_path: Path) -> None:
    config = resolve("data.projects=p.csv")
    with use_job(Job(tmp_path)):
        assert paths.resolve(config) is config
    assert vars(config.data)["projects"] == f"{tmp_path}/cwd/p.csv"


def test_every_setting_that_is_a_path_is_the_field_of_a_schema() -> None:
    known = {
        f"{name.partition('/')[0]}.{field.name}" for name, node in SCHEMA_CLASSES.items()
        for field in fields(node)
    }  # fmt: skip
    assert set(paths.PATHS) <= known
    assert set(paths.FOLDERS) == {f"paths.{field.name}" for field in fields(PathsConfig)}
