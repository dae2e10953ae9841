"""Whatever is in the place of a file or folder of the stores is found, put aside or finished."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from tagifai.config.schema import Config, check
from tagifai.runs import latest
from tagifai.runs.upkeep import findings
from tagifai.tracking import multirun
from tagifai.utils import locks
from tests.app import App
from tests.conftest import CONF
from tests.showcase import Showcase

GARBAGE: dict[str, Callable[[Path], object]] = {
    "empty": Path.touch,
    "NUL": lambda path: path.write_bytes(b"\0" * 100),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00{"),
    "cut off": lambda path: path.write_text('{"a": [1, '),
    "deep": lambda path: path.write_text("[" * 10**6),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
"""What may be in the place of a file."""

FILES = {
    "run_id.txt": "run_id.txt",
    "running/abc.run": "running/abc.run",
    "presets/experiment/mine.yaml": "presets/experiment/mine.yaml",
    "data/*/manifest.json": "data/*",
    "data/*/rows.parquet": "data/*",
    "artifacts/*/artifacts/bundle/manifest.json": "artifacts/*/artifacts/bundle",
    "artifacts/*/artifacts/bundle/performance.json": "artifacts/*/artifacts/bundle",
    "pending/abc/record.jsonl": "pending/abc",
    "mlflow.db": "mlflow.db",
    "studies.db": "studies.db",
}
"""Files of stores, and what is put aside where they are damaged."""

FOLDERS = ("artifacts", "cache", "data", "presets", "presets/experiment", "running")
LOCKS = (".latest.lock", ".tracking.lock", ".data.lock", "running/sweep-abc.lock")


@pytest.fixture
def app(tmp_path: Path, showcase: Showcase) -> App:
    """An application with a run."""
    return showcase.copy("run", tmp_path)


@pytest.fixture(scope="module")
def defaults() -> Config:
    with pytest.MonkeyPatch.context() as patch, initialize_config_dir(str(CONF)):
        patch.setenv("TAGIFAI_ROOT", str(CONF.parent))
        return check(compose("config", ["task=info"]))


@pytest.fixture
def config(app: App, defaults: Config) -> Config:
    made = deepcopy(defaults)
    made.paths.stores, made.paths.outputs = str(app.stores), str(app.outputs)
    made.tracking.uri = f"sqlite:///{app.stores}/mlflow.db"
    return made


def put(stores: Path, pattern: str, make: Callable[[Path], object]) -> Path:
    """Put garbage in the place of a file, or of a folder, that may be there."""
    path = next(iter(stores.glob(pattern)), stores / pattern)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    make(path)
    return path


def mend(config: Config) -> list[str]:
    """Mend all findings, and return the paths of those that are left."""
    for finding in findings.list_findings(config, thorough=True):
        if finding.remedy:
            finding.mend()
    return [finding.path for finding in findings.list_findings(config, thorough=True)]


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_of_sound_stores_nothing_is_found(config: Config) -> None:
    assert findings.list_findings(config, thorough=True) == []


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("file", FILES)
def test_garbage_in_the_place_of_a_file_is_named_and_put_aside(
    app: App, config: Config, file: str, kind: str
) -> None:
    if (file, kind) in (("mlflow.db", "empty"), ("studies.db", "empty")):
        pytest.skip("It is a database without tables, which the next command makes.")
    place = next(iter(app.stores.glob(FILES[file])), app.stores / FILES[file])
    path = put(app.stores, file, GARBAGE[kind])
    found = findings.list_findings(config, thorough=True)
    named = {finding.path: finding for finding in found}
    assert str(place) in named, found
    assert "\n" not in named[str(place)].problem
    if file == "mlflow.db" and "link" in kind:
        assert named[str(place)].remedy == ""  # what it leads to may come back
        return
    assert named[str(place)].remedy
    if file.startswith("artifacts"):
        # The latest run has no model any more.
        assert mend(config) == [str(app.stores / "run_id.txt")]
    else:
        assert mend(config) == []
    kept = [*app.stores.glob("damaged/*/**/*")]
    assert any(one.name.startswith((path.name, place.name)) for one in kept)


@pytest.mark.parametrize("kind", ["empty", "a pipe", "a link to nothing", "a link to itself"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_named_and_put_aside(
    app: App, config: Config, folder: str, kind: str
) -> None:
    path = put(app.stores, folder, GARBAGE[kind])
    (found,) = [
        one for one in findings.list_findings(config, thorough=False) if one.path == str(path)
    ]
    assert (found.problem, found.remedy) == ("is not a folder", "put aside")
    left = {str(app.stores / "run_id.txt")} if folder == "artifacts" else set()
    assert set(mend(config)) == left
    assert not os.path.lexists(path)


@pytest.mark.parametrize("name", LOCKS)
def test_a_folder_in_the_place_of_a_lock_is_put_aside(app: App, config: Config, name: str) -> None:
    put(app.stores, name, Path.mkdir)
    assert mend(config) == []

    (kept,) = app.stores.glob("damaged/*/**/*.lock")
    assert kept.name == Path(name).name


def test_what_killed_processes_left_half_done_is_finished(app: App, config: Config) -> None:
    (bundle,) = app.stores.glob("artifacts/*/artifacts/bundle")
    before = listed(app.stores) | listed(app.outputs)
    moved = bundle.rename(bundle.with_name(".bundle.abcd1234.tagifai.old"))
    for path in (
        app.stores / ".run_id.txt.abcd1234.tagifai",
        app.stores / "artifacts" / ".abc.removed" / "file",
        bundle.with_name(".bundle.abcd1235.tagifai") / "manifest.json",
        app.outputs / ".out.csv.abcd1234.tagifai",
        app.stores / "pending" / ".abc.abcd1234.tagifai" / "record.jsonl",
        app.outputs / "2026-01-01" / ".07-42-16.793593-train.removed" / "file",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = findings.list_findings(config, thorough=False)
    assert {one.remedy for one in found if "half" in one.problem} == {"finish"}
    assert len([one for one in found if "half" in one.problem]) == 7
    assert mend(config) == []
    assert not moved.exists()
    assert (listed(app.stores) | listed(app.outputs)) - before <= {"2026-01-01", "pending"}


def test_scores_of_another_run_are_written_again_and_a_lost_name_is_found_by_them(
    app: App, config: Config
) -> None:
    scores = app.stores / "performance.json"
    text, run_id = scores.read_text(), app.run_id()
    put(app.stores, "performance.json", lambda path: path.write_text("{}\n"))
    assert mend(config) == []
    assert scores.read_text() == text
    for name in ("\0", "", "another\n"):
        put(app.stores, "run_id.txt", Path.touch).write_text(name)
        (found,) = findings.list_findings(config, thorough=False)
        assert found.remedy == f"put aside, and name {run_id}, whose scores are there"
        assert mend(config) == []
        assert latest.read(app.stores) == run_id


def test_the_mark_of_a_dead_run_of_a_store_that_is_away_is_named(
    app: App, config: Config, nobody: str
) -> None:
    locks.write_mark(app.stores / "running", "abc", "abc", nobody)
    (found,) = findings.list_findings(config, thorough=False)
    assert found.problem == f"the run abc is dead, and {nobody} has not been told"
    with locks.hold(app.stores / "running", "abc"):
        assert findings.list_findings(config, thorough=False) == []


def test_a_store_that_is_away_and_one_that_is_none_are_named(config: Config, nobody: str) -> None:
    for uri in (nobody, "http://[bad"):
        config.tracking.uri = uri
        (found,) = findings.list_findings(config, thorough=False)
        assert found.path == uri
        assert found.remedy == ""


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_multirun_s_file_that_cannot_be_read_is_put_aside_in_the_outputs(
    app: App, config: Config, kind: str
) -> None:
    folder = app.outputs / "2026-01-01" / "07-42-16.793593-multirun"
    put(folder, "multirun.yaml", Path.touch)
    path = put(folder, multirun.PARENT, GARBAGE[kind])
    (found,) = findings.list_findings(config, thorough=False)
    assert found.path == str(path)
    assert mend(config) == []
    (day,) = app.outputs.glob("damaged/*")
    assert os.path.lexists(day / path.relative_to(app.outputs))


def test_stores_that_are_a_file_and_stores_that_are_not_there(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    config.paths.stores = str(tmp_path / "nowhere")
    assert findings.list_findings(config, thorough=True) == []
    config.paths.stores = str(tmp_path / "file")
    (found,) = findings.list_findings(config, thorough=True)
    assert found.path == config.paths.stores
    assert found.remedy == ""


def test_without_their_sums_a_change_inside_is_not_looked_for(app: App, config: Config) -> None:
    (part,) = app.stores.glob("artifacts/*/artifacts/bundle/splits.json")
    changed = json.dumps(json.loads(part.read_text()))
    put(app.stores, str(part.relative_to(app.stores)), lambda path: path.write_text(changed))
    assert findings.list_findings(config, thorough=False) == []
    (found,) = findings.list_findings(config, thorough=True)
    assert "splits.json is not the one that was saved" in found.problem
