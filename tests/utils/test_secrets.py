from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tagifai
from tagifai.utils.secrets import HIDDEN, mask

SECRETS = st.text(string.ascii_letters + string.digits + ":@.-", min_size=1).map("s3cret{}".format)

PACKAGE = Path(tagifai.__file__).parent


# --- URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql+psycopg2://me:s3c:ret@host:5432/db",
         "postgresql+psycopg2://me:***@host:5432/db"),
        ("https://me:secret@host:5000/path", "https://me:***@host:5000/path"),
        ("HTTPS://me:secret@host/a@b", "HTTPS://me:***@host/a@b"),
        ("mysql://:secret@host/db", "mysql://:***@host/db"),
        ("postgresql://host/db?user=me&password=secret&ssl=1",
         "postgresql://host/db?user=me&password=***&ssl=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://host:5000", "http://host:5000"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////folder/a:b@c/mlflow.db", "sqlite:////folder/a:b@c/mlflow.db"),
        ("in memory", "in memory"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_password_of_a_url_is_not_shown_and_all_else_is(url: str, shown: str) -> None:
    assert mask(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:sec/ret@host/db",
        "postgresql://me:sec ret@host/db",
        "postgresql://me@server:secret@host/db",
        "https://me:s@secret@host/",
        "postgresql://host/db?password=sec ret",
    ],
)
def test_no_part_of_an_odd_password_is_shown(url: str) -> None:
    for text in (url, f"hydra.sweeper.storage={url}"):
        assert "ret" not in mask(text)


@given(st.sampled_from(["postgresql://", "mysql+pymysql://", "https://"]), SECRETS)
def test_of_any_password_nothing_is_shown_and_all_else_is(scheme: str, secret: str) -> None:
    assert mask(f"{scheme}me:{secret}@host/db") == f"{scheme}me:***@host/db"


# --- texts with URLs in them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run.py data.path='https://u:p@h/x.csv' task.filter=a@b",
         "run.py data.path='https://u:***@h/x.csv' task.filter=a@b"),
        ("run.py tracking.uri=http://host:5000 data.path=/x/a@b.csv",
         "run.py tracking.uri=http://host:5000 data.path=/x/a@b.csv"),
        ("run.py a=postgresql://host:5432/db b=me@host",
         "run.py a=postgresql://host:5432/db b=me@host"),
        ("404 Client Error for url: https://u:p@h/x.",
         "404 Client Error for url: https://u:***@h/x."),
        ("['postgresql://a:b@h/d', 'http://x:y@h']", "['postgresql://a:***@h/d', 'http://x:***@h']"),
        ("Why? password=secret", "Why? password=secret"),
    ],
)  # fmt: skip
def test_in_a_text_every_url_is_masked_and_the_words_beside_it_are_not(
    text: str, shown: str
) -> None:
    assert mask(text) == shown


def test_what_is_masked_stays_as_it_is() -> None:
    once = mask("see postgresql://me:secret@host/db?password=secret")
    assert mask(once) == once


# --- the only door -----------------------------------------------------------------------------


def masking(source: str) -> list[str]:
    """What in a module's source looks as if it hid or took apart a password."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            secret = re.search(r"pass(word|wd)", node.value) and re.search(r"[\\*\]]", node.value)
            if HIDDEN in node.value or secret:
                found.append(f"line {node.lineno}: {node.value!r}")
        elif isinstance(node, ast.Attribute | ast.keyword):
            name = node.attr if isinstance(node, ast.Attribute) else node.arg
            if name in ("password", "username", "netloc", "hide_password"):
                found.append(f"line {node.lineno}: {name}")
    return found


def test_no_other_module_hides_passwords() -> None:
    own = PACKAGE / "utils" / "secrets.py"
    assert masking(own.read_text(encoding="utf-8"))
    others = {
        str(path.relative_to(PACKAGE)): found
        for path in PACKAGE.rglob("*.py")
        if path != own and (found := masking(path.read_text(encoding="utf-8")))
    }
    assert others == {}, "utils.secrets.mask is the only place that hides passwords"


@pytest.mark.parametrize(
    "source",
    [
        "urlsplit(uri).password",
        "uri.replace(secret, '***')",
        "url.render_as_string(hide_password=True)",
        "re.sub('(password=)[^&]*', 'x', uri)",
        "parts._replace(netloc=host)",
    ],
)
def test_another_way_to_hide_a_password_would_be_found(source: str) -> None:
    assert masking(source)
