"""task=elt end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet

from tests.app import App


def test_elt_leaves_a_joined_table_and_does_nothing_the_second_time(
    tmp_path: Path, ready: Callable[[Path], App]
) -> None:
    app = ready(tmp_path)
    first = app.ok("task=elt")
    folder = app.dataset("sample")
    table = pyarrow.parquet.read_table(folder / "rows.parquet").to_pylist()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "made" in first
    assert list(table[0]) == ["id", "created_on", "title", "description", "tag"]
    assert len(table) == manifest["rows"] == sum(manifest["tag_counts"].values())

    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert "up to date" in app.ok("task=elt")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_relative_paths_on_the_command_line_start_at_the_working_directory(app: App) -> None:
    (app.cwd / "p.csv").write_text("id,title,description\n1,a,b\n2,c,d\n")
    (app.cwd / "t.csv").write_text("id,tag\n1,x\n2,y\n3,z\n")
    app.ok(
        "task=elt",
        "data.name=mine",
        "data.projects=p.csv",
        "data.tags=./t.csv",
        "data.accepted_tags=[x,y]",
    )

    manifest = json.loads((app.dataset("mine") / "manifest.json").read_text())
    assert manifest["tables"]["projects"]["source"] == str(app.cwd / "p.csv")
    assert (manifest["rows"], manifest["counts"]["tags without a project"]) == (2, 1)
