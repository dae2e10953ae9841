from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tagifai.config import paths
from tagifai.config.arguments import quote
from tagifai.config.job import Job, use_job
from tagifai.config.schema import SCHEMA_CLASSES, Config, check
from tagifai.config.schema.settings import PathsConfig
from tagifai.exceptions import ConfigError
from tagifai.utils.urls import get_sqlite_path
from tests.conftest import CONF, Compose


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
    config = resolve()
    vars(config.data)["projects"] = "data/p.csv"  # as an option of the project's has it
    with use_job(Job(tmp_path)):
        assert vars(paths.resolve(config).data)["projects"] == f"{tmp_path}/data/p.csv"


def test_the_files_that_come_with_the_package_are_named_alike_everywhere(resolve: Resolve) -> None:
    data = vars(resolve().data)
    assert data["projects"] == "pkg://tagifai/sample/projects.csv"
    assert data["tags"] == "pkg://tagifai/sample/tags.csv"


@pytest.mark.parametrize("plus", ["", "++"])
def test_relative_paths_on_the_command_line_start_at_the_working_directory(
    resolve: Resolve, tmp_path: Path, plus: str
) -> None:
    data = resolve(f"{plus}data.projects=p.csv").data
    assert vars(data)["projects"] == f"{tmp_path}/cwd/p.csv"


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
    task = resolve("task=predict", quote(f"task.input={given_path}")).task
    assert task.input == found.format(tmp=tmp_path)
    assert task.output is None


@pytest.mark.parametrize("url", ["https://host/p.csv", "HTTP://host/../p.csv"])
def test_urls_are_left_as_they_are(resolve: Resolve, url: str) -> None:
    assert vars(resolve(f'data.projects="{url}"').data)["projects"] == url


@pytest.mark.parametrize("plus", ["", "++"])
def test_several_paths_are_made_absolute_each_for_itself(
    resolve: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plus: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    given = (
        "[a.csv,~/b c.csv,part-[0-9]*.csv,https://h/d%20e.csv,file:///f%20g.csv,pkg://tagifai/h]"
    )
    data = vars(resolve("data=table", quote(f"{plus}data.path={given}")).data)
    assert data["path"] == [
        *(f"{tmp_path}/cwd/a.csv", "/home/me/b c.csv", f"{tmp_path}/cwd/part-[0-9]*.csv"),
        *("https://h/d%20e.csv", "/f g.csv", "pkg://tagifai/h"),
    ]


def test_files_of_texts_and_labels_are_paths_and_names_of_labels_may_be(
    resolve: Resolve, tmp_path: Path
) -> None:
    files = ["data.text_path=t.txt", "data.label_path=l.txt", "data.label_names=map.txt"]
    data = vars(resolve("data=table", *files).data)
    cwd = f"{tmp_path}/cwd"
    assert [data[key] for key in ("text_path", "label_path", "label_names")] == [
        *(f"{cwd}/t.txt", f"{cwd}/l.txt", f"{cwd}/map.txt")
    ]
    for names, expected in [("[a.b,c]", ["a.b", "c"]), ("{0: a.b}", {"0": "a.b"})]:
        given = quote(f"data.label_names={names}")
        found = vars(resolve("data=table", "data.path=a.csv", given).data)["label_names"]
        assert found == expected


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


# --- a checkout, and the package alone ---------------------------------------------------------


def test_a_checkout_has_the_configuration_and_is_the_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "project" / "conf").mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "project" / "tagifai")
    monkeypatch.chdir(tmp_path)
    assert paths.get_conf_folder() == tmp_path / "project" / "conf"
    assert paths.find_checkout() == paths.get_root() == tmp_path / "project"


def test_an_installed_package_has_the_configuration_and_the_root_is_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "site-packages" / "tagifai" / "conf").mkdir(parents=True)
    # That of another project, which happens to be beside it.
    (tmp_path / "site-packages" / "conf").mkdir()
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "tagifai")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    assert paths.get_conf_folder() == tmp_path / "site-packages" / "tagifai" / "conf"
    assert paths.find_checkout() is None
    assert paths.get_root() == tmp_path / "cwd"


def test_the_tests_run_in_a_checkout() -> None:
    assert paths.get_conf_folder() == CONF


# --- folders that cannot be written ------------------------------------------------------------


@pytest.mark.parametrize("stores", ["file", "file/stores", "closed", "closed/deep/stores"])
def test_stores_that_cannot_be_written_are_refused_in_one_sentence(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stores: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr("os.access", deny(tmp_path / "closed"))
    config = resolve("task=elt", f"paths.stores={tmp_path}/{stores}")
    message = f"{tmp_path}/{stores} cannot be written. Choose another folder: paths.stores=..."
    with pytest.raises(ConfigError) as caught:
        paths.check_stores(config)
    assert str(caught.value) == message
    assert not (tmp_path / "closed" / "deep").exists()


@pytest.mark.parametrize("task", ["info", "predict"])
def test_a_task_that_only_reads_is_content_with_stores_that_cannot_be_written(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: str
) -> None:
    monkeypatch.setattr("os.access", deny(tmp_path))
    text = ["task.text=a"] if task == "predict" else []
    paths.check_stores(resolve(f"task={task}", *text))


def test_stores_that_are_not_there_yet_are_fine_and_not_made(
    resolve: Resolve, tmp_path: Path
) -> None:
    paths.check_stores(resolve("task=elt", f"paths.stores={tmp_path}/new/stores"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("st?a=b", "have a meaning in the URIs"),
        ("a%20b", "have a meaning in the URIs"),
        ("new\nline", "has a control character"),
        ("x" * 256, "is too long: "),
        ("/".join(["x" * 100] * 5), "is too long: "),
    ],
)
def test_stores_whose_databases_would_be_elsewhere_are_refused_in_one_sentence(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, reason: str
) -> None:
    monkeypatch.setenv("TAGIFAI_STORES", f"{tmp_path}/{name}")
    with pytest.raises(ConfigError, match=reason) as caught:
        resolve("task=info")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a#b", "a;b", "a b", "50%", "~x", "-x", ":memory:", "x${y}"])
def test_stores_with_other_odd_names_are_found_by_the_uri_of_their_database(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("TAGIFAI_STORES", f"{tmp_path}/{name}")
    config = resolve("task=info")
    assert get_sqlite_path(config.tracking.uri) == tmp_path / name / "mlflow.db"


def test_a_reading_task_has_a_temporary_folder_where_there_can_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    below = tmp_path / "file" / "day" / "run"
    assert paths.make_output_folder(below, "info").parent == tmp_path / "tmp"
    assert paths.write_results({}, None, "performance.json") is None
    assert paths.make_output_folder(below, "train") == below
    assert paths.make_output_folder(tmp_path / "day" / "run", "info") == tmp_path / "day" / "run"


def test_every_task_that_only_reads_is_a_task() -> None:
    assert {f"task/{name}" for name in paths.READ_ONLY_TASKS} < set(SCHEMA_CLASSES)


def deny(folder: Path) -> Callable[[Path, int], bool]:
    """Return what stands for `os.access` where a folder is closed, also to who may do anything."""
    access = os.access
    return lambda path, mode: access(path, mode) and (mode == os.F_OK or path != folder)
