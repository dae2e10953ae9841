"""Runs by id: where their bundles are, and which one is the latest."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.exceptions import BundleError, ConfigError, DamagedFileError, DataError
from tagifai.models import bundles, part_files
from tagifai.models.tagger import Tagger
from tagifai.runs import latest, short_ids
from tagifai.serving import archives
from tagifai.tracking import downloads, session, store
from tagifai.tracking.registry import CHAMPION, ModelRegistry
from tagifai.utils import program
from tagifai.utils.secrets import mask
from tagifai.utils.state import drafts

if TYPE_CHECKING:
    import pandas as pd

LATEST, BEST = "latest", "best"
"""Names that stand for the id of a run, as the alias of the champion does."""

log = logging.getLogger(__name__)


def get_latest(stores: Path) -> str | None:
    """Return the id of the latest successful training run, or None if none is known.

    Where its file cannot be read, a warning names it.
    """
    try:
        return latest.read(stores)
    except DamagedFileError as error:
        log.warning("%s", error)
        return None


def find(stores: Path, run_id: str | None, uri: str | None) -> tuple[str, Path]:
    """Return the id and the bundle of a run.

    Args:
        stores: the folder of stores.
        run_id: the id or the first 8 digits or more of it; None is the latest run.
        uri: tracking store to fetch a bundle from that is not on this machine, or None.

    Raises:
        BundleError: there is no such run, or no run at all.
        ConfigError: several runs have ids that begin so.
        DamagedFileError: it is not known which run is the latest.
        TrackingError: it is not on this machine, and the tracking store does not answer.
    """
    run_id = run_id or latest.read(stores)
    if run_id is None:
        raise BundleError(
            f"No run has been trained into {stores} yet. Train one: {program.get_name()}"
        )
    run_id = short_ids.complete(stores, run_id, uri)
    path = bundles.get_path(stores, run_id)
    if not path.is_dir() and uri:
        # A run that was recorded later had another id before.
        run_id = session.find_id(run_id, uri)
        path = bundles.get_path(stores, run_id)
    if not path.is_dir() and not (uri and _fetch(stores, run_id, uri)):
        known = get_latest(stores)
        hint = f" The latest run is {known}." if known else ""
        if known == run_id:
            named = f"which {stores / latest.NAME} names as the latest"
            hint = f" It is the one {named}. Train again, or choose another: task.run_id=..."
        raise BundleError(f"There is no run {run_id!r} with a model in {stores}.{hint}")
    return run_id, path


def choose_run(config: Config, default: str = LATEST) -> tuple[str, Path]:
    """Return the id and the bundle of the run that `task.run_id` names.

    Runs whose process is gone are closed on the way.

    Args:
        config: of a task with a `run_id`: an id or its first digits, "latest", "best" or
            "champion".
        default: where it is None.

    Raises:
        BundleError: there is no such run, or no run at all.
        ConfigError: the name is one that only a tracking store knows, and there is none; or several
            runs have ids that begin so.
        TrackingError: the store does not answer.
    """
    stores = Path(config.paths.stores)
    finish_interrupted(stores, config.tracking.uri)
    uri = store.get_tracking_uri(config.tracking.uri) if config.tracking.enabled else None
    run_id = config.task.run_id or default
    if run_id in (BEST, CHAMPION) and uri is None:
        raise ConfigError(f"task.run_id={run_id}: tracking=none knows no {run_id} run.")
    if run_id == BEST and uri is not None:
        run_id = find_best(uri, config)
    if run_id == CHAMPION and uri is not None:
        run_id = find_champion(uri, config.tracking.model)
    return find(stores, None if run_id == LATEST else run_id, uri)


def finish_interrupted(stores: Path, uri: str) -> list[str]:
    """Finish what killed processes left half done, and return the runs of theirs that were closed.

    Args:
        stores: the folder of stores.
        uri: of the configured tracking store.
    """
    latest.mend(stores)
    return session.close_abandoned_runs(stores, uri)


def find_best(uri: str, config: Config) -> str:
    """Return the id of the best finished training run by the objective's validation rows.

    Only runs on one data set are ranked, see `select_configured_data`.

    Args:
        uri: of the tracking store.
        config: has the objective, the data and the tracking experiment.

    Raises:
        ConfigError, DataError: there is no such run, experiment or metric.
        TrackingError: the store does not answer.
    """
    from tagifai.tracking import query, selection

    runs = query.load_runs(uri, store.get_experiment_name(config))
    maximize = config.objective.directions[0] == "maximize"
    chosen = select_configured_data(runs, config)
    return selection.find_best(chosen, config.objective.metrics[0], maximize=maximize)


def find_bests(uri: str, config: Config) -> set[str]:
    """Return the ids of the best runs by the objective, as of `selection.find_bests`.

    Without a run that can be ranked there is none.
    """
    from tagifai.tracking import query, selection

    try:
        runs = query.load_runs(uri, store.get_experiment_name(config))
    except (ConfigError, DataError):
        return set()
    maximize = config.objective.directions[0] == "maximize"
    return selection.find_bests(runs, config.objective.metrics[0], maximize=maximize)


def select_configured_data(
    runs: pd.DataFrame, config: Config, champion: str | None = None
) -> pd.DataFrame:
    """Return the runs on the data set that is meant; if there are several, say which it is.

    It is the one that the command names, or else that of the champion, or of the latest run.

    Args:
        runs: all runs of the experiment, or those that a filter has found.
        config: of the command.
        champion: digest of the champion's data, or None.

    Raises:
        DataError: there is no run on these data, or it is not known which data are meant.
    """
    from tagifai.tracking import selection

    stores = Path(config.paths.stores)
    if any(key in ("data", "experiment") or key[:5] == "data." for key in get_job().chosen_keys):
        from tagifai.data import datasets  # late: a prediction reads no data set

        champion, why = datasets.load(config.data, stores).digest, "the data that are named"
    elif champion is not None:
        why = "the data of the champion"
    else:
        champion, why = _find_latest_digest(stores), "the data of the latest run"
    chosen = selection.select_data(runs, champion)
    there = selection.name_data(runs[selection.is_training(runs)]).nunique()
    if there > 1 and len(chosen):
        name = selection.name_data(chosen[selection.is_training(chosen)]).iloc[0]
        log.warning("Of runs on %d data sets those on %s count, %s", there, name, why)
    return chosen


def _find_latest_digest(stores: Path) -> str | None:
    """Return the digest of the data of the latest run, or None if that is not known here."""
    latest = get_latest(stores)
    path = bundles.get_path(stores, latest) if latest else None
    if path is None or not path.is_dir():
        return None
    return str(bundles.read_document(path, "splits.json", "data").get("digest"))


def find_champion(uri: str, model: str) -> str:
    """Return the id of the run that the champion of a registered model is made from.

    Args:
        uri: of the tracking store.
        model: name of the registered model.

    Raises:
        BundleError: there is no champion.
        ConfigError, TrackingError: there is no store, or it does not answer.
    """
    found = ModelRegistry(uri, model).get_champion()
    if found is None:
        raise BundleError(
            f"The registered model {model!r} has no champion yet. Make one with task=promote, or"
            " name another run, such as task.run_id=latest."
        )
    return found.run_id


def load_tagger(stores: Path, run_id: str | None, uri: str | None) -> tuple[str, Tagger]:
    """Return the id and the tagger of a run; arguments and errors as in `find`."""
    found, path = find(stores, run_id, uri)
    return found, bundles.load(path)


def _fetch(stores: Path, run_id: str, uri: str) -> bool:
    with drafts.open_folder(stores / "fetched") as scratch:
        bundle = downloads.download_bundle(uri, run_id, scratch)
        if bundle is None:
            return False
        # Whoever may write to the store may have put it there, so it is a stranger's.
        shown = f"The model of run {run_id} in {mask(uri)}"
        archives.call_check(archives.check_bundle, bundle, shown, True)
        bundles.publish(bundle, stores, run_id, {"tracking": mask(uri)})
    return True


def is_from_file(manifest: Path) -> bool:
    """Return whether a bundle was imported from a file; one from a store can be fetched again."""
    try:
        return "file" in part_files.read_json(manifest).get(bundles.IMPORTED, {})
    except (BundleError, AttributeError, TypeError):
        return True  # nobody knows
