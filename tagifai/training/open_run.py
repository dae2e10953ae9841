"""The run that is being trained, with everything that it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagifai.config.schema import Config
from tagifai.data.dataset_store import Dataset
from tagifai.data.prepare import PreparedData
from tagifai.preprocessing.feature_cache import ArrayCache
from tagifai.tracking.provenance import Invocation
from tagifai.tracking.run import TrackedRun
from tagifai.training.checkpoints import Checkpoints
from tagifai.training.components import Components
from tagifai.training.trial import TrialHandle


@dataclass(frozen=True)
class OpenRun:
    """A run that is open in the tracking store while its model is trained.

    Args:
        config: of the run.
        invocation: where the configuration comes from.
        provenance: the invocation's record.
        tracked: what is recorded of the run.
        trial: of the search that the run belongs to; it gets the objective by epoch.
        dataset: that it is trained on.
        prepared: its rows.
        components: unfitted objects.
        cache: of features.
        checkpoints: of its trainings.
    """

    config: Config
    invocation: Invocation
    provenance: Mapping[str, Any]
    tracked: TrackedRun
    trial: TrialHandle
    dataset: Dataset
    prepared: PreparedData
    components: Components
    cache: ArrayCache
    checkpoints: Checkpoints

    @property
    def name(self) -> str:
        """The run's name: that of the configuration, or what was chosen and overridden."""
        chosen = self.config.tracking.run_name
        return chosen or self.invocation.make_name(self.config.data.name)

    @property
    def output_dir(self) -> Path:
        """The folder of the run's files."""
        return self.invocation.output_dir

    @property
    def stores(self) -> Path:
        """The folder of stores, from which a model is loaded later."""
        return Path(self.config.paths.stores)

    def describe_splits(self) -> dict[str, Any]:
        """Return the data set, the settings of its labels, and the ids of rows by part."""
        data = self.config.data
        return {
            "data": {"name": data.name, "digest": self.dataset.digest},
            "policy": {
                "accepted": data.accepted_tags,
                "min_freq": data.min_freq,
                "other": data.other,
            },
            **self.prepared.get_ids(),
        }
