from __future__ import annotations

import io
import logging
import sys

import pytest

from tagifai.console.display import Display
from tagifai.console.outlets import mask_output, mask_record
from tagifai.utils.table_files import open_writer
from tests.runner import Terminal

URL, SHOWN = "https://me:s3cret@host/x?token=s3cret", "https://me:***@host/x?token=***"


def test_what_a_block_shows_and_logs_has_no_secret_and_all_is_put_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    streams, make = (sys.stdout, sys.stderr), logging.getLogRecordFactory()
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    log = logging.getLogger("a.library")
    log.addHandler(handler)
    log.propagate = False
    try:
        with mask_output():
            print("out", URL)  # noqa: T201
            sys.stderr.writelines([f"err {URL}\n"])
            log.warning("get %s in %d s", URL, 3)
            try:
                raise OSError(URL)
            except OSError:
                log.exception("failed")
    finally:
        log.removeHandler(handler)
    assert capsys.readouterr() == (f"out {SHOWN}\n", f"err {SHOWN}\n")
    lines = text.getvalue().splitlines()
    assert lines[:3] == [f"get {SHOWN} in 3 s", "failed", "Traceback (most recent call last):"]
    assert lines[-1] == f"OSError: {SHOWN}"
    assert ((sys.stdout, sys.stderr), logging.getLogRecordFactory()) == (streams, make)


def test_a_record_keeps_the_arguments_that_a_formatter_counts_on() -> None:
    arguments = ("1.2.3.4:5", "GET", "/x?token=s3cret", "1.1", 200)
    record = logging.LogRecord("n", 20, "f", 1, '%s - "%s %s HTTP/%s" %d', arguments, None)
    assert mask_record(record)
    assert record.args == ("1.2.3.4:5", "GET", "/x?token=***", "1.1", 200)


def test_a_url_that_a_narrow_terminal_folds_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    long = f"https://me:{'s3cret-' * 12}@host/x?token={'s3cret-' * 12}"
    display = Display(quiet=False, plain=False, every=1)
    display.show_line(f"see {long}")
    display.show_fact("Data", long)
    display.show_copyable("Data", long)
    display.show_table("A table", ["a", "b"], [["1", long]])
    display.show_header("title", {"data": ("mine", {"path": long})})
    assert "s3cret" not in terminal.getvalue()
    assert terminal.getvalue().count("https://me:***@host") >= 3


def test_data_on_standard_output_are_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with mask_output(), open_writer(None, {"text": str}) as write:
        write([[URL]])
    assert URL in capsys.readouterr().out
