from __future__ import annotations

import json
import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tagifai.config.schema import TwoTablesConfig
from tagifai.data import datasets, tables
from tagifai.exceptions import DataError
from tests.conftest import Site

PROJECTS = "id,created_on,title,description\n1,2020-01-01,A,a\n2,2020-01-02,B,b\n3,2020-01-03,C,\n"
TAGS = "id,tag\n3,nlp\n1,cv\n2,nlp\n9,cv\n"
JOINED = (
    '"id","created_on","title","description","tag"\n'
    '"1","2020-01-01","A","a","cv"\n'
    '"2","2020-01-02","B","b","nlp"\n'
    '"3","2020-01-03","C","","nlp"\n'
)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def source(
    name: str,
    projects: str,
    tags: str,
    projects_sha256: str | None = None,
    tags_sha256: str | None = None,
) -> TwoTablesConfig:
    return TwoTablesConfig(
        name=name,
        projects=projects,
        tags=tags,
        projects_sha256=projects_sha256,
        tags_sha256=tags_sha256,
    )


@pytest.fixture
def local(tmp_path: Path) -> TwoTablesConfig:
    """Two tables on disk."""
    (tmp_path / "projects.csv").write_text(PROJECTS)
    (tmp_path / "tags.csv").write_text(TAGS)
    return source("mine", str(tmp_path / "projects.csv"), str(tmp_path / "tags.csv"))


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return tmp_path / "stores"


@pytest.fixture
def web(site: Site) -> TwoTablesConfig:
    """The same tables on a site, the projects with their sum."""
    site.files.update({"projects.csv": PROJECTS.encode(), "tags.csv": TAGS.encode()})
    return source("web", site.url("projects.csv"), site.url("tags.csv"), digest(PROJECTS))


def files(folder: Path) -> list[str]:
    """Return the names of the files, without the lock that stays with a data set."""
    found = {path.name for path in folder.rglob("*") if path.is_file()}
    return sorted(found - {".lock"})


# --- join and manifest -------------------------------------------------------------------------


def test_projects_and_tags_are_joined_on_id_in_the_order_of_projects(
    local: TwoTablesConfig, stores: Path
) -> None:
    dataset = datasets.load(local, stores)
    assert dataset.fresh
    assert dataset.path == stores / "data" / "mine" / "labeled.csv"
    assert dataset.path.read_text() == JOINED
    assert dataset.table["tag"].tolist() == ["cv", "nlp", "nlp"]


def test_the_manifest_has_sources_sums_and_counts(local: TwoTablesConfig, stores: Path) -> None:
    dataset = datasets.load(local, stores)
    manifest = json.loads((stores / "data" / "mine" / "manifest.json").read_text())
    assert manifest == dataset.manifest
    created = manifest.pop("created")
    assert created.endswith("+00:00")
    assert manifest == {
        "format": 2,
        "name": "mine",
        "tables": {
            "projects": {"source": local.projects, "sha256": digest(PROJECTS), "rows": 3},
            "tags": {"source": local.tags, "sha256": digest(TAGS), "rows": 4},
        },
        "settings": {},
        "rows": 3,
        "counts": {"projects without a tag": 0, "tags without a project": 1},
        "tag_counts": {"nlp": 2, "cv": 1},
        "labeled_sha256": digest(JOINED),
    }
    assert dataset.digest == digest(JOINED)


def test_the_manifest_has_no_password_of_an_address_and_knows_the_address_again(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    address = site.url("tags.csv").replace("://", "://me:secret@")
    dataset = datasets.load(replace(web, tags=address), stores)
    assert "secret" not in (stores / "data" / "web" / "manifest.json").read_text()
    assert dataset.manifest["tables"]["tags"]["source"] == address.replace("secret", "***")
    assert not datasets.load(replace(web, tags=address), stores).fresh


def test_extra_and_doubled_columns_do_not_reach_the_joined_table(
    local: TwoTablesConfig, stores: Path
) -> None:
    Path(local.projects).write_text(
        "id,tag,title,description,created_on,title,notes\n1,x,A,a,2020-01-01,Z,n\n"
    )
    Path(local.tags).write_text("id,title,tag,tag\n1,T,cv,nlp\n")
    dataset = datasets.load(local, stores)
    columns = ["id", "created_on", "title", "description", "tag"]
    assert list(dataset.table.columns) == columns
    assert dataset.table.to_numpy().tolist() == [["1", "2020-01-01", "A", "a", "cv"]]


def test_without_dates_the_joined_table_has_none(local: TwoTablesConfig, stores: Path) -> None:
    Path(local.projects).write_text("id,title,description\n1,A,a\n")
    table = datasets.load(local, stores).table
    assert list(table.columns) == ["id", "title", "description", "tag"]


def test_line_ends_in_fields_survive_the_first_run_and_all_later_ones(
    local: TwoTablesConfig, stores: Path
) -> None:
    texts = ["a\rb", "a\r\nb", "a\nb", '"\r"', "\r"]
    rows = (f'{i},A,"{text.replace(chr(34), chr(34) * 2)}"\n' for i, text in enumerate(texts))
    Path(local.projects).write_bytes(f"id,title,description\n{''.join(rows)}".encode())
    Path(local.tags).write_bytes(b'id,tag\n0,"c\rv"\n1,b\n2,b\n3,b\n4,b\n')
    first = datasets.load(local, stores)
    assert first.table["description"].tolist() == texts
    assert first.table["tag"].tolist() == ["c\rv", "b", "b", "b", "b"]
    later = datasets.load(local, stores)
    assert (first.fresh, later.fresh) == (True, False)
    assert later.table.equals(first.table)
    assert tables.read(datasets.get_table_path("mine", first.digest, stores)).equals(first.table)


def test_tables_without_a_common_id_are_refused_and_nothing_is_stored(
    local: TwoTablesConfig, stores: Path
) -> None:
    Path(local.tags).write_text("id,tag\n7,nlp\n")
    with pytest.raises(DataError, match=r"no id of .*projects\.csv is in .*tags\.csv"):
        datasets.load(local, stores)
    assert files(stores) == []


def test_a_table_that_breaks_a_rule_is_refused_and_nothing_is_stored(
    local: TwoTablesConfig, stores: Path
) -> None:
    Path(local.tags).write_text("id,tag\n1,nlp\n1,cv\n")
    with pytest.raises(DataError, match="id not unique in data row 1, 2"):
        datasets.load(local, stores)
    assert files(stores) == []


def test_a_missing_file_is_refused_with_where_relative_paths_start(
    local: TwoTablesConfig, stores: Path
) -> None:
    with pytest.raises(DataError, match=r"data\.tags: there is no file .*nowhere\.csv") as caught:
        datasets.load(replace(local, tags="nowhere.csv"), stores)
    assert "working directory" in str(caught.value)
    assert "project's root" in str(caught.value)


def test_a_file_with_another_sum_is_refused_with_both_sums_and_the_way_out(
    local: TwoTablesConfig, stores: Path
) -> None:
    with pytest.raises(DataError) as caught:
        datasets.load(replace(local, tags_sha256="0" * 64), stores)
    for part in (digest(TAGS), "0" * 64, "data.tags_sha256=null"):
        assert part in str(caught.value)
    assert files(stores) == []


def test_a_file_with_the_expected_sum_is_taken(local: TwoTablesConfig, stores: Path) -> None:
    checked = replace(local, projects_sha256=digest(PROJECTS), tags_sha256=digest(TAGS))
    assert datasets.load(checked, stores).fresh


# --- the second time ---------------------------------------------------------------------------


def test_the_second_time_the_stored_table_is_read_and_nothing_is_written(
    local: TwoTablesConfig, stores: Path
) -> None:
    first = datasets.load(local, stores)
    before = [(path, path.stat().st_mtime_ns) for path in sorted(stores.rglob("*"))]
    second = datasets.load(local, stores)
    assert (first.fresh, second.fresh) == (True, False)
    assert second.table.equals(first.table)
    assert second.manifest == first.manifest
    assert [(path, path.stat().st_mtime_ns) for path in sorted(stores.rglob("*"))] == before


def test_force_makes_it_again(local: TwoTablesConfig, stores: Path) -> None:
    datasets.load(local, stores)
    assert datasets.load(local, stores, force=True).fresh


def test_a_changed_local_file_is_noticed(local: TwoTablesConfig, stores: Path) -> None:
    datasets.load(local, stores)
    Path(local.tags).write_text(TAGS.replace("1,cv", "1,other"))
    again = datasets.load(local, stores)
    assert again.fresh
    assert again.manifest["tag_counts"] == {"nlp": 2, "other": 1}


def test_a_source_that_is_gone_is_refused_although_the_table_is_stored(
    local: TwoTablesConfig, stores: Path
) -> None:
    datasets.load(local, stores)
    Path(local.tags).unlink()
    with pytest.raises(DataError, match=r"data\.tags: there is no file"):
        datasets.load(local, stores)


@pytest.mark.parametrize("damage", [JOINED.replace("cv", "vc"), JOINED[:-5], ""])
def test_a_damaged_table_is_made_again(
    local: TwoTablesConfig, stores: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = datasets.load(local, stores).path
    path.write_text(damage)
    with caplog.at_level(logging.INFO, "tagifai"):
        assert datasets.load(local, stores).fresh
    assert "has another SHA-256 than its manifest says; it is made again" in caplog.text
    assert path.read_text() == JOINED


@pytest.mark.parametrize("missing", ["labeled.csv", "manifest.json"])
def test_a_missing_part_of_the_store_is_made_again(
    local: TwoTablesConfig, stores: Path, missing: str
) -> None:
    (datasets.load(local, stores).path.parent / missing).unlink()
    assert datasets.load(local, stores).fresh
    assert files(stores) == ["labeled.csv", "manifest.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', "\udcff"])
def test_a_manifest_that_is_not_ours_is_made_again(
    local: TwoTablesConfig, stores: Path, content: str
) -> None:
    path = datasets.load(local, stores).path.parent / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert datasets.list_manifests(stores) == []
    assert datasets.load(local, stores).fresh


@pytest.mark.parametrize("key", ["format", "labeled_sha256", *datasets.MANIFEST_KEYS])
def test_a_manifest_with_a_missing_key_is_made_again(
    local: TwoTablesConfig, stores: Path, key: str
) -> None:
    first = datasets.load(local, stores)
    path = first.path.parent / "manifest.json"
    path.write_text(json.dumps({k: v for k, v in first.manifest.items() if k != key}))
    assert datasets.list_manifests(stores) == []
    assert datasets.load(local, stores).fresh
    assert json.loads(path.read_text()).keys() == first.manifest.keys()


@pytest.mark.parametrize("tables", [{}, None, {"projects": {}, "tags": {}}])
def test_a_manifest_without_the_sums_of_its_tables_is_made_again(
    local: TwoTablesConfig, stores: Path, tables: object
) -> None:
    first = datasets.load(local, stores)
    path = first.path.parent / "manifest.json"
    path.write_text(json.dumps({**first.manifest, "tables": tables}))
    assert datasets.load(local, stores).fresh


def test_a_failure_leaves_the_data_set_that_was_there(local: TwoTablesConfig, stores: Path) -> None:
    path = datasets.load(local, stores).path
    Path(local.projects).write_text("id,title\n")
    with pytest.raises(DataError):
        datasets.load(local, stores)
    assert path.read_text() == JOINED
    assert files(stores) == ["labeled.csv", "manifest.json"]


def test_the_data_sets_of_a_store_are_listed_by_name(local: TwoTablesConfig, stores: Path) -> None:
    assert datasets.list_manifests(stores) == []
    for name in ("b", "a"):
        datasets.load(replace(local, name=name), stores)
    assert [(m["name"], m["rows"]) for m in datasets.list_manifests(stores)] == [("a", 3), ("b", 3)]


# --- the table of a run ------------------------------------------------------------------------


def test_the_stored_table_of_the_right_digest_is_returned_and_nothing_is_fetched(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    dataset = datasets.load(web, stores)
    site.asked.clear()
    before = files(stores)
    assert tables.read(datasets.get_table_path("web", dataset.digest, stores)).equals(dataset.table)
    (dataset.path.parent / "manifest.json").unlink()
    assert tables.read(datasets.get_table_path("web", digest(JOINED), stores)).equals(dataset.table)
    assert site.asked == []
    assert files(stores) == [name for name in before if name != "manifest.json"]


def test_a_stored_table_of_another_digest_is_refused_and_not_made_again(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    path = datasets.load(web, stores).path
    site.asked.clear()
    path.write_text("changed")
    with pytest.raises(DataError) as caught:
        datasets.get_table_path("web", digest(JOINED), stores)
    for part in (
        f"'web' that the run was trained with (SHA-256 {digest(JOINED)[:12]}…)",
        f"has SHA-256 {digest('changed')[:12]}… by now: {path}.",
        "task.data=labelled.csv",
    ):
        assert part in str(caught.value)
    assert path.read_text() == "changed"
    assert site.asked == []


def test_a_stored_table_that_is_gone_is_refused_and_nothing_is_made(stores: Path) -> None:
    with pytest.raises(DataError, match=r"'web' .* is gone: .*labeled\.csv\."):
        datasets.get_table_path("web", digest(JOINED), stores)
    assert not stores.exists()


# --- download ----------------------------------------------------------------------------------


def test_tables_are_fetched_and_joined(site: Site, web: TwoTablesConfig, stores: Path) -> None:
    dataset = datasets.load(web, stores)
    assert dataset.path.read_text() == JOINED
    assert site.asked == ["projects.csv", "tags.csv"]
    assert dataset.manifest["tables"]["tags"]["source"] == site.url("tags.csv")
    assert dataset.manifest["tables"]["tags"]["sha256"] == digest(TAGS)


def test_the_second_time_nothing_is_fetched_and_the_site_may_be_gone(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    datasets.load(web, stores)
    site.stop()
    assert not datasets.load(web, stores).fresh


def test_another_url_or_another_sum_is_noticed(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    datasets.load(web, stores)
    site.files["other.csv"] = TAGS.replace("1,cv", "1,nlp").encode()
    other = replace(web, tags=site.url("other.csv"))
    assert datasets.load(other, stores).manifest["tag_counts"] == {"nlp": 3}
    known = replace(other, tags_sha256=digest(TAGS.replace("1,cv", "1,nlp")))
    assert not datasets.load(known, stores).fresh
    assert datasets.load(replace(web, tags_sha256=digest(TAGS)), stores).fresh


def test_made_again_a_table_with_a_sum_comes_from_the_cache_and_one_without_from_the_site(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    datasets.load(web, stores)
    site.asked.clear()
    site.files["tags.csv"] = b"id,tag\n1,new\n"
    again = datasets.load(web, stores, force=True)
    assert site.asked == ["tags.csv"]
    assert again.manifest["tag_counts"] == {"new": 1}


@pytest.mark.usefixtures("one_try")
def test_a_wrong_sum_is_refused_and_nothing_is_stored(web: TwoTablesConfig, stores: Path) -> None:
    with pytest.raises(DataError, match=r"data\.projects: http://.* does not have the SHA-256"):
        datasets.load(replace(web, projects_sha256="0" * 64), stores)
    assert files(stores) == []


@pytest.mark.usefixtures("one_try")
def test_a_failure_on_the_second_table_stores_no_data_set(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    del site.files["tags.csv"]
    with pytest.raises(DataError, match=r"data\.tags: .*404"):
        datasets.load(web, stores)
    assert not (stores / "data").exists()
    assert [name.partition("-")[2] for name in files(stores)] == ["data.projects"]


def test_files_at_hand_take_the_place_of_urls_under_the_same_sums(
    site: Site, web: TwoTablesConfig, local: TwoTablesConfig, stores: Path
) -> None:
    datasets.load(replace(local, name="web", projects_sha256=digest(PROJECTS)), stores)
    mixed = replace(web, tags=local.tags, tags_sha256=digest(TAGS))
    assert not datasets.load(mixed, stores).fresh
    assert site.asked == []
