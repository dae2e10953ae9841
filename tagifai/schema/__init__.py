"""The schema of the configuration: what each group holds, its types, defaults and ranges.

YAML files state choices; types and defaults stand here. `check` turns a composed configuration
into these dataclasses, and that is when the ranges are checked.
"""

from tagifai.schema.config import EXPERIMENT, NODES, Config, check, flat
from tagifai.schema.experiment import SGD, Data, Preprocessing, Split, Training
from tagifai.schema.surroundings import Objective
from tagifai.schema.tasks import Predict

__all__ = [
    "EXPERIMENT",
    "NODES",
    "SGD",
    "Config",
    "Data",
    "Objective",
    "Predict",
    "Preprocessing",
    "Split",
    "Training",
    "check",
    "flat",
]
