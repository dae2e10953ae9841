from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from tagifai.utils import environment
from tagifai.utils.environment import keep_variables


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, whatever the user's own settings are."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "file").write_text("a")
    git(root, "init", "-q")
    git(root, "add", "file")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    return root


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def test_versions_are_those_that_are_installed() -> None:
    found = environment.get_versions()
    assert list(found) == ["python", "tagifai", "scikit-learn", "numpy", "scipy"]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == version("numpy")


def test_versions_of_all_that_decides_a_training_are_told_on_request() -> None:
    found = environment.get_versions(environment.ALL_LIBRARIES)
    assert found.items() > environment.get_versions().items()
    more = ["pandas", "imbalanced-learn", "nltk", "snorkel"]
    assert list(found) == [*environment.get_versions(), *more]
    assert found["nltk"] == version("nltk")


@pytest.mark.e2e
def test_a_clean_checkout_has_its_commit_and_is_not_dirty(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD").strip()
    assert len(commit) == 40
    assert environment.read_git_state(checkout) == {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.dirty": "false",
    }


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["file", "new"])
def test_a_changed_and_a_new_file_make_it_dirty(checkout: Path, name: str) -> None:
    (checkout / name).write_text("b")
    assert environment.read_git_state(checkout)["mlflow.source.git.dirty"] == "true"


@pytest.mark.e2e
def test_what_is_no_checkout_or_has_no_commit_has_no_state(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    assert environment.read_git_state(tmp_path / "plain") == {}
    assert environment.read_git_state(tmp_path / "nowhere") == {}
    git(tmp_path / "plain", "init", "-q")
    assert environment.read_git_state(tmp_path / "plain") == {}


@pytest.mark.e2e
def test_without_git_there_is_no_state(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert environment.read_git_state(checkout) == {}


@pytest.mark.e2e
def test_a_git_that_hangs_is_given_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: object) -> None:
        assert timeout <= 10
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert environment.read_git_state(checkout) == {}


HOSTILE = {
    "core.fsmonitor": "touch {marker}; false",
    "core.hooksPath": "{hooks}",
    "core.pager": "touch {marker}",
    "core.sshCommand": "touch {marker}",
    "diff.external": "touch {marker}",
    "filter.evil.clean": "touch {marker}; cat",
    "filter.a=b.clean": "touch {marker}; cat",
    "filter.\u2028c.process": "touch {marker}; cat",
}
"""Settings of a repository that are commands."""


@pytest.mark.e2e
@pytest.mark.parametrize("key", HOSTILE)
def test_no_setting_of_a_repository_is_run(checkout: Path, tmp_path: Path, key: str) -> None:
    marker, hooks = tmp_path / "marker", tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "query-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    git(checkout, "config", key, HOSTILE[key].format(marker=marker, hooks=hooks))
    git(checkout, "config", "filter.evil.required", "true")
    name = key.split(".")[1] if key.startswith("filter") else "evil"
    (checkout / ".gitattributes").write_text(f'"*" "filter={name}"\n* filter={name}\n')
    (checkout / "file").touch()  # of another time, so that its content is compared
    (checkout / "file").write_text("b")
    marker.unlink(missing_ok=True)
    assert environment.read_git_state(checkout)["mlflow.source.git.dirty"] == "true"
    assert not marker.exists()


@pytest.mark.e2e
def test_no_variable_of_git_s_counts(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {marker}; false")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {marker}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert environment.read_git_state(checkout)["mlflow.source.git.dirty"] == "false"
    assert not marker.exists()


@pytest.mark.e2e
def test_a_module_of_the_repository_is_not_looked_into(checkout: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    git(checkout, "init", "-q", "inner")
    inner = checkout / "inner"
    (inner / "file").write_text("a")
    git(inner, "add", "file")
    git(inner, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    git(checkout, "add", "inner")
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "second")
    git(inner, "config", "filter.evil.clean", f"touch {marker}; cat")
    (inner / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    (inner / "file").write_text("b")
    assert environment.read_git_state(checkout)["mlflow.source.git.dirty"] == "false"
    assert not marker.exists()


def change_and_fail() -> None:
    with keep_variables(["TAGIFAI_A", "TAGIFAI_B"]):
        del os.environ["TAGIFAI_A"]
        os.environ["TAGIFAI_B"] = "2"
        raise ValueError("no")


def test_variables_are_put_back_whatever_a_block_does_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGIFAI_A", "1")
    monkeypatch.delenv("TAGIFAI_B", raising=False)
    with pytest.raises(ValueError, match="no"):
        change_and_fail()
    assert os.environ["TAGIFAI_A"] == "1"
    assert "TAGIFAI_B" not in os.environ
