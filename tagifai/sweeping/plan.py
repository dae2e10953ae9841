"""The plan of a search: everything that its loop, its results and its report need."""

from __future__ import annotations

import logging
import shlex
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from optuna.pruners import NopPruner
from optuna.trial import BaseTrial, FrozenTrial

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import TrackingError
from tagifai.sweeping import composition, studies
from tagifai.sweeping.auto.search import ROWS, BudgetSearch
from tagifai.sweeping.findings import results
from tagifai.sweeping.settings import SearchSettings
from tagifai.sweeping.spaces.space import SearchSpace
from tagifai.sweeping.studies import Study
from tagifai.sweeping.workers.worker import Worker
from tagifai.tracking import query, session, store
from tagifai.tracking.recording import records
from tagifai.tracking.settings import MOST_PARAMS
from tagifai.utils import program

RUN_STATUSES = {"COMPLETE": "FINISHED", "FAIL": "FAILED"}
"""Status of a run by the state of its trial; KILLED for all others."""

log = logging.getLogger(__name__)


@dataclass
class SearchPlan:
    """A search that has been checked and can begin.

    Args:
        config: that all trials share.
        settings: of the sweeper.
        space: of the search.
        study: that trials come from.
        display: shows progress and results.
        cfg: configuration that launchers compose jobs from.
        folder: of the job folders.
        n_trials: of the study.
        n_workers: jobs at a time.
        context: of Hydra.
        function: what a job calls.
        compose: composes the configuration and the options of a trial.
        compose_alone: composes the configuration of a single run.
        parent: the search's run.
        budget: chooses the trials of a search with a time budget; None leaves it to the sampler.
    """

    config: Config
    settings: SearchSettings
    space: SearchSpace
    study: Study
    display: Display
    cfg: DictConfig
    folder: Path
    n_trials: int
    n_workers: int
    context: HydraContext
    function: TaskFunction
    compose: composition.Compose
    compose_alone: Callable[[Sequence[str]], Config]
    parent: session.TrackedRun
    budget: BudgetSearch | None = None

    @property
    def metrics(self) -> list[str]:
        """The objective's metrics."""
        return self.config.objective.metrics

    @property
    def max_failure_rate(self) -> float:
        """Share of the trials that may fail."""
        return self.settings.max_failure_rate

    def make_worker(self) -> Worker:
        """Return what the jobs of the launcher call."""
        timeout = self.settings.timeout
        if self.budget is not None:
            self.budget.begin()
        return Worker(
            function=self.function,
            context=self.context,
            cfg=self.cfg,
            config=self.config,
            settings=self.settings,
            space=self.space,
            name=self.study.name,
            study=self.study,
            n_trials=self.n_trials,
            session=uuid.uuid4().hex[:12],
            budget=self.budget,
            deadline=None if timeout is None else time.time() + timeout,
        )

    def is_on_sample(self, trial: BaseTrial | FrozenTrial) -> bool:
        """Return whether a trial is on a sample of the rows, and its value no result."""
        return self.budget is not None and trial.user_attrs.get(ROWS) is not None

    def is_overdue(self) -> bool:
        """Return whether there is a budget, and no time left for the trials under way."""
        return self.budget is not None and self.budget.is_overdue(self.study)

    def format_values(self, values: Sequence[float]) -> list[str]:
        """Return values with the names of their metrics."""
        named = zip(self.metrics, values, strict=False)
        return [f"{name} {results.format_number(value)}" for name, value in named]

    def describe_best(self) -> str:
        """Return the best value and its trial as a text, empty if there is none yet."""
        found = results.summarize_study(self.study, self.metrics)
        if not found.best:
            return ""
        if len(self.metrics) > 1:
            return f"{len(found.best)} on the Pareto front"
        best = found.best[0]
        return f"best {results.format_number(best.values[0])} (trial {best.number})"

    def close_dead_runs(self) -> None:
        """Close the runs of dead trials that their jobs could not close.

        The tracking store knows them; a job may die before it notes its run in the study.
        """
        config = self.config.tracking
        dead = {str(t.number): t for t in self.study.list_trials() if studies.has_died(t)}
        if not config.enabled or not dead:
            return
        uri = store.get_tracking_uri(config.uri)
        reasons = {number: str(t.user_attrs[studies.DIED]) for number, t in dead.items()}
        records.close_dead_trials(Path(self.config.paths.stores), self.parent.id, reasons)
        if self.parent.is_kept:
            return
        try:
            left = query.find_unfinished_children(uri, self.parent.id)
            for run_id, (status, tags) in left.items():
                number = tags.get("trial.number", "")
                if number in dead:
                    run = session.reopen_run(run_id, uri)
                    state = tags.get("trial.state", "RUNNING")
                    if state == "RUNNING":
                        run.log_tags({"trial.state": "DIED"})
                    if status == "RUNNING":
                        run.end(RUN_STATUSES.get(state, "KILLED"), reasons[number])
        except TrackingError as error:
            # An error here must not hide how the search ended.
            log.info("The runs of dead trials could not be closed: %s", error)

    def record(self, searched: Mapping[str, Any]) -> None:
        """Record the search in its run; its parameters belong to the study, so they never change.

        Args:
            searched: the search's description.
        """
        hydra = self.cfg.hydra
        objective = self.config.objective
        about = {
            "objective.metric": ", ".join(objective.metrics),
            "objective.direction": ", ".join(objective.directions),
            "data": self.config.data.name,
            "data.digest": searched["data digest"],
        }
        space = {f"space.{key}": values for key, values in searched["parameters"].items()}
        shown = [*space][: MOST_PARAMS - len(about)]
        self.parent.log_params({**{key: space[key] for key in shown}, **about})
        chosen = (self.settings.sampler, self.settings.pruner)
        self.parent.log_tags(
            {
                "preset": hydra.runtime.choices.get("sweep"),
                "command": program.get_command(),
                "overrides": shlex.join(hydra.overrides.task),
                "storage": self.settings.storage or "in memory",
                "sweep.dir": str(self.folder),
                "trials": f"{self.study.count_trials().finished} of {self.n_trials}",
                "sampler": ", ".join(str(one["_target_"]) for one in chosen if one),
                "launcher": hydra.runtime.choices.get("hydra/launcher"),
            }
        )

    def _describe_trials(self, sampler: str, pruner: str) -> tuple[str, dict[str, Any]]:
        if self.budget is None:
            return str(self.n_trials), {"sampler": sampler, "pruner": pruner}
        found = self.budget.fidelity
        rows = {"sample": found.sample_rows, "rows": found.train_rows, "folds": found.folds}
        told = {name: value for name, value in rows.items() if value is not None}
        return f"as many as fit into {self.budget.budget:g} s", told

    def show_header(self) -> None:
        """Show what is searched for, where, and how far an earlier search has come."""
        pruner = self.study.optuna.pruner
        objective, tally = self.config.objective, self.study.count_trials()
        hydra = self.cfg.hydra
        sampler_name = str(self.settings.sampler["_target_"]).rpartition(".")[2]
        launcher = f"{hydra.runtime.choices.get('hydra/launcher')}, {self.n_workers} at a time"
        groups: dict[str, tuple[str | None, Mapping[str, Any]]] = {
            "study": (
                self.study.name,
                {"storage": self.settings.storage or "in memory"},
            ),
            "objective": (objective.describe(), {}),
            "trials": self._describe_trials(sampler_name, type(pruner).__name__),
            "launcher": (launcher, {}),
        }
        found: dict[str, list[str]] = {}
        for name, text in self.space.describe().items():
            key, _, condition = name.removesuffix("]").partition(" [")
            found.setdefault(key, []).append(f"{text} if {condition}" if condition else text)
        groups |= {key: ("; ".join(texts), {}) for key, texts in found.items()}
        self.display.show_header("tagifai search", groups)
        n, total = tally.finished, self.n_trials
        if n >= total:
            self.display.show_line(
                f"Nothing to do: {n} of {total} trials are done. For more trials,"
                " raise hydra.sweeper.n_trials."
            )
        elif n or tally.died:
            self.display.show_fact("Resumed", f"{n} of {total} trials are done.")
        if not isinstance(pruner, NopPruner) and objective.report_every is None:
            self.display.show_line(
                "Note: nothing is pruned, because objective.report_every is not set.",
                style="yellow",
            )
