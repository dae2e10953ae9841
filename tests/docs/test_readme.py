"""The README's commands and examples work as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app import ROOT, App
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


SHOWN = {
    (): "0.80",
    ("model.C=0.5",): "0.60",
    ("vectorizer.char_ngram_max=3",): "0.76",
    ("vectorizer=tfidf_word",): "0.69",
    ("model=complement_nb",): "0.60",
}
"""The first overrides, and the test F1 that the README names for them."""


@pytest.mark.e2e
def test_the_first_overrides_show_the_scores_that_are_said_of_them(tmp_path: Path) -> None:
    text, app = (ROOT / "README.md").read_text(encoding="utf-8"), App(tmp_path)
    for overrides, score in SHOWN.items():
        assert f"uv run run.py {' '.join(overrides)}".strip() in text
        assert score in text
        said = app.ok(*overrides, "plots=none", "tracking=none")
        assert re.search(rf"^Score: +f1 = {score} on 135 test rows", said, re.MULTILINE), said
