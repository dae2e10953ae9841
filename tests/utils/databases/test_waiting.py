from __future__ import annotations

import logging
import threading
import time

import pytest

from tagifai.utils.databases import waiting
from tagifai.utils.databases.waiting import call_within, mention_wait


def fail() -> None:
    raise KeyError("x")


def test_what_a_function_returns_or_raises_is_passed_on() -> None:
    assert call_within(5, lambda: 3, "Counting") == 3
    with pytest.raises(KeyError, match="x"):
        call_within(5, fail, "Failing")


def test_a_call_that_hangs_is_left_behind_in_time() -> None:
    over = threading.Event()
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="no answer within 1 s"):
        call_within(1, lambda: over.wait(60), "Hanging")
    assert time.monotonic() - begun < 10
    over.set()


def test_a_long_call_says_what_it_is_and_a_short_one_does_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.1)
    with caplog.at_level(logging.INFO, "tagifai"):
        call_within(5, lambda: None, "Opening it")
        assert caplog.messages == []
        call_within(5, lambda: time.sleep(0.5), "Opening it")
    assert caplog.messages == ["Opening it takes a while: at most 5 s."]


def test_a_wait_is_mentioned_again_and_again_and_not_after_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.1)
    with mention_wait("The server"):
        until = time.monotonic() + 10
        while len(caplog.messages) < 3 and time.monotonic() < until:
            time.sleep(0.01)
    said = len(caplog.messages)
    assert said >= 3
    assert all("The server has not answered" in message for message in caplog.messages)
    time.sleep(0.3)
    assert len(caplog.messages) <= said + 1


def test_a_short_wait_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    with mention_wait("The server"):
        pass
    assert caplog.messages == []


def test_a_wait_inside_another_is_mentioned_by_the_outer_one_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.1)
    with mention_wait("A"), mention_wait("B"):
        time.sleep(0.5)
    assert {message.partition(" ")[0] for message in caplog.messages} == {"A"}
