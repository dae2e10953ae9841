from __future__ import annotations

import os
import shutil
import time
from datetime import datetime
from pathlib import Path

import pytest

from tagifai.exceptions import UserError
from tagifai.runs.upkeep import disk
from tagifai.utils.files import replace_atomically


def put(path: Path, content: str = "12345", *, days: float = 0.0) -> Path:
    """Write a file that was changed and used so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def names(root: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


# --- sizes and ages ----------------------------------------------------------------------------


def test_a_folder_is_as_large_as_its_files_and_as_old_as_the_latest_change(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "one")
    two = put(tmp_path / "a" / "two", "123")
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "one"):
        os.utime(path, (100, 100))
    os.utime(two, (900, 200))
    assert disk.measure(tmp_path / "a") == (8, 200.0)
    assert disk.measure(tmp_path / "a", use=True) == (8, 900.0)


def test_what_is_behind_a_link_counts_nothing(tmp_path: Path) -> None:
    put(tmp_path / "outside" / "large", "x" * 1000)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "b").symlink_to(tmp_path / "outside")
    for name in "ab":
        assert disk.measure(tmp_path / name)[0] < 200


def test_what_is_gone_is_of_no_size_and_no_age(tmp_path: Path) -> None:
    assert disk.measure(tmp_path / "a") == (0, 0.0)


# --- output folders ----------------------------------------------------------------------------


def test_only_hydra_s_run_folders_are_found_among_the_outputs(tmp_path: Path) -> None:
    put(tmp_path / "2026-11-22" / "07-42-16.793593-train" / ".hydra" / "config.yaml")
    put(tmp_path / "2026-11-22" / "07-43-00.000000-multirun" / "multirun.yaml")
    put(tmp_path / "2026-11-23" / "08-00-00.000000-quick" / "3" / ".hydra" / "config.yaml")
    for name in (
        "mine.csv",
        "mine/.hydra/config.yaml",
        "2026-11-22/mine.csv",
        "2026-11-22/mine/.hydra/config.yaml",
        "2026-11-22/07-42-16.793593-notes/mine.txt",
        "2026-11-22/07-42-16.793593-odd/.hydra",
        "2026-11-22/.07-42-16.793593-train.removed/.hydra/config.yaml",
        "2026-11-22/.mine.removed",
        "mine/.07-42-16.793593-train.removed/.hydra/config.yaml",
    ):
        put(tmp_path / name)
    assert names(tmp_path, disk.list_outputs(tmp_path)) == [
        "2026-11-22/07-42-16.793593-train",
        "2026-11-22/07-43-00.000000-multirun",
        "2026-11-23/08-00-00.000000-quick",
    ]
    assert names(tmp_path, disk.list_unfinished(tmp_path)) == [
        "2026-11-22/.07-42-16.793593-train.removed"
    ]


def test_links_are_no_output_folders(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "07-42-16.793593-train" / ".hydra" / "config.yaml")
    outputs = tmp_path / "outputs"
    (outputs / "2026-11-22").mkdir(parents=True)
    (outputs / "2026-11-21").symlink_to(tmp_path / "elsewhere")
    target = tmp_path / "elsewhere" / "07-42-16.793593-train"
    (outputs / "2026-11-22" / "07-42-16.793593-train").symlink_to(target)
    assert disk.list_outputs(outputs) == []
    assert disk.list_outputs(tmp_path / "nowhere") == []


def test_empty_days_before_today_are_removed(tmp_path: Path) -> None:
    today = datetime.now().astimezone().date().isoformat()
    for name in ("2020-01-01", "2020-01-02", today, "mine"):
        (tmp_path / name).mkdir()
    put(tmp_path / "2020-01-02" / "mine.csv")
    disk.remove_empty_dates(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2020-01-02", today, "mine"]


# --- the stores --------------------------------------------------------------------------------


def test_the_entries_of_caches_are_found_one_by_one(tmp_path: Path) -> None:
    for name in ("downloads/a", "downloads/b", "models/x/part", "single", "downloads/.a.removed"):
        put(tmp_path / "cache" / name)
    (tmp_path / "cache" / "link").symlink_to(tmp_path)
    assert names(tmp_path, disk.list_caches(tmp_path)) == [
        *("cache/single", "cache/downloads/a", "cache/downloads/b", "cache/models/x"),
    ]
    assert disk.list_caches(tmp_path / "nowhere") == []


def test_what_killed_processes_left_is_found_and_nothing_else(tmp_path: Path) -> None:
    left = {
        ".run_id.txt.abcd1234.tagifai",
        ".fetched.abcd1234.tagifai",
        "data/.sample.abcd1234.tagifai",
        "presets/experiment/.quick-sample.yaml.abcd1234.tagifai",
        "artifacts/abc/artifacts/.bundle.abcd1234.tagifai",
        "artifacts/abc/artifacts/.bundle.abcd1235.tagifai.old",
        *("artifacts/.def.removed", "artifacts/models/.x.removed", "cache/.a.removed"),
    }
    for name in (
        *left,
        *(".latest.lock", ".tracking.lock", "run_id.txt", "mlflow.db", ".settings", ".x.removed"),
        *("data/sample-0123/rows.parquet", "data/.mine", "data/.mine.removed"),
        *("presets/experiment/quick-sample.yaml", "artifacts/abc/artifacts/.mine.txt"),
    ):
        put(tmp_path / name)
    held = tmp_path / "held"
    with replace_atomically(held):
        assert set(names(tmp_path, disk.list_unfinished(tmp_path))) == left


@pytest.mark.parametrize("there", [False, True])
def test_a_bundle_that_was_moved_aside_goes_back_where_it_is_the_only_copy(
    tmp_path: Path, there: bool
) -> None:
    folder = tmp_path / "artifacts" / "abc" / "artifacts"
    put(folder / ".bundle.abcd1234.tagifai.old" / "manifest.json", "old")
    if there:
        put(folder / "bundle" / "manifest.json", "new")
    (path,) = disk.list_unfinished(tmp_path)
    disk.remove(tmp_path, path)
    assert [path.name for path in folder.iterdir()] == ["bundle"]
    assert (folder / "bundle" / "manifest.json").read_text() == ("new" if there else "old")


# --- removing ----------------------------------------------------------------------------------


def test_a_file_and_a_folder_are_removed_and_their_neighbours_stay(tmp_path: Path) -> None:
    for name in ("a/file", "a/other", "b/inner/file"):
        put(tmp_path / name)
    disk.remove(tmp_path, tmp_path / "a" / "file")
    disk.remove(tmp_path, tmp_path / "b" / "inner")
    disk.remove(tmp_path, tmp_path / "b" / "inner")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["a", "other", "b"]


def test_a_link_inside_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    kept = put(tmp_path / "outside" / "file")
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "a" / "link").symlink_to(tmp_path / "outside")
    disk.remove(tmp_path / "root", tmp_path / "root" / "a")
    assert kept.read_text() == "12345"
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("name", ["link", "link/file", "inner/../link/file", ""])
def test_nothing_is_removed_through_a_link_nor_the_root_itself(tmp_path: Path, name: str) -> None:
    kept = put(tmp_path / "outside" / "file")
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="is not removed"):
        disk.remove(root, root / name)
    assert kept.exists()
    assert (root / "link").is_symlink()


def test_a_root_that_is_a_link_itself_is_the_user_s_choice(tmp_path: Path) -> None:
    put(tmp_path / "disk" / "a" / "file")
    (tmp_path / "stores").symlink_to(tmp_path / "disk")
    disk.remove(tmp_path / "stores", tmp_path / "stores" / "a")
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_removal_that_is_cut_off_is_gone_by_its_name_and_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "artifacts" / "abc"
    put(folder / "file")

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            disk.remove(tmp_path, folder)
    (rest,) = disk.list_unfinished(tmp_path)
    assert rest == tmp_path / "artifacts" / ".abc.removed"
    # The same name again, before the rest is gone.
    put(folder / "file")
    disk.remove(tmp_path, folder)
    assert list((tmp_path / "artifacts").iterdir()) == []
    put(rest / "file")
    disk.remove(tmp_path, rest)
    assert list((tmp_path / "artifacts").iterdir()) == []
