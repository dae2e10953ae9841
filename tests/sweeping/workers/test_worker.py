from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.samplers import GridSampler
from optuna.trial import FrozenTrial, TrialState

from tagifai.exceptions import ConfigError, StaleTrialError
from tagifai.sweeping import composition, storage, studies
from tagifai.sweeping.samplers import SEED_INDEX
from tagifai.sweeping.studies import DIED, ERROR, FIRST, SAME_AS, Study, TrialCounts, has_died
from tagifai.sweeping.workers import source
from tagifai.sweeping.workers import worker as worker_module
from tagifai.sweeping.workers.worker import DONE, Worker
from tagifai.training.trial import PRUNED, STALE, get_trial
from tagifai.utils import signals
from tests.app import wait_until
from tests.databases import make_studies
from tests.sweeping.workers.fakes import RANDOM, list_seeds, make_worker, open_study
from tests.sweeping.workers.fakes import run as run  # noqa: PLC0414 - a fixture

Run = Callable[[Worker], str]


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.list_trials()]


def ends(study: Study) -> list[tuple[Any, ...]]:
    return [(t.state.name, t.value, t.user_attrs.get(SAME_AS)) for t in study.list_trials()]


def test_a_worker_runs_trials_until_the_study_is_full(run: Run) -> None:
    worker = make_worker(open_study())

    assert run(worker) == DONE

    assert ends(worker.study) == [("COMPLETE", float(n), None) for n in range(4)]
    assert run(worker) == DONE  # and finds nothing to do
    assert len(worker.study.list_trials()) == 4


@pytest.mark.parametrize(
    ("returned", "state", "reason"),
    [
        (PRUNED, TrialState.PRUNED, None),
        (None, TrialState.FAIL, "The job returned None, not a number."),
        (ValueError("x\ny"), TrialState.FAIL, "ValueError: x y"),
        (optuna.TrialPruned(), TrialState.PRUNED, None),
    ],
)
def test_a_trial_ends_as_its_job_does_and_the_search_goes_on(
    returned: Any, state: TrialState, reason: str | None, run: Run
) -> None:
    def job(number: int, _: object) -> Any:
        if number != 1:
            return 0.5
        if isinstance(returned, Exception):
            raise returned
        return returned

    worker = make_worker(open_study(), job, n_trials=3)

    assert run(worker) == DONE

    trials = worker.study.list_trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE, state, TrialState.COMPLETE]
    assert trials[1].user_attrs.get(ERROR) == reason


@pytest.mark.parametrize("how", [StaleTrialError("x"), STALE])
def test_a_trial_whose_job_was_interrupted_is_tried_again_with_its_values(
    how: Any, run: Run
) -> None:
    def job(number: int, _: object) -> Any:
        if number == 1:
            if isinstance(how, Exception):
                raise how
            return how
        return 0.5

    worker = make_worker(open_study(), job, n_trials=3)

    assert run(worker) == "Its job was interrupted."
    assert run(worker) == DONE

    trials = worker.study.list_trials()
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials[1].user_attrs[DIED] == "Its job was interrupted."
    assert trials[2].params == trials[1].params
    assert list_seeds(worker) == [0, 1, 1, 2]


def test_a_guess_whose_job_died_is_tried_again_before_the_others(run: Run) -> None:
    died = []

    def job(number: int, _: object) -> Any:
        if number in {1, 3}:
            died.append(number)
            raise StaleTrialError("x")
        return 0.5

    study = open_study()
    for index, x in enumerate([0.25, 0.5, 0.75]):
        study.optuna.enqueue_trial({"x": x}, user_attrs={FIRST: index})
    worker = make_worker(study, job, n_trials=4)
    while run(worker) != DONE:
        pass

    done = study.list_trials(TrialState.COMPLETE)
    assert died == [1, 3]
    tried = sorted((t.user_attrs[SEED_INDEX], t.user_attrs.get(FIRST), t.params["x"]) for t in done)
    assert tried[:3] == [(0, 0, 0.25), (1, 1, 0.5), (2, 2, 0.75)]
    assert [t.user_attrs.get(FIRST) for t in study.list_trials() if has_died(t)] == [1, 1]


def test_a_full_disk_is_no_fault_of_the_trial(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        raise OSError(28, "No space left on device")

    worker = make_worker(open_study(), job)

    assert "the disk is full" in run(worker)
    assert worker.study.count_trials() == TrialCounts(0, 0, 0, died=1, running=0)


def test_what_a_training_notes_is_told_with_the_end_of_its_trial(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        get_trial().note(run_id="r", seconds=1.5)
        return 0.5

    worker = make_worker(open_study(), job, n_trials=1)
    run(worker)

    (trial,) = worker.study.list_trials()
    assert (trial.user_attrs["run_id"], trial.user_attrs["seconds"]) == ("r", 1.5)


def test_a_bad_trial_is_pruned_by_what_it_reports(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        for step in range(4):
            if get_trial().report(step, 0.1 if number == 3 else 0.9):
                return PRUNED
        return 0.9

    worker = make_worker(open_study(pruner=MedianPruner(2, 1)), job)
    run(worker)

    assert states(worker.study) == ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED"]
    assert worker.study.list_trials()[3].intermediate_values == {0: 0.1, 1: 0.1}


def test_without_a_pruner_nothing_is_reported(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        assert get_trial().report(0, 0.1) is False
        return 0.9

    worker = make_worker(open_study(), job, n_trials=1)
    run(worker)

    assert worker.study.list_trials()[0].intermediate_values == {}


def test_a_trial_that_another_process_has_ended_keeps_that_end(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        if number == 0:
            worker.study.abandon(worker.study.list_trials()[0]._trial_id, "It was slow.")
        return 0.5

    worker = make_worker(open_study(), job, n_trials=2)
    run(worker)

    assert ends(worker.study) == [("FAIL", None, None), *2 * [("COMPLETE", 0.5, None)]]


@pytest.mark.parametrize("most", [1, 3])
def test_a_worker_may_end_after_some_trials(most: int, run: Run) -> None:
    worker = make_worker(open_study(), sweep={"trials_per_worker": most})

    assert run(worker) == ""
    assert len(worker.study.list_trials()) == most


def test_a_worker_that_is_stopped_takes_no_trial(run: Run) -> None:
    worker = make_worker(open_study())
    worker.study.stop_session("session")

    assert run(worker) == ""
    assert worker.study.list_trials() == []


# --- several workers --------------------------------------------------------------------------


@pytest.mark.parametrize("n_workers", [2, 3])
def test_workers_run_exactly_the_total_together(n_workers: int, run: Run, tmp_path: Any) -> None:
    url = make_studies(tmp_path / "studies.db")
    storage.connect_database.cache_clear()
    workers = [make_worker(open_study(url), n_trials=9) for _ in range(n_workers)]
    returned: list[str] = []
    threads = [threading.Thread(target=lambda w=w: returned.append(run(w))) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert returned == n_workers * [DONE]
    assert ends(workers[0].study) == [("COMPLETE", float(n), None) for n in range(9)]
    assert sorted(list_seeds(workers[0])) == list(range(9))


def test_a_worker_is_sent_with_the_name_of_its_study(tmp_path: Any) -> None:
    url = make_studies(tmp_path / "studies.db")
    worker = make_worker(open_study(url), settings={"storage": url}, notify=print)
    vars(worker)["function"] = None

    arrived = pickle.loads(pickle.dumps(worker))

    assert "study" not in vars(arrived)
    assert (arrived.name, arrived.notify, arrived.n_trials) == ("s", None, 4)


def test_a_database_that_fails_for_good_is_why_a_worker_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PAUSES", (0.0,))
    worker = make_worker(open_study())

    def fail() -> None:
        raise StorageInternalError("server closed the connection\nand more")

    monkeypatch.setattr(worker.study, "end_stale_trials", fail)

    assert run(worker) == "The database of studies failed: server closed the connection."


# --- equal trials -----------------------------------------------------------------------------

FEW = "x=choice(a,b,c)"


def test_equal_values_are_trained_once_and_a_finite_space_ends(run: Run) -> None:
    trained: list[str] = []

    def job(number: int, values: dict[str, str]) -> Any:
        trained.append(values["x"])
        if values["x"] == "b":
            get_trial().report(5, 0.3)
            return PRUNED
        if values["x"] == "c":
            raise ConfigError("c makes no sense")
        get_trial().note(run_id="r")
        return 0.5

    study = open_study(pruner=MedianPruner(0, 0))
    worker = make_worker(study, job, space=FEW, n_trials=40)

    assert run(worker) == DONE

    assert sorted(trained) == ["a", "b", "c"]
    trials = study.list_trials()
    first: dict[Any, FrozenTrial] = {}
    for trial in trials:
        twin = first.setdefault(trial.params["x"], trial)
        assert (trial.state, trial.value) == (twin.state, twin.value)
        assert trial.user_attrs.get(SAME_AS) == (None if twin is trial else twin.number)
        assert trial.user_attrs.get("run_id") == twin.user_attrs.get("run_id")
        assert trial.user_attrs.get(ERROR) == twin.user_attrs.get(ERROR)
    assert len(trials) < 40
    end = source.TrialSource(worker, study).find_end(trials)
    assert end == "all 3 configurations of the space have been tried"


def test_an_equal_trial_that_is_under_way_is_waited_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "IDLE_SECONDS", 0.01)
    study = open_study()
    study.optuna.enqueue_trial({"x": "a"})
    study.optuna.enqueue_trial({"x": "a"})
    trained: list[int] = []
    under_way, may_end = threading.Event(), threading.Event()

    def job(number: int, _: object) -> Any:
        trained.append(number)
        under_way.set()
        assert may_end.wait(20)
        return 0.5

    workers = [make_worker(study, job, space="x=choice(a,b,c) y=1", n_trials=2) for _ in "ab"]
    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    threads[0].start()
    assert under_way.wait(20)
    threads[1].start()
    wait_until(lambda: len(study.list_trials(TrialState.RUNNING)) == 2, seconds=20)
    may_end.set()
    for thread in threads:
        thread.join()

    assert trained == [0]
    assert ends(study) == [("COMPLETE", 0.5, None), ("COMPLETE", 0.5, 0)]


def test_one_whose_twin_dies_is_trained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "IDLE_SECONDS", 0.01)
    study = open_study()
    dead = make_worker(study, space=FEW)
    taken = source.TrialSource(dead, study).take()
    assert isinstance(taken, source.TakenTrial)
    study.optuna.enqueue_trial(taken.trial.params)
    worker = make_worker(study, space=FEW, n_trials=2)
    thread = threading.Thread(target=run, args=(worker,))
    thread.start()
    wait_until(lambda: len(study.list_trials(TrialState.RUNNING)) == 2, seconds=20)
    study.abandon(taken.trial._trial_id, "Its process ended unexpectedly.")
    thread.join()

    assert ends(study)[:2] == [("FAIL", None, None), ("COMPLETE", 1.0, None)]


def test_a_trial_whose_values_cannot_be_chosen_fails_with_the_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extend(cfg: object, trial: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(composition, "load_space_extension", lambda name: extend)
    worker = make_worker(open_study(), n_trials=2)

    assert run(worker) == DONE
    assert {t.user_attrs[ERROR] for t in worker.study.list_trials()} == {
        "ValueError: no such thing"
    }


def test_what_no_worker_has_completed_asking_for_does_not_hide_others(run: Run) -> None:
    """A worker that died between two of its values leaves a trial with some of them."""
    study = open_study()
    half = study.ask({})
    half.suggest_float("x", 0, 1)
    worker = make_worker(study, space="x=interval(0,1) y=interval(0,1)", n_trials=3)

    assert study.count_trials().running == 1
    study.abandon(half._trial_id, "It died.")
    assert run(worker) == DONE
    assert study.count_trials().complete == 3


# --- when it ends -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "trials", "end"),
    [
        ({"settings": {"max_failure_rate": 0.25}}, 2, "too many trials failed"),
        ({"deadline": 0.0}, 0, "the time is up"),
        ({"sweep": {"stop": "improvement"}}, 21, "the best has not improved for long"),
    ],
)
def test_a_search_may_end_before_its_total(
    changed: dict[str, Any], trials: int, end: str, run: Run
) -> None:
    def job(number: int, _: object) -> Any:
        if "settings" in changed:
            raise ConfigError("no")
        return -float(number)

    worker = make_worker(open_study(), job, n_trials=4 if "settings" in changed else 100, **changed)

    assert run(worker) == DONE

    found = worker.study.list_trials()
    assert len(found) == trials
    assert source.TrialSource(worker, worker.study).find_end(found) == end


@pytest.mark.parametrize(
    ("took", "since", "goes_on"),
    [(10.0, 40.0, True), (10.0, 50.0, False), (70.0, 0.0, True), (70.0, 10.0, False)],
)
def test_a_job_of_a_cluster_takes_no_trial_that_its_time_limit_would_cut(
    took: float, since: float, goes_on: bool, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    worker = make_worker(open_study(), n_trials=1, launcher={"timeout_min": 1})
    run(worker)
    dead = worker.study.ask({})  # found in the morning, of a search that was killed in the evening
    worker.study.abandon(dead._trial_id, "It died.")
    seconds = {0: took, dead.number: 40000.0}
    monkeypatch.setattr(
        FrozenTrial, "duration", property(lambda trial: timedelta(seconds=seconds[trial.number]))
    )
    made = source.TrialSource(worker, worker.study)
    now = time.time() + since
    monkeypatch.setattr(time, "time", lambda: now)

    assert made.may_go_on()  # a process of this machine has no limit
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    assert made.may_go_on() is goes_on


def test_of_several_trials_that_wait_for_one_that_dies_one_is_trained(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.01)
    study = open_study()
    dead = source.TrialSource(make_worker(study, space=FEW), study).take()
    assert isinstance(dead, source.TakenTrial)
    for _ in range(2):
        study.optuna.enqueue_trial(dead.trial.params)
    trained: list[int] = []

    def job(number: int, _: object) -> float:
        trained.append(number)
        return 0.5

    workers = [make_worker(study, job, space=FEW, n_trials=3) for _ in range(2)]
    for worker in workers:
        worker.config.sweep.trials_per_worker = 1
    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(study.list_trials(TrialState.RUNNING)) == 3, seconds=20)
    study.abandon(dead.trial._trial_id, "Its process ended unexpectedly.")
    for thread in threads:
        thread.join()

    assert trained == [1]
    assert ends(study)[1:] == [("COMPLETE", 0.5, None), ("COMPLETE", 0.5, 1)]


def test_of_a_database_that_fails_while_values_are_chosen_no_trial_is_to_blame(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PAUSES", (0.0,))
    worker = make_worker(open_study(), n_trials=1)
    suggest, failures = type(worker.space).suggest_overrides, iter([True])

    def fail_once(space: Any, trial: Any) -> Any:
        if next(failures, False):
            raise StorageInternalError("deadlock")
        return suggest(space, trial)

    monkeypatch.setattr(type(worker.space), "suggest_overrides", fail_once)
    thread = threading.Thread(target=run, args=(worker,))
    thread.start()
    wait_until(lambda: len(worker.study.list_trials()) == 1, seconds=20)
    worker.study.abandon(worker.study.list_trials()[0]._trial_id, "It died.")
    thread.join()

    assert ends(worker.study) == [("FAIL", None, None), ("COMPLETE", 1.0, None)]


def test_a_worker_that_was_sent_has_the_sampler_of_the_search(tmp_path: Any, run: Run) -> None:
    """Of a grid, a point whose trial died is not tried again by itself."""
    url = make_studies(tmp_path / "studies.db")
    grid = {"_target_": "optuna.samplers.GridSampler"}
    worker = make_worker(
        open_study(url), space="x=choice(a,b)", n_trials=2, sampler=grid, settings={"storage": url}
    )
    taken = source.TrialSource(worker, worker.study).take()
    assert isinstance(taken, source.TakenTrial)
    vars(worker).pop("study")
    found = open_study(url)
    found.abandon_session("session", "It died.")
    run(worker)

    assert isinstance(worker.study.optuna.sampler, GridSampler)


def test_the_warning_of_a_time_limit_fails_no_trial(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("timed-out too many times")

    def job(number: int, _: object) -> float:
        signal.raise_signal(signal.SIGUSR2)
        return 0.5

    before = signal.signal(signal.SIGUSR2, fail)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setattr(signals, "guard_job", nullcontext)
    worker = make_worker(open_study(), job, n_trials=2)
    try:
        assert run(worker) == DONE
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert states(worker.study) == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_search_gives_the_trials_that_it_would_have_given_after_any_interruption(
    interrupt: bool, run: Run
) -> None:
    def search(killed: tuple[int, ...]) -> list[Any]:
        calls = iter(range(100))

        def job(number: int, values: dict[str, str]) -> Any:
            if next(calls) in killed:
                raise StaleTrialError("x")
            return -abs(float(values["x"]) - 0.3)

        sampler = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}
        worker = make_worker(open_study(), job, n_trials=12, sampler=sampler)
        while run(worker) != DONE:
            pass
        done = worker.study.list_trials(TrialState.COMPLETE)
        return [(t.params, t.value) for t in done]

    assert search((2, 5, 6, 11) if interrupt else ()) == search(())


def test_ctrl_c_in_this_process_goes_on_to_whoever_launched_the_worker(run: Run) -> None:
    def job(number: int, _: object) -> Any:
        signal.raise_signal(signal.SIGINT)

    worker = make_worker(open_study(), job)

    with pytest.raises(KeyboardInterrupt):
        run(worker)
    assert states(worker.study) == ["RUNNING"]
    worker.study.abandon_session("session", "Interrupted with its search.")
    assert worker.study.count_trials() == TrialCounts(0, 0, 0, died=1, running=0)


def test_several_objectives_have_all_their_values(run: Run) -> None:
    study = studies.open_study(None, "two", ["maximize", "minimize"])
    worker = make_worker(study, lambda number, _: [0.5, 100.0], n_trials=1, sampler=RANDOM)
    worker.config.objective.metrics.append("model_bytes")
    run(worker)

    assert study.list_trials()[0].values == [0.5, 100.0]
