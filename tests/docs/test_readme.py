"""The README's commands and examples work as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app import ROOT
from tests.markdown import Block, blocks, check, copy_project

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that commands may write to."""
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.mark.e2e
@pytest.mark.parametrize("block", blocks(ROOT / "README.md"), ids=str)
def test_a_block_works_as_written(project: Path, block: Block) -> None:
    check(project, block)
