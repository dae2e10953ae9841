from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.app import wait_until

KILLED_WITHOUT_JOBS = """
import os
from joblib import Parallel, delayed
from tagifai.sweeping import settings
from tagifai.sweeping.workers import launchers

launchers.prepare(settings.JOBLIB, 2)
print(*set(Parallel(n_jobs=2)(delayed(os.getpid)() for _ in range(8))), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.e2e
def test_processes_of_joblib_without_a_job_end_with_the_search() -> None:
    command = [sys.executable, "-c", KILLED_WITHOUT_JOBS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as search:
        assert search.stdout is not None
        workers = search.stdout.readline().split()

    assert workers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)
