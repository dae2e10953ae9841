"""task=repair end to end, by what it shows, puts aside and finishes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.app import SMALL, App
from tests.showcase import Showcase


def times(app: App) -> dict[Path, int]:
    """Return when the files of the stores were changed, but of features: other tests use them."""
    files = [path for path in app.stores.rglob("*") if path.is_file()]
    return {
        p: p.lstat().st_mtime_ns for p in files if "cache" not in p.relative_to(app.stores).parts
    }


def test_what_is_damaged_is_shown_then_put_aside_by_the_command_and_then_all_works(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.copy("run", tmp_path)
    run_id = app.run_id()
    (app.stores / "run_id.txt").unlink()
    (app.stores / "run_id.txt").write_bytes(b"\0\0")
    (app.stores / "running" / "abc.run").touch()
    (app.stores / ".performance.json.abcd1234.tagifai").touch()
    before = times(app)
    shown = app.ok("task=repair")
    assert times(app) == before
    for line in (
        rf"run_id.txt: cannot be read: .* \(put aside, and name {run_id}, whose scores are there\)",
        r"running/abc.run: cannot be read: it is empty \(put aside\)",
        r"\.performance.json.abcd1234.tagifai: half written \(finish\)",
    ):
        assert re.search(rf"{app.stores}/{line}$", shown, re.M), line
    (command,) = re.findall(r"Repair it: +(.*)", shown)
    words = shlex.split(command)
    assert words[-1] == "task.apply=true"
    done = app.ok(*words[words.index("task=repair") :])
    assert done.count("Repaired") == 1
    assert "Left" not in done
    assert app.run_id() == run_id
    assert sorted(path.name for path in app.stores.glob("damaged/*/**/*")) == [
        *("abc.run", "run_id.txt", "running"),
    ]
    assert "There is nothing to repair." in app.ok("task=repair", "task.apply=true")
    assert "natural" in app.ok("task=predict", "task.text=words of a language")


def test_a_file_in_place_of_a_folder_stops_a_training_in_one_line_with_the_way_out(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.prepare(tmp_path)
    (app.stores / "artifacts").write_text("mine")
    done = app.run(*SMALL)
    message = f"Error: {app.stores}/artifacts is not a folder. To put aside what is there:"
    assert (done.returncode, done.stderr) == (2, f"{message} task=repair task.apply=true\n")
    app.ok("task=repair", "task.apply=true")
    (kept,) = app.stores.glob("damaged/*/artifacts")
    assert kept.read_text() == "mine"
    app.ok(*SMALL)


def test_what_cannot_be_put_aside_is_one_line_and_the_rest_is(
    tmp_path: Path, showcase: Showcase
) -> None:
    app: App = showcase.prepare(tmp_path)
    (app.stores / "damaged").touch()
    (app.stores / "run_id.txt").touch()
    (app.stores / ".x.abcd1234.tagifai").touch()
    done = app.run("task=repair", "task.apply=true")
    assert done.returncode == 2
    assert re.fullmatch(r"Error: 2 of 3 could not be mended, the first: .*\n", done.stderr)
    assert not (app.stores / ".x.abcd1234.tagifai").exists()
