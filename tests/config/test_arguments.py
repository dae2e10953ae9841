from __future__ import annotations

import os
import shlex
from dataclasses import fields
from typing import Any
from unittest import mock

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tagifai.config.arguments import leave_out_texts, quote
from tagifai.config.paths import PATHS as ALL_PATHS
from tagifai.config.schema import (
    SCHEMA_CLASSES,
    ObjectiveConfig,
    PredictTaskConfig,
    TableConfig,
    check,
)
from tagifai.config.texts import TEXTS as TAKEN_AS_TYPED
from tagifai.exceptions import ConfigError, InvalidValueError
from tagifai.utils import program
from tests.conftest import CONF, Compose

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


@pytest.mark.parametrize("name", ["hydra.run.dir", "hydra.sweep.dir", "paths.outputs"])
def test_a_folder_is_not_named_after_a_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "not-for-names")
    for value in ("/x/not-for-names/y", "http://me:not@host/x"):
        with pytest.raises(ConfigError, match=rf"{name} = .*\*\*\*.* has a secret") as caught:
            quote(f"{name}={value}")
        assert "not" not in str(caught.value)


# --- texts as they are typed -------------------------------------------------------------------


def compose_table(*arguments: str, sweep: bool = False) -> TableConfig:
    """Return the settings of a table after Hydra's parser and OmegaConf have had arguments."""
    cfg = OmegaConf.create({"data": OmegaConf.structured(TableConfig)})
    for override in OverridesParser.create().parse_overrides(
        [quote(argument, sweep=sweep) for argument in ("data.path=a.csv", *arguments)]
    ):
        assert not override.is_sweep_override()
        OmegaConf.update(cfg, override.key_or_group, override.value(), merge=True)
    made = OmegaConf.to_object(cfg.data)
    assert isinstance(made, TableConfig)
    return made


TYPED: list[tuple[str, Any]] = [
    ("text=Überschrift", ["Überschrift"]),
    ("text=[Review Text (en),レビュー]", ["Review Text (en)", "レビュー"]),
    ("text=[ a b , 'c, d', \"e]\" ]", ["a b", "c, d", "e]"]),
    ("text=[it's,l'été]", ["it's", "l'été"]),
    ("text=['tis,a]", ["'tis", "a"]),
    ("text=0", ["0"]),
    ("text=[3,01]", ["3", "01"]),
    ("text=$text", ["$text"]),
    ("text=${text}", ["${text}"]),
    ("text='Review'", ["Review"]),
    ("text=title, long", ["title, long"]),
    ("text=choice(a,b)", ["choice(a,b)"]),
    ("label=#label", "#label"),
    ("label=Is spam? (1=yes)", "Is spam? (1=yes)"),
    ("label=[x]", "[x]"),
    ("label=true", "true"),
    ("label=???", "???"),
    ("label=1_000", "1_000"),
    ("delimiter=;", ";"),
    ("delimiter=|", "|"),
    ("delimiter= ", " "),
    ("delimiter=tab", "\t"),
    ("delimiter=\\t", "\t"),
    ("delimiter=\t", "\t"),
    ("delimiter='\"'", '"'),
    ("quotechar='", "'"),
    ('quotechar="', '"'),
    ("escape=\\", "\\"),
    ("accepted_tags=[true,false]", ["true", "false"]),
    ("accepted_tags=['true',null]", ["true", "null"]),
    ("accepted_tags=[01,02,1e3,nan]", ["01", "02", "1e3", "nan"]),
    ("accepted_tags=[???,${a},a/b,A-1]", ["???", "${a}", "a/b", "A-1"]),
    ("accepted_tags=[]", []),
    (r"missing=['\N',NA]", [r"\N", "NA"]),
    (r"missing=[\N,-]", [r"\N", "-"]),
    ("columns=[label,title,text]", ["label", "title", "text"]),
    ("records=data.train", "data.train"),
    ("sheet=Tabelle 1", "Tabelle 1"),
    ("sheet=2024", "2024"),
    ("label_names={0: neg, 01: true}", {"0": "neg", "01": "true"}),
    ('label_names={\'a, b\': "c: \\"d\\"", é:x}', {"a, b": 'c: "d"', "é": "x"}),
    ("label_names={a: b: c, d: ${e}}", {"a": "b: c", "d": "${e}"}),
    ("label_names=[neg,pos]", ["neg", "pos"]),
    ("label_names=my names.txt", "my names.txt"),
    ("path=[a.csv,b c.csv]", ["a.csv", "b c.csv"]),
    ("path=part-[0-9]*.csv", ["part-[0-9]*.csv"]),
    ("path=a=1, (b).csv", ["a=1, (b).csv"]),
    (r"path=C:\Users\me\a.csv", [r"C:\Users\me\a.csv"]),
    ("other=null", None),
    ("id=null", None),
    ("label_names=null", None),
    ("other='null'", "null"),
    ("other=None", "None"),
]


@pytest.mark.parametrize(("argument", "expected"), TYPED)
def test_names_labels_and_characters_are_taken_as_they_are_typed(
    argument: str, expected: object
) -> None:
    quoted = quote(f"data.{argument}")
    assert quote(quoted) == quoted
    assert getattr(compose_table(f"data.{argument}"), argument.partition("=")[0]) == expected


PRINTED = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from([*" \"',[]{}()$#=:\\?*;&|~"]),
    min_size=1,
)
NAMES = PRINTED.filter(lambda name: name == name.strip() and name not in ("null", "???"))
BARE = NAMES.filter(lambda name: not {*name} & {*"\"'[]"})
LIST = st.lists(NAMES.filter(lambda name: not {*name} & {*"\"',"}), min_size=1)
HELD = PRINTED.filter(lambda name: name == name.strip())
"""Names for between quotes, where everything is free."""


def show_again(*arguments: str) -> list[str]:
    """Return the arguments of the command that is shown for repeating what was typed."""
    overrides = [quote(argument) for argument in arguments]
    return shlex.split(program.format_command(*overrides))[-len(arguments) :]


@settings(max_examples=300)
@given(BARE)
@example("a, b")
@example("${oc.env:HOME}")
@example("{a: b}")
def test_any_name_comes_through_and_so_does_the_command_that_is_shown(name: str) -> None:
    typed = [f"data.text={name}", f"data.label={name}", f"data.sheet={name}"]
    for arguments in (typed, show_again(*typed), show_again(*show_again(*typed))):
        table = compose_table(*arguments)
        assert (table.text, table.label, table.sheet) == ([name], name, name)
    assert compose_table(*show_again(*typed), sweep=True).label == name


@settings(max_examples=200)
@given(LIST)
def test_any_list_of_names_comes_through(names: list[str]) -> None:
    typed = [f"data.{key}=[{','.join(names)}]" for key in ("text", "columns", "missing")]
    for arguments in (typed, show_again(*typed)):
        table = compose_table(*arguments)
        assert table.text == table.columns == table.missing == names
    # Where lists are swept over, too, a bracket within a name needs the quotes.
    assert compose_table(*show_again(*typed), sweep=True).text == names


@settings(max_examples=200)
@given(st.lists(HELD, min_size=1))
@example(['"', "'", "\\", '\\"'])
def test_names_in_quotes_may_have_anything_in_them(names: list[str]) -> None:
    held = [quote(f"data.label={name}").partition("=")[2] for name in names]
    typed = f"data.columns=[{', '.join(held)}]"
    if all(name != "null" for name in held):
        assert compose_table(typed).columns == names


@settings(max_examples=200)
@given(st.dictionaries(BARE, BARE, min_size=1))
def test_any_mapping_of_names_comes_through(names: dict[str, str]) -> None:
    if any({*f"{key}{value}"} & {*",:{}"} for key, value in names.items()):
        return
    typed = "data.label_names={" + ", ".join(f"{k}: {v}" for k, v in names.items()) + "}"
    assert compose_table(typed).label_names == names
    assert compose_table(*show_again(typed)).label_names == names


@settings(max_examples=20)
@given(BARE)
def test_the_composed_configuration_has_the_very_name(name: str) -> None:
    with mock.patch.dict(os.environ, TAGIFAI_ROOT="/root"), initialize_config_dir(str(CONF)):
        arguments = ["data=table", "data.path=a.csv", f"data.text={name}", f"data.label={name}"]
        data = compose("config", [quote(argument) for argument in arguments]).data
        assert (data.text, data.label) == (name, name)


def test_the_columns_of_a_task_are_a_mapping_of_names(composed: Compose) -> None:
    given = 'task.columns={title: headline, "my col": 2, null: null}'
    cfg = composed("task=predict", "preprocessing=none", quote(given))
    assert check(cfg).task.columns == {"title": "headline", "my col": "2", "null": "null"}
    cfg = composed("task=predict", "preprocessing=none", quote("+task.columns.title=a, b"))
    assert check(cfg).task.columns == {"title": "a, b"}


@pytest.mark.parametrize("value", ["{a}", "{a: b, c}", "{a: b,}"])
def test_a_mapping_needs_pairs(value: str) -> None:
    with pytest.raises(ConfigError, match=r"is no pair: a mapping has the form \{a: b"):
        quote(f"task.columns={value}")


@pytest.mark.parametrize("key", ["data.missing", "data.accepted_tags", "data.columns"])
def test_a_word_is_no_list(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} takes a list: '{key}=\[NA\]'$"):
        quote(f"{key}=NA")


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("data.text=title,body", ["title", "body"]),
        ("data.text=Überschrift, Text (en)", ["Überschrift", "Text (en)"]),
        ("data.text='a, b',c", ["a, b", "c"]),
        ("data.text=[title,body],title", [["title", "body"], "title"]),
        ("data.text=choice(Überschrift,'a, b')", ["Überschrift", "a, b"]),
        ("data.accepted_tags=[true],[true,01]", [["true"], ["true", "01"]]),
        ("data.path=a.csv,b c.csv", ["a.csv", "b c.csv"]),
        ("data.delimiter=;,|,tab", [";", "|", "tab"]),
        ("data.id=null,id", [None, "id"]),
        ("data.id=choice(null,id)", [None, "id"]),
        ("model.alpha=choice(0.5, null)", [0.5, None]),
    ],
)
def test_a_sweep_goes_over_what_is_typed_between_commas(argument: str, values: list[Any]) -> None:
    override = OverridesParser.create().parse_override(quote(argument, sweep=True))
    assert override.is_sweep_override()
    shown = [*override.sweep_string_iterator()]
    # Each job is given its value as text, which is read again.
    key = override.get_key_element()
    again = [quote(f"{key}={value}") for value in shown]
    assert [parsed(argument) for argument in again] == values
    assert again == [f"{key}={value}" for value in shown]


def test_a_sweep_over_positions_is_hydra_s() -> None:
    assert quote("data.text=range(0,2)", sweep=True) == "data.text=range(0,2)"
    assert compose_table("data.text=1", "data.label=2").text == ["1"]


def test_phrases_and_folders_are_not_swept_over() -> None:
    assert parsed(quote("task.filter=a = 1, b", sweep=True)) == "a = 1, b"
    assert parsed(quote("paths.stores=/a, b", sweep=True)) == "/a, b"
    assert parsed(quote("task.text=a, b", sweep=True)) == "a, b"


def test_every_path_is_a_text_as_typed_and_every_text_is_the_field_of_a_schema() -> None:
    assert set(ALL_PATHS) <= set(TAKEN_AS_TYPED)
    known = {
        f"{name.partition('/')[0]}.{field.name}" for name, node in SCHEMA_CLASSES.items()
        for field in fields(node)
    }  # fmt: skip
    known |= {f"objective.{field.name}" for field in fields(ObjectiveConfig)}
    assert set(TAKEN_AS_TYPED) <= known


# --- completion --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("tagifai mod", "tagifai mod"),
        ("tagifai model=sgd ", "tagifai model=sgd "),
        ("tagifai data=table data.text=Überschrift mod", "tagifai data=table mod"),
        ("tagifai 'data.text=Review Text (en)' data.la", "tagifai data.la"),
        ("tagifai task.text='a b' mod", "tagifai mod"),
        ("tagifai data.text=[a b,c] mod", "tagifai mod"),
        ("tagifai data.text=", "tagifai data.text="),
        ("tagifai data.path=./a", "tagifai data.path=./a"),
        ("tagifai data.text=Über", "tagifai data.text=?"),
        ("tagifai data=table data.label='Is sp", "tagifai data=table task.text=?"),
        ("python run.py data.text=é -m model=s", "python run.py -m model=s"),
    ],
)
def test_completion_does_not_stumble_over_what_is_typed(line: str, left: str) -> None:
    assert leave_out_texts(line) == left


@pytest.mark.parametrize("name", ["hydra.run.dir", "hydra.sweep.dir", "paths.outputs"])
def test_a_folder_of_too_long_a_name_is_refused_with_its_key(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = a/x+… is too long: 302 bytes, of which"):
        quote(f"{name}=a/{300 * 'x'}")
    referring = f"{name}='${{paths.root}}/{300 * 'x'}'"
    assert quote(referring) == referring
