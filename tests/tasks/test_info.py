"""task=info end to end."""

from __future__ import annotations

import re

from tests.app import App


def test_info_names_what_there_is(trained: App) -> None:
    output = trained.ok("task=info")

    assert trained.run_id() in output
    assert re.search(r"^Data sets: +sample: \d+ rows$", output, re.M)
    assert str(trained.stores) in output
    assert "scikit-learn" in output
