from __future__ import annotations

import ast
import re
import string
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tagifai
from tagifai.utils.secrets import HIDDEN, list_masked, mask, mask_all, mask_error

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


CONTEXTS = (
    "{}",
    "data.path={}",
    "data.path='{}' seed=1",
    'path: "{}"',
    "['--x', 'data.path={}', 'b']",
    "Error: data.path: {} could not be fetched (404). Try again.",
    "<td>{}</td>",
    "a http://x/y?q=1 b {} c",
    "{}, {}",
)

ESCAPED = re.compile(r"([\\()\[\]{}:=, \t])")
"""Signs that Hydra's own sweeper writes with a backslash before them."""


@given(
    st.text(string.printable.strip(), min_size=8).filter(lambda secret: "${" not in secret),
    st.sampled_from(CONTEXTS),
)
@example("S3cr#tPa/ss@w0rd1", "{}")
@example("%%%%%%%%", "{}")
@example("100%25ofit", "data.path='{}' seed=1")
def test_a_percent_encoded_password_or_token_is_shown_in_no_context(
    secret: str, context: str
) -> None:
    encoded = quote(secret, safe="")
    for url in (
        f"http://me:{encoded}@host:80/d.csv?page=1",
        f"http://host/d.csv?access_token={encoded}&page=1",
        f"postgresql://me:{encoded}@host/db",
    ):
        escaped = ESCAPED.sub(r"\\\1", url)
        for text in (url, escaped, quote(url, safe=""), quote(quote(url, safe=""), safe="")):
            shown = mask(context.replace("{}", text))
            assert encoded not in shown
            assert quote(encoded, safe="") not in shown
            assert "***" in shown


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://TOKEN@host/x", "https://***@host/x"),
        ("https://TOKEN:@host/x", "https://***@host/x"),
        ("https://TOKEN:x-oauth-basic@host/x", "https://***@host/x"),
        ("ftp://u:p@host/x", "ftp://u:***@host/x"),
        ("https://me:a/b@host/x", "https://me:***@host/x"),
        ("/x?a=1&access_token=abc (Caused by X)", "/x?a=1&access_token=*** (Caused by X)"),
        ("see (https://h/x?token=abc), ok", "see (https://h/x?token=***), ok"),
        ("https://h/x?token=abc is gone. Try again.", "https://h/x?token=*** is gone. Try again."),
        ("https://h/x#id_token=abc", "https://h/x#id_token=***"),
        ("https://h/?X-Amz-Credential=a%2Fb&X-Amz-Date=1&X-Amz-Signature=ff",
         "https://h/?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=***"),
        ("https://h/?AWSAccessKeyId=a&sig=b&access%5Ftoken=c",
         "https://h/?AWSAccessKeyId=***&sig=***&access%5Ftoken=***"),
        ("to=https%3A%2F%2Fu%3Apw%40h%2Fx%3Ftoken%3Dabc",
         "to=https%3A%2F%2Fu%3A***%40h%2Fx%3Ftoken%3D***"),
        ("https%253A%252F%252Fu%253Apw%2540h", "https%253A%252F%252Fu%253A***%2540h"),
        ("a=http://u:p@h,b=https://x:y@z/p", "a=http://u:***@h,b=https://x:***@z/p"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***"),
        ("bob:pw@127.0.0.1:80/d.csv", "bob:***@127.0.0.1:80/d.csv"),
        ("no file /x/bob:p(w@host.org/d.csv", "no file /x/bob:***@host.org/d.csv"),
        ("a='//bob:pw@host:80/'", "a='//bob:***@host:80/'"),
        ("https:/bob:pw@h.org/d", "https:/bob:***@h.org/d"),
        ("data.path='https://h/x?token=a b'", "data.path='https://h/x?token=***'"),
        ("a=['https://h/x?token=a b','http://u:p w@h'] seed=1",
         "a=['https://h/x?token=***','http://u:***@h'] seed=1"),
        ("https://h/?sessionid=a&sid=b&bearer=c", "https://h/?sessionid=***&sid=***&bearer=***"),
        ("env DB_PASSWORD=abc run", "env DB_PASSWORD=*** run"),
    ],
)  # fmt: skip
def test_secrets_of_all_forms_are_masked(text: str, shown: str) -> None:
    assert mask(text) == mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "data.label=key data.text=[token,secret]",
        "mail me@host.org, or you:me@host.org",
        "https://h/?keyword=a&author=b&design=c&page=2",
        "https://github.com/@me/x@v1",
        "ssh://git@host/x",
        "data:text/csv;base64,QUJD=",
        "vectorizer.token_pattern=(?u)x",
        "https://h/x?token=${oc.env:TOKEN}",
        "https://me:${oc.env:PASSWORD}@h/x",
        "what? key=5 & token=7",
        "git@github.com:me/x and image:tag@sha256:9f3a1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_values_of_variables_that_are_named_like_secrets_are_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_API_KEY", "a b+c/d=e!")
    assert mask("<a b+c/d=e!> a%20b%2Bc%2Fd%3De%21 a%20b%2bc%2fd%3de%21 a+b%2Bc%2Fd%3De%21") == (
        "<***> *** *** ***"
    )
    monkeypatch.setenv("MY_API_KEY", "another-one")
    assert mask("a b+c/d=e! another-one") == "a b+c/d=e! ***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MY_KEY", "short"),
        ("MY_KEY", "production"),
        ("MY_NAME", "not-a-secret"),
        ("SSH_AUTH_SOCK", "not-a-secret"),
        ("KEYBOARD", "not-a-secret"),
        ("PWD", "not-a-secret"),
        ("MY_CREDENTIALS", "/usr/bin"),
        ("MY_CREDENTIALS", str(PACKAGE / "missing.json")),
    ],
)
def test_values_of_other_variables_and_paths_are_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert mask(f"see {value}") == f"see {value}"


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 10**6 + "://", "https://a:b@c " * 50_000, "%25" * 300_000, "%2525" * 200_000),
        *("KEY_" * 250_000 + "=", "?a=b&" * 200_000, "://" * 300_000, "?" * 10**6 + "="),
        "@" * 10**6 + "://" + "@:" * 300_000,
        *("a:" * 500_000 + "@", "'a://" * 100_000, "'a://\"" * 100_000),
    ],
    ids=range(12),
)
def test_masking_a_long_text_takes_no_time(text: str) -> None:
    begun = time.process_time()
    mask(text)
    assert time.process_time() - begun < 3


def test_records_are_masked_value_by_value_and_keep_their_keys() -> None:
    url = "https://u:pw@h?token=a b"
    content = {"a": [url, 1, None], "token": "x", "env": {"MY_TOKEN": "x", "PATH": "y"}}
    masked = {
        "a": ["https://u:***@h?token=***", 1, None],
        "token": "x",
        "env": {"MY_TOKEN": "***", "PATH": "y"},
    }
    assert mask_all(content) == masked
    assert mask_all(masked) == masked
    assert list_masked(content) == ["a", "env.MY_TOKEN"]


def test_an_error_and_what_caused_it_are_masked() -> None:
    class Library(Exception):
        def __str__(self) -> str:
            return "GET https://u:pw@h"

    error = ValueError("no https://u:pw@h", OSError("https://u:pw@h"), 3)
    middle = ValueError("fine")
    error.__cause__, middle.__cause__ = middle, Library()
    mask_error(error)
    assert error.args == ("no https://u:***@h", "https://u:***@h", 3)
    assert error.__cause__ is middle
    assert middle.__cause__ is None


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


@pytest.mark.parametrize("url", ["http", "postgresql"])
@pytest.mark.parametrize("password", ["pass-word", "qu,ss=w(o)r:d", "a b", "[a]{b}"])
def test_a_password_that_hydra_has_escaped_is_masked(url: str, password: str) -> None:
    text = ESCAPED.sub(r"\\\1", f"{url}://me:{password}@host:80/x")
    shown = mask(f"data.path={text} seed=1")
    for part in re.findall(r"\w{2,}", password):
        assert part not in shown
    assert "seed=1" in shown


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_refers_to_a_secret_stays_as_it_is_in_every_context(context: str) -> None:
    password, token = "${oc.env:A_PASSWORD}", "${oc.env:A_TOKEN}"
    for url in (
        f"http://me:{password}@127.0.0.1:80/d.csv",
        f"http://me:{password}@host.example/d.csv?access_token={token}&v=1",
        f"postgresql://me:{password}@host:5432/db",
        f"http://host/d.csv?page=1&access_token={token}",
    ):
        text = context.replace("{}", url)
        assert mask(text) == text
