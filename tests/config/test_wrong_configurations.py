"""Configurations that nobody would write: each is composed, or refused in one sentence."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.random import RandomState

import tagifai
from tagifai.config.schema import Config, flatten_config
from tagifai.exceptions import UserError
from tagifai.runs import preparation
from tagifai.training.components import build_components
from tagifai.utils.excerpts import UNSEEN, make_lines_visible
from tests.app import App
from tests.conftest import CONF

EXAMPLES = int(os.environ.get("TAGIFAI_EXAMPLES", "60"))
"""Of each property; the whole number that is promised is tried with TAGIFAI_EXAMPLES=1000."""

MOST_SECONDS = 10.0
LONGEST_MESSAGE = 3000


@cache
def list_keys() -> tuple[list[str], list[str]]:
    """Return the keys of the configuration, and its groups."""
    folders = [path.relative_to(CONF).as_posix() for path in CONF.rglob("*") if path.is_dir()]
    groups = [name for name in folders if not name.startswith(("hydra/help", "hydra/job"))]
    return list(flatten_config(tagifai.compose(), without=())), groups


@cache
def list_options() -> list[str]:
    return sorted({path.stem for path in CONF.rglob("*.yaml")})


VALUES = (
    *("", "null", "true", "-1", "0", "1", "2", "0.5", "-0.0", "1e-320", "1e400", "nan", "inf"),
    *("-inf", "9" * 30, "-" + "9" * 30, "9" * 5000, "0x10", "1_000", "007", "2**32", "4294967296"),
    *("[]", "{}", "[[]]", "[1,null]", "{a:1}", "{a:{b:[c]}}", "[a,[b,[c,[d]]]]", "{1:2,true:x}"),
    *("a,b", "a b", "'", '"', "'a", "[", "{", "[a,", "{a:", "a=b", "=", "==", "\\", "\\'", "a:b"),
    *("choice(1,2)", "range(3)", "range(1,0)", "glob(*)", "interval(1,0)", "interval(0,1)"),
    *("shuffle(1,2)", "sort(3,1)", "tag(log,interval(1,2))", "int(x)", "float([1])", "str({a:1})"),
    *("${seed}", "${nothing}", "${seed", "${oc.env:NOBODY}", "${oc.env:HOME}", "${oc.env:}"),
    *("${oc.decode:[}", "${training}", "${.epochs}", "${...}", "${a:b}", "${${seed}}", "???"),
    *("${paths.root}", "${now:%Y}", "${now:}", "${hydra:job.num}", "${hydra:}", "${paths.stores}"),
    *("sgd", "hashing", "none", "default", "train", "tagifai", "sklearn.svm.SVC", "os.system"),
    *("builtins.eval", "tagifai.cli.run_main", "a.b.c", ".", "..", "...", "/", "/etc/passwd", "~"),
    *("é", "日本", "😀", "\u202e", "\x1b[31m", "\ud800", "a\nb", "\t", "\0", " ", "x" * 2000),
    *("%", "%s", "{}", "{0}", "%(a)s", "$", "$$", "`", "|", ";", "#", "&", "*", "?", "!", "@"),
)

keys = st.deferred(lambda: st.sampled_from(list_keys()[0]))
groups = st.deferred(lambda: st.sampled_from(list_keys()[1]))
words = st.text("abcdefgxyz_./@:-0", min_size=1, max_size=12)
hydra_keys = st.sampled_from(
    ["hydra.run.dir", "hydra.sweeper", "hydra.job.name", "hydra.mode", "hydra.searchpath", "hydra"]
)
known_values = st.sampled_from(VALUES) | st.deferred(lambda: st.sampled_from(list_options()))
numbers = st.integers().map(str) | st.floats().map(str)
values = st.one_of(*[known_values] * 6, st.text(max_size=20), numbers)
lists = st.lists(known_values, max_size=4).map(lambda items: f"[{','.join(items)}]")
inside = st.tuples(
    st.sampled_from(["[", "{a:", "'", '"', "${", ""]), values, st.sampled_from("]}' ")
)
changed = st.tuples(keys, words).map(lambda both: both[0] + both[1])
cut = st.tuples(keys, st.integers(1, 5)).map(lambda both: both[0][: -both[1]])
names = st.one_of(*[keys] * 5, *[groups] * 3, hydra_keys, changed | cut | words)
prefixes = st.sampled_from([*[""] * 12, "+", "++", "~", "-", " "])
signs = st.sampled_from([*["="] * 15, "", "==", " = ", "+=", "@a="])
overrides = st.builds(
    lambda prefix, name, sign, value: f"{prefix}{name}{sign}{value}",
    prefixes,
    names,
    signs,
    st.one_of(values, values, lists, inside.map("".join)),
)
commands = st.one_of(
    *[overrides.map(lambda one: [one])] * 3,
    st.lists(st.one_of(*[overrides] * 9, st.text(max_size=30)), min_size=2, max_size=4),
)


def use(config: Config) -> None:
    """Do what a training does before it reads data."""
    components = build_components(config, RandomState(1))
    preparation.check_settings(config, components)


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),  # each command is short already
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commands)
def test_any_command_is_composed_or_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "stores"))
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    try:
        use(tagifai.compose(*command))
    except UserError as error:
        message = make_lines_visible(str(error))  # as it is shown
        assert message.strip()
        assert len(message.splitlines()) == 1, message
        # What was given may be said again, once.
        assert len(message) < LONGEST_MESSAGE + len("".join(command)), message[:LONGEST_MESSAGE]
        assert not UNSEEN.search(message), ascii(message)
    assert time.monotonic() - began < MOST_SECONDS
    assert list(tmp_path.iterdir()) == []


WRONG_FOR_HYDRA = [
    ("hydra.sweeper=3", "hydra.sweeper is no value: choose an option of hydra/sweeper"),
    ("hydra.callbacks.sweep=3", "hydra.callbacks.sweep is no value"),
    ("threshold=[1]", "A group takes the name of an option, as in sampling=none."),
    ("hydra/launcher=[1]", "A group takes the name of an option, as in sampling=none."),
    ("hydra.verbose=3", "Hydra cannot work with hydra.verbose=3 (AssertionError"),
    (
        "hydra.job_logging.root.level=x",
        "Hydra cannot work with hydra.job_logging.root.level=x (Val",
    ),
    ("hydra.help=${nothing}", "Interpolation key 'nothing' not found."),
    ("a\x07\nb", r"'a\x07\nb' is no setting: settings are given as key=value."),
]


@pytest.mark.parametrize(("argument", "message"), WRONG_FOR_HYDRA)
def test_what_hydra_takes_unchecked_is_refused_in_one_line(
    tmp_path: Path, argument: str, message: str
) -> None:
    done = App(tmp_path).run("task=info", "tracking=none", argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("argument", ["seed=1\0", "data.name='\ud800'"])
def test_characters_that_no_command_can_have_are_refused(argument: str) -> None:
    with pytest.raises(UserError, match="has a character that no argument of a command can have"):
        tagifai.compose(argument)
