from __future__ import annotations

import _thread
import multiprocessing
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from tagifai.console.progress import SearchProgress
from tagifai.exceptions import ConfigError, StaleTrialError
from tagifai.sweeping import loop as module
from tagifai.sweeping import studies
from tagifai.sweeping.loop import SearchFailedError, SearchLoop, _judge
from tagifai.sweeping.plan import SearchPlan
from tagifai.sweeping.studies import DIED, ERROR, Study, StudyError, TrialCounts
from tagifai.sweeping.workers import interruption
from tagifai.training.trial import PRUNED, RESULT, STALE
from tests.databases import make_studies

LONG_SECONDS = 20.0
"""What a test waits for at most, where it fails otherwise."""


def study_in(storage: Any = None, directions: Sequence[str] = ("maximize",)) -> Study:
    storage = InMemoryStorage() if storage is None else storage
    return studies.open_study(storage, "s", directions, RandomSampler(0), NopPruner())


@dataclass
class FakePlan:
    """What the loop asks of a plan, and what it told it."""

    n_trials: int
    study: Study = field(default_factory=study_in)
    n_workers: int = 1
    metrics: Sequence[str] = ("val_f1",)
    max_failure_rate: float = 1.0
    timeout: float | None = LONG_SECONDS
    failures: dict[int, str] = field(default_factory=dict)
    told: list[SearchProgress] = field(default_factory=list)
    closed: bool = False
    budget: object = None
    chosen: Callable[[], bool] = lambda: True
    overdue: Callable[[], bool] = lambda: False
    samples: Sequence[int] = ()

    def choose_trial(self) -> bool:
        return self.chosen()

    def is_overdue(self) -> bool:
        return self.overdue()

    def is_on_sample(self, trial: Trial | FrozenTrial) -> bool:
        return trial.number in self.samples

    @property
    def cfg(self) -> DictConfig:
        launcher = "basic.BasicLauncher" if self.n_workers == 1 else "joblib.JoblibLauncher"
        return OmegaConf.create({"hydra": {"launcher": {"_target_": launcher}}})

    @property
    def display(self) -> FakePlan:
        return self

    @contextmanager
    def show_trial_progress(self, total: int | None) -> Iterator[Callable[[SearchProgress], None]]:
        assert total == (self.n_trials if self.budget is None else None)
        yield self.told.append
        self.closed = True

    def suggest_overrides(self, trial: Trial) -> list[str]:
        return [f"x={trial.suggest_float('x', 0, 1)}"]

    def format_values(self, values: Sequence[float]) -> list[str]:
        return [f"{name} {value}" for name, value in zip(self.metrics, values, strict=False)]

    def describe_best(self) -> str:
        return f"best of {self.study.count_trials().complete}"

    def record_failure(self, number: int, reason: str) -> None:
        self.failures[number] = reason

    @property
    def events(self) -> list[str]:
        return [state.event for state in self.told if state.event]


def returned(value: Any, status: JobStatus = JobStatus.COMPLETED) -> JobReturn:
    job = JobReturn()
    job.status = status
    job._return_value = value
    return job


class FakeLauncher:
    """Runs a function of the trial's number in place of a job."""

    def __init__(self, job: Callable[[int], Any]) -> None:
        self._job = job
        self.launched: list[int] = []
        self.overrides: list[Sequence[Sequence[str]]] = []

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        self.launched.append(initial_job_idx)
        self.overrides.append(job_overrides)
        value = self._job(initial_job_idx)
        if isinstance(value, JobReturn):
            return [value]
        if isinstance(value, Exception):
            return [returned(value, JobStatus.FAILED)]
        return [returned(value)]


def made(plan: FakePlan, job: Callable[[int], Any]) -> tuple[SearchLoop, FakeLauncher]:
    launcher = FakeLauncher(job)
    return SearchLoop(cast(SearchPlan, plan), cast(Launcher, launcher)), launcher


def run(plan: FakePlan, job: Callable[[int], Any]) -> FakeLauncher:
    loop, launcher = made(plan, job)
    loop.run()
    return launcher


def slow(seconds: float) -> Callable[[int], float]:
    def job(number: int) -> float:
        time.sleep(seconds)
        return 0.5

    return job


def states(plan: FakePlan) -> list[str]:
    return [trial.state.name for trial in plan.study.list_trials()]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_POLL_SECONDS", 0.02)


# --- how a job is judged ---------------------------------------------------------------------

COMPLETE, FAIL = TrialState.COMPLETE, TrialState.FAIL


@pytest.mark.parametrize(
    ("value", "state", "values", "reason"),
    [
        (0.5, COMPLETE, [0.5], ""),
        (0, COMPLETE, [0.0], ""),
        (float("nan"), FAIL, None, "The job returned nan."),
        (None, FAIL, None, "The job returned None, not a number."),
        ("good", FAIL, None, "The job returned 'good', not a number."),
        ([0.5], FAIL, None, "The job returned [0.5], not a number."),
        (PRUNED, TrialState.PRUNED, None, ""),
        (STALE, None, None, ""),
    ],
)
def test_a_job_of_one_objective_is_judged_by_its_value(
    value: Any, state: TrialState | None, values: list[float] | None, reason: str
) -> None:
    outcome = _judge(returned(value), 1)
    assert (outcome.state, outcome.values, outcome.reason) == (state, values, reason)
    assert not outcome.dead


@pytest.mark.parametrize(
    ("value", "state", "values", "reason"),
    [
        ([0.5, 3], COMPLETE, [0.5, 3.0], ""),
        ((0.5, 3), COMPLETE, [0.5, 3.0], ""),
        ([0.5], FAIL, None, "The job returned 1 values for 2 objectives."),
        ([1, 2, 3], FAIL, None, "The job returned 3 values for 2 objectives."),
        ([0.5, float("nan")], FAIL, None, "The job returned [0.5, nan]."),
        ([0.5, None], FAIL, None, "The job returned [0.5, None], not a number."),
        (0.5, FAIL, None, "The job returned 0.5, not a number."),
        (STALE, None, None, ""),
    ],
)
def test_a_job_of_two_objectives_is_judged_by_both(
    value: Any, state: TrialState | None, values: list[float] | None, reason: str
) -> None:
    outcome = _judge(returned(value), 2)
    assert (outcome.state, outcome.values, outcome.reason) == (state, values, reason)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ValueError("bad\n  thing"), FAIL, "ValueError: bad thing"),
        (KeyError(), FAIL, "KeyError"),
        (ConfigError("model.alpha = -1 is not allowed"), FAIL, "model.alpha = -1 is not allowed"),
        (optuna.TrialPruned(), TrialState.PRUNED, ""),
    ],
)
def test_a_job_that_raised_is_judged_by_its_error(
    error: Exception, state: TrialState, reason: str
) -> None:
    outcome = _judge(returned(error, JobStatus.FAILED), 1)
    assert (outcome.state, outcome.values, outcome.reason) == (state, None, reason)


def test_a_job_that_was_told_to_end_is_dead() -> None:
    outcome = _judge(returned(StaleTrialError(), JobStatus.FAILED), 1)
    assert (outcome.state, outcome.dead) == (None, True)
    assert outcome.reason == "Its job was interrupted."


# --- one after another -----------------------------------------------------------------------


def test_a_search_makes_its_trials_one_job_a_launch() -> None:
    plan = FakePlan(3, timeout=None)
    launcher = run(plan, lambda n: n / 10)
    assert launcher.launched == [0, 1, 2]
    trials = plan.study.list_trials()
    assert [t.values for t in trials] == [[0.0], [0.1], [0.2]]
    assert launcher.overrides == [[[f"x={t.params['x']}"]] for t in trials]
    assert plan.closed


def test_a_search_tells_where_it_is() -> None:
    outcomes: list[Any] = [0.5, PRUNED, ValueError("bad"), 0.75]
    plan = FakePlan(4)
    run(plan, lambda n: outcomes[n])
    assert plan.events == [
        "Trial 0 complete val_f1 0.5",
        "Trial 1 pruned",
        "Trial 2 failed",
        "Trial 3 complete val_f1 0.75",
    ]
    first, last = plan.told[0], plan.told[-1]
    assert first == SearchProgress(0, 0, 0, 0, "best of 0", "", None)
    assert (last.done, last.running, last.pruned, last.failed) == (4, 0, 1, 1)
    assert last.best == "best of 2"
    assert [state.running for state in plan.told[:4]] == [0, 1, 0, 1]


def test_a_search_that_is_taken_up_again_makes_the_rest() -> None:
    plan = FakePlan(2)
    run(plan, lambda n: 0.5)
    more = FakePlan(5, plan.study)
    assert run(more, lambda n: 0.5).launched == [2, 3, 4]
    assert run(FakePlan(5, plan.study), lambda n: 0.5).launched == []
    assert run(FakePlan(3, plan.study), lambda n: 0.5).launched == []


def test_a_trial_of_two_objectives_has_both_values() -> None:
    study = study_in(directions=["maximize", "minimize"])
    plan = FakePlan(1, study, metrics=["val_f1", "model_bytes"])
    run(plan, lambda n: [0.5, 300])
    assert study.list_trials()[0].values == [0.5, 300.0]
    assert plan.events == ["Trial 0 complete val_f1 0.5, model_bytes 300.0"]


def test_a_pruned_trial_counts_and_keeps_what_it_reported() -> None:
    plan = FakePlan(1)

    def job(number: int) -> str:
        storage = plan.study._storage
        storage.set_trial_intermediate_value(plan.study.list_trials()[0]._trial_id, 5, 0.25)
        return PRUNED

    run(plan, job)
    assert plan.study.count_trials() == TrialCounts(
        complete=0, pruned=1, failed=0, died=0, running=0
    )
    assert plan.study.list_trials()[0].intermediate_values == {5: 0.25}
    assert plan.failures == {}


def test_on_a_database_trials_are_beaten_for_and_nothing_is_left_behind(tmp_path: Path) -> None:
    study = study_in(studies.connect(make_studies(tmp_path / "studies.db")))
    plan = FakePlan(2, study)
    alive: list[bool] = []

    def job(number: int) -> float:
        alive.append(study.heartbeat._thread.is_alive())
        return 0.5

    run(plan, job)
    assert alive == [True, True]
    assert not study.heartbeat._thread.is_alive()
    assert study.heartbeat._trials == set()
    assert states(plan) == ["COMPLETE", "COMPLETE"]


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (float("nan"), "The job returned nan."),
        (None, "The job returned None, not a number."),
    ],
)
def test_a_trial_that_fails_is_recorded_with_its_reason_and_the_search_goes_on(
    value: Any, reason: str
) -> None:
    plan = FakePlan(3)
    run(plan, lambda n: value if n == 1 else 0.5)
    assert states(plan) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert plan.study.list_trials()[1].user_attrs == {ERROR: reason}
    assert plan.failures == {1: reason}


def test_so_is_one_whose_configuration_does_not_compose() -> None:
    def job(number: int) -> float:
        if number == 0:
            raise ConfigCompositionException("no such\nkey")
        return 0.5

    plan = FakePlan(2)
    run(plan, job)
    assert states(plan) == ["FAIL", "COMPLETE"]
    assert plan.failures == {0: "ConfigCompositionException: no such key"}


def failing(*numbers: int) -> Callable[[int], Any]:
    return lambda n: ValueError(f"bad {n}") if n in numbers else 0.5


@pytest.mark.parametrize(
    ("rate", "bad", "launched"),
    [
        (0.0, (0,), 1),
        (0.0, (2,), 3),
        (0.5, (0, 1, 2), 3),
        (0.5, (0, 1), 4),
        (0.25, (1, 2), 3),
        (1.0, (0, 1, 2), 4),
        (1.0, (0, 1, 2, 3), 4),
    ],
)
def test_a_search_ends_as_soon_as_more_trials_failed_than_may(
    rate: float, bad: tuple[int, ...], launched: int
) -> None:
    plan = FakePlan(4, max_failure_rate=rate)
    assert len(run(plan, failing(*bad)).launched) == launched


@pytest.mark.parametrize(
    ("rate", "bad", "message"),
    [
        (0.0, (0,), "1 of 1 trials of 's' failed; the first reason: ValueError: bad 0"),
        (0.0, (2,), "1 of 3 trials of 's' failed; the first reason: ValueError: bad 2"),
        (0.5, (0, 1, 2), "3 of 3 trials of 's' failed; the first reason: ValueError: bad 0"),
        (1.0, (0, 1, 2, 3), "4 of 4 trials of 's' failed; the first reason: ValueError: bad 0"),
    ],
)
def test_too_many_failures_are_an_error(rate: float, bad: tuple[int, ...], message: str) -> None:
    plan = FakePlan(4, max_failure_rate=rate)
    loop, _ = made(plan, failing(*bad))
    loop.run()
    with pytest.raises(SearchFailedError) as caught:
        loop.check_failures()
    assert str(caught.value) == message
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("rate", "bad"), [(0.0, ()), (0.5, (0, 1)), (1.0, (0, 1, 2))])
def test_as_many_as_may_are_none(rate: float, bad: tuple[int, ...]) -> None:
    plan = FakePlan(4, max_failure_rate=rate)
    loop, _ = made(plan, failing(*bad))
    loop.run()
    loop.check_failures()
    assert plan.study.count_trials().finished == 4


def test_a_search_without_trials_has_not_failed() -> None:
    loop, _ = made(FakePlan(4), failing())
    loop.check_failures()


def test_failures_before_a_search_was_taken_up_again_count() -> None:
    plan = FakePlan(1)
    run(plan, failing(0))
    again = FakePlan(4, plan.study, max_failure_rate=0.0)
    assert run(again, failing()).launched == []


@pytest.mark.parametrize("n_workers", [1, 2])
def test_an_error_of_the_search_itself_ends_it(n_workers: int) -> None:
    plan = FakePlan(5, n_workers=n_workers)

    def overrides(trial: Trial) -> list[str]:
        raise StudyError("The store failed.")

    plan.suggest_overrides = overrides  # type: ignore[method-assign]
    loop, launcher = made(plan, lambda n: 0.5)
    with pytest.raises(StudyError, match=r"The store failed\."):
        loop.run()
    assert launcher.launched == []
    assert plan.closed


def test_the_other_worker_ends_its_trial_and_begins_no_more() -> None:
    plan = FakePlan(9, n_workers=2)
    failed = threading.Event()
    fine = plan.suggest_overrides

    def overrides(trial: Trial) -> list[str]:
        if trial.number == 1:
            failed.set()
            raise StudyError("The store failed.")
        return fine(trial)

    def job(number: int) -> float:
        assert failed.wait(LONG_SECONDS)
        time.sleep(0.1)
        return 0.5

    plan.suggest_overrides = overrides  # type: ignore[method-assign]
    loop, launcher = made(plan, job)
    with pytest.raises(StudyError):
        loop.run()
    assert launcher.launched == [0]
    assert plan.study.list_trials()[0].state is TrialState.COMPLETE


# --- deaths ----------------------------------------------------------------------------------


def dying(name: str) -> Exception:
    return cast(Exception, type(name, (Exception,), {})("gone"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenProcessPool("gone"), "Its worker died: BrokenProcessPool: gone"),
        (dying("UncompletedJobError"), "Its worker died: UncompletedJobError: gone"),
        (dying("WorkerCrashedError"), "Its worker died: WorkerCrashedError: gone"),
        (dying("NodeDiedError"), "Its worker died: NodeDiedError: gone"),
        (dying("OutOfMemoryError"), "Its worker died: OutOfMemoryError: gone"),
        (dying("FailedJobError"), "Its worker died: FailedJobError: gone"),
    ],
)
def test_a_trial_whose_worker_died_is_made_up_for(error: Exception, reason: str) -> None:
    def job(number: int) -> float:
        if number == 1:
            raise error
        return 0.5

    plan = FakePlan(3)
    loop, launcher = made(plan, job)
    loop.run()
    loop.check_failures()
    assert launcher.launched == [0, 1, 2, 3]
    assert plan.study.count_trials() == TrialCounts(
        complete=3, pruned=0, failed=0, died=1, running=0
    )
    assert plan.study.list_trials()[1].user_attrs == {DIED: reason}
    assert plan.events[1] == "Trial 1 died"
    assert plan.failures == {}


SUBMITIT = """Job (task=0) failed during processing with trace:
----------------------
Traceback (most recent call last):
  File "x.py", line 3, in <module>
ValueError: bad

----------------------
You can check full logs with 'job.stderr(0)' and 'job.stdout(0)'
"""


def test_an_error_of_a_job_that_submitit_tells_of_is_a_failure_with_its_reason() -> None:
    def job(number: int) -> float:
        raise cast(Exception, type("FailedJobError", (Exception,), {})(SUBMITIT))

    plan = FakePlan(1)
    run(plan, job)
    assert plan.failures == {0: "ValueError: bad"}
    assert plan.study.count_trials().failed == 1


def test_the_process_pool_of_joblib_is_known_as_one() -> None:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    assert issubclass(TerminatedWorkerError, BrokenProcessPool)


def test_deaths_count_neither_as_failures_nor_towards_the_total() -> None:
    def job(number: int) -> float:
        if number == 0:
            raise BrokenProcessPool("gone")
        return 0.5

    plan = FakePlan(2, max_failure_rate=0.0)
    assert run(plan, job).launched == [0, 1, 2]


def test_five_workers_that_die_one_after_another_end_the_search() -> None:
    def job(number: int) -> float:
        raise BrokenProcessPool(f"gone {number}")

    plan = FakePlan(9)
    loop, launcher = made(plan, job)
    with pytest.raises(SearchFailedError) as caught:
        loop.run()
    assert str(caught.value) == (
        "5 workers died one after another; the last one: Its worker died: BrokenProcessPool: gone 4"
    )
    assert launcher.launched == [0, 1, 2, 3, 4]
    assert states(plan) == ["FAIL"] * 5
    assert plan.study.count_trials().died == 5


def test_a_trial_that_ends_in_between_begins_the_count_anew() -> None:
    def job(number: int) -> Any:
        if number % 5 != 4:
            raise BrokenProcessPool("gone")
        return ValueError("bad") if number == 4 else 0.5

    plan = FakePlan(3)
    run(plan, job)
    assert plan.study.count_trials() == TrialCounts(
        complete=2, pruned=0, failed=1, died=12, running=0
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_job_that_was_interrupted_by_itself_is_made_up_for(error: type[BaseException]) -> None:
    def job(number: int) -> float:
        if number == 0:
            raise error
        return 0.5

    plan = FakePlan(3, n_workers=2)
    run(plan, job)
    assert plan.study.count_trials() == TrialCounts(
        complete=3, pruned=0, failed=0, died=1, running=0
    )
    assert plan.study.list_trials()[0].user_attrs == {DIED: f"Interrupted ({error.__name__})."}


def test_a_trial_that_was_taken_for_dead_is_made_up_for_and_its_value_is_dropped() -> None:
    plan = FakePlan(2)

    def job(number: int) -> Any:
        if number == 0:
            plan.study.abandon(plan.study.list_trials()[0]._trial_id, "It was slow.")
            return STALE
        if number == 1:
            plan.study.abandon(plan.study.list_trials()[1]._trial_id, "It was slow too.")
        return 0.5

    launcher = run(plan, job)
    assert launcher.launched == [0, 1, 2, 3]
    assert states(plan) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert plan.events[:2] == ["Trial 0 died", "Trial 1 died"]
    assert plan.study.list_trials()[1].values is None


def test_a_job_of_which_no_launcher_hears_any_more_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "JOB_POLL_SECONDS", 0.02)
    plan, release = FakePlan(3, n_workers=2), threading.Event()

    def job(number: int) -> float:
        if number == 0:
            plan.study.abandon(
                plan.study.list_trials()[0]._trial_id, "It was put back into the queue."
            )
            assert release.wait(LONG_SECONDS)
        return 0.5

    launcher = run(plan, job)
    release.set()
    assert sorted(launcher.launched) == [0, 1, 2, 3]
    assert plan.study.count_trials() == TrialCounts(
        complete=3, pruned=0, failed=0, died=1, running=0
    )
    assert "Trial 0 died" in plan.events


def test_one_whose_result_was_found_before_its_launcher_heard_of_it_did_not_die(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "JOB_POLL_SECONDS", 0.02)
    plan = FakePlan(6, n_workers=2)
    release = threading.Event()

    def job(number: int) -> float:
        # As `reap` does with the result that a job has left, when its last beat is old.
        plan.study.optuna.tell(number, 0.5)
        assert release.wait(LONG_SECONDS)
        return 0.5

    try:
        run(plan, job)
    finally:
        release.set()
    assert plan.study.count_trials() == TrialCounts(
        complete=6, pruned=0, failed=0, died=0, running=0
    )


def test_a_trial_of_a_process_that_is_gone_is_made_up_for(tmp_path: Path) -> None:
    url = make_studies(tmp_path / "studies.db")
    gone = study_in(studies.connect_database.__wrapped__(url))
    gone.ask(3)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as connection, connection:
        connection.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-60 seconds')"
        )
    plan = FakePlan(2, study_in(studies.connect(url)))
    assert run(plan, lambda n: 0.5).launched == [1, 2]
    assert plan.study.count_trials() == TrialCounts(
        complete=2, pruned=0, failed=0, died=1, running=0
    )


# --- time ------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on when it is told to."""
    now = [100.0]
    monkeypatch.setattr("tagifai.sweeping.loop.time.monotonic", lambda: now[0])
    return now


def test_when_time_is_up_no_trial_begins_and_none_is_stopped(clock: list[float]) -> None:
    def job(number: int) -> float:
        clock[0] += 10
        return 0.5

    plan = FakePlan(50, timeout=15)
    loop, launcher = made(plan, job)
    loop.run()
    loop.check_failures()
    assert launcher.launched == [0, 1]
    assert states(plan) == ["COMPLETE", "COMPLETE"]


def test_the_time_a_trial_takes_is_that_between_two_ends(clock: list[float]) -> None:
    def job(number: int) -> float:
        clock[0] += 6
        return 0.5

    plan = FakePlan(3)
    run(plan, job)
    assert [state.seconds_per_trial for state in plan.told if state.event] == [6.0, 6.0, 6.0]
    assert plan.told[0].seconds_per_trial is None


def test_a_worker_that_waits_for_others_looks_at_the_time_too() -> None:
    study = study_in()
    study.ask(2)
    plan = FakePlan(1, study, timeout=0.1)
    assert run(plan, lambda n: 0.5).launched == []
    assert states(plan) == ["RUNNING"]


# --- several workers -------------------------------------------------------------------------


def test_a_worker_does_all_other_trials_while_a_long_one_is_under_way() -> None:
    others = threading.Semaphore(0)

    def job(number: int) -> float:
        if number > 0:
            others.release()
            return 0.5
        # The ninth other one would never begin if workers waited for each other.
        return float(all(others.acquire(timeout=LONG_SECONDS) for _ in range(9)))

    plan = FakePlan(10, n_workers=2)
    launcher = run(plan, job)
    assert sorted(launcher.launched) == list(range(10))
    assert plan.study.list_trials()[0].values == [1.0]


def test_two_workers_are_busy_nearly_all_of_the_time_with_trials_of_unequal_length() -> None:
    lengths = [0.3, 0.03] * 4
    plan = FakePlan(len(lengths), n_workers=2)

    def job(number: int) -> float:
        time.sleep(lengths[number])
        return 0.5

    began = time.monotonic()
    run(plan, job)
    share = sum(lengths) / (2 * (time.monotonic() - began))
    # In batches of two it could be 0.55 at most.
    assert share > 0.65


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_there_are_never_more_jobs_at_a_time_than_workers(n_workers: int) -> None:
    at_work, most, lock = [0], [0], threading.Lock()

    def job(number: int) -> float:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.02)
        with lock:
            at_work[0] -= 1
        return 0.5

    plan = FakePlan(9, n_workers=n_workers)
    launcher = run(plan, job)
    assert sorted(launcher.launched) == list(range(9))
    assert most[0] == n_workers
    assert len({t.params["x"] for t in plan.study.list_trials()}) == 9


def test_workers_that_are_not_needed_make_no_trials_beyond_the_total() -> None:
    plan = FakePlan(2, n_workers=4)
    run(plan, slow(0.05))
    assert states(plan) == ["COMPLETE", "COMPLETE"]


def test_an_idle_worker_makes_up_for_a_trial_that_dies_at_the_end() -> None:
    def job(number: int) -> float:
        time.sleep(0.05)
        if number == 1:
            raise BrokenProcessPool("gone")
        return 0.5

    plan = FakePlan(2, n_workers=2)
    launcher = run(plan, job)
    assert sorted(launcher.launched) == [0, 1, 2]
    assert plan.study.count_trials().complete == 2


def test_a_trial_of_another_process_is_waited_for() -> None:
    study = study_in()
    other = study.ask(2)
    assert other is not None
    plan = FakePlan(2, study)

    def end_other(number: int) -> float:
        threading.Timer(0.1, study.tell, (other, TrialState.COMPLETE, [0.75])).start()
        return 0.5

    assert run(plan, end_other).launched == [1]
    assert plan.study.count_trials() == TrialCounts(
        complete=2, pruned=0, failed=0, died=0, running=0
    )


def test_a_worker_that_was_not_the_quickest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = FakePlan(1)
    ask = plan.study.ask

    def late(n_trials: int) -> Trial | None:
        # Between the count and the question another process asks, and is done with it.
        other = ask(n_trials)
        mine = ask(n_trials)
        assert other is not None
        plan.study.tell(other, TrialState.COMPLETE, [0.75])
        return mine

    monkeypatch.setattr(plan.study, "ask", late)
    assert run(plan, lambda n: 0.5).launched == []
    assert plan.study.count_trials() == TrialCounts(
        complete=1, pruned=0, failed=0, died=1, running=0
    )


def test_two_searches_of_one_study_share_the_work() -> None:
    storage = InMemoryStorage()
    plans = [FakePlan(10, study_in(storage)) for _ in range(2)]
    launched: list[list[int]] = [[], []]

    def work(number: int) -> None:
        launched[number] = run(plans[number], slow(0.02)).launched

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plans[0].study.count_trials().complete == 10
    assert all(launched)
    assert len(launched[0]) + len(launched[1]) == 10


# --- an interrupt ----------------------------------------------------------------------------


class Child:
    """Stands in for the process of a worker; the signals that end it are kept."""

    def __init__(self, pid: int | None, calls: list[tuple[int | None, str]]) -> None:
        self.pid = pid
        self._calls = calls

    def terminate(self) -> None:
        self._calls.append((self.pid, "terminate"))

    def join(self, timeout: float) -> None:
        """A process that was killed is gone."""


@dataclass
class Machine:
    """The processes of workers, and what was done to them."""

    children: list[Child] = field(default_factory=list)
    calls: list[tuple[int | None, str]] = field(default_factory=list)

    def begin(self, pid: int | None) -> None:
        self.children.append(Child(pid, self.calls))

    def kill(self, pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        self.calls.append((pid, "kill"))
        if pid == GONE:
            raise ProcessLookupError


GONE = 99


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(multiprocessing, "active_children", lambda: list(made.children))
    monkeypatch.setattr("tagifai.sweeping.workers.interruption.os.kill", made.kill)
    return made


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Listen to SIGINT, which the test run's own process may ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_no_trial_that_looks_as_if_it_went_on(machine: Machine) -> None:
    plan = FakePlan(9, n_workers=2)
    begun = threading.Semaphore(0)

    def interrupt() -> None:
        for _ in range(2):
            begun.acquire(timeout=LONG_SECONDS)
        _thread.interrupt_main()

    def job(number: int) -> Any:
        begun.release()
        until = time.monotonic() + LONG_SECONDS
        # As a job does: it learns from a beat that its trial has ended.
        while plan.study.list_trials()[number].state is TrialState.RUNNING:
            assert time.monotonic() < until
            time.sleep(0.01)
        machine.children.clear()
        return STALE

    loop, launcher = made(plan, job)
    machine.begin(7)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert sorted(launcher.launched) == [0, 1]
    assert [t.user_attrs for t in plan.study.list_trials()] == [
        {DIED: "Interrupted with its search."}
    ] * 2
    assert plan.study.count_trials() == TrialCounts(
        complete=0, pruned=0, failed=0, died=2, running=0
    )
    assert machine.calls == [(7, "terminate")]
    workers = [t for t in threading.enumerate() if t.name.startswith("worker-")]
    assert not any(thread.is_alive() for thread in workers)

    again = FakePlan(3, plan.study)
    assert run(again, lambda n: 0.5).launched == [2, 3, 4]


def test_with_a_budget_the_search_ends_when_nothing_fits_any_more() -> None:
    plan = FakePlan(9, budget=60)
    plan.chosen = lambda: plan.study.count_trials().finished < 2
    assert run(plan, lambda n: 0.5).launched == [0, 1]
    assert plan.events[-1].startswith("Trial 1 complete")


def test_a_worker_for_which_nothing_fits_waits_for_what_the_others_find_out() -> None:
    plan = FakePlan(9, n_workers=2, budget=60)
    plan.chosen = lambda: (
        (plan.study.count_trials().running == 0 or plan.study.count_trials().complete > 0)
        and len(plan.study.list_trials()) < 3
    )
    first, *others = run(plan, slow(0.1)).launched
    # The two begin at once, in threads of which either may be the first.
    assert (first, sorted(others)) == (0, [1, 2])


def test_the_value_of_a_sample_is_shown_and_is_no_result() -> None:
    plan = FakePlan(2, budget=60, samples=[0])

    def job(number: int) -> float:
        trial = plan.study.list_trials()[number]
        plan.study._storage.set_trial_user_attr(trial._trial_id, RESULT, [0.25])
        return 0.25

    run(plan, job)
    assert states(plan) == ["PRUNED", "COMPLETE"]
    assert plan.events == ["Trial 0 on a sample val_f1 0.25", "Trial 1 complete val_f1 0.25"]


def test_jobs_that_take_longer_than_the_budget_are_ended_and_the_search_goes_on_to_its_end(
    machine: Machine,
) -> None:
    plan = FakePlan(9, n_workers=2, budget=60)
    plan.overdue = lambda: plan.study.count_trials().running == 2
    plan.chosen = lambda: len(plan.study.list_trials()) < 2

    def job(number: int) -> Any:
        while plan.study.list_trials()[number].state is TrialState.RUNNING:
            time.sleep(0.01)
        machine.children.clear()
        return STALE

    loop, _ = made(plan, job)
    machine.begin(7)
    loop.run()
    assert [t.user_attrs for t in plan.study.list_trials()] == [
        {DIED: "There was no time left for it."}
    ] * 2
    assert machine.calls == [(7, "terminate")]


@pytest.mark.usefixtures("interruptible", "machine")
def test_a_trial_that_is_asked_for_as_the_interrupt_comes_is_abandoned_and_not_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, asking = FakePlan(9, n_workers=2), threading.Event()
    abandoned = threading.Event()
    ask, abandon = plan.study.ask, plan.study.abandon_own_trials

    def slowly(n_trials: int) -> Trial | None:
        if not asking.is_set():
            asking.set()
            _thread.interrupt_main()
            # The interrupt has to wait for the trial that is being made.
            assert not abandoned.wait(0.5)
        return ask(n_trials)

    def noted(reason: str) -> None:
        abandon(reason)
        abandoned.set()

    monkeypatch.setattr(plan.study, "ask", slowly)
    monkeypatch.setattr(plan.study, "abandon_own_trials", noted)
    loop, launcher = made(plan, lambda number: 0.5)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert launcher.launched == []
    assert states(plan) == ["FAIL"]
    assert plan.study.list_trials()[0].user_attrs == {DIED: "Interrupted with its search."}


@pytest.mark.usefixtures("interruptible")
def test_a_job_that_does_not_end_is_killed_after_its_last_words(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "SHUTDOWN_SECONDS", 0.1)
    plan, release = FakePlan(9, n_workers=2), threading.Event()

    def job(number: int) -> float:
        if number == 1:
            _thread.interrupt_main()
        assert release.wait(LONG_SECONDS)
        return 0.5

    machine.begin(5)  # of somebody else in this process, who is left alone
    loop, launcher = made(plan, job)
    for pid in (7, GONE, None):
        machine.begin(pid)
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run()
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("worker-"):
                thread.join(LONG_SECONDS)
    told = [(pid, "terminate") for pid in (7, GONE, None)]
    assert machine.calls == [*told, (7, "kill"), (GONE, "kill")]
    # What comes too late is not recorded, and no further trial has begun.
    assert sorted(launcher.launched) == [0, 1]
    assert plan.study.count_trials() == TrialCounts(
        complete=0, pruned=0, failed=0, died=2, running=0
    )


def test_an_interrupt_in_a_serial_search_abandons_its_trial(machine: Machine) -> None:
    def job(number: int) -> float:
        if number == 1:
            raise KeyboardInterrupt
        return 0.5

    plan = FakePlan(5)
    loop, launcher = made(plan, job)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert launcher.launched == [0, 1]
    assert states(plan) == ["COMPLETE", "FAIL"]
    assert plan.study.list_trials()[1].user_attrs == {DIED: "Interrupted with its search."}


def test_the_trials_of_other_processes_go_on_after_an_interrupt(machine: Machine) -> None:
    storage = InMemoryStorage()
    study_in(storage).ask(9)
    plan = FakePlan(5, study_in(storage))

    def job(number: int) -> float:
        raise KeyboardInterrupt

    loop, _ = made(plan, job)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    assert states(plan) == ["RUNNING", "FAIL"]
