from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tagifai.console import logs
from tests.app import ROOT

HOSTILE = "a\n2026-01-01 00:00:00,000 INFO forged | x\x1b]0;t\x07\x9b2J\r\u202e\u2028"
SHOWN = r"a\n2026-01-01 00:00:00,000 INFO forged | x\x1b]0;t\x07\x9b2J\r\u202e\u2028"


def record(message: str, *arguments: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("tagifai", logging.INFO, "x", 1, message, arguments, info)
    made.exc_text = "kept by another handler: \x1b"
    return logs.LineFormatter("%(levelname)s %(message)s").format(made)


def test_a_message_is_one_line_whatever_is_in_it() -> None:
    assert record("label %s", HOSTILE) == f"INFO label {SHOWN}"


def test_what_is_indented_by_tabs_stays_indented() -> None:
    assert record("\t#0 : seed=1") == "INFO     #0 : seed=1"


def test_no_line_of_a_traceback_looks_like_one_of_the_log() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        first, *lines = record("It failed.", error=error).split("\n")
    assert first == "INFO It failed."
    assert all(line.startswith("    ") for line in lines)
    assert not {"\x1b", "\r", "\x9b", "\u2028"} & {*"".join(lines)}


def test_a_password_is_in_no_line() -> None:
    assert "secret1" not in record("from https://me:secret1@host/x")


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    logs.secure_hooks()


@pytest.mark.parametrize("name", ["job_logging", "hydra_logging"])
def test_all_that_is_logged_goes_through_this_formatter(name: str) -> None:
    content = yaml.safe_load((ROOT / "conf/hydra" / name / "tagifai.yaml").read_text())
    made = {formatter["class"] for formatter in content["formatters"].values()}
    assert made == {"tagifai.console.logs.LineFormatter"}


@pytest.mark.usefixtures("hooks")
def test_a_warning_is_shown_with_nothing_that_steers() -> None:
    shown = warnings.formatwarning(UserWarning(HOSTILE), UserWarning, "x.py", 1, "line")
    assert SHOWN in shown.replace("\n  ", r"\n")
    assert all(line.startswith("  ") for line in shown.splitlines()[1:])


@pytest.mark.usefixtures("hooks")
def test_a_traceback_is_shown_with_nothing_that_steers(capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(ValueError, ValueError(HOSTILE), None)
    shown = capsys.readouterr().err
    assert SHOWN in shown.replace("\n  ", r"\n")
    assert all(line.startswith("  ") for line in shown.splitlines()[1:])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_log_on_a_full_disk_ends_with_one_warning_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = logs.RunLog("/dev/full")
    for number in range(3):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    handler.close()
    assert capsys.readouterr() == ("", "")
    logs.warn_of_lost_logs()
    logs.warn_of_lost_logs()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "WARNING: The log is not complete. /dev/full cannot be written: the disk is full ("
    )


def test_a_log_has_its_lines_in_utf_8_and_is_not_made_before_the_first(tmp_path: Path) -> None:
    handler = logs.RunLog(str(tmp_path / "run.log"))
    assert not (tmp_path / "run.log").exists()
    handler.handle(logging.makeLogRecord({"msg": "gr\u00fcn \ud800"}))
    handler.close()
    assert (tmp_path / "run.log").read_bytes() == b"gr\xc3\xbcn \\ud800\n"


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[logs.RunLog]:
    """A handler of the root logger that writes a log of its own."""
    made = logs.RunLog(str(tmp_path / "run.log"))
    logging.getLogger().addHandler(made)
    yield made
    logging.getLogger().removeHandler(made)
    made.close()


def test_a_trial_of_a_search_writes_a_log_of_its_own(handler: logs.RunLog, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    logging.getLogger("x").warning("before")
    for folder in folders:
        folder.mkdir()
        with suppress(KeyError), logs.redirect(folder):
            logging.getLogger("x").warning("in %s", folder.name)
            assert logs.find_log() == folder / "run.log"
            raise KeyError
    logging.getLogger("x").warning("after")

    assert (tmp_path / "run.log").read_text() == "before\nafter\n"
    assert [(folder / "run.log").read_text() for folder in folders] == ["in a\n", "in b\n"]


def test_a_log_that_is_not_written_to_makes_no_file(handler: logs.RunLog, tmp_path: Path) -> None:
    with logs.redirect(tmp_path / "none"):
        assert not handler.is_written
    assert handler.path == tmp_path / "run.log"
    assert list(tmp_path.iterdir()) == []


def test_a_run_begins_its_log_anew(handler: logs.RunLog, tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("of an earlier run\n")
    logs.begin_logs()
    logging.getLogger("x").warning("first")
    logs.begin_logs()
    logging.getLogger("x").warning("second")
    assert (tmp_path / "run.log").read_text() == "second\n"
