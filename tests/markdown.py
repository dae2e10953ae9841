"""Pages in Markdown: their blocks of code, which are run as written, and their links."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.app import ROOT, TIMEOUT_SECONDS, environment, forked

GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

# Blocks of `sh` are for reading: servers, a download and runs on it, searches of minutes, what is
# installed, clusters and benchmarks.
NEED_MORE = (
    *(
        "mlflow ui",
        "mlflow models",
        "MLFLOW_TRACKING_URI=",
        "task=serve",
        "curl ",
        "TAGIFAI_TOKEN=",
    ),
    *("data=madewithml", "experiment=reference", "-m sweep=", "pip install", "-m tests."),
    *("-sc install=", "activate", "compinit", "task.apply=true", "task=rollback"),
    *("git ", "conda ", "export TAGIFAI_TOKEN="),
    # An encoder that is installed apart.
    *("vectorizer=tfidf_embedding", "vectorizer=embedding", "experiment=best_embedding"),
)

OF_ONE_S_OWN = {
    "def mask_numbers": "first=[mask_numbers]",
    "class Doubtful": "_target_=my_steps.Doubtful",
    "def kappa": "val_kappa = ",
    "def mentions_bert": "mentions_bert",
}
"""What a block adds to an extension, and what the next block's command then shows."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Args:
        page: where it is.
        kind: the word behind the fence.
        text: what is in it.
        shows: what its commands have to show, because of the block before it.
    """

    page: Path
    kind: str
    text: str
    shows: str = ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.text.splitlines()[0][:50]}"


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    found = re.findall(
        r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    made: list[Block] = []
    for kind, text in found:
        before = re.findall(r"^(?:class|def) \w+", made[-1].text, re.M) if made else []
        shows = OF_ONE_S_OWN[before[0]] if before and made[-1].text.startswith("# conf/") else ""
        made.append(Block(page, kind, text, shows))
    return made


def prose(page: Path) -> str:
    """Return a page without its blocks of code and what is code in a line."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> list[str]:
    """Return the names that GitHub gives to a page's headings."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    names: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        same = sum(re.fullmatch(re.escape(name) + r"(-\d+)?", other) is not None for other in names)
        names.append(f"{name}-{same}" if same else name)
    return names


def copy_project(folder: Path) -> Path:
    """Copy the project, so that commands may write to it."""
    for name in ("conf", "tagifai"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "run.py", folder / "run.py")
    choices = folder / "conf" / "choices.yaml"
    # Drawing takes longer than most of the trainings.
    choices.write_text(choices.read_text().replace("plots: default", "plots: none"))
    (folder / "outputs").mkdir()
    return folder


def define(project: Path, block: Block) -> bool:
    """Write the file of the configuration that a block is, and return whether it is one."""
    named = re.match(r"# (conf/\S+)( \(this line of it\))?\n", block.text)
    if named is None:
        return False
    file, content = project / named[1], block.text.removeprefix(named[0])
    if named[2]:
        key = content.partition(":")[0]
        text, times = re.subn(rf"^{key}:.*\n", content, file.read_text(), flags=re.M)
        assert times == 1
        file.write_text(text)
        (file.parent / "my_steps.py").touch()  # which the next blocks write to
    elif block.kind == "yaml":
        file.write_text(content)
    else:
        with file.open("a") as extension:
            extension.write("\n\n" + block.text)
    return True


def check(project: Path, block: Block) -> None:
    """Do what a block says, and look at what comes of it."""
    if define(project, block):
        return
    if block.kind == "python":
        program = project / "example.py"
        program.write_text(block.text)
        assert len(run(project, f"{sys.executable} example.py").splitlines()) == 2
    elif block.kind == "pycon":
        assert block.page.name == "python.md"  # run by the tests of what it is about
    elif block.kind == "bash":
        for command in commands(block.text):
            assert block.shows in run(project, here(command))
    else:
        assert block.kind in ("sh", "text")
        shown = commands(block.text) if block.kind == "sh" else []
        assert [c for c in shown if not any(part in c for part in NEED_MORE)] == []


def commands(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def calls(command: str) -> list[list[str]]:
    """Return the arguments of each call of the application in a command of the shell."""
    words = shlex.shlex(command, posix=True, punctuation_chars="|<>;&()")
    words.whitespace_split = True
    found: list[list[str]] = []
    inside = False
    for word in words:
        if word == "run.py":
            found.append([])
            inside = True
        elif set(word) <= set("|<>;&()"):
            inside = False
        elif inside:
            found[-1].append(word)
    return found


def here(command: str) -> str:
    """The command in the environment that the tests run in."""
    command = command.replace("pip install uv && ", "")
    return command.replace("uv run run.py", f"{sys.executable} run.py")


def run(project: Path, command: str) -> str:
    """Run a command in a project and return what it shows; a plain one in a fork, for speed."""
    variables = environment({"PATH": os.environ["PATH"]})
    plain = f"{sys.executable} run.py "
    if f"{command} ".startswith(plain) and not re.search(r"[|<>;&$`~*]", command):
        words = shlex.split(command)[2:]
        done = forked([str(project / "run.py"), *words], project, variables)
    else:
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=project,
            env=variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    # Hydra says there what it launches in a sweep; all else would be a complaint.
    said = [
        line for line in done.stderr.splitlines() if not line.startswith(("Launching", "    #"))
    ]
    assert said == [], command
    return done.stdout
