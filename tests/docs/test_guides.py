"""The guides in docs/: all commands compose, and one block a page is run as written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from tagifai.config.arguments import quote
from tagifai.config.schema import check as check_configuration
from tests.app import ROOT, SMALL
from tests.markdown import (
    GUIDES,
    PAGES,
    Block,
    blocks,
    calls,
    check,
    commands,
    copy_project,
    define,
    here,
    run,
)

MADE_BY_A_SEARCH = ("experiment=quick-sample",)
"""Presets that are there once the command before has been run."""


def named(page: Path) -> str:
    return page.stem


# --- all compose -------------------------------------------------------------------------------


WITH_COMMANDS = [page for page in PAGES if any(b.kind == "bash" for b in blocks(page))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=named)
def test_the_commands_of_a_page_compose(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for block in blocks(page):
        if block.kind in ("yaml", "python"):
            define(tmp_path, block)
        elif block.kind == "bash":
            for command in commands(block.text):
                for arguments in calls(command):
                    compose_all(tmp_path / "conf", arguments)


def compose_all(conf: Path, arguments: list[str]) -> None:
    """Compose a command, with the first and with the last of the values that it goes over."""
    if any(made in arguments for made in MADE_BY_A_SEARCH):
        return
    words = [quote(word) for word in arguments if not word.startswith("-") and word != "job"]
    parsed = OverridesParser.create().parse_overrides(words)
    with initialize_config_dir(str(conf)):
        for place in {0, -1} if any(o.is_sweep_override() for o in parsed) else {0}:
            cfg = compose("config", overrides=[plain(override, place) for override in parsed])
            check_configuration(cfg)


def plain(override: Override, place: int) -> str:
    """Return an override with one of the values that it goes over."""
    if not override.is_sweep_override():
        return str(override.input_line)
    key = override.get_key_element()
    if override.is_discrete_sweep():
        return f"{key}={[*override.sweep_string_iterator()][place]}"
    between = override.value()
    assert isinstance(between, IntervalSweep)
    return f"{key}={(between.start, between.end)[place]}"


def test_a_command_that_does_not_compose_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(ROOT))
    with pytest.raises(HydraException, match="alhpa"):
        compose_all(ROOT / "conf", ["model.alhpa=1"])


def test_arguments_are_those_that_the_shell_gives() -> None:
    line = "printf 'a; b\\n' | uv run run.py task=predict 'data.text=[a,b]' task.text=\"c & d\" > x"
    assert calls(line) == [["task=predict", "data.text=[a,b]", "task.text=c & d"]]


# --- one a page is run -------------------------------------------------------------------------


def chosen(page: Path) -> list[Block]:
    """Return the blocks that are run: the page's first, definitions with what they do, programs."""
    found: list[Block] = []
    for block in blocks(page):
        first = block.kind == "bash" and not any(b.kind == "bash" for b in found)
        if block.kind != "bash" or block.shows or first:
            found.append(block)
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a run in it, which most guides begin with."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    run(folder, here(f"uv run run.py {' '.join(SMALL)}"))
    return folder


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("block", [b for page in GUIDES for b in chosen(page)], ids=str)
def test_a_block_works_as_written(project: Path, block: Block) -> None:
    check(project, block)
