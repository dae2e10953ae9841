from __future__ import annotations

import shlex
import sys

import pytest

from tagifai.utils import program


@pytest.fixture(autouse=True)
def not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was not begun by a command; what is set is put back afterwards."""
    ours = (program.PROGRAM_VARIABLE, program.COMMAND_VARIABLE, program.FOLDER_VARIABLE)
    for name in (*ours, "UV"):
        # What is set is put back; what is deleted without having been there would stay as it is.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


CALLED = [
    ("/venv/bin/tagifai", "tagifai"),
    ("C:/venv/Scripts/tagifai.exe", "tagifai"),
    ("/venv/lib/tagifai/__main__.py", "python -m tagifai"),
    ("/project/run.py", "run.py"),
    ("my run.py", "'my run.py'"),
]


@pytest.mark.parametrize(("path", "name"), CALLED)
def test_a_command_is_named_as_it_was_typed(path: str, name: str) -> None:
    program.export_command([path, "-m", "task.text=a, b"])
    assert program.get_name() == name
    assert program.get_command() == f"{name} -m 'task.text=a, b'"
    assert program.format_command("data.tags=it's.csv") == f"{name} 'data.tags=it'\"'\"'s.csv'"
    assert shlex.split(program.get_command())[-2:] == ["-m", "task.text=a, b"]


def test_where_no_command_was_typed_it_is_the_installed_one_with_what_stands_for_it() -> None:
    assert program.get_name() == program.get_command() == "tagifai"
    assert program.get_command(["seed=1", "data.path=a b"]) == "tagifai seed=1 'data.path=a b'"


@pytest.mark.parametrize(
    ("path", "plain", "by_uv"),
    [
        ("../my run.py", "python '../my run.py'", "uv run '../my run.py'"),
        ("/venv/bin/tagifai", "tagifai", "uv run tagifai"),
        ("/venv/lib/tagifai/__main__.py", "python -m tagifai", "uv run python -m tagifai"),
    ],
)
def test_a_call_can_be_typed_here_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, path: str, plain: str, by_uv: str
) -> None:
    monkeypatch.setattr(sys, "argv", [path, "task=train"])
    program.export_command(sys.argv)
    assert program.format_call() == plain
    assert program.format_call("task=info", "a b=c") == f"{plain} task=info 'a b=c'"
    monkeypatch.setenv("UV", "uv")
    assert program.format_call() == by_uv
