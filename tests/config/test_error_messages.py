from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tagifai.config.error_messages import explain
from tagifai.exceptions import BundleError, ConfigError, DataError, TrackingError
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model=sdg", ["model=sdg: there is no such option.", "Did you mean 'sgd'?",
                       "model takes: complement_nb, linear_svc, logistic_regression,"]),
        ("model.alhpa=1", ["'model.alhpa' is not a key of the configuration.",
                           "Did you mean 'alpha'?", "l1_ratio"]),
        ("sed=1", ["'sed' is not a key of the configuration.", "Did you mean 'seed'?", "model"]),
        ("seed=abc", ["seed: Value 'abc' of type 'str' could not be converted to Integer."]),
        ("metrics=accuracy", ["metrics takes a list, in brackets: metrics=[...]."]),
        ("preprocessing.last=a", ["preprocessing.last takes a list, in brackets: preproc"]),
        ("seed=null", ["seed: field 'seed' is not Optional."]),
        (
            "tracking.tags={team: x}",
            ["'tracking.tags.team' is not there yet; to add it, write +tracking.tags.team=..."],
        ),
        ("~nope", ["Could not delete from config. 'nope' does not exist."]),
        ("sweep=quik", ["sweep=quik: there is no such option. Did you mean 'quick'?",
                        "sweep takes: auto, best, quick, reference, sgd, text."]),
        ("experiment=refrence", ["Did you mean 'reference'?",
                                "experiment takes: best, best_embedding, reference, streamed."]),
        ("model@other=sgd", ["Could not override 'model@other'. Did you mean to override model?"]),
    ],
)  # fmt: skip
def test_what_hydra_refuses_is_one_line_with_the_key_and_what_may_stand_there(
    composed: Compose, override: str, parts: list[str]
) -> None:
    with pytest.raises(HydraException) as caught:
        composed("preprocessing=none", override)
    message, code = explain(caught.value)
    assert code == 2
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_preset_with_a_value_where_a_list_should_be_is_told_with_file_key_and_brackets(
    tmp_path: Path, composed: Compose
) -> None:
    folder = tmp_path / "stores" / "presets" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\nmetrics: accuracy\n")
    with pytest.raises(HydraException) as caught:
        composed("experiment=mine")
    message = "In 'experiment/mine': metrics takes a list, in brackets: metrics=[...]."
    assert explain(caught.value) == (message, 2)


@pytest.mark.parametrize("value", ["null", "1", "true"])
def test_what_is_no_name_of_an_option_is_refused_for_a_group(composed: Compose, value: str) -> None:
    with pytest.raises(ValueError, match="Config group override") as caught:
        composed(f"model={value}")
    message, code = explain(caught.value)
    assert code == 2
    assert message.startswith("A group takes the name of an option, as in sampling=none. (")


def test_another_value_error_is_unforeseen() -> None:
    message, code = explain(ValueError("x"))
    assert (code, message.splitlines()[0]) == (1, "ValueError: x")


def test_a_new_key_of_an_open_group_is_to_be_added_with_a_plus(composed: Compose) -> None:
    with pytest.raises(HydraException) as caught:
        composed("model=custom", "model._target_=sklearn.x", "model.C=1")
    message = "'model.C' is not there yet; to add it, write +model.C=..."
    assert explain(caught.value) == (message, 2)


@pytest.mark.parametrize("override", ["sampling.x=1", "threshold.x=1"])
def test_an_option_without_parameters_takes_nothing(composed: Compose, override: str) -> None:
    with pytest.raises(HydraException) as caught:
        composed("sampling=none", "threshold=none", override)
    key = override.partition("=")[0]
    message = f"'{key}' is not a key of the configuration. It takes: nothing."
    assert explain(caught.value) == (message, 2)


@pytest.mark.parametrize("argument", ["~a b", "model.loss=[a,b", "model.loss=a(b"])
def test_a_break_of_hydra_s_grammar_is_told_with_the_argument_and_how_to_quote(
    argument: str,
) -> None:
    with pytest.raises(OverrideParseException) as caught:
        OverridesParser.create().parse_overrides([argument])
    message, code = explain(caught.value)
    assert code == 2
    assert message.startswith(f"'{argument}' does not follow Hydra's grammar (")
    assert "key='\"a, b\"'" in message


def test_a_missing_configuration_without_options_is_told_in_hydra_s_words() -> None:
    error = MissingConfigException("Cannot find\n  primary config 'x'", "x")
    assert explain(error) == ("Cannot find primary config 'x'", 2)


def test_a_group_without_options_says_so() -> None:
    error = MissingConfigException("In 'config': could not find 'sweep/x'", "sweep/x", [])
    message = "sweep=x: there is no such option. sweep has no options yet."
    assert explain(error) == (message, 2)


def test_what_omegaconf_refuses_is_one_line() -> None:
    cfg = OmegaConf.create({"a": {"b": "${nowhere}"}, "c": "???", "d": "${no_such:1}"})
    for key, essentials in [("a.b", "nowhere"), ("c", "c: Missing mandatory"), ("d", "no_such")]:
        with pytest.raises(OmegaConfBaseException) as caught:
            OmegaConf.select(cfg, key, throw_on_missing=True)
        message, code = explain(caught.value)
        assert (code, message.count("\n")) == (2, 0)
        assert essentials in message
        assert not message.endswith("..")


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("a"), 2), (DataError("a"), 2), (BundleError("a"), 2), (TrackingError("a"), 1)],
)
def test_errors_of_our_own_are_told_as_they_are(error: Exception, code: int) -> None:
    assert explain(error) == ("a", code)


def test_a_missing_file_is_named_and_for_the_user_to_put_right(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(OSError, match="Errno") as caught:
            path.read_text()
        message, code = explain(caught.value)
        assert code == 2
        assert str(path) in message
        assert "Errno" not in message
    with pytest.raises(FileExistsError) as there:
        tmp_path.mkdir()
    assert explain(there.value)[1] == 2


def test_another_error_of_the_system_names_the_file_and_is_not_the_user_s() -> None:
    error = OSError(28, "No space left on device", "/full/file")
    message, code = explain(error)
    assert message.startswith("/full/file cannot be written: the disk is full (the file system at ")
    assert code == 1
    strange = OSError(errno.EBUSY, "Device or resource busy", "/full/file")
    assert explain(strange) == ("Device or resource busy: '/full/file'", 1)


def test_what_is_noted_with_an_error_follows_its_message() -> None:
    error = TrackingError("It failed.")
    error.add_note("The model is trained.")
    assert explain(error) == ("It failed. The model is trained.", 1)


def test_of_whatever_came_from_a_full_disk_the_disk_is_told() -> None:
    for outer in (BundleError("It is broken."), KeyError("x")):
        outer.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/full/file")
        message, code = explain(outer)
        assert message.startswith("/full/file cannot be written: the disk is full (")
        assert code == 1


def test_for_missing_memory_the_settings_are_named_that_need_less() -> None:
    message, code = explain(MemoryError("Unable to allocate 3.2 GiB for an array"))
    assert message.startswith("Memory ran out (3.2 GiB more were wanted). Have it need less: ")
    for knob in ("vectorizer=hashing", "vectorizer.max_features", "data.chunk_rows", "n_jobs"):
        assert knob in message
    assert (code, "\n" in message) == (1, False)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_named_with_the_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    error = OSError(number, os.strerror(number), str(tmp_path / "outputs" / "day"))
    path = tmp_path / "outputs" / "day"
    assert explain(error) == (f"{os.strerror(number)}: '{path}'", 1)
    monkeypatch.setattr("os.access", lambda path, mode: mode == os.F_OK)
    keys = "paths.outputs=... or paths.stores=..."
    message = f"{tmp_path}/outputs/day cannot be written. Choose another folder: {keys}"
    assert explain(error) == (message, 2)


def test_an_unforeseen_error_says_where_the_traceback_is() -> None:
    message, code = explain(KeyError("x"))
    assert code == 1
    assert message.startswith("KeyError: 'x'\n")
    assert "HYDRA_FULL_ERROR=1" in message
