from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tagifai import cli
from tagifai.config.schema import PredictTaskConfig, check
from tagifai.exceptions import (
    BundleError,
    ConfigError,
    DataError,
    InvalidValueError,
    StaleTrialError,
    TrackingError,
)
from tagifai.tracking import multirun
from tests.app import environment
from tests.conftest import Compose
from tests.runner import run_in_process

RUN = Path(__file__).parent.parent / "run.py"

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WORDS = ["???", "${", "null", "oc.env:HOME", "choice(1,2)"]
TEXTS = ANY | st.lists(st.sampled_from([*"\\\"'$}{\n\t\r,[]():=~+a é#*", *WORDS])).map("".join)
NOT_BLANK = TEXTS.filter(lambda text: bool(text.strip()))

PATHS = ["task.input", "task.output", "task.data", "data.projects", "data.tags",
         "paths.root", "paths.outputs", "paths.stores"]  # fmt: skip
FILES = st.text(st.characters(codec="ascii", exclude_characters="\0\\~")).map("/{}".format)

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


def through(argument: str) -> str | None:
    """Return task.text after Hydra's parser and OmegaConf have had the argument."""
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override()
    cfg = OmegaConf.create({"task": OmegaConf.structured(PredictTaskConfig)})
    OmegaConf.update(cfg, override.key_or_group, override.value())
    task = OmegaConf.to_object(cfg.task)
    assert isinstance(task, PredictTaskConfig)
    return task.text


def parsed(argument: str) -> object:
    """Return the value that Hydra's parser reads in an argument."""
    return OverridesParser.create().parse_override(argument).value()


# --- literal arguments -------------------------------------------------------------------------


@settings(max_examples=200)
@given(NOT_BLANK)
@example("???")
@example("\\???")
@example("\\\\???")
@example("${oc.env:HOME}")
@example("\\${a}\\")
@example('say "a, (b)" \\"')
@example("null")
@example("a=b\nc: {d}")
def test_any_text_comes_through_unchanged(text: str) -> None:
    assert through(cli.quote(f"task.text={text}")) == text


@settings(max_examples=100)
@given(NOT_BLANK)
@example("\\'\"")
def test_any_text_comes_through_a_sweep_unchanged(text: str) -> None:
    override = OverridesParser.create().parse_override(cli.quote(f"task.text={text}"))
    # What Hydra hands to the jobs of a sweep is written anew.
    again = f"{override.get_key_element()}={override.get_value_element_as_str()}"
    assert through(again) == text


@pytest.mark.parametrize("text", ["a, b", "${task.name} ???", "???", 'it\'s "x" \\', "{a: 1}\n"])
def test_a_text_is_composed_as_it_stands(composed: Compose, text: str) -> None:
    cfg = composed("task=predict", "preprocessing=none", cli.quote(f"task.text={text}"))
    assert check(cfg).task.text == text


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_blank_text_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"^text = .* is not allowed: something that is not blank"
    ):
        through(cli.quote(f"task.text={text}"))


@pytest.mark.parametrize("key", ["+task.x.task.text", "task.text.x", "text", "model.loss"])
def test_only_whole_keys_are_literal(key: str) -> None:
    assert cli.quote(f"{key}=a, b") == f"{key}=a, b"


@pytest.mark.parametrize("key", PATHS)
@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("my files/a.csv", '"my files/a.csv"'),
        ("a (1).csv", '"a (1).csv"'),
        ("a,b.csv", '"a,b.csv"'),
        ("[a]=b", '"[a]=b"'),
        ("it's.csv", '"it\'s.csv"'),
        ('a "b".csv', '"a \\"b\\".csv"'),
        ("a b\\", '"a b\\\\"'),
    ],
)
def test_a_path_that_hydra_s_grammar_would_not_take_is_quoted(
    key: str, path: str, quoted: str
) -> None:
    assert cli.quote(f"{key}={path}") == f"{key}={quoted}"
    assert parsed(f"{key}={quoted}") == path


@pytest.mark.parametrize("key", [*PATHS, "+task.input", "++paths.root"])
@pytest.mark.parametrize(
    "path",
    ["a.csv", "../a-b_c/d.csv", "/a/b:c@d%e+f", "https://host/p.csv", "-", "'a b'",
     '"a, (b)"', "${paths.root}/a b", "a/${oc.env:HOME}"],
)  # fmt: skip
def test_plain_and_quoted_paths_and_interpolations_are_left_alone(key: str, path: str) -> None:
    assert cli.quote(f"{key}={path}") == f"{key}={path}"


@pytest.mark.parametrize("key", ["task.filter", "task.baseline"])
@pytest.mark.parametrize(
    "phrase", ["params.a.b = 'x' AND metrics.f1 >= 0.5", "model=sgd, model.alpha=1e-5", "a"]
)
def test_a_filter_and_the_name_of_a_row_come_through_unchanged(key: str, phrase: str) -> None:
    assert parsed(cli.quote(f"{key}={phrase}")) == phrase


@settings(max_examples=200)
@given(st.sampled_from(PATHS), FILES.filter(lambda path: "${" not in path))
@example("task.input", "/a b (1), [c] {d}=#;&|<>*?!^`'\"")
def test_any_path_of_ascii_comes_through_unchanged(key: str, path: str) -> None:
    quoted = cli.quote(f"{key}={path}")
    assert parsed(quoted) == path
    assert cli.quote(quoted) == quoted


@pytest.mark.parametrize("path", ["~/a.csv", "a~b.csv", "Übung/é.csv", "a\\\\b"])
def test_a_path_with_a_tilde_or_an_accent_comes_through_unchanged(path: str) -> None:
    try:
        found = parsed(cli.quote(f"task.input={path}"))
    except OverrideParseException as error:
        found = error
    assert found == path


@pytest.mark.parametrize("key", ["paths.root", "paths.outputs", "+paths.stores", "++paths.root"])
@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_folder_is_refused(key: str, blank: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key.lstrip('+')} is blank; give a folder\.$"):
        cli.quote(f"{key}={blank}")


@pytest.mark.parametrize(
    "argument",
    ["model=sgd", "model.alpha=1,2", "-m", "task.text", "task.textual=a b", "~task.text=a", "",
     "task.input=null", "task.output=null", "task.data=null", "--cfg"],
)  # fmt: skip
def test_other_arguments_and_a_bare_null_are_left_alone(argument: str) -> None:
    assert cli.quote(argument) == argument


def test_a_text_may_be_the_word_null() -> None:
    assert cli.quote("task.text=null") == 'task.text="null"'


@pytest.mark.parametrize("plus", ["+", "++"])
def test_an_added_key_is_literal_too(plus: str) -> None:
    assert cli.quote(f"{plus}task.text=a, b") == f'{plus}task.text="a, b"'


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model=sdg", ["model=sdg: there is no such option.", "Did you mean 'sgd'?",
                       "model takes: complement_nb, linear_svc, logistic_regression,"]),
        ("model.alhpa=1", ["'model.alhpa' is not a key of the configuration.",
                           "Did you mean 'alpha'?", "l1_ratio"]),
        ("sed=1", ["'sed' is not a key of the configuration.", "Did you mean 'seed'?", "model"]),
        ("seed=abc", ["seed: Value 'abc' of type 'str' could not be converted to Integer."]),
        ("seed=null", ["seed: field 'seed' is not Optional."]),
        (
            "tracking.tags={team: x}",
            ["'tracking.tags.team' is not there yet; to add it, write +tracking.tags.team=..."],
        ),
        ("~nope", ["Could not delete from config. 'nope' does not exist."]),
        ("sweep=quik", ["sweep=quik: there is no such option. Did you mean 'quick'?",
                        "sweep takes: best, quick, reference, sgd, text."]),
        ("experiment=refrence", ["Did you mean 'reference'?",
                                "experiment takes: best, reference, streamed."]),
        ("model@other=sgd", ["Could not override 'model@other'. Did you mean to override model?"]),
    ],
)  # fmt: skip
def test_what_hydra_refuses_is_one_line_with_the_key_and_what_may_stand_there(
    composed: Compose, override: str, parts: list[str]
) -> None:
    with pytest.raises(HydraException) as caught:
        composed("preprocessing=none", override)
    message, code = cli.explain(caught.value)
    assert code == 2
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("value", ["null", "1", "true"])
def test_what_is_no_name_of_an_option_is_refused_for_a_group(composed: Compose, value: str) -> None:
    with pytest.raises(ValueError, match="Config group override") as caught:
        composed(f"model={value}")
    message, code = cli.explain(caught.value)
    assert code == 2
    assert message.startswith("A group takes the name of an option, as in sampling=none. (")


def test_another_value_error_is_unforeseen() -> None:
    message, code = cli.explain(ValueError("x"))
    assert (code, message.splitlines()[0]) == (1, "ValueError: x")


def test_a_new_key_of_an_open_group_is_to_be_added_with_a_plus(composed: Compose) -> None:
    with pytest.raises(HydraException) as caught:
        composed("model=custom", "model._target_=sklearn.x", "model.C=1")
    message = "'model.C' is not there yet; to add it, write +model.C=..."
    assert cli.explain(caught.value) == (message, 2)


@pytest.mark.parametrize("override", ["sampling.x=1", "threshold.x=1"])
def test_an_option_without_parameters_takes_nothing(composed: Compose, override: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed("sampling=none", "threshold=none", override)
    key = override.partition("=")[0]
    message = f"'{key}' is not a key of the configuration. It takes: nothing."
    assert cli.explain(caught.value) == (message, 2)


@pytest.mark.parametrize("argument", ["a b", "model.loss=[a,b", "model.loss=a(b"])
def test_a_break_of_hydra_s_grammar_is_told_with_the_argument_and_how_to_quote(
    argument: str,
) -> None:
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides([argument])
    message, code = cli.explain(caught.value)
    assert code == 2
    assert message.startswith(f"'{argument}' does not follow Hydra's grammar (")
    assert "key='\"a, b\"'" in message


def test_a_missing_configuration_without_options_is_told_in_hydra_s_words() -> None:
    error = MissingConfigException("Cannot find\n  primary config 'x'", "x")
    assert cli.explain(error) == ("Cannot find primary config 'x'", 2)


def test_a_group_without_options_says_so() -> None:
    error = MissingConfigException("In 'config': could not find 'sweep/x'", "sweep/x", [])
    message = "sweep=x: there is no such option. sweep has no options yet."
    assert cli.explain(error) == (message, 2)


def test_what_omegaconf_refuses_is_one_line() -> None:
    cfg = OmegaConf.create({"a": {"b": "${nowhere}"}, "c": "???", "d": "${no_such:1}"})
    for key, essentials in [("a.b", "nowhere"), ("c", "c: Missing mandatory"), ("d", "no_such")]:
        with pytest.raises(OmegaConfBaseException) as caught:
            OmegaConf.select(cfg, key, throw_on_missing=True)
        message, code = cli.explain(caught.value)
        assert (code, message.count("\n")) == (2, 0)
        assert essentials in message
        assert not message.endswith("..")


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("a"), 2), (DataError("a"), 2), (BundleError("a"), 2), (TrackingError("a"), 1)],
)
def test_errors_of_our_own_are_told_as_they_are(error: Exception, code: int) -> None:
    assert cli.explain(error) == ("a", code)


def test_a_missing_file_is_named_and_for_the_user_to_put_right(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(OSError, match="Errno") as caught:
            path.read_text()
        message, code = cli.explain(caught.value)
        assert code == 2
        assert f"'{path}'" in message
    with pytest.raises(FileExistsError) as there:
        tmp_path.mkdir()
    assert cli.explain(there.value)[1] == 2


def test_another_error_of_the_system_names_the_file_and_is_not_the_user_s() -> None:
    error = OSError(28, "No space left on device", "/full/file")
    assert cli.explain(error) == ("[Errno 28] No space left on device: '/full/file'", 1)


def test_an_unforeseen_error_says_where_the_traceback_is() -> None:
    message, code = cli.explain(KeyError("x"))
    assert code == 1
    assert message.startswith("KeyError: 'x'\n")
    assert "HYDRA_FULL_ERROR=1" in message


# --- exit codes --------------------------------------------------------------------------------


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's command line, environment and signals, put back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    for name in (multirun.COMMAND_VARIABLE, "TAGIFAI_STORES"):
        # What is set is put back; what is deleted without having been there would stay as it is.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    yield
    signal.signal(signal.SIGTERM, before)


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
        (BundleError("holds \x1b[2J\r é\n"), 2, "Error: holds \\x1b[2J\\r é\n\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (cli.Terminated(), 143, "Terminated.\n"),
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
def test_the_traceback_is_shown_to_who_wants_it(
    monkeypatch: pytest.MonkeyPatch, wrap: bool
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    error = DataError("no rows")
    with pytest.raises(DataError, match="no rows"):
        cli.run_main(failing(cli.JobFailed(error) if wrap else error))


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


# --- what the processes of a sweep are told ----------------------------------------------------


@pytest.mark.usefixtures("command_line")
def test_other_processes_are_told_the_command_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ["-m", "task.text=a, b", "model.alpha=1e-4,1e-5", "data.tags=it's.csv"]
    monkeypatch.setattr(sys, "argv", ["/somewhere/run.py", *typed])
    assert cli.run_main(lambda: None) == 0
    assert shlex.split(os.environ[multirun.COMMAND_VARIABLE]) == ["run.py", *typed]


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
        (cli.Terminated(), ("KILLED", "Interrupted."), 143),
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
    hydra = SimpleNamespace(
        runtime=SimpleNamespace(output_dir=str(folder), choices={"sweep": preset}),
        sweeper={"_target_": sweeper},
        mode=mode,
        overrides=SimpleNamespace(hydra=list(overrides), task=[]),
    )
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra)


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
        ({"preset": "quick", "sweeper": multirun.SEARCH_TARGET}, "sweep=quick"),
        ({"preset": "mine"}, "sweep=mine"),
        ({"sweeper": multirun.SEARCH_TARGET}, "hydra/sweeper=tagifai"),
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
    assert str(error) == f"{named} is a search, which needs -m: run.py -m {named}"
    assert entered == []
    assert not output.exists()


def test_the_job_of_a_search_is_none_of_its_own(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_of(monkeypatch, output, RunMode.MULTIRUN, preset="quick", sweeper=multirun.SEARCH_TARGET)
    with cli.guard_job():
        assert output.is_dir()


# --- the process of a launcher -----------------------------------------------------------------


@pytest.fixture
def signals() -> Iterator[None]:
    """The process's signals, put back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def worker(output: Path, signals: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """This process as a launcher's, at a job; gives the exit codes that it would end with."""
    parent = SimpleNamespace(pid=os.getppid())
    monkeypatch.setattr("multiprocessing.parent_process", lambda: parent)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    yield ended
    monkeypatch.undo()


def told_to_end(left: list[str]) -> None:
    with cli.guard_job():
        signal.raise_signal(signal.SIGINT)
        left.append("went on")
        signal.raise_signal(signal.SIGTERM)
        left.append("never")


@pytest.mark.parametrize("kind", ["of a pool", "of a cluster"])
def test_a_worker_ends_its_job_when_it_is_told_to_and_leaves_ctrl_c_to_the_first_process(
    worker: list[int], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "of a cluster":
        monkeypatch.setattr("multiprocessing.parent_process", lambda: None)
        monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    left: list[str] = []
    with pytest.raises(StaleTrialError, match="Interrupted") as caught:
        told_to_end(left)
    assert left == ["went on"]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert worker == []


@pytest.mark.usefixtures("output", "signals")
@pytest.mark.parametrize("error", [KeyboardInterrupt, cli.Terminated])
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
    assert before is not cli._terminate


@pytest.mark.parametrize("error", [None, DataError("no rows")])
def test_a_worker_whose_launcher_is_gone_ends_after_its_job(
    worker: list[int],
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:
    job_of(monkeypatch, output, RunMode.MULTIRUN)
    gone = SimpleNamespace(pid=-1)
    with suppress(DataError), cli.guard_job():
        assert worker == []
        monkeypatch.setattr("multiprocessing.parent_process", lambda: gone)
        if error is not None:
            raise error
    assert worker == [0]


# --- as a person does --------------------------------------------------------------------------


def run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folders = (f"paths.outputs={cwd}/o", f"paths.stores={cwd}/s")
    return run_in_process([str(RUN), *folders, *arguments], cwd, environment())


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
    message = f"Error: {argument} is a search, which needs -m: run.py -m {argument}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_chosen_folder_of_a_refused_run_is_kept_with_what_was_there(tmp_path: Path) -> None:
    chosen = tmp_path / "my runs"
    done = run(tmp_path, "model.alpha=-1", f"hydra.run.dir='{chosen}'")
    assert (done.returncode, done.stdout) == (2, "")
    assert [path.name for path in tmp_path.iterdir()] == ["my runs"]
    assert (chosen / ".hydra" / "overrides.yaml").is_file()


@pytest.mark.parametrize("name", ["paths.stores", "paths.outputs", "hydra.run.dir"])
def test_a_folder_under_home_is_meant_wherever_the_tilde_stands(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert cli.quote(f"{name}=~/kept") == f"{name}=/home/me/kept"


@pytest.mark.parametrize("name", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_blank_run_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is blank"):
        cli.quote(f"{name}=")
