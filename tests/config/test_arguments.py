from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tagifai.config.arguments import quote
from tagifai.config.schema import PredictTaskConfig, check
from tagifai.exceptions import ConfigError, InvalidValueError
from tests.conftest import Compose

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WORDS = ["???", "${", "null", "oc.env:HOME", "choice(1,2)"]
TEXTS = ANY | st.lists(st.sampled_from([*"\\\"'$}{\n\t\r,[]():=~+a é#*", *WORDS])).map("".join)
NOT_BLANK = TEXTS.filter(lambda text: bool(text.strip()))

PATHS = ["task.input", "task.output", "task.data", "data.projects", "data.tags",
         "paths.root", "paths.outputs", "paths.stores"]  # fmt: skip
FILES = st.text(st.characters(codec="ascii", exclude_characters="\0\\~")).map("/{}".format)


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
    assert through(quote(f"task.text={text}")) == text


@settings(max_examples=100)
@given(NOT_BLANK)
@example("\\'\"")
def test_any_text_comes_through_a_sweep_unchanged(text: str) -> None:
    override = OverridesParser.create().parse_override(quote(f"task.text={text}"))
    # What Hydra hands to the jobs of a sweep is written anew.
    again = f"{override.get_key_element()}={override.get_value_element_as_str()}"
    assert through(again) == text


@pytest.mark.parametrize("text", ["a, b", "${task.name} ???", "???", 'it\'s "x" \\', "{a: 1}\n"])
def test_a_text_is_composed_as_it_stands(composed: Compose, text: str) -> None:
    cfg = composed("task=predict", "preprocessing=none", quote(f"task.text={text}"))
    assert check(cfg).task.text == text


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_blank_text_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"^text = .* is not allowed: something that is not blank"
    ):
        through(quote(f"task.text={text}"))


@pytest.mark.parametrize("key", ["+task.x.task.text", "task.text.x", "text", "model.loss"])
def test_only_whole_keys_are_literal(key: str) -> None:
    assert quote(f"{key}=a, b") == f"{key}=a, b"


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
    assert quote(f"{key}={path}") == f"{key}={quoted}"
    assert parsed(f"{key}={quoted}") == path


@pytest.mark.parametrize("key", [*PATHS, "+task.input", "++paths.root"])
@pytest.mark.parametrize(
    "path",
    ["a.csv", "../a-b_c/d.csv", "/a/b:c@d%e+f", "https://host/p.csv", "-", "'a b'",
     '"a, (b)"', "${paths.root}/a b", "a/${oc.env:HOME}"],
)  # fmt: skip
def test_plain_and_quoted_paths_and_interpolations_are_left_alone(key: str, path: str) -> None:
    assert quote(f"{key}={path}") == f"{key}={path}"


@pytest.mark.parametrize("key", ["task.filter", "task.baseline"])
@pytest.mark.parametrize(
    "phrase", ["params.a.b = 'x' AND metrics.f1 >= 0.5", "model=sgd, model.alpha=1e-5", "a"]
)
def test_a_filter_and_the_name_of_a_row_come_through_unchanged(key: str, phrase: str) -> None:
    assert parsed(quote(f"{key}={phrase}")) == phrase


@settings(max_examples=200)
@given(st.sampled_from(PATHS), FILES.filter(lambda path: "${" not in path))
@example("task.input", "/a b (1), [c] {d}=#;&|<>*?!^`'\"")
def test_any_path_of_ascii_comes_through_unchanged(key: str, path: str) -> None:
    quoted = quote(f"{key}={path}")
    assert parsed(quoted) == path
    assert quote(quoted) == quoted


@pytest.mark.parametrize("path", ["~/a.csv", "a~b.csv", "Übung/é.csv", "a\\\\b"])
def test_a_path_with_a_tilde_or_an_accent_comes_through_unchanged(path: str) -> None:
    try:
        found = parsed(quote(f"task.input={path}"))
    except OverrideParseException as error:
        found = error
    assert found == path


@pytest.mark.parametrize("key", ["paths.root", "paths.outputs", "+paths.stores", "++paths.root"])
@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_folder_is_refused(key: str, blank: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key.lstrip('+')} is blank; give a folder\.$"):
        quote(f"{key}={blank}")


@pytest.mark.parametrize(
    "argument",
    ["model=sgd", "model.alpha=1,2", "-m", "task.text", "task.textual=a b", "~task.text=a", "",
     "task.input=null", "task.output=null", "task.data=null", "--cfg"],
)  # fmt: skip
def test_other_arguments_and_a_bare_null_are_left_alone(argument: str) -> None:
    assert quote(argument) == argument


def test_a_text_may_be_the_word_null() -> None:
    assert quote("task.text=null") == 'task.text="null"'


@pytest.mark.parametrize("plus", ["+", "++"])
def test_an_added_key_is_literal_too(plus: str) -> None:
    assert quote(f"{plus}task.text=a, b") == f'{plus}task.text="a, b"'


@pytest.mark.parametrize("name", ["paths.stores", "paths.outputs", "hydra.run.dir"])
def test_a_folder_under_home_is_meant_wherever_the_tilde_stands(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert quote(f"{name}=~/kept") == f"{name}=/home/me/kept"


@pytest.mark.parametrize("name", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_blank_run_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is blank"):
        quote(f"{name}=")
