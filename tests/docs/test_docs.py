"""Pages of documentation: links, what is made from the code, quoted messages."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import get_type_hints

import pytest

from tagifai.config.schema import SCHEMA_CLASSES, Config
from tagifai.sweeping.sweeper import SearchSweeperConfig
from tests import option_pages
from tests.app import ROOT, environment
from tests.conftest import Compose
from tests.markdown import PAGES, anchors, links
from tests.option_pages import COMMAND, DOCS, EXAMPLES, WITHOUT_GROUP
from tests.parameters import undocumented

TROUBLE = DOCS / "troubleshooting.md"
ARCHITECTURE = DOCS / "architecture.md"
VALUE = "\0"
"""What stands for a value in a text of the source code."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not _leads_somewhere(page, target)] == []


def _leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"https?://", target):
        return True
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    inside = file.is_relative_to(ROOT) and file.is_file()
    return inside and (not anchor or anchor in anchors(file))


def test_a_link_to_a_heading_that_is_not_there_is_found() -> None:
    assert not _leads_somewhere(ROOT / "README.md", "docs/search.md#no-such-heading")
    assert not _leads_somewhere(ROOT / "README.md", "docs/nowhere.md")
    assert _leads_somewhere(ROOT / "README.md", "docs/search.md#pruning")


def test_anchors_are_as_github_makes_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A *b*, `c_d`!\n\n```sh\n# no heading\n```\n\n## Twice\n\n## Twice\n")
    assert anchors(page) == ["a-b-c_d", "twice", "twice-1"]


def test_the_index_leads_to_every_guide() -> None:
    guides = {path.name for path in DOCS.glob("*.md")} - {"index.md"}
    assert guides <= set(links(DOCS / "index.md"))
    assert {f"docs/{name}" for name in guides} <= set(links(ROOT / "README.md"))
    assert {"CONTRIBUTING.md", "CHANGELOG.md"} <= set(links(ROOT / "README.md"))


# --- pages that are made -----------------------------------------------------------------------


def test_pages_of_tasks_and_groups_are_those_that_the_code_makes() -> None:
    made = option_pages.pages()
    there = {*(DOCS / "tasks").glob("*.md"), *(DOCS / "groups").glob("*.md")}
    there.add(DOCS / "configuration.md")
    stale = [
        named(path)
        for path in sorted({*made, *there})
        if path not in made or not path.exists() or path.read_text(encoding="utf-8") != made[path]
    ]
    assert stale == [], f"Make them again: uv run {COMMAND}"


def test_every_parameter_says_what_it_means() -> None:
    others = {get_type_hints(Config)[name] for name in WITHOUT_GROUP}
    assert undocumented({*SCHEMA_CLASSES.values(), *others, SearchSweeperConfig} - {Config}) == []


def test_every_task_has_examples_that_compose(composed: Compose) -> None:
    tasks = {path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")}
    assert set(EXAMPLES) == tasks
    for examples in EXAMPLES.values():
        for arguments in examples:
            # As the command line does with a text.
            plain = re.sub(r'task\.text="[^"]*"', "task.text=a", arguments)
            composed(*plain.split())


def test_an_option_has_a_page_with_its_name() -> None:
    for folder in sorted(path for path in (ROOT / "conf").iterdir() if path.is_dir()):
        if folder.name == "hydra":
            continue
        for option in folder.glob("*.yaml"):
            page = "tasks/" + option.stem if folder.name == "task" else f"groups/{folder.name}"
            assert option.stem in (DOCS / f"{page}.md").read_text(), option


# --- messages ----------------------------------------------------------------------------------


def quoted() -> list[str]:
    """Return the messages that are the headings of the troubleshooting page."""
    found = re.findall(r"^### (`+)(.*)\1$", TROUBLE.read_text(encoding="utf-8"), re.MULTILINE)
    return [message for _, message in found]


@cache
def texts() -> tuple[str, ...]:
    """Return all texts of the source code, with `VALUE` for what is put into them."""
    found: list[str] = []
    for file in sorted((ROOT / "tagifai").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else VALUE for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(" ".join(text.split()) for text in found)


@pytest.mark.parametrize("message", quoted(), ids=lambda message: message[:60])
def test_a_quoted_message_is_one_of_the_source_code(message: str) -> None:
    pattern = ".*".join(map(re.escape, message.split("…")))
    assert any(re.search(pattern, text) for text in texts()), message


def test_a_message_that_nobody_says_is_found() -> None:
    with pytest.raises(AssertionError):
        test_a_quoted_message_is_one_of_the_source_code("There is … such message anywhere.")


def test_no_message_is_quoted_twice() -> None:
    assert len(quoted()) == len(set(quoted())) > 50


# --- the rest ----------------------------------------------------------------------------------


PACKAGE = ROOT / "tagifai"


def test_the_architecture_has_the_packages_in_the_order_of_their_floors() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    rows = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    assert packages <= set(rows)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors = next(c["layers"] for c in contract["contracts"] if c["id"] == "floors")
    names = [name for floor in reversed(floors) for name in re.findall(r"\w+", floor)]
    assert [name for name in names if name in rows] == rows


def test_what_the_architecture_names_is_in_the_code() -> None:
    names = re.findall(r"`([a-z]\w*(?:\.\w+)+)`", ARCHITECTURE.read_text(encoding="utf-8"))
    parts = {path.stem for path in PACKAGE.iterdir()} - {"tagifai"}
    inside = [name for name in names if name.split(".")[0] in parts]
    assert len(inside) > 30
    assert [name for name in inside if not _is_defined(name)] == []


def test_a_name_that_is_not_in_the_code_is_found() -> None:
    assert _is_defined("models.tagger.Tagger.predict")
    assert not _is_defined("models.tagger.Tagger.guess")
    assert not _is_defined("models.nowhere")


def _is_defined(name: str) -> bool:
    """Return whether a name is a package, module, class, function or method of the code."""
    path, names = PACKAGE, name.split(".")
    while names and (path / names[0]).is_dir():
        path /= names.pop(0)
    file = path / f"{names.pop(0)}.py" if names else path / "__init__.py"
    if not file.is_file():
        return False
    body = ast.parse(file.read_text(encoding="utf-8")).body
    for wanted in names:
        kinds = (ast.ClassDef, ast.FunctionDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == wanted]
        if not found:
            return False
        body = found[0].body
    return True


def test_files_that_contributors_are_sent_to_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:conf|docs|tagifai|tests)/[\w/]+\.(?:md|py|yaml)\b", text))
    made = {name for name in named if Path(name).stem in ("labels", "test_labels", "lasso")}
    assert len(made) == 5
    assert {name for name in named - made if not (ROOT / name).is_file()} == set()


def test_every_benchmark_is_on_its_page_and_in_its_list() -> None:
    folder = ROOT / "tests" / "benchmarks"
    programs = [path for path in folder.glob("*.py") if "__main__" in path.read_text()]
    names = [path.stem for path in programs if not path.name.startswith("plain")]
    assert names
    for page in (folder / "README.md", DOCS / "benchmarks.md"):
        text = page.read_text(encoding="utf-8")
        assert [name for name in names if f"-m tests.benchmarks.{name}" not in text] == [], page


SGD_OPTIONS = [f"model=sgd_{name}" for name in ("averaged", "elasticnet", "huber", "reference")]


@pytest.mark.e2e
@pytest.mark.parametrize("command", ["tagifai", "python run.py"])
def test_bash_completes_options_by_the_documented_line(command: str) -> None:
    lines = re.findall(r'^eval ".*"$', (DOCS / "completion.md").read_text(), re.MULTILINE)
    (line,) = [line for line in lines if f"$({command} -sc" in line]
    script = (
        f'PATH={Path(sys.executable).parent}:"$PATH"; {line}; COMP_LINE="{command} model=sgd_";'
        " COMP_POINT=${#COMP_LINE}; COMP_CWORD=$(($(wc -w <<< $COMP_LINE) - 1));"
        " hydra_bash_completion; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == SGD_OPTIONS


@pytest.mark.e2e
@pytest.mark.parametrize("command", [["tagifai"], ["python", "run.py"]])
def test_fish_is_told_the_command_and_hears_its_options(command: list[str]) -> None:
    path = str(Path(sys.executable).parent)
    variables = {"PATH": f"{path}:{os.environ['PATH']}"}

    def said(*arguments: str, **more: str) -> str:
        return subprocess.run(
            [f"{path}/{command[0]}", *command[1:], *arguments], cwd=ROOT,
            env=environment({**variables, **more}), capture_output=True, text=True, timeout=60,
            check=True,
        ).stdout  # fmt: skip

    assert f"complete -c {command[-1]} -x -a '(hydra_fish_completion)'" in said(
        "-sc", "install=fish"
    )
    found = said("-sc", "query=fish", COMP_LINE=f"{' '.join(command)} model=sgd_")
    assert found.split() == SGD_OPTIONS
    # In the place of `python run.py` it looks into the file whether there is anything to complete.
    assert "@hydra.main" in (ROOT / "run.py").read_text(encoding="utf-8")
