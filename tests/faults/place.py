"""Where faults happen: stores with runs in them, made once and put back before each try."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.app import SMALL, App
from tests.faults.watching import Ended

TEXTS = ("Transfer learning with transformers for text", "Convolutions on images", "Feature store")

SEARCH = (
    *("-m", "hydra/sweeper=tagifai", "hydra.sweeper.study_name=kept", *SMALL),
    *("model=sgd_reference", "training.patience=null"),
    "model.alpha=tag(log,interval(1e-6,1e-2))",
)

SECONDS = 60
"""What a sound command has to end in, however many others there are at the time."""

Record = tuple[str, int, int]
"""Of a run in the tracking store: status, numbers of parameters and of metrics."""


class Place:
    """An application whose stores, outputs and working directory can be put back.

    Args:
        folder: empty; everything is made in it.

    Attributes:
        stack: ends what tries share, when it is closed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self.app = App(folder / "live")
        self.app.folder.mkdir()
        self.table = self.app.cwd / "texts.csv"
        self.archive = self.app.cwd / "model.zip"
        self._template = folder / "template"
        self._make()

    def _make(self) -> None:
        """Make the stores, and note what is in them."""
        rows = [f'"{text} {number}"' for number in range(40) for text in TEXTS]
        self.table.write_text("\n".join(["text", *rows]) + "\n", encoding="utf-8")
        giver = App(self.folder / "giver")  # of the model that is imported
        giver.folder.mkdir()
        for arguments in ((*SMALL, "seed=3"), ("task=export", f"task.path={self.archive}")):
            done = giver.fork(*arguments)
            assert done.returncode == 0, done
        self._require(*SMALL, "seed=1")
        self.keeper = self.app.run_id()
        self._require("task=promote")
        self._require(*SEARCH, "hydra.sweeper.n_trials=2", "hydra/launcher=basic")
        begun = time.monotonic()
        self._require(*SMALL, "seed=2")
        self.pace = max((time.monotonic() - begun) / 1.5, 1.0)
        self.latest = self.app.run_id()
        self._require("task=promote", "task.force=true")
        self.answers = {run: self.predict(run).output for run in (self.keeper, self.latest)}
        self.bundles = self.hash_bundles()
        self.records = self.read_records()
        self.trials = self.count_trials()
        shutil.copytree(self.app.folder, self._template)

    def _require(self, *arguments: str) -> None:
        done = self.follow(*arguments)
        assert done.code == 0, done

    def restore(self) -> None:
        """Put everything back."""
        self.clear()
        shutil.copytree(self._template, self.app.folder, dirs_exist_ok=True)

    def clear(self) -> None:
        """Remove everything, whoever may write there; what is mounted there stays."""
        for entry in self.app.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def follow(self, *arguments: str) -> Ended:
        """Run a sound command in a fork of a process that has the libraries, within a bound."""
        begun = time.monotonic()
        done = self.app.fork(*arguments, seconds=SECONDS)
        seconds = time.monotonic() - begun
        code = None if done.returncode == -14 else done.returncode
        return Ended(" ".join(arguments), code, done.stdout, done.stderr, seconds)

    def predict(self, run: str) -> Ended:
        """Predict a text by a run."""
        return self.follow(
            "task=predict", f"task.run_id={run}", f"task.text={TEXTS[0]}", "console=quiet"
        )

    def hash_bundles(self) -> dict[str, str]:
        """Return of the two runs what their bundles consist of, as digests."""
        found = {}
        for run in (self.keeper, self.latest):
            digest = hashlib.sha256()
            for path in sorted((self.app.stores / "artifacts" / run).glob("artifacts/bundle/*")):
                digest.update(path.name.encode() + (path.read_bytes() if path.is_file() else b""))
            found[run] = digest.hexdigest()
        return found

    def read_records(self) -> dict[str, Record]:
        """Return what the tracking store has of each run."""
        sql = (
            "SELECT run_uuid, status, (SELECT count(*) FROM params p WHERE p.run_uuid = r.run_uuid)"
            ", (SELECT count(*) FROM metrics m WHERE m.run_uuid = r.run_uuid) FROM runs r"
        )
        return {
            run: (status, params, metrics)
            for run, status, params, metrics in self.ask("mlflow.db", sql)
        }

    def count_trials(self) -> int:
        """Return how many finished trials the study has."""
        ((found,),) = self.ask("studies.db", "SELECT count(*) FROM trials WHERE state = 'COMPLETE'")
        return int(found)

    def ask(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask a database of the stores."""
        with closing(sqlite3.connect(self.app.stores / name, timeout=10)) as database:
            return database.execute(sql).fetchall()

    def list_files(self) -> Iterator[Path]:
        """Return the files in stores and outputs."""
        for folder in (self.app.stores, self.app.outputs):
            yield from sorted(path for path in folder.rglob("*") if path.is_file())
