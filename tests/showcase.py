"""Stores with runs, a multirun and a search in them: made once for all processes of the tests."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from tests.app import SMALL, App

MULTIRUN = (
    "-m", "vectorizer=tfidf_word", "training.epochs=2", "plots=none", "hydra/launcher=basic",
    "model=sgd,sgd_huber", "seed=1,2",
)  # fmt: skip

SPACE = ("model.alpha=tag(log,interval(1e-6,1e-2))", "model.eta0=tag(log,interval(0.01,1.0))")
"""A space in which every trial takes no time."""

STEADY = ("model=sgd_reference", "training.patience=null")
"""A model whose steps are as long as is said, of whose epochs the last one counts."""

SEARCH = ("-m", "hydra/sweeper=tagifai", *SMALL, *STEADY, *SPACE)
SERIAL = (*SEARCH, "hydra/launcher=basic")
SHOWN_SEARCH = (*SERIAL, "hydra.sweeper.n_trials=6", "objective.report_every=1")

COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "run": [(*SMALL, "+tracking.tags.purpose=test", "model.alpha=2e-4")],
    # A worse one, one on other rows, and a better one, which is the latest.
    "runs": [
        (*SMALL, *STEADY, "training.epochs=1"),
        (*SMALL, *STEADY, "seed=7"),
        (*SMALL, *STEADY, "training.epochs=30"),
    ],
    "multirun": [MULTIRUN],
    "search": [SHOWN_SEARCH],
}
"""What each store was made by."""

LINKED = ("artifacts", "data", "cache")
"""Folders of stores whose files are replaced and never changed in place, as those of bundles."""

Ready = Callable[[Path], App]


class Showcase:
    """The stores of `COMMANDS`, each made when a test first asks for it.

    Args:
        folder: of all processes of the tests.
        ready: gives an application whose databases are there.
    """

    def __init__(self, folder: Path, ready: Ready) -> None:
        self._folder = folder
        self._ready = ready

    def copy(self, name: str, folder: Path) -> App:
        """Return an application in a folder, as it is after its commands."""
        made = self._make(name)
        app = App(folder)
        _copy(made.folder, app.folder)
        return app

    def prepare(self, folder: Path) -> App:
        """Return an application without runs that has the sample and what is made of it."""
        app = self._ready(folder)
        for name in ("data", "cache"):
            shutil.copytree(
                self._make("run").stores / name, app.stores / name, copy_function=os.link
            )
        return app

    def output(self, name: str) -> str:
        """Return what the commands showed, with the paths of where they were run."""
        return (self._make(name).folder / "output.txt").read_text(encoding="utf-8")

    def _make(self, name: str) -> App:
        folder = self._folder / name
        with FileLock(self._folder / f".{name}.lock"):
            if not (folder / "output.txt").exists():
                app = self._ready(folder)
                shown = [_run(app, *command) for command in COMMANDS[name]]
                (folder / "output.txt").write_text("".join(shown), encoding="utf-8")
        return App(folder)


def _run(app: App, *command: str) -> str:
    done = app.run(*command)
    assert done.returncode == 0, done.stderr  # on which Hydra says what it launches
    return done.stdout


def _copy(source: Path, target: Path) -> None:
    """Copy a folder as if all had been made in the new one; large files are links to the old."""
    for path in source.rglob("*"):
        inside = path.relative_to(source)
        new = target / inside
        if path.is_dir():
            new.mkdir(parents=True, exist_ok=True)
        elif {"bundle", *LINKED} & {*inside.parts[:-1]}:
            os.link(path, new)
        elif path.suffix == ".db":
            _copy_database(path, new, str(source), str(target))
        elif path.suffix in (".yaml", ".json", ".log", ".html"):
            new.write_text(path.read_text(encoding="utf-8").replace(str(source), str(target)))
        elif not path.name.endswith((".db-wal", ".db-shm", ".lock")):
            shutil.copy(path, new)


def _copy_database(source: Path, target: Path, old: str, new: str) -> None:
    """Copy a database, with other paths in its texts."""
    with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(target)) as here:
        there.backup(here)
        tables = here.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, kind, *_ in here.execute(f"PRAGMA table_info('{table}')").fetchall():
                if kind.upper().startswith(("TEXT", "VARCHAR", "JSON", "CLOB")):
                    here.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)'
                        f' WHERE instr("{column}", ?)',
                        (old, new, old),
                    )
        here.commit()
