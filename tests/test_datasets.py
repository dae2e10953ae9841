from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tagifai import datasets
from tagifai.errors import DataError

PROJECTS = "id,created_on,title,description\n1,2020-01-01,A,a\n2,2020-01-02,B,b\n3,2020-01-03,C,\n"
TAGS = "id,tag\n3,nlp\n1,cv\n2,nlp\n9,cv\n"
JOINED = (
    "id,created_on,title,description,tag\n"
    "1,2020-01-01,A,a,cv\n2,2020-01-02,B,b,nlp\n3,2020-01-03,C,,nlp\n"
)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@dataclass
class Source:
    name: str
    projects: str
    tags: str
    projects_sha256: str | None = None
    tags_sha256: str | None = None


@pytest.fixture
def local(tmp_path: Path) -> Source:
    """Two tables on disk."""
    (tmp_path / "projects.csv").write_text(PROJECTS)
    (tmp_path / "tags.csv").write_text(TAGS)
    return Source("mine", str(tmp_path / "projects.csv"), str(tmp_path / "tags.csv"))


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return tmp_path / "stores"


@dataclass
class Site:
    """A web server on the loopback device, and what it was asked for."""

    server: ThreadingHTTPServer
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    @property
    def source(self) -> Source:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return Source("web", f"{url}/projects.csv", f"{url}/tags.csv", digest(PROJECTS))

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            made.asked.append(name)
            content = made.files.get(name)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    files = {"projects.csv": PROJECTS.encode(), "tags.csv": TAGS.encode()}
    made = Site(ThreadingHTTPServer(("127.0.0.1", 0), Handler), files)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds that are waited between tries."""
    monkeypatch.setattr(datasets, "RETRIES", 0)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- join and manifest -------------------------------------------------------------------------


def test_projects_and_tags_are_joined_on_id_in_the_order_of_projects(
    local: Source, stores: Path
) -> None:
    dataset = datasets.load(local, stores)
    assert dataset.fresh
    assert dataset.path == stores / "data" / "mine" / "labeled.csv"
    assert dataset.path.read_text() == JOINED
    assert dataset.table["tag"].tolist() == ["cv", "nlp", "nlp"]


def test_the_manifest_has_sources_sums_and_counts(local: Source, stores: Path) -> None:
    dataset = datasets.load(local, stores)
    manifest = json.loads((stores / "data" / "mine" / "manifest.json").read_text())
    assert manifest == dataset.manifest
    created = manifest.pop("created")
    assert created.endswith("+00:00")
    assert manifest == {
        "format": 1,
        "name": "mine",
        "tables": {
            "projects": {"source": local.projects, "sha256": digest(PROJECTS), "rows": 3},
            "tags": {"source": local.tags, "sha256": digest(TAGS), "rows": 4},
        },
        "rows": 3,
        "projects_without_tag": 0,
        "tags_without_project": 1,
        "tag_counts": {"nlp": 2, "cv": 1},
        "labeled_sha256": digest(JOINED),
    }
    assert dataset.digest == digest(JOINED)


def test_tables_without_a_common_id_are_refused_and_nothing_is_stored(
    local: Source, stores: Path
) -> None:
    Path(local.tags).write_text("id,tag\n7,nlp\n")
    with pytest.raises(DataError, match=r"no id of .*projects\.csv is in .*tags\.csv"):
        datasets.load(local, stores)
    assert files(stores) == []


def test_a_table_that_breaks_a_rule_is_refused_and_nothing_is_stored(
    local: Source, stores: Path
) -> None:
    Path(local.tags).write_text("id,tag\n1,nlp\n1,cv\n")
    with pytest.raises(DataError, match="id not unique in data row 1, 2"):
        datasets.load(local, stores)
    assert files(stores) == []


def test_a_missing_file_is_refused_with_where_relative_paths_start(
    local: Source, stores: Path
) -> None:
    with pytest.raises(DataError, match=r"data\.tags: there is no file .*nowhere\.csv") as caught:
        datasets.load(replace(local, tags="nowhere.csv"), stores)
    assert "working directory" in str(caught.value)
    assert "project's root" in str(caught.value)


def test_a_file_with_another_sum_is_refused_with_both_sums_and_the_way_out(
    local: Source, stores: Path
) -> None:
    with pytest.raises(DataError) as caught:
        datasets.load(replace(local, tags_sha256="0" * 64), stores)
    for part in (digest(TAGS), "0" * 64, "data.tags_sha256=null"):
        assert part in str(caught.value)
    assert files(stores) == []


def test_a_file_with_the_expected_sum_is_taken(local: Source, stores: Path) -> None:
    checked = replace(local, projects_sha256=digest(PROJECTS), tags_sha256=digest(TAGS))
    assert datasets.load(checked, stores).fresh


# --- the second time ---------------------------------------------------------------------------


def test_the_second_time_the_stored_table_is_read_and_nothing_is_written(
    local: Source, stores: Path
) -> None:
    first = datasets.load(local, stores)
    before = [(path, path.stat().st_mtime_ns) for path in sorted(stores.rglob("*"))]
    second = datasets.load(local, stores)
    assert (first.fresh, second.fresh) == (True, False)
    assert second.table.equals(first.table)
    assert second.manifest == first.manifest
    assert [(path, path.stat().st_mtime_ns) for path in sorted(stores.rglob("*"))] == before


def test_force_makes_it_again(local: Source, stores: Path) -> None:
    datasets.load(local, stores)
    assert datasets.load(local, stores, force=True).fresh


def test_a_changed_local_file_is_noticed(local: Source, stores: Path) -> None:
    datasets.load(local, stores)
    Path(local.tags).write_text(TAGS.replace("1,cv", "1,other"))
    again = datasets.load(local, stores)
    assert again.fresh
    assert again.manifest["tag_counts"] == {"nlp": 2, "other": 1}


def test_a_source_that_is_gone_is_refused_although_the_table_is_stored(
    local: Source, stores: Path
) -> None:
    datasets.load(local, stores)
    Path(local.tags).unlink()
    with pytest.raises(DataError, match=r"data\.tags: there is no file"):
        datasets.load(local, stores)


@pytest.mark.parametrize("damage", [JOINED.replace("cv", "vc"), JOINED[:-5], ""])
def test_a_damaged_table_is_made_again(
    local: Source, stores: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = datasets.load(local, stores).path
    path.write_text(damage)
    with caplog.at_level(logging.INFO, "tagifai"):
        assert datasets.load(local, stores).fresh
    assert "is not what its manifest says; it is made again" in caplog.text
    assert path.read_text() == JOINED


@pytest.mark.parametrize("missing", ["labeled.csv", "manifest.json"])
def test_a_missing_part_of_the_store_is_made_again(
    local: Source, stores: Path, missing: str
) -> None:
    (datasets.load(local, stores).path.parent / missing).unlink()
    assert datasets.load(local, stores).fresh
    assert files(stores) == ["labeled.csv", "manifest.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', "\udcff"])
def test_a_manifest_that_is_not_ours_is_made_again(
    local: Source, stores: Path, content: str
) -> None:
    path = datasets.load(local, stores).path.parent / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert datasets.present(stores) == []
    assert datasets.load(local, stores).fresh


def test_a_failure_leaves_the_data_set_that_was_there(local: Source, stores: Path) -> None:
    path = datasets.load(local, stores).path
    Path(local.projects).write_text("id,title\n")
    with pytest.raises(DataError):
        datasets.load(local, stores)
    assert path.read_text() == JOINED
    assert files(stores) == ["labeled.csv", "manifest.json"]


def test_the_data_sets_of_a_store_are_listed_by_name(local: Source, stores: Path) -> None:
    assert datasets.present(stores) == []
    for name in ("b", "a"):
        datasets.load(replace(local, name=name), stores)
    assert [(m["name"], m["rows"]) for m in datasets.present(stores)] == [("a", 3), ("b", 3)]


# --- download ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "is_one"),
    [("http://h/x.csv", True), ("ftp://h/x", True), ("data/x.csv", False), ("C:/x.csv", False)],
)
def test_a_url_is_what_has_a_scheme(source: str, is_one: bool) -> None:
    assert datasets.is_url(source) is is_one


def test_tables_are_fetched_and_joined(site: Site, stores: Path) -> None:
    dataset = datasets.load(site.source, stores)
    assert dataset.path.read_text() == JOINED
    assert site.asked == ["projects.csv", "tags.csv"]
    assert dataset.manifest["tables"]["tags"]["source"] == site.source.tags
    assert dataset.manifest["tables"]["tags"]["sha256"] == digest(TAGS)


def test_the_second_time_nothing_is_fetched_and_the_site_may_be_gone(
    site: Site, stores: Path
) -> None:
    datasets.load(site.source, stores)
    site.stop()
    assert not datasets.load(site.source, stores).fresh


def test_another_url_or_another_sum_is_noticed(site: Site, stores: Path) -> None:
    datasets.load(site.source, stores)
    site.files["other.csv"] = TAGS.replace("1,cv", "1,nlp").encode()
    other = replace(site.source, tags=site.source.tags.replace("tags", "other"))
    assert datasets.load(other, stores).manifest["tag_counts"] == {"nlp": 3}
    known = replace(other, tags_sha256=digest(TAGS.replace("1,cv", "1,nlp")))
    assert not datasets.load(known, stores).fresh
    assert datasets.load(replace(site.source, tags_sha256=digest(TAGS)), stores).fresh


def test_made_again_a_table_with_a_sum_comes_from_the_cache_and_one_without_from_the_site(
    site: Site, stores: Path
) -> None:
    datasets.load(site.source, stores)
    site.asked.clear()
    site.files["tags.csv"] = b"id,tag\n1,new\n"
    again = datasets.load(site.source, stores, force=True)
    assert site.asked == ["tags.csv"]
    assert again.manifest["tag_counts"] == {"new": 1}


@pytest.mark.usefixtures("one_try")
def test_a_wrong_sum_is_refused_and_nothing_is_stored(site: Site, stores: Path) -> None:
    with pytest.raises(DataError, match=r"data\.projects: http://.*does not match") as caught:
        datasets.load(replace(site.source, projects_sha256="0" * 64), stores)
    assert "data.projects=/path/projects.csv" in str(caught.value)
    assert files(stores) == []


@pytest.mark.usefixtures("one_try")
def test_a_damaged_file_in_the_cache_is_fetched_again(site: Site, stores: Path) -> None:
    datasets.load(site.source, stores)
    (cached,) = (stores / "cache").rglob("*-projects.csv")
    cached.write_text("damaged")
    assert datasets.load(site.source, stores, force=True).path.read_text() == JOINED
    assert cached.read_text() == PROJECTS


@pytest.mark.usefixtures("one_try")
def test_a_site_that_is_gone_is_told_with_what_was_tried_and_the_way_out(
    site: Site, stores: Path
) -> None:
    source = site.source
    site.stop()
    with pytest.raises(DataError) as caught:
        datasets.load(source, stores)
    message = str(caught.value)
    assert message.startswith(f"data.projects: {source.projects} could not be fetched in 1 tries")
    assert "ConnectionError" in message
    assert "data.projects=/path/projects.csv data.tags=/path/tags.csv" in message
    assert len(message) < 600
    assert files(stores) == []


def test_a_failing_site_is_asked_three_times(
    site: Site, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.core.time.sleep", lambda _seconds: None)
    del site.files["projects.csv"]
    with pytest.raises(DataError, match=r"could not be fetched in 3 tries \(HTTPError: 404"):
        datasets.load(site.source, stores)
    assert site.asked == ["projects.csv"] * 3


@pytest.mark.usefixtures("one_try")
def test_a_failure_on_the_second_table_stores_no_data_set(site: Site, stores: Path) -> None:
    del site.files["tags.csv"]
    with pytest.raises(DataError, match=r"data\.tags: .*404"):
        datasets.load(site.source, stores)
    assert not (stores / "data").exists()
    assert [name.partition("-")[2] for name in files(stores)] == ["projects.csv"]


@pytest.mark.usefixtures("one_try")
def test_a_scheme_that_is_not_supported_is_refused(local: Source, stores: Path) -> None:
    with pytest.raises(DataError, match=r"data\.tags: gopher://x/y could not be fetched"):
        datasets.load(replace(local, tags="gopher://x/y"), stores)


def test_files_at_hand_take_the_place_of_urls_under_the_same_sums(
    site: Site, local: Source, stores: Path
) -> None:
    datasets.load(replace(local, name="web", projects_sha256=digest(PROJECTS)), stores)
    mixed = replace(site.source, tags=local.tags, tags_sha256=digest(TAGS))
    assert not datasets.load(mixed, stores).fresh
    assert site.asked == []
