from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tagifai.utils import program
from tagifai.utils.excerpts import make_visible


@pytest.fixture(autouse=True)
def not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was not begun by a command; what is set is put back afterwards."""
    ours = (program.PROGRAM_VARIABLE, program.COMMAND_VARIABLE, program.FOLDER_VARIABLE)
    for name in (*ours, program.SCRIPT_VARIABLE, "UV"):
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
    found = {"tagifai": "/venv/bin/tagifai", "python": f"{Path(sys.executable).parent}/python"}
    monkeypatch.setattr(shutil, "which", found.get)
    program.export_command([path, "task=train"])
    assert program.format_call() == plain
    assert program.format_call("task=info", "a b=c") == f"{plain} task=info 'a b=c'"
    monkeypatch.setenv("UV", "uv")
    assert program.format_call() == by_uv


@pytest.mark.parametrize("by_uv", [False, True])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../my run.py", ["PYTHON", "../my run.py"]),
        ("/venv/bin/tagifai", ["PLACE"]),
        ("/venv/lib/tagifai/__main__.py", ["PYTHON", "-m", "tagifai"]),
    ],
)
def test_a_command_is_repeated_in_any_folder_by_any_process_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, words: list[str], by_uv: bool
) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    program.export_command(
        [path, "-m", "data.text=[a,b]", "model=sgd,sgd_huber", "data.path=a b.csv"]
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/worker.py"])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    if by_uv:
        monkeypatch.setenv("UV", "uv")
    folder_given, _, command = program.format_repetition(program.get_command()).partition(" && ")
    assert shlex.split(folder_given) == ["cd", str(folder)]
    # What uv runs is found by it; else by its path, where no shell finds its name.
    long = {"PYTHON": sys.executable, "PLACE": "/venv/bin/tagifai"}
    found = {"PYTHON": "python", "PLACE": "tagifai"} if by_uv else long
    expected = [found.get(word, word) for word in words]
    if by_uv and path.endswith("run.py"):
        expected = expected[1:]
    given = ["-m", "data.text=[a,b]", "model=sgd,sgd_huber", "data.path=a b.csv"]
    assert shlex.split(command) == [*(["uv", "run"] if by_uv else []), *expected, *given]


def test_a_program_that_a_new_shell_would_not_find_is_repeated_by_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program.export_command(["/venv/bin/tagifai", "task=info"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/other/{name}")
    assert program.format_repetition("tagifai task=info").endswith("&& /venv/bin/tagifai task=info")
    assert program.format_call("task=info") == "/venv/bin/tagifai task=info"
    python = Path(sys.executable)
    monkeypatch.setattr(shutil, "which", lambda name: str(python.parent / name))
    program.export_command(["run.py"])
    command = program.format_repetition("run.py seed=1").partition(" && ")[2]
    assert command == program.format_call("seed=1") == "python run.py seed=1"
    monkeypatch.setattr(shutil, "which", lambda name: f"/other/{name}")
    assert program.format_call("seed=1") == f"{python} run.py seed=1"


def test_a_command_for_another_configuration_names_that_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(program.CONFIG_DIR_VARIABLE, "/old")
    assert program.format_call("seed=1") == "tagifai --config-dir /old seed=1"
    assert program.format_call("--config-dir", "new") == "tagifai --config-dir new"


@pytest.mark.e2e
@pytest.mark.parametrize("text", ["a\xa0b", "it's \\n\n\t\x1b", "caf\udce9", "\u202e é €"])
def test_a_command_that_is_shown_and_pasted_says_the_same(text: str) -> None:
    shown = make_visible(program.format_call(f"data.label={text}"))
    script = f'tagifai() {{ printf %s "$1"; }}; {shown}'
    pasted = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert os.fsdecode(pasted.stdout) == f"data.label={text}"
