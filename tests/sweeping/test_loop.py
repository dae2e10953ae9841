from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from tagifai.console.progress import SearchProgress
from tagifai.exceptions import ConfigError
from tagifai.sweeping import loop as module
from tagifai.sweeping import storage, watch
from tagifai.sweeping.loop import SearchFailedError, SearchLoop
from tagifai.sweeping.studies import DIED, Study
from tagifai.sweeping.workers import launchers
from tagifai.sweeping.workers.worker import DONE, Worker
from tagifai.utils.processes import descendants
from tests.sweeping.workers.fakes import make_worker, open_study
from tests.sweeping.workers.fakes import run as run  # noqa: PLC0414 - a fixture

JOBLIB, LOCAL, BASIC = "x.JoblibLauncher", "x.LocalLauncher", "x.BasicLauncher"
SLURM, RAY = "x.SlurmLauncher", "x.RayLauncher"


@dataclass
class FakePlan:
    """What the loop asks of a plan, and what it told it."""

    study: Study
    worker: Worker
    n_trials: int = 4
    n_workers: int = 1
    max_failure_rate: float = 1.0
    metrics: Sequence[str] = ("val_f1",)
    budget: object = None
    folder: Path = Path("/nowhere")
    overdue: bool = False
    told: list[SearchProgress] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def cfg(self) -> Any:
        return self.worker.cfg

    @property
    def config(self) -> Any:
        return self.worker.config

    @property
    def space(self) -> Any:
        return self.worker.space

    @property
    def display(self) -> Any:
        return self

    def show_fact(self, name: str, text: str) -> None:
        self.facts.append((name, text))

    @contextmanager
    def show_trial_progress(self, total: int | None) -> Iterator[Callable[[SearchProgress], None]]:
        assert total == (self.n_trials if self.budget is None else None)
        yield self.told.append

    def is_overdue(self) -> bool:
        return self.overdue

    def is_on_sample(self, trial: FrozenTrial) -> bool:
        return self.budget is not None and trial.number == 0

    def format_values(self, values: Sequence[float]) -> list[str]:
        return [f"val_f1 {value}" for value in values]

    def describe_best(self) -> str:
        return ""

    @property
    def events(self) -> list[str]:
        return [state.event for state in self.told if state.event]


def returned(value: Any, status: JobStatus = JobStatus.COMPLETED) -> JobReturn:
    job = JobReturn()
    job.status = status
    job._return_value = value
    return job


Launch = Callable[[int], Any]
"""What a launch does: called with the number of jobs, it returns what they did, or raises."""


class Launches:
    """Launches, one after another, in place of a launcher's."""

    def __init__(self, *launches: Launch) -> None:
        self.left = list(launches)
        self.jobs: list[int] = []

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        assert initial_job_idx == 0
        self.jobs.append(len(jobs))
        found = self.left.pop(0)(len(jobs))
        return [returned(item) for item in (found if isinstance(found, list) else [found])]


Search = Callable[..., tuple[FakePlan, Launches]]


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, run: Any) -> Search:
    """Runs the loop of a search with these launches in place of a launcher's."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(storage, "PAUSES", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(launchers, "close", lambda kind: None)
    monkeypatch.setattr(launchers, "cancel_queued", lambda session: None)

    def search(*launches: Launch, kind: str = JOBLIB, **changed: Any) -> tuple[FakePlan, Launches]:
        worker = changed.pop("worker", None) or make_worker(
            open_study(), n_trials=changed.get("n_trials", 4), **changed.pop("own", {})
        )
        worker.cfg.hydra.launcher._target_ = kind
        plan = FakePlan(worker.study, worker, **changed)
        made = Launches(*launches)
        monkeypatch.setattr(launchers, "make", lambda *_: made)
        loops.append(SearchLoop(cast(Any, plan), worker))
        plans.append((plan, made))
        loops[-1].run()
        return plan, made

    loops.clear()
    plans.clear()
    return search


loops: list[SearchLoop] = []
plans: list[tuple[FakePlan, Launches]] = []


def end_trials(worker: Worker, n: int, state: TrialState = TrialState.COMPLETE) -> None:
    for _ in range(n):
        trial = worker.study.ask(
            {"worker": "session host:1", "turn": len(worker.study.list_trials())}
        )
        worker.space.suggest_overrides(trial)
        worker.study.tell(trial, state, [0.5] if state is TrialState.COMPLETE else None, {})


def test_workers_are_launched_until_the_study_is_full(search: Search) -> None:
    worker = make_worker(open_study())

    def half(n_jobs: int) -> list[str]:
        end_trials(worker, 2)
        return n_jobs * [""]

    plan, made = search(half, half, worker=worker, n_workers=2)

    assert made.jobs == [2, 2]
    assert sorted(plan.events) == [f"Trial {n} complete val_f1 0.5" for n in range(4)]
    assert (plan.told[-1].done, plan.told[-1].running, plan.facts) == (4, 0, [])


@pytest.mark.parametrize("kind", [BASIC, JOBLIB])
def test_nothing_is_launched_for_a_study_that_is_full(search: Search, kind: str) -> None:
    worker = make_worker(open_study())
    end_trials(worker, 4)

    plan, made = search(worker=worker, kind=kind)

    assert made.jobs == []
    assert plan.events == []


def test_in_this_process_each_trial_is_told_when_it_ends(search: Search) -> None:
    worker = make_worker(open_study())
    seen: list[int] = []

    def launch(n_jobs: int) -> str:
        for _ in range(4):
            end_trials(worker, 1)
            assert worker.notify is not None
            worker.notify()
            seen.append(len(plans[-1][0].events))
        return DONE

    search(launch, worker=worker, kind=BASIC)

    assert seen == [1, 2, 3, 4]


def test_a_launch_that_fails_is_tried_again(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(open_study())

    def die(n_jobs: int) -> str:
        end_trials(worker, 1)
        trial = worker.study.ask({"worker": "session host:2"})
        assert trial.number == len(worker.study.list_trials()) - 1
        raise OSError("a process was terminated")

    def finish(n_jobs: int) -> list[str]:
        end_trials(worker, 1)
        return [DONE, ""]

    plan, made = search(die, die, die, finish, worker=worker, n_workers=2)

    assert len(made.jobs) == 4
    died = [t.user_attrs.get(DIED) for t in plan.study.list_trials(TrialState.FAIL)]
    assert died == 3 * ["A worker beside it died."]
    assert plan.study.count_trials().complete == 4
    assert "Workers are launched again: A worker died: OSError: a process was terminated" in [
        record.getMessage() for record in caplog.records
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no such partition"), "A worker died: RuntimeError: no such partition"),
        (OSError("SIGKILL(-9)"), "SIGKILL(-9) If memory ran out: "),
    ],
)
def test_three_launches_in_which_no_trial_ends_are_the_end(
    search: Search, error: Exception, said: str
) -> None:
    def fail(n_jobs: int) -> None:
        raise error

    with pytest.raises(SearchFailedError) as caught:
        search(fail, fail, fail)

    assert str(caught.value).startswith("No trial has ended in 3 launches of workers; the last one")
    assert said in str(caught.value)
    assert plans[-1][0].study.list_trials() == []  # and no trial is to blame


def test_settings_that_a_launcher_does_not_take_are_told_at_once(search: Search) -> None:
    def refuse(n_jobs: int) -> None:
        raise TypeError("no argument x")

    said = "hydra.launcher: no worker can begin with its settings: TypeError: no argument x."
    with pytest.raises(ConfigError, match=said):
        search(refuse)

    assert plans[-1][0].study.list_trials() == []


def test_what_a_worker_says_is_why_it_ended(search: Search) -> None:
    with pytest.raises(SearchFailedError, match="the last one: It is cold"):
        search(*3 * [lambda n_jobs: "It is cold."])


def test_a_worker_that_ends_before_the_others_is_told(
    search: Search, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(open_study())

    def launch(n_jobs: int) -> list[str]:
        end_trials(worker, 4)
        return [DONE, "It is cold."]

    search(launch, worker=worker, n_workers=2)

    assert "A worker ended before the others: It is cold." in caplog.text


@pytest.mark.parametrize(
    ("kind", "n_workers", "most", "jobs"),
    [(JOBLIB, 2, None, 2), (JOBLIB, 2, 1, 10), (RAY, 2, 4, 3), (LOCAL, 2, 1, 2), (BASIC, 1, 3, 1)],
)
def test_so_many_jobs_are_launched(
    search: Search, kind: str, n_workers: int, most: int | None, jobs: int
) -> None:
    worker = make_worker(open_study(), n_trials=10, sweep={"trials_per_worker": most})

    def launch(n_jobs: int) -> str:
        end_trials(worker, 10)
        return DONE

    _, made = search(launch, worker=worker, kind=kind, n_workers=n_workers, n_trials=10)

    assert made.jobs == [jobs]


def test_workers_of_a_cluster_that_outlive_a_launch_are_counted(search: Search) -> None:
    worker = make_worker(open_study())
    kept: list[Any] = []

    def lose_one(n_jobs: int) -> None:
        kept.append(worker.study.ask({"worker": "session far:1", "turn": 0}))
        end_trials(worker, 1)
        raise OSError("a node was lost")

    def finish(n_jobs: int) -> str:
        kept[0].suggest_float("x", 0, 1)
        worker.study.tell(kept[0], TrialState.COMPLETE, [0.1], {})
        end_trials(worker, 2)
        return DONE

    plan, made = search(lose_one, finish, worker=worker, kind=RAY, n_workers=2)

    assert made.jobs == [2, 1]
    assert plan.study.count_trials().died == 0


def test_jobs_that_are_gone_from_the_queue_are_launched_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(open_study())
    monkeypatch.setattr(launchers, "QUEUE_SECONDS", 0.0)
    monkeypatch.setattr(launchers, "count_queued", lambda session: 0)

    def hang(n_jobs: int) -> None:
        end_trials(worker, 1)
        threading.Event().wait(60)

    def finish(n_jobs: int) -> str:
        end_trials(worker, 3)
        return DONE

    _, made = search(hang, finish, worker=worker, kind=SLURM)

    assert made.jobs == [1, 1]


def test_a_launch_that_does_not_return_is_not_waited_for_when_all_is_done(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVING_SECONDS", 0.05)
    worker = make_worker(open_study())

    def hang(n_jobs: int) -> None:
        end_trials(worker, 4)
        threading.Event().wait(60)

    plan, _ = search(hang, worker=worker)

    assert plan.told[-1].done == 4


def test_trials_that_began_in_time_are_waited_for(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVING_SECONDS", 0.02)
    worker = make_worker(open_study(), deadline=time.time() + 0.05)

    def launch(n_jobs: int) -> str:
        trial = worker.study.ask({"worker": "session host:1", "turn": 0})
        worker.space.suggest_overrides(trial)
        time.sleep(0.5)
        worker.study.tell(trial, TrialState.COMPLETE, [0.5], {})
        return DONE

    plan, _ = search(launch, worker=worker)

    assert plan.events == ["Trial 0 complete val_f1 0.5"]
    assert plan.facts == [("Ended", "the time is up.")]


# --- an end before the total ------------------------------------------------------------------


def test_why_a_search_ended_before_its_total_is_said(search: Search) -> None:
    worker = make_worker(open_study(), space="x=choice(a,b)", n_trials=9)

    def launch(n_jobs: int) -> str:
        for value in "ab":
            worker.study.optuna.enqueue_trial({"x": value})
        end_trials(worker, 2)
        return DONE

    plan, _ = search(launch, worker=worker, n_trials=9)

    assert plan.facts == [("Ended", "all 2 configurations of the space have been tried.")]


def test_when_the_budget_is_used_up_the_trials_under_way_are_ended(search: Search) -> None:
    worker = make_worker(open_study())

    def hang(n_jobs: int) -> None:
        worker.study.ask({"worker": "session host:1", "turn": 0})
        plans[-1][0].overdue = True
        threading.Event().wait(60)

    plan, made = search(hang, worker=worker, budget=object())

    assert made.jobs == [1]
    (trial,) = plan.study.list_trials()
    assert trial.user_attrs[DIED] == "There was no time left for it."
    assert plan.study.is_stopped("session")


def test_the_value_of_a_sample_is_shown_and_is_no_result(search: Search) -> None:
    worker = make_worker(open_study(), n_trials=1)

    def launch(n_jobs: int) -> str:
        trial = worker.study.ask({"worker": "session host:1", "turn": 0})
        trial.suggest_float("x", 0, 1)
        worker.study.tell(trial, TrialState.PRUNED, None, {"result": [0.7]})
        return DONE

    plan, _ = search(launch, worker=worker, budget=object(), n_trials=1)

    assert plan.events == ["Trial 0 on a sample val_f1 0.7"]


def test_trials_that_were_not_trained_are_shown_as_such(search: Search) -> None:
    worker = make_worker(open_study(), n_trials=2, space="x=choice(a,b)")

    def launch(n_jobs: int) -> str:
        for values, notes in (([0.5], {}), ([0.5], {"same_as": 0})):
            trial = worker.study.ask({"worker": "session host:1"})
            trial.suggest_categorical("x", ["a", "b"])
            worker.study.tell(trial, TrialState.COMPLETE, values, notes)
        return DONE

    plan, _ = search(launch, worker=worker, n_trials=2)

    assert plan.events == [
        "Trial 0 complete val_f1 0.5",
        "Trial 1 complete val_f1 0.5 (the same as trial 0)",
    ]


# --- an interrupt -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BASIC, JOBLIB, SLURM, RAY])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "Interrupted with its search."),
        (ZeroDivisionError(), "Its search ended with an error."),
    ],
)
def test_an_interrupt_leaves_no_trial_that_looks_as_if_it_went_on(
    search: Search, monkeypatch: pytest.MonkeyPatch, kind: str, error: BaseException, reason: str
) -> None:
    worker = make_worker(open_study())
    ended: list[Any] = []
    monkeypatch.setattr(descendants, "end_children", lambda *a: ended.append("children"))
    monkeypatch.setattr(launchers, "cancel_queued", ended.append)
    ray = {"RayLauncher": ["ray"]}
    monkeypatch.setattr(launchers, "close", lambda kind: ended.extend(ray.get(kind, [])))
    other = worker.study.ask({"worker": "another host:1", "turn": 7})

    def launch(n_jobs: int) -> None:
        worker.study.ask({"worker": "session host:1", "turn": 0})
        if kind == BASIC:
            raise error
        threading.Event().wait(60)

    def interrupt() -> list[FrozenTrial]:
        trials = worker.study.list_trials()
        if len(trials) == 2:
            raise error
        return trials

    if kind != BASIC:
        monkeypatch.setattr(watch.SearchWatch, "update", lambda self: interrupt())
    with pytest.raises(type(error)):
        search(launch, worker=worker, kind=kind)

    trials = worker.study.list_trials()
    assert trials[1].user_attrs[DIED] == reason
    assert trials[other.number].state is TrialState.RUNNING
    assert worker.study.is_stopped("session")
    assert not worker.study.is_stopped("another")
    # Without its processes Ray would end this one; at last, each launcher is closed.
    own = {BASIC: [], JOBLIB: ["children"], SLURM: ["session"], RAY: ["ray", "ray"]}
    assert ended == own[kind]


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "failed", "fails"),
    [(1.0, 0, False), (1.0, 3, False), (1.0, 4, True), (0.5, 2, False), (0.5, 3, True)],
)
def test_more_failures_than_may_be_are_an_error(
    search: Search, rate: float, failed: int, fails: bool
) -> None:
    worker = make_worker(open_study())

    def launch(n_jobs: int) -> str:
        end_trials(worker, failed, TrialState.FAIL)
        end_trials(worker, 4 - failed)
        return DONE

    search(launch, worker=worker, max_failure_rate=rate)

    if fails:
        with pytest.raises(SearchFailedError, match=rf"^{failed} of 4 trials of 's' failed"):
            loops[-1].check_failures(None)
    else:
        loops[-1].check_failures(None)


def test_what_is_left_is_estimated_from_the_end_of_the_first_trial_on(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(open_study(), n_trials=3)
    now = [100.0]
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))

    def launch(n_jobs: int) -> str:
        for seconds in (50, 2, 4):
            now[0] += seconds
            end_trials(worker, 1)
            assert worker.notify is not None
            worker.notify()
        return DONE

    plan, _ = search(launch, worker=worker, kind=BASIC, n_trials=3)

    assert [t.seconds_per_trial for t in plan.told if t.event] == [None, 2.0, 3.0]


def test_a_database_that_is_away_for_a_while_does_not_end_the_search(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(open_study())
    listed, failures = worker.study.list_trials, iter([False, True, False, True, True])

    def list_trials(*states: TrialState) -> list[FrozenTrial]:
        if next(failures, False):
            raise SQLAlchemyError("the server is shutting down")
        return listed(*states)

    monkeypatch.setattr(worker.study, "list_trials", list_trials)

    def launch(n_jobs: int) -> str:
        end_trials(worker, 4)
        return DONE

    plan, _ = search(launch, worker=worker)

    assert plan.told[-1].done == 4
    assert next(failures, None) is None
