"""File systems that fill in the middle of a command, or cannot be written at all."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.app import SMALL, App, environment
from tests.showcase import Showcase

pytestmark = pytest.mark.e2e

Mount = Callable[[Path, str], None]

NOISE = re.compile(r"Traceback|Errno|sqlite3|SQLAlchemy|Logging error|Exception ignored|\[\(")


@pytest.fixture
def mount() -> Iterator[Mount]:
    """A function that mounts an empty file system of a size, or changes a mount's options."""
    with ExitStack() as mounted:

        def make(folder: Path, options: str) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                pytest.skip(f"nothing can be mounted here: {error}")
            if done.returncode:
                pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
            if "remount" not in options:
                mounted.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)

        yield make


def fill(mount: Mount, folder: Path, more: int) -> None:
    """Let a mounted folder have so many kilobytes left."""
    shown = subprocess.run(
        ["df", "-k", "--output=used", str(folder)], check=True, capture_output=True, text=True
    )
    mount(folder, f"remount,size={int(shown.stdout.split()[-1]) + more}k")


def place(app: App, showcase: Showcase, mount: Mount, name: str) -> None:
    """Put one folder of an application with a run on a file system of its own."""
    made = showcase.copy("run", app.folder / "made")
    mount(app.folder / name, "size=100m")
    for part in ("stores", "outputs"):
        if (made.folder / part).is_dir():
            shutil.copytree(made.folder / part, app.folder / part, dirs_exist_ok=True)
    (app.folder / name).mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        *(("stores", more) for more in (0, 40, 300, 600, 900, 1200)),
        *(("outputs", more) for more in (4, 20, 100, 250)),
    ],
)
def test_a_training_on_a_full_disk_ends_with_one_line_and_the_latest_run_stays(
    tmp_path: Path, showcase: Showcase, mount: Mount, name: str, more: int
) -> None:
    app = App(tmp_path)
    place(app, showcase, mount, name)
    before = app.run_id()
    fill(mount, tmp_path / name, more)
    done = app.fork(*SMALL, "seed=5")
    if done.returncode != 3:  # trained, to be recorded later
        assert done.returncode in (0, 1)
    assert not NOISE.search(done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == (done.returncode > 0), done.stderr
    if done.returncode:
        assert f"the file system at {tmp_path / name} has" in done.stderr
        assert f"paths.{name}=..." in done.stderr
    if done.returncode == 1:
        assert app.run_id() == before
    mount(tmp_path / name, "remount,size=100m")
    assert app.fork("task=predict", "task.text=hello").returncode == 0
    again = app.fork(*SMALL, "seed=5")
    assert again.returncode == 0, again.stderr


def test_what_only_reads_needs_neither_a_folder_of_outputs_nor_stores_to_write_to(
    tmp_path: Path, showcase: Showcase, mount: Mount
) -> None:
    app = App(tmp_path)
    place(app, showcase, mount, "stores")
    mount(tmp_path / "stores", "remount,ro")
    mount(app.outputs, "size=1m,ro")
    for command in (["task=info"], ["task=predict", "task.text=hello"], ["task=evaluate"]):
        done = app.fork(*command)
        assert (done.returncode, done.stderr) == (0, ""), command
    refused = app.fork(*SMALL)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "cannot be written. Choose another folder: paths.outputs=..." in refused.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_standard_output_on_a_full_disk_is_one_line(tmp_path: Path) -> None:
    app = App(tmp_path)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            app.command("task=info"), cwd=app.cwd, stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "Error: Standard output cannot be written: the disk is full. Send it to another place.\n"
    )


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="there is no prlimit")
@pytest.mark.parametrize("megabytes", [100, 300, 600, 900])
def test_a_training_without_memory_ends_with_one_line_that_names_the_settings(
    tmp_path: Path, megabytes: int
) -> None:
    app = App(tmp_path)
    limited = ["prlimit", f"--as={megabytes * 10**6}", *app.command(*SMALL)]
    # Where OpenBLAS can begin no thread it sends its process the signal of Ctrl-C.
    done = subprocess.run(
        limited, cwd=app.cwd, env=environment({"OPENBLAS_NUM_THREADS": "1"}), text=True,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: Memory ran out")
    assert "vectorizer.max_features" in line
