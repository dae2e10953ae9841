"""The wheel, in an environment of its own and an empty folder: no checkout, no git, no run.py."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.app import ROOT, SMALL, TIMEOUT_SECONDS

pytestmark = pytest.mark.e2e

EXTENSION = """
from tagifai import cleaning_step, metric


@metric
def share_right(y_true, y_pred):
    return float((y_true == y_pred).mean())


@cleaning_step
def without_digits(text):
    return "".join(c for c in text if not c.isdigit())
"""

WHERE = """
import json
from importlib.metadata import entry_points

import tagifai

found = entry_points(group="hydra.plugins")
ours = [entry for entry in found if entry.value.startswith("tagifai.")]
print(json.dumps([tagifai.__file__, sorted({str(entry.dist.locate_file("")) for entry in ours}),
                  sorted(entry.name for entry in ours)]))
"""


@dataclass(frozen=True)
class Installed:
    """The installed command.

    Args:
        environment: holds `bin` and `lib`.
        cwd: the working directory, empty at first.
    """

    environment: Path
    cwd: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, with nothing else on the path: no git, say."""
        binaries = self.environment / "bin"
        return subprocess.run(
            [str(binaries / words[0]), *words[1:]],
            cwd=self.cwd,
            env={"PATH": str(binaries), "HOME": str(self.cwd.parent)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, over the libraries of the present one."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build(folder)
    present = Path(sysconfig.get_path("purelib"))
    libraries = folder / "libraries"
    libraries.mkdir()
    for item in present.iterdir():
        ours = item.name.lower().removeprefix("_editable_impl_").startswith("tagifai")
        if not ours and item.suffix != ".pth" and item.name != "__pycache__":
            (libraries / item.name).symlink_to(item)
    made = folder / "environment"
    do(sys.executable, "-m", "venv", str(made))
    (places,) = made.glob("lib/python*/site-packages")
    (places / "present.pth").write_text(f"{libraries}\n")
    pip = (str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index")
    do(*pip, "--no-deps", "--disable-pip-version-check", str(wheel))
    return made


def build(folder: Path) -> Path:
    """Return the wheel that is built from the source distribution."""
    do(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    do(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def do(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def trained(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The command in a folder in which it has made one run."""
    installed = Installed(environment, tmp_path_factory.mktemp("empty"))
    assert list(installed.cwd.iterdir()) == []
    installed.ok("tagifai", *SMALL)
    return installed


def test_it_is_the_installed_package_that_is_imported_and_whose_plugins_hydra_finds(
    trained: Installed,
) -> None:
    file, places, names = json.loads(trained.ok("python", "-c", WHERE))
    (site,) = trained.environment.glob("lib/python*/site-packages")
    assert file == str(site / "tagifai" / "__init__.py")
    assert [Path(place) for place in places] == [site]
    own = ["grid", "optuna", "presets", "schemas", "search", "search-path"]
    assert names == [f"tagifai-{name}" for name in own]
    assert sorted(path.name for path in (site / "tagifai" / "conf").iterdir()) == sorted(
        path.name for path in (ROOT / "conf").iterdir()
    )


def test_stores_and_outputs_are_below_the_working_directory(trained: Installed) -> None:
    assert {path.name for path in trained.cwd.iterdir()} == {"outputs", "stores"}
    run_id = (trained.cwd / "stores" / "run_id.txt").read_text().strip()
    with sqlite3.connect(trained.cwd / "stores" / "mlflow.db") as database:
        found = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", [run_id]))
    assert found["command"] == f"tagifai {' '.join(SMALL)}"
    assert found["mlflow.source.name"] == "tagifai"
    assert not [key for key in found if "git" in key]


@pytest.mark.parametrize("command", [["tagifai"], ["python", "-m", "tagifai"]])
def test_both_ways_of_calling_it_predict_and_name_themselves(
    trained: Installed, command: list[str]
) -> None:
    (found,) = json.loads(trained.ok(*command, "task=predict", "task.text=a graph"))
    assert found["predicted_tag"]
    done = trained.run(*command, "sweep=quick")
    assert done.returncode == 2
    *python, name = command
    called = r"\S*python\S* -m tagifai" if python else rf"\S*{name}"
    said = rf"Error: sweep=quick is a search, which needs -m: {called} -m sweep=quick\n"
    assert re.fullmatch(said, done.stderr)


def test_a_run_is_reproduced_without_git(trained: Installed) -> None:
    said = trained.ok("tagifai", "task=rerun", "plots=none", "console=quiet")
    assert "is reproduced to the last bit" in said


def test_options_that_were_copied_and_changed_are_used_in_their_folder(
    environment: Path, tmp_path: Path
) -> None:
    installed = Installed(environment, tmp_path)
    said = installed.ok("tagifai", "task=init")
    assert "Use them:      tagifai --config-dir conf\n" in said
    changed = tmp_path / "conf" / "choices.yaml"
    changed.write_text(changed.read_text().replace("epochs: 10", "epochs: 2"))
    few = (*SMALL[:1], "plots=none", "tracking=none")
    trained = installed.ok("tagifai", "--config-dir", "conf", *few)
    assert re.search(r"^training +epochs=2,", trained, re.MULTILINE)


def test_a_search_of_two_workers_goes_by_an_extension_s_metric(trained: Installed) -> None:
    own = trained.cwd.parent / "own conf"
    own.mkdir()
    (own / "steps_of_wheel.py").write_text(EXTENSION)
    (own / "config.yaml").write_text("extensions: [steps_of_wheel.py]\n")
    search = ["-m", "sweep=quick", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]
    step = "preprocessing.first=[without_digits]"
    given, few = ["--config-dir", str(own)], ["training.epochs=2", "plots=none"]
    said = trained.ok("tagifai", *search, step, "objective.metric=val_share_right", *given, *few)
    assert "2 at a time" in said
    assert "Trials:        2: 2 complete" in said
    assert f"Train it:      tagifai --config-dir '{own}' experiment=quick-sample" in said

    trained.ok("tagifai", *given, step, *SMALL)
    done = trained.run("tagifai", "task=predict", "task.text=a graph")
    assert done.returncode == 2
    assert "needs the extension steps_of_wheel.py, which is not loaded" in done.stderr
    assert trained.ok("tagifai", *given, "task=predict", "task.text=a graph")
