"""The versions of the registered model, and which of them is the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tagifai.tracking import store
from tagifai.utils.excerpts import shorten_id
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from mlflow.entities import Run

CHAMPION = "champion"
"""The alias, as in models:/tagifai@champion."""

ABOUT = (
    f"Text classifiers that task=promote has chosen or refused; `{CHAMPION}` is the one in use."
    " Each version says which run it is, and its tags say why it was promoted or not."
)
"""What MLflow shows of the registered model."""

PREVIOUS_TAG = "previous_champion"
"""Tag of a version: the number of the champion before it."""

ROLLED_BACK_TAG = "rolled_back"
"""Tag of a version that was rolled back; it is promoted again only if its run is named."""

NOT_FOUND_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Error codes of MLflow for an unknown model and for an unknown alias."""


@dataclass(frozen=True)
class ModelVersion:
    """A version of the registered model.

    Args:
        number: counts from 1.
        run_id: of the run that it was made from.
        tags: of the version.
    """

    number: int
    run_id: str
    tags: Mapping[str, str]


class ModelRegistry:
    """The versions of one registered model. Every failure of the store raises a `TrackingError`.

    Args:
        uri: of the tracking store, which has the registry, too.
        name: of the registered model.

    Raises:
        DataError: there is no store yet.
        TrackingError: it does not answer.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.name = name
        self._on_server = uri.startswith("http")
        self._client = store.connect_existing(uri)

    def get_champion(self) -> ModelVersion | None:
        """Return the version that has the alias, or None."""
        from mlflow.exceptions import MlflowException

        with store.translate_errors():
            try:
                found = self._client.get_model_version_by_alias(self.name, CHAMPION)
            except MlflowException as error:
                if error.error_code not in NOT_FOUND_CODES:
                    raise
                return None
        return _make_version(found)

    def list_versions(self) -> list[ModelVersion]:
        """Return all versions, the newest first."""
        name = self.name.replace("'", "''")
        with store.translate_errors():
            found = self._client.search_model_versions(f"name = '{name}'", max_results=10_000)
        return sorted(map(_make_version, found), key=lambda version: -version.number)

    def get_version(self, number: int) -> ModelVersion | None:
        """Return a version by its number, or None if it was deleted."""
        return next((found for found in self.list_versions() if found.number == number), None)

    def find_by_run(self, run_id: str) -> ModelVersion | None:
        """Return the newest version that was made from a run, or None."""
        return next((found for found in self.list_versions() if found.run_id == run_id), None)

    def register(self, run_id: str, model_id: str) -> ModelVersion:
        """Make a version from the MLflow model of a run; it says which run that is."""
        from mlflow.exceptions import MlflowException

        with store.translate_errors():
            try:
                self._client.create_registered_model(self.name, description=ABOUT)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            # A database's client would look for models:/<id> in whatever store is MLflow's default.
            where = self._client.get_logged_model(model_id).artifact_location
            source = f"models:/{model_id}" if self._on_server else where
            made = self._client.create_model_version(
                self.name,
                source,
                run_id,
                description=_describe_run(self._client.get_run(run_id)),
                model_id=model_id,
            )
        return _make_version(made)

    def set_champion(self, version: ModelVersion) -> None:
        """Give the alias to a version."""
        with store.translate_errors():
            self._client.set_registered_model_alias(self.name, CHAMPION, str(version.number))

    def set_tags(self, version: ModelVersion, tags: Mapping[str, Any]) -> None:
        """Set tags of a version; tags that are None are removed."""
        with store.translate_errors():
            for key, value in tags.items():
                if value is not None:
                    self._client.set_model_version_tag(
                        self.name, str(version.number), key, mask(str(value))
                    )
                elif key in version.tags:
                    self._client.delete_model_version_tag(self.name, str(version.number), key)


def _describe_run(run: Run) -> str:
    """Return what a version was made from, in a sentence."""
    names = ("objective", "test_f1", "test_accuracy")
    metrics = {name: run.data.metrics[name] for name in names if name in run.data.metrics}
    scores = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    data = run.data.params.get("data.name", "unknown data")
    run_id = shorten_id(run.info.run_id)
    return f"Run {run.info.run_name} ({run_id}) on {data}: {scores or 'no scores'}."


def _make_version(found: Any) -> ModelVersion:
    return ModelVersion(int(found.version), str(found.run_id), dict(found.tags or {}))
