"""The studies of a database, a line each: what has been searched, and whether it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import StudySummary
from optuna.trial import TrialState

from tagifai.sweeping import storage as databases
from tagifai.sweeping import studies
from tagifai.sweeping._optuna import get_trial_id, list_stale_trials


@dataclass(frozen=True)
class StudyOverview:
    """A study as it is now.

    Args:
        name: of the study.
        state: "running", "interrupted", "failed" or "ended".
        finished: trials that count.
        metric: the objective's name, or empty if the study has several.
        best: value of the best trial, or None.
    """

    name: str
    state: str
    finished: int
    metric: str
    best: float | None

    def describe(self) -> str:
        """Return the study in words, such as "quick: ended, 12 trials, best val_f1 0.7849"."""
        count = f"{self.finished} trial{'' if self.finished == 1 else 's'}"
        parts = [f"{self.name}: {self.state}", count]
        if self.best is not None:
            parts.append(" ".join(["best", *filter(None, [self.metric]), f"{self.best:#.4g}"]))
        return ", ".join(parts)


def list_studies(url: str, states: Mapping[str, str]) -> list[StudyOverview]:
    """Return the studies of a database, the newest first.

    Args:
        url: of the database, which is there.
        states: of searches, by the names of their studies, as far as their runs say; others are
            running as long as one of their trials is, in a process that lives.

    Raises:
        StudyError: it does not answer, or is damaged.
    """
    with databases.silence_optuna(), databases.translate_storage_errors(url):
        storage = databases.connect_database(url)
        found = optuna.get_all_study_summaries(storage, include_best_trial=False)
        newest_first = sorted(
            found, key=lambda one: -storage.get_study_id_from_name(one.study_name)
        )
        return [_describe(one, storage, states.get(one.study_name)) for one in newest_first]


def _describe(
    found: StudySummary, storage: optuna.storages.BaseStorage, state: str | None
) -> StudyOverview:
    study_id = storage.get_study_id_from_name(found.study_name)
    trials = storage.get_all_trials(study_id, deepcopy=False)
    alive = {get_trial_id(t) for t in trials if t.state == TrialState.RUNNING}
    if alive and databases.has_heartbeat(storage):
        alive -= set(list_stale_trials(storage, study_id))
    best, metric = None, ""
    if len(found.directions) == 1:
        values = [t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        is_max = found.directions[0] == optuna.study.StudyDirection.MAXIMIZE
        best = (max if is_max else min)(values, default=None)
        metric = _find_metric(found.user_attrs)
    return StudyOverview(
        found.study_name,
        state or ("running" if alive else "ended"),
        studies.count_trials(trials).finished,
        metric,
        best,
    )


def _find_metric(attributes: Mapping[str, Any]) -> str:
    """Return the name of the objective's metric as the study has it, or nothing."""
    searched = attributes.get("search")
    settings = searched.get("settings") if isinstance(searched, dict) else None
    return str(settings.get("objective.metric", "")) if isinstance(settings, dict) else ""
