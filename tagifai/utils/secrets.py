"""Secrets: the only place that hides them in what is shown or recorded.

A secret is what a URL has before its host or in a query under a usual name, and the value of an
environment variable that is named like one. What is done with a setting is done with its secret;
what is written about it goes through here, at the doors that everything passes: the streams, the
logs, the errors, the records.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
"""What stands in place of a secret."""
MIN_LENGTH = 8
"""Characters of a variable's value that is a secret; shorter ones are part of usual words."""
MIN_TOKEN = 20
"""Characters of the name of a user that is a token rather than a name."""
NO_PASSWORDS = ("", "x-oauth-basic")
"""What stands in place of a password where the user is a token."""
ANYWHERE = "token|secret|passw|pwd|passphrase|signature|credential|apikey|accesskey|bearer|session"
APART = "key|keys|sig|sid|pass|pw|auth|authorization|jwt|pat"
NAME = re.compile(rf"(?i:{ANYWHERE})|(?:(?i:(?<![a-z])(?:{APART}))|Key|Sig|Auth)(?![a-z])")
"""In names of a query: the words that say that the value is a secret, short ones by themselves."""

_ENDS = (
    r"TOKENS?|KEYS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEY|(?<=_)PWD|(?<=_)PASS"
)
VARIABLE = re.compile(rf"[A-Z0-9_]{{0,60}}(?:{_ENDS})(?:_[A-Z0-9_]{{0,60}})?")
"""Names of variables whose values are secrets, such as AWS_SECRET_ACCESS_KEY; PWD is none."""

ORDINARY = {
    *("disabled", "enabled", "required", "optional", "production", "development", "localhost"),
    *("password", "undefined"),
}
"""Values of such variables that are no secrets, and would be missing in messages."""

DATABASES = re.compile(r"(postgres|mysql|mariadb|oracle|mssql|cockroach|redshift|sqlite|ssh|sftp)")
"""Schemes of URLs in which a user without a password is a name and no token."""

_REFERENCE = re.compile(r"\$\{[^{}]*\}[')\]},.:;]*")
"""What refers to a secret and is none itself, such as ${oc.env:NAME}."""

_ALONE = re.compile(r"([\w.+/@]*=)?[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""A URL that stands by itself, or as the value of a setting."""
_QUOTED = re.compile(r"""(['"])([a-z][a-z0-9+.-]{0,30}://(?:(?!\1)[^\n])*)(?=\1)""", re.IGNORECASE)
_SENTENCE = re.compile(r"[.,:;!?)]\s|[.!?]$|\n")
_URL = re.compile(r"://(?:(?!://)\S)*")
_URL_ALONE = re.compile(r"://(?:(?!://)[^\n])*")
_PAIR = re.compile(r"([?&#;]|\\u0026)([^=&\s?#;]{1,80})=([^&\s\"<>]+)")
_PAIR_ALONE = re.compile(r"([?&#;])([^=&\s?#;]{1,80})=([^&\n]+)")
_WITHOUT_SCHEME = re.compile(
    r"(?<![\w.+{-])([\w.+-]{1,64}):(?!\*\*\*@)[^\s@/'\"<>,$]{1,128}"
    r"@(?=(?:[\w-]+(?:\.[\w-]+)+/|[\w.-]+:\d{1,5}(?![\w.]))|\[[\da-f:]+\])",
    re.IGNORECASE,
)
"""What begins like a URL whose scheme was forgotten or is incomplete, up to a server's name."""
_ENCODED = re.compile(r"%(?:25)*(?:3A|3F|26|23)[^\s\"'<>&]*", re.IGNORECASE)
_ASSIGNED = re.compile(rf"(?<![A-Za-z0-9_])({VARIABLE.pattern})=(\S+)")
_HEADER = re.compile(r"(authorization\W{1,4}(?:basic|bearer|token)\s+)[^\s'\"]+", re.IGNORECASE)
_TRAILING = "')]},.:;"
"""Characters that end a quotation or a sentence rather than a secret."""
_LEVELS = 3
"""Times that a URL may have been percent-encoded."""


def mask(text: str) -> str:
    """Return a text without the secrets in it; what was masked before stays as it is.

    Args:
        text: a URL, or a text with URLs in it, such as a command or the message of an error.
    """
    return _mask(text, _find_known())


def mask_all(content: Any) -> Any:
    """Return content of JSON or YAML with its texts masked, and values of secret variables.

    Args:
        content: mappings and lists of texts and other values; the keys are left as they are.
    """
    return _mask_content(content, _find_known())


def list_masked(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the keys of the settings that have a secret.

    Args:
        content: settings, and groups of them.
        prefix: of their keys.
    """
    found = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            found += list_masked(value, f"{prefix}{name}.")
        elif mask_all({name: value}) != {name: value}:
            found.append(f"{prefix}{name}")
    return found


def _mask_content(content: Any, known: re.Pattern[str] | None) -> Any:
    if isinstance(content, str):
        return _mask(content, known)
    if isinstance(content, Mapping):
        return {
            key: HIDDEN
            if value and isinstance(value, str) and VARIABLE.fullmatch(str(key))
            else _mask_content(value, known)
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return type(content)(_mask_content(item, known) for item in content)
    return content


def _mask(text: str, known: re.Pattern[str] | None) -> str:
    # First as it stands: a password has percent signs of its own.
    text = _mask_plain(text)
    text = _ENCODED.sub(_mask_encoded, text) if "%" in text else text
    return text if known is None else known.sub(HIDDEN, text)


def _mask_plain(text: str) -> str:
    """Mask what does not depend on the environment, and is not percent-encoded as a whole."""
    # The password of a URL that stands by itself may have blanks; in a text they end the URL.
    url = "://" in text
    text = _QUOTED.sub(lambda found: found[1] + _mask_plain(found[2]), text) if url else text
    alone = url and _ALONE.match(text) is not None and _SENTENCE.search(text) is None
    if url:
        text = (_URL_ALONE if alone else _URL).sub(_mask_user, text)
    if "@" in text:
        text = _WITHOUT_SCHEME.sub(rf"\1:{HIDDEN}@", text)
    if "=" in text:
        text = (_PAIR_ALONE if alone else _PAIR).sub(_mask_pair, text)
        text = _ASSIGNED.sub(rf"\1={HIDDEN}", text)
    if "uthorization" in text:
        text = _HEADER.sub(rf"\1{HIDDEN}", text)
    return text


def _mask_encoded(found: re.Match[str]) -> str:
    """Mask what a percent-encoded URL or query holds."""
    plain = found[0]
    for level in range(1, _LEVELS + 1):
        plain = unquote(plain)
        masked = _mask_plain(plain)
        if masked != plain:
            for _ in range(level):
                masked = quote(masked, safe="*")
            return masked
    return found[0]


def _mask_user(found: re.Match[str]) -> str:
    """Mask what stands before the host."""
    before = found.string[max(0, found.start() - 32) : found.start()].rstrip("\\")
    scheme = (re.findall(r"[A-Za-z][A-Za-z0-9+.-]*$", before) or [""])[0].lower()
    # Hydra's own sweeper writes its jobs with a backslash before a colon and other signs.
    body = re.sub(r"\\([\\()\[\]{}:=, ])", r"\1", found[0].removeprefix("://"))
    user = _find_user(body, is_http=scheme.rpartition("+")[2] in ("http", "https", ""))
    if user is None:
        return found[0]
    name, _, password = user.partition(":")
    if _REFERENCE.fullmatch(password or name):
        return found[0]
    is_token = len(name) >= MIN_TOKEN or password in NO_PASSWORDS
    if is_token and not password and DATABASES.match(scheme) and len(name) < MIN_TOKEN:
        return found[0]
    hidden = HIDDEN if is_token else f"{name}:{HIDDEN}"
    return f"://{hidden}{body[len(user) :]}"


def _find_user(body: str, *, is_http: bool) -> str | None:
    """Return user and password of a URL, or None: a path may have an @ in it, too.

    Args:
        body: what is behind the two slashes.
        is_http: whether the URL is of a server, whose passwords have no slash as they are; a
            database's may have one.
    """
    host = re.split(r"[/?#\\]", body, maxsplit=1)[0]
    rest = host.partition(":")[2]
    broken = ":" in host and not host.startswith("[") and not re.match(r"\d*($|[\s'\"),\]])", rest)
    whole = ":" in host and (broken or not is_http)
    user, at, _ = (body if whole and not (is_http and "@" in host) else host).rpartition("@")
    return user if at and user and user != HIDDEN else None


def _mask_pair(found: re.Match[str]) -> str:
    """Mask the value of a name that says that it is a secret."""
    before, name, value = found.groups()
    known = value.startswith(f"{HIDDEN}'") or _REFERENCE.fullmatch(value)
    if known or NAME.search(unquote(name)) is None:
        return found[0]
    return f"{before}{name}={HIDDEN}{value[len(value.rstrip(_TRAILING)) :]}"


# --- the environment ---------------------------------------------------------------------------


def _find_known() -> re.Pattern[str] | None:
    """Return what finds the values of the secret variables that are set now."""
    return _compile(tuple(os.environ[name] for name in os.environ if _is_variable(name)))


@lru_cache(maxsize=4096)
def _is_variable(name: str) -> bool:
    return VARIABLE.fullmatch(name.upper()) is not None


@lru_cache(maxsize=64)
def _compile(values: tuple[str, ...]) -> re.Pattern[str] | None:
    forms: set[str] = set()
    for value in filter(_is_secret, values):
        if value.isdigit():
            forms.add(rf"(?<!\w){value}(?!\w)")
            continue
        encoded = {quote(value, safe=""), quote(value), quote_plus(value)}
        lower = {re.sub("%..", lambda hexed: hexed[0].lower(), form) for form in encoded}
        forms |= {re.escape(form) for form in (value, repr(value)[1:-1], *encoded, *lower)}
    return re.compile("|".join(sorted(forms, key=len, reverse=True))) if forms else None


def _is_secret(value: str) -> bool:
    if len(value) < MIN_LENGTH or value.lower() in ORDINARY:
        return False
    if not value.startswith(("/", "~/", "./", "../")):
        return True
    path = Path(value).expanduser()
    return not (path.exists() or (len(path.parts) > 2 and path.parent.exists()))


# --- errors ------------------------------------------------------------------------------------


def mask_error(error: BaseException) -> None:
    """Hide the secrets of an error, in place, and leave out causes that have some."""
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        # What an error was made of may be another one.
        at.args = tuple(
            item if mask(str(item)) == str(item) else mask(str(item)) for item in at.args
        )
        cause = at.__cause__ or at.__context__
        if cause is not None and _has_secret(cause):
            at.__cause__ = at.__context__ = cause = None
        at = cause


def _has_secret(error: BaseException) -> bool:
    texts = [str(error), repr(error), *map(str, vars(error).values())]
    return any(mask(text) != text for text in texts)
