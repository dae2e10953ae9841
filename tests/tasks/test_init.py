"""task=init: a configuration of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app import ROOT, App


def test_init_copies_every_option_and_the_copy_takes_the_place_of_the_package_s(
    tmp_path: Path,
) -> None:
    app = App(tmp_path)

    said = app.ok("task=init", "task.path=mine")

    own = app.cwd / "mine"
    names = {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").rglob("*.yaml")}
    assert {path.relative_to(own) for path in own.rglob("*.yaml")} == names
    read = (own / "README.md").read_text().splitlines()
    assert len(read) == 3
    assert read[1].endswith("from the one that it is in: tagifai --config-dir mine")
    assert re.search(r"^Use them: .*run\.py --config-dir mine$", said, re.MULTILINE)
    assert [path.name for path in app.cwd.iterdir()] == ["mine"]
    choices = own / "choices.yaml"
    choices.write_text(choices.read_text().replace("epochs: 10", "epochs: 4"))
    (own / "model" / "sgd.yaml").write_text(
        "defaults: [/schema/model/sgd@_here_]\nloss: modified_huber\nC: 7\n"
    )
    composed = app.ok("--config-dir", "mine", "--cfg", "job")
    assert "  epochs: 4\n" in composed
    assert re.search(r"\n  loss: modified_huber\n(  .*\n)*  C: 7", composed)
    assert "  epochs: 10\n" in app.ok("--cfg", "job")
    assert "training.epochs=4" in app.ok("--config-dir", "mine", "--help")


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_init_overwrites_nothing(tmp_path: Path, there: str) -> None:
    app = App(tmp_path)
    place = app.cwd / "conf"
    if there == "link":
        place.symlink_to("gone")
    else:
        place.touch() if there == "file" else place.mkdir()

    done = app.run("task=init", f"task.path={place}")

    assert done.returncode == 2
    assert "is there already, and nothing is overwritten" in done.stderr
    assert "Name a folder that does not exist yet: task.path=FOLDER" in done.stderr
    assert [path.name for path in app.cwd.iterdir()] == ["conf"]


def test_init_does_not_copy_the_configuration_into_itself(tmp_path: Path) -> None:
    done = App(tmp_path).run("task=init", f"task.path={ROOT / 'conf' / 'mine'}")
    assert done.returncode == 2
    assert "is in the folder that is copied" in done.stderr
    assert not (ROOT / "conf" / "mine").exists()


def test_init_that_cannot_write_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    app = App(tmp_path)
    (app.cwd / "file").touch()
    done = app.run("task=init", "task.path=file/conf")
    assert done.returncode == 2
    assert "cannot be written. Choose another folder: task.path=..." in done.stderr
    assert [path.name for path in app.cwd.iterdir()] == ["file"]
