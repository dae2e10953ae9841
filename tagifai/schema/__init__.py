"""The schema of the configuration: what each group holds, its types, defaults and ranges.

YAML files state choices; types and defaults stand here. `check` turns a composed configuration
into these dataclasses, and that is when the ranges are checked.
"""

from tagifai.schema.config import (
    EXPERIMENT,
    NODES,
    OPTIONAL,
    UNLISTED,
    Config,
    check,
    flat,
    schema_of,
)
from tagifai.schema.data import Data, Table, TwoTables
from tagifai.schema.experiment import Preprocessing, Split, Training
from tagifai.schema.models import SGD
from tagifai.schema.surroundings import STANDARD, Objective
from tagifai.schema.tasks import Predict

__all__ = [
    "EXPERIMENT",
    "NODES",
    "OPTIONAL",
    "SGD",
    "STANDARD",
    "UNLISTED",
    "Config",
    "Data",
    "Objective",
    "Predict",
    "Preprocessing",
    "Split",
    "Table",
    "Training",
    "TwoTables",
    "check",
    "flat",
    "schema_of",
]
