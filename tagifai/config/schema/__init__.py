"""The schema of the configuration: what each group holds, its types, defaults and ranges.

YAML files have choices; types and defaults are here. `check` turns a composed configuration into
these dataclasses, which check the ranges.
"""

from tagifai.config.schema.data import DataConfig, TwoTablesConfig
from tagifai.config.schema.experiment import (
    GroupedSplitConfig,
    PreprocessingConfig,
    SplitByConfig,
    SplitConfig,
    TimeSplitConfig,
    TrainingConfig,
)
from tagifai.config.schema.model_tasks import ServeTaskConfig
from tagifai.config.schema.models import SGDConfig
from tagifai.config.schema.objective import (
    PROBABILITY_METRICS,
    SCORE_NAMES,
    STANDARD_METRICS,
    ObjectiveConfig,
    name_test_metric,
)
from tagifai.config.schema.root import (
    CUSTOM_OPTIONS,
    EXPERIMENT_GROUPS,
    OPTIONAL_GROUPS,
    SCHEMA_CLASSES,
    Config,
    check,
    find_schema_name,
    flatten,
    flatten_config,
)
from tagifai.config.schema.tables import PIPED, TableConfig
from tagifai.config.schema.tasks import EvaluateTaskConfig, InputTaskConfig, PredictTaskConfig

__all__ = [
    "CUSTOM_OPTIONS",
    "EXPERIMENT_GROUPS",
    "OPTIONAL_GROUPS",
    "PIPED",
    "PROBABILITY_METRICS",
    "SCHEMA_CLASSES",
    "SCORE_NAMES",
    "STANDARD_METRICS",
    "Config",
    "DataConfig",
    "EvaluateTaskConfig",
    "GroupedSplitConfig",
    "InputTaskConfig",
    "ObjectiveConfig",
    "PredictTaskConfig",
    "PreprocessingConfig",
    "SGDConfig",
    "ServeTaskConfig",
    "SplitByConfig",
    "SplitConfig",
    "TableConfig",
    "TimeSplitConfig",
    "TrainingConfig",
    "TwoTablesConfig",
    "check",
    "find_schema_name",
    "flatten",
    "flatten_config",
    "name_test_metric",
]
