"""What is refused before the libraries of a task are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tagifai import cli
from tests.app import App


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=evaluate", "task.run_id=nobody"], "There is no run 'nobody' with a model in"),
        (["task=errors", "task.run_id=0123abcd", "tracking=none"], "There is no run '0123abcd'"),
        (["task=evaluate", "task.data=no.csv"], "no.csv cannot be read: No such file or directory"),
        (["task=predict", "task.input=no.csv"], "no.csv cannot be read: No such file or directory"),
        (["task=serve", "task.token_file=no"], "no cannot be read: No such file or directory"),
        (
            ["vectorizer=embedding", "vectorizer.encoder=none-such"],
            "There is no encoder 'none-such'",
        ),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    def load(_: Any) -> Any:
        pytest.fail("The libraries were loaded.")

    monkeypatch.setattr(cli, "import_task", load)
    done = App(tmp_path).run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
