from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException

from tagifai.config import arguments, words
from tagifai.config.error_messages import LOG, explain
from tagifai.exceptions import ConfigError
from tests.conftest import Compose


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))


def refuse(monkeypatch: pytest.MonkeyPatch, composed: Compose, line: list[str]) -> str:
    """Return what is said of a command line, and see that it is for the user to put right."""
    monkeypatch.setattr(sys, "argv", ["run.py", *line])
    argv = [*sys.argv]

    def run() -> None:
        arguments.prepare(argv)
        composed(*argv[1:])

    with pytest.raises((ConfigError, HydraException)) as caught:
        run()
    message, code = explain(caught.value)
    assert code == 2
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        # words that are options, groups, keys, or nearly so
        (["train"], "task=train"),
        (["trian"], "task=train"),
        (["seed=1", "complement_nb"], "model=complement_nb"),
        (["sgd"], "model=sgd or -m sweep=sgd"),
        (["task"], "task=..."),
        (["epochs"], "training.epochs=..."),
        (["task=predict", "a red car"], "task.text='a red car'"),
        # flags
        (["--epochs", "5"], "training.epochs=5"),
        (["--epochs=5"], "training.epochs=5"),
        (["-epochs", "5"], "training.epochs=5"),
        (["--epochs", "seed=1"], "training.epochs=..."),
        (["--model", "sgd"], "model=sgd"),
        (["--model", "sgdd"], "model=..."),  # which is no option
        (["task=runs", "task.data=sample"], "data=sample"),
        (["--model.alpha", "0.1"], "model.alpha=0.1"),
        (["--predict"], "task=predict"),
        (["task=predict", "--text", "a b"], "task.text='a b'"),
        (["--port", "8000"], "task=serve task.port=8000"),
        (["--batch-size=9", "task=predict"], "task.batch_size=9"),
        # keys without their group
        (["task=predict", "text=hello"], "task.text=hello"),
        (["text=hello"], "task=predict task.text=hello"),
        (["alpha=0.1"], "model.alpha=0.1"),
        (["model.alpha:1"], "model.alpha=1"),
        (["model.epochs=5"], "training.epochs=5"),
    ],
)
@pytest.mark.usefixtures("typed")
def test_what_is_no_setting_is_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, composed: Compose, line: list[str], meant: str
) -> None:
    assert refuse(monkeypatch, composed, line).endswith(f" Did you mean {meant}?")


@pytest.mark.usefixtures("typed")
def test_an_option_that_there_is_not_is_not_suggested(
    monkeypatch: pytest.MonkeyPatch, composed: Compose
) -> None:
    message = refuse(monkeypatch, composed, ["task=runs", "task.data=foo"])
    assert message.startswith("'task.data' is not a key of the configuration. It takes: ")
    assert "filter" in message


@pytest.mark.parametrize("line", [["--xyzzy", "5"], ["xyzzy"], ["two words"]])
@pytest.mark.usefixtures("typed")
def test_what_looks_like_nothing_is_told_where_settings_are_listed(
    monkeypatch: pytest.MonkeyPatch, composed: Compose, line: list[str]
) -> None:
    assert refuse(monkeypatch, composed, line).endswith(
        "settings are given as key=value. --help lists the settings, and --hydra-help the flags."
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            ["-m", "seed=1"],
            ["--multirun", "seed=1"],
            ["--multi", "seed=1"],
            ["-c", "job"],
            ["--cfg=job"],
            ["-hm"],
            ["-mc", "job"],
        ),
        *(
            ["--config-dir", "x"],
            ["-cd", "x"],
            ["-sc", "query=bash"],
            ["seed=1"],
            ["~sweep"],
            ["-"],
        ),
        *(["--", "--epochs"], ["-i", "all"], ["-pmodel"], ["--version"], ["-r"]),
    ],
)
def test_flags_of_hydra_are_taken(line: list[str]) -> None:
    words.refuse_unknown_flags(line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        *((["model.alpha", *rest], "Did you mean model.alpha=1?") for rest in (["=", "1"], ["=1"])),
        (["model.alpha=", "1"], "Did you mean model.alpha=1?"),
        (["model.alpha =1"], "Did you mean model.alpha=1?"),
        (["model.alpha", "="], "Did you mean model.alpha=...?"),
        (["=sgd"], "'=sgd' has no key"),
        *(([f"{flag}=x"], f"{flag} takes no value") for flag in ("--help", "-h", "-m", "--multi")),
        *(([flag], "-m makes a run of each of several values") for flag in ("-m", "--multirun")),
    ],
)
def test_a_newcomer_s_slip_is_told_in_one_sentence_with_the_way_out(
    line: list[str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        words.refuse_unknown_flags(line)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        *(["data.name=", "seed=1"], ["task.text=a = b"], ["task.text= a"], ["task.text="]),
        *(["data.path=", "-m"], ["data.text=[a , b]"], ["--cfg=job"], ["--info=all"]),
    ],
)
def test_blanks_and_signs_in_values_are_taken(line: list[str]) -> None:
    words.refuse_unknown_flags(line)


@pytest.mark.parametrize(
    ("line", "given"),
    [
        (["-m", "--cfg", "job", "seed=1"], ["--cfg", "job", "seed=1", "hydra.mode=MULTIRUN"]),
        (["--info", "searchpath", "-m"], ["--info", "searchpath", "hydra.mode=MULTIRUN"]),
        (["-m", "-i", "seed=1"], ["--info=all", "seed=1", "hydra.mode=MULTIRUN"]),
        (["--info"], ["--info=all"]),
        (["--cfg", "job", "seed=1"], ["--cfg", "job", "seed=1"]),
        (["-m", "seed=1,2"], ["-m", "seed=1,2"]),
    ],
)
def test_a_multirun_can_be_shown(line: list[str], given: list[str]) -> None:
    assert words.prepare_flags(line) == given


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["seed=1,2"], "seed=1,2 has several values, which are jobs of a multirun, and that needs"),
        (["--cfg", "job", "seed=1,2"], "one configuration is shown: give one of them."),
        (["seed=range(1,3)"], "seed=range(1,3) has several values, which"),
    ],
)
@pytest.mark.usefixtures("typed")
def test_several_values_where_there_is_one_job_are_told_with_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, composed: Compose, line: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", *line])
    with pytest.raises(HydraException) as caught:
        composed(line[-1])
    message, code = explain(caught.value)
    assert said in message
    assert code == 2


@pytest.mark.parametrize(
    ("line", "path", "said"),
    [
        (["task.output=NAME.json"], "/a/NAME.json", "task.output: the name"),
        (["+hydra.run.dir=/a/NAME"], "/a/NAME/.hydra", "hydra.run.dir: the name"),
        (["hydra.sweeper.study_name=NAME"], "/a/12-NAME/0", "hydra.sweeper.study_name: the name"),
        (["paths.outputs=/b"], "/b/NAME", "The folder of a run: the name"),
        (
            ["hydra.sweep.subdir=${hydra.job.override_dirname}", "tracking.run_name=NAME"],
            "/b/tracking.run_name=NAME",
            "hydra.sweep.subdir: the name",
        ),
    ],
)
def test_a_name_that_is_too_long_is_told_with_the_setting_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, line: list[str], path: str, said: str
) -> None:
    name = "x" * 300
    monkeypatch.setattr(sys, "argv", ["run.py", *(word.replace("NAME", name) for word in line)])
    error = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path.replace("NAME", name))
    message, code = explain(error)
    assert code == 2
    assert message.startswith(said)
    assert "and the system takes 255." in message
    assert len(message) < 400


def test_a_path_that_is_too_long_as_a_whole_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/x" * 3000
    monkeypatch.setattr(sys, "argv", ["run.py", f"task.output={path}"])
    message, code = explain(OSError(errno.ENAMETOOLONG, "File name too long", path))
    assert message.startswith("task.output: the path /x/x")
    assert "has 6000 bytes, and the system takes 4095. Give a shorter one." in message
    assert code == 2


def test_a_log_is_named_where_the_traceback_was_written_and_nowhere_else() -> None:
    error = ValueError("x")
    assert explain(error)[0].endswith("HYDRA_FULL_ERROR=1 shows the traceback here.")
    vars(error)[LOG] = "/a/run.log"
    assert explain(error)[0].endswith("here. The log has it, too: /a/run.log")


def test_a_word_that_breaks_the_grammar_is_no_setting() -> None:
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides(["a b"])
    assert explain(caught.value)[0].startswith("'a b' is no setting: ")
