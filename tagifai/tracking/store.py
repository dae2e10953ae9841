"""The tracking store: its URI, its creation, its client, and its errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.config.schema.rules import LONGEST_NAME
from tagifai.exceptions import DataError, StoreUnavailableError, TrackingError, TrackingSettingError
from tagifai.tracking import opening
from tagifai.tracking.opening import failures, pages, probes
from tagifai.utils import program
from tagifai.utils.databases.waiting import mention_wait
from tagifai.utils.secrets import mask
from tagifai.utils.urls import format_place, get_sqlite_path, is_url, locate_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from tagifai.config.schema import Config

EXPERIMENT_NAME, EXPERIMENT_ID = "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"

_ids: dict[tuple[str, str], str] = {}
"""Ids of the experiments that this process has used, by the URI of their store and their name."""

log = logging.getLogger(__name__)


def get_tracking_uri(configured: str) -> str:
    """Return the URI of the tracking store: MLFLOW_TRACKING_URI wins over the configured one."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured


def get_experiment_name(config: Config) -> str:
    """Return the name of the experiment: MLflow's variables win over `tracking.experiment`.

    MLFLOW_EXPERIMENT_ID is the id of one that exists, and counts where MLFLOW_EXPERIMENT_NAME is
    not set; both together have to be of one experiment, as MLflow has it.

    Raises:
        TrackingSettingError: the two are of different experiments, or there is none of this id.
        TrackingError: the store, which knows the id, does not answer, or fails.
    """
    name = os.environ.get(EXPERIMENT_NAME, "").strip()
    number = os.environ.get(EXPERIMENT_ID, "").strip()
    if name and (len(name) > LONGEST_NAME or mask(name) != name):
        raise TrackingSettingError(
            f"MLFLOW_EXPERIMENT_NAME has a secret, or more than {LONGEST_NAME} characters. Choose"
            " another name."
        )
    if not number or not config.tracking.enabled:
        return name or config.tracking.experiment
    uri = get_tracking_uri(config.tracking.uri)
    if (uri, number) not in _names:
        _names[uri, number] = _find_experiment_name(uri, number)
    found = _names[uri, number]
    if name and name != found:
        raise TrackingSettingError(
            f"MLFLOW_EXPERIMENT_ID = {number} is the experiment {found!r}, and"
            f" MLFLOW_EXPERIMENT_NAME = {name!r} is another. Set one of them."
        )
    return found


_names: dict[tuple[str, str], str] = {}
"""Names of experiments, by the URI of their store and their id."""


def _find_experiment_name(uri: str, number: str) -> str:
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    with translate_errors():
        try:
            return str(client.get_experiment(number).name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
    raise TrackingSettingError(
        f"MLFLOW_EXPERIMENT_ID = {number}: there is no such experiment in {mask(uri)}. Name one,"
        " which is made if it is missing: MLFLOW_EXPERIMENT_NAME=..., or tracking.experiment=..."
    )


def refuse_deleted(found: Any, uri: str, key: str = "") -> None:
    """Refuse an experiment that was deleted.

    Args:
        found: MLflow's experiment.
        uri: of its store.
        key: the setting that names it; empty for that of the run's own experiment.

    Raises:
        TrackingSettingError: with the ways out.
    """
    if found.lifecycle_stage != "active":
        given = os.environ.get(EXPERIMENT_NAME, "").strip() == found.name
        key = key or (EXPERIMENT_NAME if given else "tracking.experiment")
        restore = f"mlflow experiments restore -x {found.experiment_id}"
        raise TrackingSettingError(
            f"{key} = {found.name!r} was deleted in {mask(uri)}. Restore it"
            f" (MLFLOW_TRACKING_URI={mask(uri)} {restore}) or use another name."
        )


def complete_uri(recorded: str, present: str) -> str:
    """Return a URI that was recorded, with its secret if the present one is the same.

    Args:
        recorded: without its secret.
        present: of the present command's store; empty for none.
    """
    return present if mask(present) == recorded else recorded


def connect(uri: str) -> MlflowClient:
    """Return a client of a tracking store that answers; its database is made if it is missing.

    No other function makes a client: MLflow would wait for minutes, or migrate what stands there.

    Raises:
        StoreUnavailableError: the store is away, mute or locked; it may come back.
        TrackingError: it is damaged, of another MLflow, or none.
    """
    with translate_errors():
        return opening.open_client(uri)


def connect_existing(uri: str) -> MlflowClient:
    """Return a client of a tracking store that exists and answers.

    Raises:
        DataError: there is no store yet.
        TrackingError: as `connect`.
    """
    path = get_sqlite_path(uri)
    if path is not None and not os.path.lexists(path):
        raise DataError(
            f"There are no tracked runs yet: no {path}. Train some: {program.get_name()}"
        )
    return connect(uri)


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """Return a run, deleted or not, or None if the store has none of this id."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


@dataclass(frozen=True)
class Experiment:
    """An experiment of a tracking store that runs are recorded in.

    Args:
        uri: of the store.
        name: of the experiment.
        stores: the folder of stores, for artifacts and for the marks of running runs.
    """

    uri: str
    name: str
    stores: Path

    @classmethod
    def from_config(cls, config: Config) -> Experiment:
        """Return the experiment that a configuration names."""
        tracking = config.tracking
        return cls(
            get_tracking_uri(tracking.uri), get_experiment_name(config), Path(config.paths.stores)
        )

    def ensure(self, client: MlflowClient) -> str:
        """Return the id of the experiment, which is created if it does not exist.

        Args:
            client: of the store.

        Raises:
            TrackingSettingError: the experiment was deleted.
            TrackingError: its folder of artifacts has moved.
        """
        _ids[self.uri, self.name] = number = self._ensure(client)
        return number

    def _ensure(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self.name)
        if found is None:
            # A server knows where to put artifacts; a database does not.
            where = None if self.uri.startswith("http") else format_place(self.stores / "artifacts")
            return str(client.create_experiment(self.name, where, {pages.KIND_TAG: pages.KIND}))
        refuse_deleted(found, self.uri)
        where = found.artifact_location
        is_ours = is_url(where) or locate_file(where) == self.stores / "artifacts"
        if self.uri.startswith("sqlite:") and not is_ours and not locate_file(where).is_dir():
            # MLflow would create the old folder again, wherever that was.
            raise TrackingError(
                f"tracking.experiment = {self.name!r} has its artifacts in {where}, which does not"
                " exist any more. Restore the folder, or use another tracking.experiment."
            )
        if pages.KIND_TAG not in found.tags:
            client.set_experiment_tag(found.experiment_id, pages.KIND_TAG, pages.KIND)
        return str(found.experiment_id)


def describe_ui(config: Config) -> list[tuple[str, str]]:
    """Return how the runs of the configured experiment are looked at: see `pages.list_ways`."""
    uri, name = get_tracking_uri(config.tracking.uri), get_experiment_name(config)
    if (uri, name) not in _ids:
        try:
            with translate_errors():
                found = connect(uri).get_experiment_by_name(name)
        except TrackingError as error:
            log.info("The experiment %s was not looked up: %s", name, error)
            found = None
        if found is None:
            return pages.list_ways(uri, None)
        _ids[uri, name] = str(found.experiment_id)
    return pages.list_ways(uri, _ids[uri, name])


def is_reachable(uri: str, seconds: float = 2) -> bool:
    """Return whether a tracking store answers within seconds; how else it is, is not asked."""
    try:
        probes.check_store(uri, seconds)
    except StoreUnavailableError:
        return False
    except TrackingError:
        return True
    return True


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn any error of a tracking store into a `TrackingError`, and say so if it is slow.

    Raises:
        StoreUnavailableError: the store is away, mute or locked; it may come back.
    """
    try:
        with mention_wait("The tracking store"):
            yield
    except (TrackingError, MemoryError):
        raise
    except Exception as error:
        raise failures.make_error(error) from error
