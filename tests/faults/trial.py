"""One try: a fault, what is said of it, and what it did."""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from tests.app import SMALL, environment
from tests.faults import oracle
from tests.faults.place import SEARCH, Place
from tests.faults.watching import MARK, Ended, Started, list_marked

CODES = (0, 1, 2, 3)
"""Of commands that end by themselves: done; failed; refused; done, and not recorded yet."""


class Skipped(Exception):
    """What a kind of fault needs is not there; the message says what."""


class Trial:
    """A fault on stores that are put back, with chances that a seed decides.

    Args:
        place: where it happens.
        seed: decides what, where and when.
    """

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.mark = f"{os.getpid()}-{seed}"
        self.story: list[str] = []
        self.faults: list[str] = []
        self.lost: set[str] = set()
        self.empty = False
        self._checked = False

    @property
    def commands(self) -> dict[str, tuple[tuple[str, ...], float]]:
        """The commands that faults happen to, and the seconds of each on an idle machine."""
        place = self.place
        kept, run = place.app.cwd / "out", f"task.run_id={place.latest}"
        return {
            "train": ((*SMALL, "seed=5"), 2.9),
            "search": ((*SEARCH, "hydra.sweeper.n_trials=3"), 4.7),
            "multirun": (("-m", *SMALL, "seed=5,6"), 3.8),
            "predict": (
                ("task=predict", f"task.input={place.table}", f"task.output={kept}.csv"),
                1.4,
            ),
            "elt": (("task=elt", "task.force=true"), 1.4),
            "rerun": (("task=rerun", run), 4.9),
            "clean": (("task=clean", "task.apply=true", "task.days=0", "task.cache=true"), 1.8),
            "promote": (("task=promote", run, "task.force=true"), 2.4),
            "import": (("task=import", f"task.path={place.archive}"), 1.3),
            "export": (("task=export", f"task.path={kept}.zip"), 1.6),
            "evaluate": (("task=evaluate", run), 1.5),
            "compare": (("task=compare",), 2.1),
            "rollback": (("task=rollback",), 1.8),
        }

    def start(
        self,
        name: str,
        prefix: Sequence[str] = (),
        more: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Started:
        """Start a command by its name, under another program, with more arguments or variables."""
        arguments, _ = self.commands.get(name, ((f"task={name}",), 0))
        command = [*prefix, *self.place.app.command(*arguments, *more)]
        variables = environment({MARK: self.mark, **(env or {})})
        return Started(command, self.place.app.cwd, variables, name)

    def pick(self) -> tuple[str, float]:
        """Return the name of a command, and a moment in it, in seconds from its beginning."""
        name = self.chance.choice([*self.commands])
        _, seconds = self.commands[name]
        return name, self.chance.random() * seconds * self.place.pace

    def say(self, text: str) -> None:
        """Note what is done, for the report."""
        self.story.append(text)

    def take(self, ended: Ended, codes: Collection[int] = CODES) -> None:
        """Check the end of a command."""
        self.faults += oracle.check_ended(ended, codes)

    def check(self) -> None:
        """Check what is left of it all, once."""
        if self._checked:
            return
        self._checked = True
        place, damaged = self.place, bool(self.lost)
        self.faults += oracle.check_end_of_processes(self.mark)
        self.faults += oracle.check_going_on(place, damaged)
        self.faults += oracle.check_databases(place, self.lost)
        if not self.empty:
            self.faults += oracle.check_nothing_lost(place, self.lost)

    def end(self) -> None:
        """End what is left."""
        for process in list_marked(self.mark):
            with suppress(ProcessLookupError):
                os.kill(process, 9)
