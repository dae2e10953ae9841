"""Applications that the tests of tasks begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app import App
from tests.showcase import Showcase


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, showcase: Showcase) -> App:
    """An application with one finished, tracked run, whose record tests leave as it is."""
    return showcase.copy("run", tmp_path_factory.mktemp("trained"))


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    """An application without runs, whose data and databases are made."""
    return showcase.prepare(tmp_path)
