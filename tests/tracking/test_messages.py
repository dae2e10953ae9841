from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from typing import Any

import pytest

from tagifai.exceptions import TrackingError
from tagifai.tracking.messages import RPCClient, serve_requests


class Other:
    """The other side, in a thread; waits for a permit before each call that it does."""

    def __init__(self) -> None:
        here, there = Pipe()
        self.calls = RPCClient(here)
        self.done: list[Any] = []
        self._there = there
        self._permits = threading.Semaphore(0)
        self._thread = threading.Thread(target=serve_requests, args=(self._do, there))
        self._thread.start()

    def _do(self, run: int, name: str, *args: Any, **kwargs: Any) -> Any:
        assert self._permits.acquire(timeout=30)
        if name == "fail":
            raise TrackingError(str(args[0]))
        self.done.append((run, name, args, kwargs))
        return (run, name)

    def permit(self, number: int) -> None:
        self._permits.release(number)

    def die(self) -> None:
        self.calls.close()
        self._thread.join(timeout=30)
        self._there.close()


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.permit(100)
    made.die()


def test_what_is_told_is_not_waited_for_and_done_in_order(other: Other) -> None:
    first = other.calls.send(1, "a", 2, b=3)
    second = other.calls.send(0, "c")
    assert not other.calls.has_result(first)
    other.permit(2)
    assert other.calls.wait_for_result(second) == (0, "c")
    assert other.calls.wait_for_result(first) == (1, "a")
    assert other.done == [(1, "a", (2,), {"b": 3}), (0, "c", (), {})]


def test_a_failure_is_raised_once_by_the_next_call_and_always_by_its_own_result(
    other: Other,
) -> None:
    failing = other.calls.send(1, "fail", "disk full")
    other.permit(1)
    while not other.calls.has_failed(failing):
        pass
    with pytest.raises(TrackingError, match="disk full"):
        other.calls.send(1, "a")
    other.permit(1)
    assert other.calls.call(1, "b") == (1, "b")
    for _ in range(2):
        with pytest.raises(TrackingError, match="disk full"):
            other.calls.wait_for_result(failing)
    assert [call[1] for call in other.done] == ["b"]


def test_what_was_told_in_ignorance_of_a_failure_fails_as_well(other: Other) -> None:
    failing = other.calls.send(1, "fail", "disk full")
    ignorant = other.calls.send(1, "a")
    other.permit(1)
    with pytest.raises(TrackingError, match="disk full"):
        other.calls.wait_for_result(ignorant)
    assert other.calls.has_failed(failing)
    other.permit(1)
    assert other.calls.call(1, "b") == (1, "b")
    assert [call[1] for call in other.done] == ["b"]


def test_another_side_that_is_gone_is_a_tracking_error() -> None:
    here, there = Pipe()
    calls = RPCClient(here)
    there.send((1, 0, "an answer", None))
    there.close()
    assert not calls.has_failed(1)
    assert calls.wait_for_result(1) == "an answer"
    for step in (lambda: calls.send(1, "a"), lambda: calls.wait_for_result(2)):
        with pytest.raises(TrackingError, match="ended before its work was done"):
            step()
    calls.close()


def test_the_work_of_those_who_are_gone_is_done_still() -> None:
    def do(*call: Any) -> None:
        done.append(call)

    done: list[Any] = []
    here, there = Pipe()
    calls = RPCClient(here)
    calls.send(1, "a", 2)
    calls.send(0, "b")
    calls.close()
    serve_requests(do, there)
    there.close()
    assert done == [(1, "a", 2), (0, "b")]
