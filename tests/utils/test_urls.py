from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from tagifai.utils.urls import get_sqlite_path, is_packaged, is_readable, is_url, locate_file

FILES = st.text(string.ascii_letters + string.digits + "/ .:@+-_#%", max_size=12).map("/a{}".format)


# --- URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        ("http://h/x.csv", True),
        ("HTTPS://h/x.csv", True),
        ("ftp://h/x", True),
        ("s3://b/x", True),
        ("git+ssh://h/x", True),
        ("file:///x.csv", False),
        ("http://", True),
        ("pkg://another/x.csv", True),
        ("pkg://tagifai/x.csv", False),
        ("data/x.csv", False),
        ("C:/x.csv", False),
        ("c://x.csv", False),
        ("/a/http://x.csv", False),
        ("mailto:x", False),
        ("http:/x", False),
        ("3s://x", False),
        ("my file://x", False),
        ("-", False),
        ("", False),
    ],
)
def test_a_url_begins_with_a_scheme_of_more_than_a_letter(source: str, is_one: bool) -> None:
    assert is_url(source) is is_one


def test_a_file_of_the_package_is_found_wherever_the_package_is() -> None:
    source = "pkg://tagifai/sample/tags.csv"
    assert is_packaged(source)
    assert not is_packaged("tagifai/sample/tags.csv")
    assert locate_file(source).is_file()
    assert locate_file("sample/tags.csv") == Path("sample/tags.csv")


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("file:///a/b%20c%25.csv", "/a/b c%.csv"),
        ("FILE:///a", "/a"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file:///localhost/a", "/localhost/a"),
        ("a/file:///b", "a/file:///b"),
        ("b%20c.csv", "b%20c.csv"),
    ],
)
def test_a_file_url_is_a_path_on_this_machine(source: str, path: str) -> None:
    assert not is_url(source)
    assert is_readable(source)
    assert locate_file(source) == Path(path)


@pytest.mark.parametrize(
    "source",
    ["a.csv", "/a:b.csv", "C:/x.csv", r"C:\x.csv", "a b://c", "http://h/x", "HTTPS://h", "az:1.csv",
     "pkg://tagifai/x.csv", "-", "data:1.csv"],
)  # fmt: skip
def test_paths_and_urls_that_can_be_fetched_are_readable(source: str) -> None:
    assert is_readable(source)


@pytest.mark.parametrize(
    "source",
    ["s3://b/x", "gs://b/x", "hf://datasets/a/b", "ftp://h/x", "sftp://u:p@h/x", "hdfs://n/x",
     "az://c/x", "abfs://c@a/x", "data:text/csv,a", "git+ssh://h/x", "pkg://another/x", "http:/x",
     "file://server/share/x.csv", "file:x.csv", "file://", "FILE:x"],
)  # fmt: skip
def test_other_urls_are_not(source: str) -> None:
    assert not is_readable(source)


# --- files of databases ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////a/b.db", "/a/b.db"),
        ("sqlite:///b.db", "b.db"),
        ("sqlite:////a/b.db?mode=ro&uri=true", "/a/b.db"),
        ("sqlite:////a%20b/%3F.db", "/a b/?.db"),
        ("sqlite:////a b/c:d@e.db", "/a b/c:d@e.db"),
    ],
)
def test_the_file_of_a_sqlite_database_is_what_its_address_says(uri: str, path: str) -> None:
    assert get_sqlite_path(uri) == Path(path)


@pytest.mark.parametrize(
    "uri", ["postgresql://h/d", "http://h/sqlite:///x", "sqlite://", "nonsense", ""]
)
def test_another_database_has_no_file(uri: str) -> None:
    assert get_sqlite_path(uri) is None


@given(FILES)
def test_the_file_is_the_one_that_sqlalchemy_opens(name: str) -> None:
    uri = f"sqlite:///{name}"
    assert get_sqlite_path(uri) == Path(str(make_url(uri).database))
