from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagifai.config import allowed, extensions, instantiate, paths
from tagifai.config.schema import Config, check
from tagifai.evaluation import metrics, slices
from tagifai.exceptions import ConfigError
from tagifai.preprocessing import cleaning
from tagifai.utils import own_modules
from tagifai.utils.program import CONFIG_DIR_VARIABLE
from tests.conftest import Compose
from tests.runner import keep_own_code

EXTENSION = """
from sklearn.linear_model import RidgeClassifier

from tagifai.evaluation.metrics import metric
from tagifai.evaluation.slices import slicing_function
from tagifai.preprocessing.cleaning import cleaning_step


@cleaning_step
def shout(text):
    return text.upper()


@metric
def always_one(y_true, y_pred):
    return 1.0


@slicing_function
def with_a_bang(row):
    return "!" in row.text


class Ridge(RidgeClassifier):
    pass
"""


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is known and registered in this process, as it was afterwards."""
    for name in (CONFIG_DIR_VARIABLE, extensions.WHITELIST_VARIABLE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    modules = set(sys.modules)
    with keep_own_code():
        extensions.read_environment()
        yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `conf/` of a project, with an extension that no config.yaml names."""
    folder = tmp_path / "project" / "conf"
    folder.mkdir(parents=True)
    (folder / "steps_of_test.py").write_text(EXTENSION)
    monkeypatch.setattr(paths, "get_conf_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def say(folder: Path, text: str) -> Path:
    """Write a config.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(text)
    return folder


def refusal() -> str:
    with pytest.raises(ConfigError) as caught:
        extensions.load_files()
    return str(caught.value)


# --- the whitelist -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        (None, []),
        ("", []),
        (" , ,", []),
        ("mine.*", ["mine.*"]),
        (" mine.*,yours.models.* ,", ["mine.*", "yours.models.*"]),
    ],
)
def test_the_environment_allows_more_packages(
    monkeypatch: pytest.MonkeyPatch, value: str | None, patterns: list[str]
) -> None:
    monkeypatch.setenv(extensions.WHITELIST_VARIABLE, value or "")
    if value is None:
        monkeypatch.delenv(extensions.WHITELIST_VARIABLE)
    assert extensions.list_patterns() == []
    extensions.read_environment()
    assert (
        list(allowed.list_hydra_targets()[len(allowed.HYDRA_TARGETS) :])
        == extensions.list_patterns()
        == patterns
    )


@pytest.mark.parametrize("pattern", ["*", "mine", "mine*", "os.*, *", "mine.**", ".*"])
def test_a_pattern_that_is_no_package_is_refused(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setenv(extensions.WHITELIST_VARIABLE, pattern)
    extensions.read_environment()
    with pytest.raises(ConfigError, match="a pattern is a package"):
        extensions.list_patterns()


def test_the_project_s_own_configuration_allows_packages_and_an_override_of_it_does_not(
    project: Path, composed: Compose
) -> None:
    say(project, "whitelist: [mine.*]\n")
    assert extensions.list_patterns() == ["mine.*"]
    extensions.load(made(composed, "whitelist=[mine.*]"))
    assert own_modules.is_known("mine.models")
    assert not own_modules.is_known("minestrone")
    with pytest.raises(ConfigError, match=r"^whitelist = .* has no effect: no override"):
        extensions.load(made(composed, "whitelist=[mine.*,yours.*]"))


def made(composed: Compose, *overrides: str) -> Config:
    return check(composed("preprocessing=none", *overrides))


# --- loading -----------------------------------------------------------------------------------


def test_an_extension_adds_a_step_a_metric_a_slice_and_a_class(
    project: Path, composed: Compose
) -> None:
    say(project, "extensions: [steps_of_test.py]\n")
    assert "steps_of_test.*" in extensions.list_patterns()
    extensions.load(made(composed, "extensions=[steps_of_test.py]"))

    assert cleaning.Cleaner(first=["shout"], lower=False)("a b") == "A B"
    assert "always_one" in metrics.get_registered()
    assert "with_a_bang" in slices._REGISTERED
    import numpy as np

    settings = {"_target_": "steps_of_test.Ridge", "alpha": 2.0}
    assert instantiate.build("model", settings, np.random.RandomState(0)).alpha == 2.0
    assert own_modules.is_known("steps_of_test")
    assert own_modules.find_file("steps_of_test") == project / "steps_of_test.py"


def test_it_is_loaded_once_and_other_processes_find_it_by_its_name(project: Path) -> None:
    say(project, "extensions: [steps_of_test.py]\n")
    extensions.load_files()
    module = sys.modules["steps_of_test"]
    extensions.load_files()
    assert sys.modules["steps_of_test"] is module
    # Behind all others, so that it takes the place of none.
    assert sys.path[-1] == str(project)
    assert sys.path.count(str(project)) == 1


@pytest.mark.parametrize("path", ["../more/steps_of_test.py", "{tmp}/more/steps_of_test.py"])
def test_relative_paths_start_at_the_file_that_names_them(
    project: Path, tmp_path: Path, path: str
) -> None:
    (project.parent / "more").mkdir()
    (tmp_path / "more").mkdir()
    for folder in (project.parent, tmp_path):
        (folder / "more" / "steps_of_test.py").write_text(EXTENSION)
    say(project, f"extensions: [{path.format(tmp=tmp_path)}]\n")
    extensions.load_files()
    there = project.parent if path.startswith("..") else tmp_path
    assert sys.modules["steps_of_test"].__file__ == str(there / "more" / "steps_of_test.py")


def test_an_extension_may_import_what_is_beside_it(project: Path) -> None:
    (project / "helper_of_test.py").write_text("VALUE = 3\n")
    (project / "second_of_test.py").write_text("from helper_of_test import VALUE\n")
    say(project, "extensions: [second_of_test.py]\n")
    extensions.load_files()
    assert sys.modules["second_of_test"].VALUE == 3


def test_without_extensions_nothing_is_loaded_and_no_path_added(project: Path) -> None:
    before = list(sys.path)
    for text in ("", "seed: 1\n", "extensions:\n", "extensions: []\n", "- a\n"):
        say(project, text)
        extensions.load_files()
    assert sys.path == before
    assert "steps_of_test" not in sys.modules


def test_a_file_that_is_edited_is_read_anew(project: Path) -> None:
    say(project, "whitelist: [mine.*]\n")
    assert extensions.list_patterns() == ["mine.*"]
    say(project, "whitelist: [mine.*, yours.*]\n")
    assert extensions.list_patterns() == ["mine.*", "yours.*"]


# --- by whom -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config-dir", "own"],
        ["-cd", "own"],
        ["-cd=own"],
        ["--config-dir=./own"],
        ["-cd", "nowhere", "-cd", "own"],
    ],
)
def test_the_folder_of_config_dir_names_extensions_and_packages_too(
    project: Path, tmp_path: Path, composed: Compose, arguments: list[str]
) -> None:
    say(project, "whitelist: [mine.*]\n")
    own = say(tmp_path / "own", "extensions: [steps_of_own.py]\nwhitelist: [yours.*]\n")
    (own / "steps_of_own.py").write_text(EXTENSION)
    extensions.export_config_dir(["task=train", *arguments, "seed=1"])
    assert os.environ[CONFIG_DIR_VARIABLE] == str(own)
    assert extensions.list_patterns() == ["mine.*", "yours.*", "steps_of_own.*"]
    # The composed configuration has the project's alone.
    extensions.load(made(composed, "whitelist=[mine.*]"))
    assert own_modules.find_file("steps_of_own") == own / "steps_of_own.py"


@pytest.mark.parametrize("arguments", [[], ["--config-name", "own"], ["-cd"], ["+x=-cd"]])
def test_without_that_folder_none_is_kept_not_even_an_earlier_one(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv(CONFIG_DIR_VARIABLE, str(project))
    extensions.export_config_dir(arguments)
    assert CONFIG_DIR_VARIABLE not in os.environ


def test_a_folder_of_options_alone_needs_no_config_yaml(project: Path, tmp_path: Path) -> None:
    say(project, "whitelist: [mine.*]\n")
    (tmp_path / "own" / "model").mkdir(parents=True)
    extensions.export_config_dir(["--config-dir", "own"])
    assert extensions.list_patterns() == ["mine.*"]


def test_what_nobody_would_read_there_is_refused(project: Path, tmp_path: Path) -> None:
    say(project, "whitelist: [mine.*]\nseed: 3\n")
    say(tmp_path / "own", "extensions: []\nseed: 3\nmodel: {alpha: 1}\n")
    with pytest.raises(ConfigError) as caught:
        extensions.export_config_dir(["--config-dir", "own"])
    file = tmp_path / "own" / "config.yaml"
    assert str(caught.value).startswith(f"{file}: seed, model would have no effect.")
    assert "experiment/mine.yaml" in str(caught.value)
    extensions.export_config_dir(["--config-dir", str(project)])  # it is the project's


@pytest.mark.parametrize("value", ["[steps_of_test.py]", "[evil.py]"])
def test_no_override_names_code(project: Path, composed: Compose, value: str) -> None:
    say(project, "whitelist: []\n")
    with pytest.raises(ConfigError) as caught:
        extensions.load(made(composed, f"extensions={value}"))
    assert str(caught.value).startswith("extensions = ['")
    assert "has no effect: no override, preset or recorded run may name code." in str(caught.value)
    assert "steps_of_test" not in sys.modules


def test_no_override_takes_an_extension_away(project: Path, composed: Compose) -> None:
    say(project, "extensions: [steps_of_test.py]\n")
    with pytest.raises(ConfigError, match=r"^extensions = \[\] has no effect"):
        extensions.load(made(composed, "extensions=[]"))


# --- what cannot be loaded ---------------------------------------------------------------------


def test_a_file_that_is_not_there_is_named_with_where_it_is_looked_for(project: Path) -> None:
    say(project, "extensions: [sub/none.py]\n")
    assert refusal() == (
        f"extensions: there is no file {project}/sub/none.py. Relative paths start at the folder of"
        f" {project}/config.yaml."
    )


@pytest.mark.parametrize("name", ["my-steps.py", "steps.txt", "class.py", "1st.py", "a b.py"])
def test_a_name_that_cannot_be_imported_is_refused(project: Path, name: str) -> None:
    (project / name).write_text(EXTENSION)
    say(project, f"extensions: ['{name}']\n")
    assert refusal().startswith(f"extensions: {project}/{name} cannot be imported. Its name is")


@pytest.mark.parametrize("name", ["json", "tagifai", "sklearn", "pytest", "__main__", "this"])
def test_the_name_of_another_module_is_refused(project: Path, name: str) -> None:
    (project / f"{name}.py").write_text(EXTENSION)
    say(project, f"extensions: [{name}.py]\n")
    assert f"{project}/{name}.py has the name of another module" in refusal()
    assert str(project) not in sys.path


def test_two_files_of_one_name_are_refused(project: Path, tmp_path: Path) -> None:
    own = say(tmp_path / "own", "extensions: [steps_of_test.py]\n")
    (own / "steps_of_test.py").write_text(EXTENSION)
    say(project, "extensions: [steps_of_test.py]\n")
    extensions.export_config_dir(["--config-dir", "own"])
    message = refusal()
    assert message.startswith(f"extensions: {own}/steps_of_test.py has the name of another module")
    assert f"({project}/steps_of_test.py)" in message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("\nimport nowhere_to_be_found\n", "ModuleNotFoundError: No module named"),
        ("\nraise SystemExit(3)\n", "SystemExit: 3 (line 2)"),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero (line 2)"),
        ("def f(:\n", "SyntaxError: "),
        ("from tagifai.evaluation.metrics import metric\n@metric\ndef f1(y, p): ...\n",
         "ValueError: 'f1' cannot be the name of a metric"),
    ],
)  # fmt: skip
def test_a_file_that_fails_is_named_with_the_error_and_the_line(
    project: Path, code: str, said: str
) -> None:
    (project / "broken_of_test.py").write_text(code)
    say(project, "extensions: [broken_of_test.py]\n")
    message = refusal()
    assert message.startswith(f"extensions: {project}/broken_of_test.py cannot be loaded: {said}")
    assert "\n" not in message
    assert not own_modules.is_known("broken_of_test")


@pytest.mark.parametrize("key", ["extensions", "whitelist"])
@pytest.mark.parametrize("value", ["a.py", "{a: b}", "[1]", "3"])
def test_what_is_no_list_of_names_is_refused(project: Path, key: str, value: str) -> None:
    say(project, f"{key}: {value}\n")
    assert f"{project}/config.yaml: {key} = " in refusal()
    assert "is no list of names" in refusal()


def test_a_config_yaml_that_is_none_is_refused(project: Path) -> None:
    say(project, "a: [\n")
    assert refusal().startswith(f"{project}/config.yaml cannot be read as YAML: ")
