"""Pages of documentation: links, what is made from the code, quoted messages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
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


def test_the_design_names_every_module() -> None:
    modules = {path.stem for path in (ROOT / "tagifai").glob("*.py")} - {"__init__"}
    layout = (DOCS / "design.md").read_text(encoding="utf-8")
    assert {name for name in modules if f"`{name}`" not in layout} == set()


def test_every_benchmark_is_on_its_page_and_in_its_list() -> None:
    folder = ROOT / "tests" / "benchmarks"
    programs = [path for path in folder.glob("*.py") if "__main__" in path.read_text()]
    names = [path.stem for path in programs if not path.name.startswith("plain")]
    assert names
    for page in (folder / "README.md", DOCS / "benchmarks.md"):
        text = page.read_text(encoding="utf-8")
        assert [name for name in names if f"-m tests.benchmarks.{name}" not in text] == [], page


@pytest.mark.e2e
def test_bash_completes_options_by_the_documented_line() -> None:
    line = re.findall(r'^eval ".*"$', (DOCS / "completion.md").read_text(), re.MULTILINE)[0]
    script = (
        f'PATH={Path(sys.executable).parent}:"$PATH"; {line}; COMP_LINE="python run.py model=sgd_";'
        " COMP_POINT=${#COMP_LINE}; COMP_CWORD=2; hydra_bash_completion; printf '%s\\n'"
        ' "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["model=sgd_averaged", "model=sgd_elasticnet", "model=sgd_huber"]
