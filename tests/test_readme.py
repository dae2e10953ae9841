"""The README's commands and examples work as written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app import ROOT, TIMEOUT_SECONDS, environment

pytestmark = pytest.mark.usefixtures("unmeasured")

README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)

# Blocks of `sh` are for reading: servers, a download and runs on it, and searches of minutes.
NEED_MORE = (
    *("mlflow ui", "mlflow models", "MLFLOW_TRACKING_URI=", "task=serve"),
    *("data=madewithml", "experiment=reference", "-m sweep="),
)

REVIEWS = "title,body,stars\n" + "".join(
    f"Number {i},{text} indeed,{stars}\n"
    for i in range(20)
    for text, stars in (("It works well", 5), ("Broken in a week", 1))
)
"""The reader's own: a table of two classes."""


OF_ONE_S_OWN = {
    "tagifai/text.py": "first=[mask_numbers]",
    "tagifai/metrics.py": "Objective val_accuracy = ",
    "tagifai/slices.py": "slice mentions_bert",
}
"""Modules that a block adds a function to, and what the next block's command then shows."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that commands may write to."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("conf", "tagifai"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "run.py", folder / "run.py")
    (folder / "reviews.csv").write_text(REVIEWS)
    (folder / "tickets").mkdir()
    tickets = REVIEWS.replace("title,body,stars", "subject,body,team")
    (folder / "tickets" / "tickets.csv").write_text(tickets)
    return folder


def commands(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def here(command: str) -> str:
    """The command in the environment that the tests run in."""
    command = command.replace("pip install uv && ", "")
    return command.replace("uv run run.py", f"{sys.executable} run.py")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_works_as_written(project: Path, number: int) -> None:
    kind, text = BLOCKS[number]
    named = re.match(r"# ((conf|tagifai)/\S+)\n", text)
    if named and kind == "yaml":
        (project / named[1]).write_text(text.removeprefix(named[0]))
        assert (project / named[1]).stat().st_size > 0
    elif named and kind == "python":
        with (project / named[1]).open("a") as file:
            file.write("\n\n" + text)
        assert OF_ONE_S_OWN[named[1]]
    elif kind == "python":
        program = project / "example.py"
        program.write_text(text)
        assert len(run(project, f"{sys.executable} example.py").splitlines()) == 2
    elif kind == "bash":
        for command in commands(text):
            assert shown_by(number) in run(project, here(command))
    else:
        assert kind in ("sh", "text")
        shown = commands(text) if kind == "sh" else []
        assert [c for c in shown if not any(part in c for part in NEED_MORE)] == []


def shown_by(number: int) -> str:
    """What a block's commands must show, because of the block before it."""
    before = re.match(r"# (tagifai/\S+)\n", BLOCKS[number - 1][1])
    return OF_ONE_S_OWN[before[1]] if before else ""


def run(project: Path, command: str) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=project,
        env=environment({"PATH": os.environ["PATH"]}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    # Hydra says there what it launches in a sweep; all else would be a complaint.
    said = [line for line in done.stderr.splitlines() if not line.startswith(("Launching", "\t#"))]
    assert said == [], command
    return done.stdout


def test_the_readme_names_every_option_of_every_group() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", README, flags=re.MULTILINE))
    for group in sorted(path for path in (ROOT / "conf").iterdir() if path.is_dir()):
        if group.name in ("hydra", "task"):
            continue
        options = {path.stem for path in group.glob("*.yaml")}
        # Any class by its name, which is no file.
        custom = {"custom"} if group.name in ("model", "vectorizer") else set()
        assert options | custom == set(re.findall(r"`(\w+)`", rows[group.name]))


def test_the_readme_names_every_module() -> None:
    modules = {path.stem for path in (ROOT / "tagifai").glob("*.py")} - {"__init__"}
    layout = README[README.index("## Layout of the code") :]
    assert {name for name in modules if f"`{name}`" not in layout} == set()


def test_the_readme_names_every_task() -> None:
    tasks = {path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")}
    named = re.findall(r"^\| `(\w+)` \|", README[README.index("## Tasks") :], flags=re.MULTILINE)
    assert tasks <= set(named)
