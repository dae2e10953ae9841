"""The schema of the configuration: what each group holds, its types, defaults and ranges.

YAML files have choices; types and defaults are here. `check` turns a composed configuration into
these dataclasses, which check the ranges.
"""

from tagifai.config.schema.data import DataConfig, TwoTablesConfig
from tagifai.config.schema.experiment import PreprocessingConfig, SplitConfig, TrainingConfig
from tagifai.config.schema.models import SGDConfig
from tagifai.config.schema.root import (
    CUSTOM_OPTIONS,
    EXPERIMENT_GROUPS,
    OPTIONAL_GROUPS,
    SCHEMA_CLASSES,
    Config,
    check,
    find_schema_name,
    flatten_config,
)
from tagifai.config.schema.settings import STANDARD_METRICS, ObjectiveConfig
from tagifai.config.schema.tables import PIPED, TableConfig
from tagifai.config.schema.tasks import EvaluateTaskConfig, InputTaskConfig, PredictTaskConfig

__all__ = [
    "CUSTOM_OPTIONS",
    "EXPERIMENT_GROUPS",
    "OPTIONAL_GROUPS",
    "PIPED",
    "SCHEMA_CLASSES",
    "STANDARD_METRICS",
    "Config",
    "DataConfig",
    "EvaluateTaskConfig",
    "InputTaskConfig",
    "ObjectiveConfig",
    "PredictTaskConfig",
    "PreprocessingConfig",
    "SGDConfig",
    "SplitConfig",
    "TableConfig",
    "TrainingConfig",
    "TwoTablesConfig",
    "check",
    "find_schema_name",
    "flatten_config",
]
