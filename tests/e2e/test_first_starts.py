"""Several commands begin at once where nothing is yet: none fails, and nothing half made stays."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.tracking import databases
from tests.app import ROOT, environment, wait_until
from tests.databases import run_postgres

START = """
import sys
from pathlib import Path
from tagifai.tracking import session
from tagifai.tracking.store import Experiment

uri, stores = sys.argv[1], Path(sys.argv[2])
with session.start_run(Experiment(uri, "e", stores)) as run:
    print(run.id)
"""


def start(stores: Path, uri: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, uri or f"sqlite:///{stores}/mlflow.db", str(stores)],
        env=environment({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_runs(uri: str) -> set[str]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    return {run.info.run_id for run in client.search_runs([experiment.experiment_id])}


def has_begun(stores: Path) -> bool:
    return any(stores.glob(".*.draft")) or (stores / "mlflow.db").exists()


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
def test_eight_first_starts_at_once_all_record_their_runs(tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    begun = [start(stores) for _ in range(8)]
    ended = [process.communicate(timeout=300) for process in begun]
    assert [process.returncode for process in begun] == [0] * 8, ended
    found = read_runs(f"sqlite:///{stores}/mlflow.db")
    assert found == {output.strip() for output, _ in ended}, ended
    assert list(stores.glob("*.draft*")) == []


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("seed", range(2))
def test_kills_of_first_starts_leave_no_half_database_and_the_others_succeed(
    tmp_path: Path, seed: int
) -> None:
    chosen, stores = random.Random(seed), tmp_path / "stores"
    uri = f"sqlite:///{stores}/mlflow.db"
    for _ in range(3):
        process = start(stores)
        wait_until(lambda: has_begun(stores))
        time.sleep(chosen.uniform(0, 1.2))
        process.kill()
        process.communicate(timeout=60)
        assert databases.inspect_database(uri) is None
    begun = [start(stores) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in begun]
    assert [process.returncode for process in begun] == [0, 0], ended
    assert {output.strip() for output, _ in ended} <= read_runs(uri)
    assert list(stores.glob("*.draft*")) == []


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured", "tracked_stores")
def test_first_starts_at_once_on_a_server_make_its_tables_once(tmp_path: Path) -> None:
    with run_postgres() as server:
        uri = server.url.render_as_string(hide_password=False)
        begun = [start(tmp_path / str(number), uri) for number in range(3)]
        ended = [process.communicate(timeout=300) for process in begun]
        assert [process.returncode for process in begun] == [0] * 3, ended
        assert read_runs(uri) == {output.strip() for output, _ in ended}
