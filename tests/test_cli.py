from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.types import RunMode

from tagifai import cli
from tagifai.config import job
from tagifai.config.job import SEARCH_TARGET, Job
from tagifai.exceptions import (
    BundleError,
    ConfigError,
    DataError,
    StaleTrialError,
    TrackingError,
)
from tagifai.tracking import multirun
from tagifai.utils import program
from tagifai.utils.processes import descendants
from tagifai.utils.signals import Terminated
from tests.app import environment
from tests.conftest import Compose
from tests.runner import keep_signals, run_in_process

RUN = Path(__file__).parent.parent / "run.py"

STREAMS = """
import sys
from tagifai import cli
from tagifai.exceptions import ConfigError

def main():
    print("to standard output")
    sys.stderr.write("to standard error\\n")
    if "fail" in sys.argv:
        raise ConfigError("seed is bad")

sys.exit(cli.run_main(main))
"""

PIPE = """
import sys
from tagifai import cli

def main():
    try:
        while True:
            print("x" * 1000)
    except BrokenPipeError as error:
        raise cli.JobFailed(error) if "carried" in sys.argv else error

sys.exit(cli.run_main(main))
"""


# --- exit codes --------------------------------------------------------------------------------


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's command line, environment and signals, put back afterwards."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    ours = (program.COMMAND_VARIABLE, program.PROGRAM_VARIABLE, program.FOLDER_VARIABLE)
    for name in (*ours, program.SCRIPT_VARIABLE, "TAGIFAI_STORES"):
        # What is set is put back; what is deleted without having been there would stay as it is.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    with keep_signals():
        yield


def failing(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("seed is bad"), 2, "Error: seed is bad\n"),
        (TrackingError("gone"), 1, "Error: gone\n"),
        (cli.JobFailed(DataError("no rows")), 2, "Error: no rows\n"),
        (BundleError("holds \x1b[2J\r é\n"), 2, "Error: holds \\x1b[2J\\r é\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (Terminated(), 143, "Terminated.\n"),
    ],
)
def test_an_error_is_one_message_on_standard_error_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    assert cli.run_main(failing(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message)


@pytest.mark.usefixtures("command_line")
def test_success_says_nothing_and_exits_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_main(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize("wrap", [False, True])
def test_the_traceback_is_shown_to_who_wants_it_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrap: bool
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    error = DataError("no rows in https://me:s3cret@host/x?token=s3cret")
    assert cli.run_main(failing(cli.JobFailed(error) if wrap else error)) == 1
    shown = capsys.readouterr().err
    # One that was never raised has no lines of code.
    assert wrap or shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("DataError: no rows in https://me:***@host/x?token=***\n")


@pytest.mark.usefixtures("command_line")
def test_a_polite_kill_unwinds_the_stack_and_exits_with_143() -> None:
    left: list[str] = []

    def main() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            left.append("cleaned up")

    assert cli.run_main(main) == 143
    assert left == ["cleaned up"]


@pytest.mark.usefixtures("command_line")
def test_the_main_function_sees_quoted_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sys, "argv", ["run.py", "task=predict", "task.text=a, b"])
    assert cli.run_main(lambda: seen.extend(sys.argv)) == 0
    assert seen == ["run.py", "task=predict", 'task.text="a, b"']


@pytest.mark.usefixtures("command_line")
def test_a_blank_folder_is_refused_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "paths.outputs="])
    assert cli.run_main(failing(AssertionError("it was run"))) == 2
    assert capsys.readouterr() == ("", "Error: paths.outputs is blank; give a folder.\n")


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/venv/bin/tagifai", "/venv/bin/tagifai"),
        ("/venv/lib/tagifai/__main__.py", "python -m tagifai"),
        ("run.py", "python run.py"),
    ],
)
def test_help_names_the_command_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str, command: str
) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(sys, "argv", [path, "--help"])
    assert cli.main() == 0
    lines = capsys.readouterr().out.splitlines()
    commands = [number for number, line in enumerate(lines) if line.startswith(f"  {command}")]
    assert len(commands) == 6
    ways = {"train on the embedded data", "swap two options", "change values", "four runs"}
    assert {lines[number + 1].strip() for number in commands} >= ways


# --- what the processes of a sweep are told ----------------------------------------------------


@pytest.mark.usefixtures("command_line")
def test_other_processes_are_told_the_command_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ["-m", "task.text=a, b", "model.alpha=1e-4,1e-5", "data.tags=it's.csv"]
    monkeypatch.setattr(sys, "argv", ["/somewhere/run.py", *typed])
    assert cli.run_main(lambda: None) == 0
    assert shlex.split(os.environ[program.COMMAND_VARIABLE]) == ["run.py", *typed]


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize(
    ("given_path", "told"),
    [
        ("kept", "{tmp}/kept"),
        ("/abs/kept", "/abs/kept"),
        ("'my kept'", "{tmp}/my kept"),
        ('"/my kept"', "/my kept"),
        ("~/kept", "/home/me/kept"),
    ],
)
def test_the_folder_of_stores_is_told_before_the_search_path_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given_path: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "argv", ["run.py", "seed=1", f"paths.stores={given_path}"])
    seen: list[str] = []
    assert cli.run_main(lambda: seen.append(os.environ["TAGIFAI_STORES"])) == 0
    assert seen == [told.format(tmp=tmp_path)]


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize(
    "argument",
    ["paths.stores=${paths.root}/kept", "paths.outputs=kept", "paths.stores", "my.paths.stores=x"],
)
def test_without_a_plain_folder_of_stores_none_is_told(
    monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", argument])
    assert cli.run_main(lambda: None) == 0
    assert "TAGIFAI_STORES" not in os.environ


def test_the_folder_of_stores_is_the_one_of_the_environment_if_there_is_one(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFAI_STORES", "/told")
    assert composed().paths.stores == "/told"
    assert composed("paths.stores=/given").paths.stores == "/given"


# --- the parent run of a multirun --------------------------------------------------------------


class Closing:
    """Remembers as what the parent run was to be closed, or says that the store is gone."""

    def __init__(self, *, gone: bool) -> None:
        self.gone = gone
        self.asked: list[tuple[str, str]] = []

    def __call__(self, status: str, reason: str = "") -> None:
        self.asked.append((status, reason))
        if self.gone:
            raise TrackingError("the store is gone")


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize(
    ("error", "asked", "code"),
    [
        (ConfigError("seed is bad"), ("FAILED", "seed is bad"), 2),
        (cli.JobFailed(DataError("no rows")), ("FAILED", "no rows"), 2),
        (TrackingError("no answer"), ("FAILED", "no answer"), 1),
        (KeyboardInterrupt(), ("KILLED", "Interrupted."), 130),
        (Terminated(), ("KILLED", "Interrupted."), 143),
    ],
)
def test_the_parent_is_closed_as_its_sweep_ended_and_hides_no_error_of_the_sweep(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    asked: tuple[str, str],
    code: int,
    gone: bool,
) -> None:
    closing = Closing(gone=gone)
    monkeypatch.setattr(multirun, "close_parent_run", closing)
    assert cli.run_main(failing(error)) == code
    assert closing.asked == [asked]
    assert "the store is gone" not in capsys.readouterr().err


@pytest.mark.usefixtures("command_line")
def test_the_parent_of_a_sweep_that_went_well_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    closing = Closing(gone=False)
    monkeypatch.setattr(multirun, "close_parent_run", closing)
    assert cli.run_main(lambda: None) == 0
    assert closing.asked == [("FINISHED", "")]


@pytest.mark.usefixtures("command_line")
def test_a_parent_that_cannot_be_finished_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(multirun, "close_parent_run", Closing(gone=True))
    assert cli.run_main(lambda: None) == 1
    assert capsys.readouterr().err == "Error: the store is gone\n"


# --- streams -----------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("how", "code"), [("well", 0), ("fail", 2)])
def test_closed_streams_change_no_exit_code(closed: str, how: str, code: int) -> None:
    shell = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh"]
    done = subprocess.run(
        [*shell, sys.executable, "-c", STREAMS, how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code
    assert done.stdout == ("" if " >&-" in f" {closed}" else "to standard output\n")
    message = "Error: seed is bad\n" if how == "fail" else ""
    assert done.stderr == ("" if "2>&-" in closed else f"to standard error\n{message}")


@pytest.mark.e2e
@pytest.mark.parametrize("how", ["as it is", "carried"])
def test_a_reader_that_goes_away_is_no_reason_to_complain(how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PIPE, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(timeout=30) == 1
        finally:
            process.kill()
        assert process.stderr.read() == b""


# --- jobs --------------------------------------------------------------------------------------


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output folder of a single run, with Hydra's record."""
    folder = tmp_path / "day" / "run"
    (folder / ".hydra").mkdir(parents=True)
    job_of(monkeypatch, folder, RunMode.RUN)
    return folder


def job_of(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    mode: RunMode,
    *overrides: str,
    preset: str | None = None,
    sweeper: str = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
) -> None:
    multirun_dir = folder.parent if mode == RunMode.MULTIRUN else None
    present = Job(
        folder,
        hydra_overrides=overrides,
        options={"sweep": preset},
        multirun_dir=multirun_dir,
        sweeper=sweeper,
    )
    monkeypatch.setattr(job, "_given", [present])


def fail(error: Exception) -> None:
    with cli.guard_job():
        raise error


def test_a_job_that_succeeds_is_left_alone(output: Path) -> None:
    with cli.guard_job():
        pass
    assert (output / ".hydra").is_dir()


def test_the_error_of_a_single_run_is_carried_past_hydra(output: Path) -> None:
    error = DataError("no rows")
    with pytest.raises(cli.JobFailed) as caught:
        fail(error)
    assert caught.value.args == (error,)
    assert not isinstance(caught.value, Exception)
    assert (output / ".hydra").is_dir()


def test_the_error_of_a_sweep_s_job_is_left_to_the_launcher(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, output, RunMode.MULTIRUN)
    with pytest.raises(DataError, match="no rows"):
        fail(DataError("no rows"))


def test_a_refused_configuration_leaves_no_folder(output: Path) -> None:
    with pytest.raises(cli.JobFailed):
        fail(ConfigError("bad"))
    assert not output.parent.exists()


def test_the_folders_of_other_runs_and_a_folder_with_results_are_kept(output: Path) -> None:
    (output.parent / "other").mkdir()
    with pytest.raises(cli.JobFailed):
        fail(ConfigError("bad"))
    assert [path.name for path in output.parent.iterdir()] == ["other"]
    (output / ".hydra").mkdir(parents=True)
    (output / "run.log").touch()
    with pytest.raises(cli.JobFailed):
        fail(ConfigError("bad"))
    assert (output / "run.log").exists()


def test_a_folder_that_the_user_chose_is_kept(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, output, RunMode.RUN, f"hydra.run.dir={output}")
    with pytest.raises(cli.JobFailed):
        fail(ConfigError("bad"))
    assert (output / ".hydra").is_dir()


@pytest.mark.parametrize("error", [DataError("x"), BundleError("x"), KeyError("x")])
def test_the_folder_of_a_job_that_failed_later_is_kept(output: Path, error: Exception) -> None:
    with pytest.raises(cli.JobFailed):
        fail(error)
    assert (output / ".hydra").is_dir()


@pytest.mark.usefixtures("output")
@pytest.mark.parametrize(("error", "logged"), [(KeyError("x"), True), (DataError("x"), False)])
def test_the_log_has_the_traceback_of_what_was_not_foreseen(
    caplog: pytest.LogCaptureFixture, error: Exception, logged: bool
) -> None:
    with caplog.at_level(logging.INFO, "tagifai"), pytest.raises(cli.JobFailed):
        fail(error)
    assert ("Traceback" in caplog.text) is logged


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"preset": "quick", "sweeper": SEARCH_TARGET}, "sweep=quick"),
        ({"preset": "mine"}, "sweep=mine"),
        ({"sweeper": SEARCH_TARGET}, "hydra/sweeper=tagifai"),
    ],
)
def test_a_search_without_m_is_refused_with_the_command_that_works(
    output: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], named: str
) -> None:
    job_of(monkeypatch, output, RunMode.RUN, **chosen)
    entered: list[str] = []
    with pytest.raises(cli.JobFailed) as caught, cli.guard_job():
        entered.append("worked")
    (error,) = caught.value.args
    assert type(error) is ConfigError
    command = program.format_call("-m", named)
    assert str(error) == f"{named} is a search, which needs -m: {command}"
    assert entered == []
    assert not output.exists()


def test_the_job_of_a_search_is_none_of_its_own(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, output, RunMode.MULTIRUN, preset="quick", sweeper=SEARCH_TARGET)
    with cli.guard_job():
        assert output.is_dir()


# --- the process of a launcher -----------------------------------------------------------------


@pytest.fixture
def signals() -> Iterator[None]:
    """The process's signals, put back afterwards."""
    with keep_signals():
        yield


@pytest.fixture
def worker(output: Path, signals: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """This process as a launcher's, at a job; gives the processes that it is to end with."""
    parent = SimpleNamespace(pid=os.getppid())
    monkeypatch.setattr("multiprocessing.process.parent_process", lambda: parent)
    ends_with: list[int] = []
    monkeypatch.setattr(descendants, "end_with", ends_with.append)
    return ends_with


def told_to_end(left: list[str]) -> None:
    with cli.guard_job():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
        left.append("went on")
        signal.raise_signal(signal.SIGTERM)
        left.append("never")


@pytest.mark.parametrize("kind", ["of a pool", "of a cluster"])
def test_a_worker_ends_its_job_when_it_is_told_to_and_leaves_ctrl_c_to_the_first_process(
    worker: list[int], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "of a cluster":
        monkeypatch.setattr("multiprocessing.process.parent_process", lambda: None)
        monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
        monkeypatch.setenv("TAGIFAI_LAUNCHER", "1")
    left: list[str] = []
    with pytest.raises(StaleTrialError, match="Interrupted") as caught:
        told_to_end(left)
    assert left == ["went on"]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert worker == [1 if kind == "of a cluster" else os.getppid()]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("output", "signals")
@pytest.mark.parametrize("error", [KeyboardInterrupt, Terminated])
def test_an_interrupt_of_the_first_process_is_left_as_it_is(error: type[BaseException]) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, cli.guard_job():
        raise error
    assert type(caught.value) is error


@pytest.mark.usefixtures("output", "signals")
def test_signals_of_the_first_process_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with cli.guard_job():
        now = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert now == before


@pytest.mark.usefixtures("worker")
def test_signals_of_a_worker_s_other_threads_are_left_alone() -> None:
    def work() -> None:
        with cli.guard_job():
            found.append(signal.getsignal(signal.SIGTERM))

    found: list[object] = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=30)
    assert found == [before]


# --- as a person does --------------------------------------------------------------------------


def run(cwd: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    folders = (f"paths.outputs={cwd}/o", f"paths.stores={cwd}/s")
    return run_in_process([str(RUN), *folders, *arguments], cwd, environment(), stdin)


def test_a_table_is_piped_in_with_names_as_they_are_typed(tmp_path: Path) -> None:
    rows = [f"{word} gut {n},ja" for n, word in enumerate(["Tür", "Öl"] * 4)]
    rows += [f"{word} schlecht {n},nein" for n, word in enumerate(["Tür", "Öl"] * 4)]
    table = "\n".join(["Text (en),Größe; neu", *rows, ""])
    names = ["data.text=Text (en)", "data.label=Größe; neu", "data.accepted_tags=[ja,nein]"]
    settings = ["task=elt", "data=table", *names]
    done = run(tmp_path, *settings, "data.path=-", "data.format=csv", stdin=table)
    assert (done.returncode, done.stderr) == (0, "")
    (kept,) = (tmp_path / "s" / "data" / "piped").iterdir()
    assert kept.read_text() == table
    again = run(tmp_path, *settings, f"data.path={kept}", "data.format=csv")
    assert "standard_input, up to date" in again.stdout
    # What the records have can be typed again as it stands.
    (overrides, *_) = tmp_path.glob("o/*/*/.hydra/overrides.yaml")
    recorded = yaml.safe_load(overrides.read_text())
    assert "standard_input, up to date" in run(tmp_path, *recorded).stdout


def test_a_pipe_that_does_not_say_what_it_has_is_refused_with_the_way_out(tmp_path: Path) -> None:
    done = run(tmp_path, "task=elt", "data=table", "data.path=-", stdin="text,label\na,b\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: data.format = None is not allowed: standard input does")


def test_a_misspelt_key_in_a_file_of_the_user_s_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text("defaults:\n  - sgd\n\nalhpa: 1\n")
    done = run(tmp_path, "--config-dir", "own", "model=mine")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert "alhpa" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_a_value_out_of_range_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "model.alpha=-1")
    message = "Error: model.alpha = -1.0 is not allowed: a number of at least 0\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("argument", ["sweep=quick", "hydra/sweeper=tagifai"])
def test_a_search_without_m_is_refused_and_leaves_nothing(tmp_path: Path, argument: str) -> None:
    done = run(tmp_path, argument)
    assert (done.returncode, done.stdout) == (2, "")
    # As it is typed here: with Python, and where the script is.
    called = r"(?:uv run|\S*python\S*) \S*run\.py"
    message = rf"Error: {argument} is a search, which needs -m: {called} -m {argument}\n"
    assert re.fullmatch(message, done.stderr)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_chosen_folder_of_a_refused_run_is_kept_with_what_was_there(tmp_path: Path) -> None:
    chosen = tmp_path / "my runs"
    done = run(tmp_path, "model.alpha=-1", f"hydra.run.dir='{chosen}'")
    assert (done.returncode, done.stdout) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["my runs"]
    assert (chosen / ".hydra" / "overrides.yaml").is_file()
