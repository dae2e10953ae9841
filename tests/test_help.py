"""The page of help, and what it loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app import ROOT, App


def test_help_is_a_page_of_tasks_groups_and_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV", raising=False)  # it would be named in the command
    output = App(tmp_path).ok("--help")

    for task in sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml")):
        assert re.search(rf"^  {task}  +\w", output, re.M)
    for group in sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir()):
        options = sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
        if options and group != "hydra":
            assert f"{group}: {', '.join(options)}" in output
    command = f"  python {ROOT / 'run.py'}"
    assert len(re.findall(rf"^{command}(?: |$)", output, re.MULTILINE)) == 6
    assert "schema" not in output
    # The lists of options are Hydra's own lines, one a group.
    lists = (command, *(f"{path.name}: " for path in (ROOT / "conf").iterdir()))
    ours = [line for line in output.splitlines() if not line.startswith(lists)]
    assert max(map(len, ours)) <= 100
