"""The commands and examples of the guides in docs/ work as written, those of each by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app import SMALL
from tests.markdown import GUIDES, Block, blocks, check, copy_project, here, run

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a run in it, which most guides begin with."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    run(folder, here(f"uv run run.py {' '.join(SMALL)}"))
    return folder


@pytest.mark.e2e
@pytest.mark.parametrize("block", [block for page in GUIDES for block in blocks(page)], ids=str)
def test_a_block_works_as_written(project: Path, block: Block) -> None:
    check(project, block)
