from __future__ import annotations

import json
import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tagifai.config.schema import TableConfig, TwoTablesConfig
from tagifai.data import blocks, datasets
from tagifai.data.dataset_store import MANIFEST_KEYS, Dataset, get_by_digest, list_manifests
from tagifai.data.tables.options import ReadOptions
from tagifai.exceptions import DataError
from tests.conftest import Site
from tests.data.tables.reading import write

STORED = ["manifest.json", "rows.parquet"]
PROJECTS = "id,created_on,title,description\n1,2020-01-01,A,a\n2,2020-01-02,B,b\n3,2020-01-03,C,\n"
TAGS = "id,tag\n3,nlp\n1,cv\n2,nlp\n9,cv\n"
COLUMNS = ["id", "created_on", "title", "description", "tag"]
ROWS = [
    ["1", "2020-01-01", "A", "a", "cv"],
    ["2", "2020-01-02", "B", "b", "nlp"],
    ["3", "2020-01-03", "C", "", "nlp"],
]


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
    """Return the names of the files, but for the lock."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in found if path.suffix != ".lock")


def rows_of(dataset: Dataset) -> list[list[str]]:
    return [list(row) for row in dataset.table.itertuples(index=False)]


def folder_of(dataset: Dataset) -> Path:
    """Return the folder that the name and the digest say, which is where the rows are."""
    found = dataset.path.parent
    assert found.name == f"{dataset.manifest['name']}-{dataset.digest[:12]}"
    assert dataset.path == found / "rows.parquet"
    return found


# --- join and manifest -------------------------------------------------------------------------


def test_projects_and_tags_are_joined_on_id_in_the_order_of_projects(
    local: TwoTablesConfig, stores: Path
) -> None:
    dataset = datasets.load(local, stores)
    assert dataset.fresh
    assert folder_of(dataset).parent == stores / "data"
    assert list(dataset.table.columns) == COLUMNS
    assert rows_of(dataset) == ROWS
    assert blocks.read_table(dataset.path).equals(dataset.table)


ONE = {"part": None, "format": "csv"}


def test_the_manifest_has_sources_sums_and_counts(local: TwoTablesConfig, stores: Path) -> None:
    dataset = datasets.load(local, stores)
    manifest = json.loads((folder_of(dataset) / "manifest.json").read_text())
    assert manifest == dataset.manifest
    created = manifest.pop("created")
    assert created.endswith("+00:00")
    assert manifest == {
        "format": 3,
        "name": "mine",
        "tables": {
            "projects": {"source": local.projects, "sha256": digest(PROJECTS), "rows": 3, **ONE},
            "tags": {"source": local.tags, "sha256": digest(TAGS), "rows": 4, **ONE},
        },
        "settings": {},
        "rows": 3,
        "counts": {"projects without a tag": 0, "tags without a project": 1},
        "tag_counts": {"nlp": 2, "cv": 1},
        "parts": [],
        "notes": [],
        "options": replace(ReadOptions.from_config(local), ending="csv").to_document(),
        "sha256": sha256(dataset.path.read_bytes()).hexdigest(),
        "digest": dataset.digest,
    }
    assert len(dataset.digest) == 64


def test_the_manifest_has_no_password_of_an_address_and_knows_the_address_again(
    site: Site, web: TwoTablesConfig, stores: Path
) -> None:
    address = site.url("tags.csv").replace("://", "://me:secret@")
    dataset = datasets.load(replace(web, tags=address), stores)
    assert "secret" not in (folder_of(dataset) / "manifest.json").read_text()
    assert dataset.manifest["tables"]["tags"]["source"] == address.replace("secret", "***")
    assert not datasets.load(replace(web, tags=address), stores).fresh


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
    assert get_by_digest("mine", first.digest, stores).table.equals(first.table)


def test_tables_without_a_common_id_are_refused_and_nothing_is_stored(
    local: TwoTablesConfig, stores: Path
) -> None:
    Path(local.tags).write_text("id,tag\n7,nlp\n")
    with pytest.raises(DataError, match=r"projects\.csv: no id is in .*tags\.csv"):
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


@pytest.mark.parametrize("damage", [b"x", b""])
def test_a_damaged_table_is_made_again(
    local: TwoTablesConfig, stores: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = datasets.load(local, stores).path
    path.write_bytes(damage + path.read_bytes()[:-5])
    with caplog.at_level(logging.INFO, "tagifai"):
        assert datasets.load(local, stores).fresh
    assert "The data set mine in the store is damaged; it is made again." in caplog.text
    assert blocks.read_table(path).to_numpy().tolist() == ROWS


@pytest.mark.parametrize("missing", STORED)
def test_a_missing_part_of_the_store_is_made_again(
    local: TwoTablesConfig, stores: Path, missing: str
) -> None:
    (datasets.load(local, stores).path.parent / missing).unlink()
    assert datasets.load(local, stores).fresh
    assert files(stores) == STORED


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 3}', "\udcff"])
def test_a_manifest_that_is_not_ours_is_made_again(
    local: TwoTablesConfig, stores: Path, content: str
) -> None:
    path = datasets.load(local, stores).path.parent / "manifest.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert list_manifests(stores) == []
    assert datasets.load(local, stores).fresh


@pytest.mark.parametrize("key", ["format", *MANIFEST_KEYS])
def test_a_manifest_with_a_missing_key_is_made_again(
    local: TwoTablesConfig, stores: Path, key: str
) -> None:
    first = datasets.load(local, stores)
    path = first.path.parent / "manifest.json"
    path.write_text(json.dumps({k: v for k, v in first.manifest.items() if k != key}))
    assert list_manifests(stores) == []
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
    kept = datasets.load(local, stores)
    Path(local.projects).write_text("id,title\n")
    with pytest.raises(DataError):
        datasets.load(local, stores)
    assert get_by_digest("mine", kept.digest, stores).table.equals(kept.table)
    assert files(stores) == STORED


def test_the_data_sets_of_a_store_are_listed_by_name(local: TwoTablesConfig, stores: Path) -> None:
    assert list_manifests(stores) == []
    for name in ("b", "a"):
        datasets.load(replace(local, name=name), stores)
    assert [(m["name"], m["rows"]) for m in list_manifests(stores)] == [("a", 3), ("b", 3)]


# --- download ----------------------------------------------------------------------------------


def test_tables_are_fetched_and_joined(site: Site, web: TwoTablesConfig, stores: Path) -> None:
    dataset = datasets.load(web, stores)
    assert rows_of(dataset) == ROWS
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
    # What was there before is there still.
    before = datasets.load(replace(web, tags_sha256=digest(TAGS)), stores)
    assert (before.fresh, before.manifest["tag_counts"]) == (False, {"nlp": 2, "cv": 1})


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


# --- labels and notes --------------------------------------------------------------------------


def table(folder: Path, content: str, **settings: Any) -> TableConfig:
    return TableConfig(path=str(write(folder / "table.csv", content)), **settings)


def test_accepted_tags_are_compared_with_the_characters_of_the_file(
    tmp_path: Path, stores: Path
) -> None:
    content = "text,label\na,true\nb,01\nc,1e3\nd,caf\u00e9\n"
    accepted = ["true", "01", "1e3", "cafe\u0301"]
    found = datasets.load(table(tmp_path, content, accepted_tags=accepted), stores)
    assert found.notes == []
    assert set(found.manifest["tag_counts"]) == {"true", "01", "1e3", "café"}


def test_accepted_tags_that_the_data_lack_are_said(tmp_path: Path, stores: Path) -> None:
    content = "text,label\na,true\nb,false\n"
    asked = table(tmp_path, content, accepted_tags=["true", "flase"])
    said = "No row has these of data.accepted_tags: flase. Did you mean 'false'?"
    assert datasets.load(asked, stores).notes == [said]
    # Whether they are there is not a matter of how the rows are made.
    again = datasets.load(asked, stores)
    assert (again.fresh, again.notes) == (False, [said])
    assert datasets.load(replace(asked, accepted_tags=[]), stores).notes == []
    with pytest.raises(DataError) as caught:
        datasets.load(replace(asked, accepted_tags=["True", "x"]), stores)
    assert str(caught.value).startswith("data.accepted_tags: the data have none of True, x.")
    assert str(caught.value).endswith("They have: true, false.")


def test_what_is_odd_about_a_file_is_noted_and_kept_with_its_rows(
    tmp_path: Path, stores: Path
) -> None:
    content = 'sep=,\ntext,label,n,n\n"a\nb",x;y,1,2\n\ntext,label,n,n\n,z,1,2\n'
    first = datasets.load(table(tmp_path, content), stores)
    assert first.notes[:5] == [
        "Lines at the top that say the delimiter: 1.",
        "Quoted fields that span lines: 1.",
        "Blank lines that were left out: 1.",
        "Columns with the name 'n': 2.",
        "Rows that repeat the header and were left out: 1.",
    ]
    assert "Rows without a text: 1." in first.notes
    assert any("1 labels have ; or | in them, such as 'x;y'" in note for note in first.notes)
    again = datasets.load(table(tmp_path, content), stores)
    assert (again.fresh, again.notes) == (False, first.notes)


def test_another_column_makes_another_data_set_and_other_settings_of_the_run_do_not(
    tmp_path: Path, stores: Path
) -> None:
    content = "text,body,label\na,b,x\nc,d,y\n"
    first = datasets.load(table(tmp_path, content), stores)
    other = datasets.load(table(tmp_path, content, text=["text", "body"]), stores)
    assert first.digest != other.digest
    for more in ({"min_freq": 2}, {"other": "rest"}, {"chunk_rows": 1}, {"sample_rows": 5}):
        same = datasets.load(table(tmp_path, content, **more), stores)
        assert (same.fresh, same.digest) == (False, first.digest)


def test_rows_without_a_label_are_counted_however_much_is_read_at_a_time(
    tmp_path: Path, stores: Path
) -> None:
    content = "text,label\na,\nb,x\nc,\nd,\ne,y\n"
    found = [
        datasets.load(
            table(tmp_path, content, unlabeled="drop", chunk_rows=size), stores / str(size)
        )
        for size in (1, 2, None)
    ]
    assert len({one.digest for one in found}) == 1
    for one in found:
        assert one.table["id"].tolist() == ["2", "5"]
        assert one.manifest["counts"] == {"rows without a label": 3}
        assert one.manifest["tables"]["path"]["rows"] == 5


def test_the_rows_that_are_read_are_reported(tmp_path: Path, stores: Path) -> None:
    seen: list[int] = []
    content = "text,label\n" + "a,x\n" * 5
    datasets.load(table(tmp_path, content, chunk_rows=2), stores, on_progress=seen.append)
    assert seen == [2, 4, 5]
