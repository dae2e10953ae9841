"""The root schema, the schemas of all groups by name, and the check of a composed configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from tagifai.config.schema import evaluation_tasks, model_tasks, tasks
from tagifai.config.schema.data import DataConfig, TwoTablesConfig
from tagifai.config.schema.encoders import EmbeddingConfig, EmbeddingUnionConfig
from tagifai.config.schema.experiment import (
    AutoThresholdConfig,
    DisabledConfig,
    FixedThresholdConfig,
    GroupedSplitConfig,
    PreprocessingConfig,
    QuantileThresholdConfig,
    RandomOverSamplerConfig,
    RandomUnderSamplerConfig,
    SplitByConfig,
    SplitConfig,
    TimeSplitConfig,
    TrainingConfig,
    TunedThresholdConfig,
)
from tagifai.config.schema.models import (
    ComplementNBConfig,
    LinearSVCConfig,
    LogisticRegressionConfig,
    SGDConfig,
)
from tagifai.config.schema.objective import ObjectiveConfig
from tagifai.config.schema.rules import represent, require
from tagifai.config.schema.settings import (
    CacheConfig,
    ConsoleConfig,
    PathsConfig,
    PlotsConfig,
    SweepConfig,
    TrackingConfig,
)
from tagifai.config.schema.tables import TableConfig
from tagifai.config.schema.vectorizers import (
    CountVectorizerConfig,
    FeatureUnionConfig,
    HashingVectorizerConfig,
    TfidfVectorizerConfig,
)
from tagifai.exceptions import ConfigError, InvalidValueError, suggest_closest


@dataclass
class Config:
    """The whole configuration; fields of type Any take any of their group's schemas.

    Args:
        seed: of all randomness.
        metrics: what the terminal, the report and the leaderboard show; all are computed.
        whitelist: packages of your own whose classes may be named, such as mypackage.*; read from
            the text of config.yaml alone, the project's and that of --config-dir.
        extensions: files of your own that add metrics, slices, cleaning steps and classes, such as
            my_steps.py; read as the whitelist is, and relative to the file that names them.
    """

    seed: int = 42
    task: Any = MISSING
    data: DataConfig = MISSING
    preprocessing: PreprocessingConfig = MISSING
    split: SplitConfig = MISSING
    vectorizer: Any = MISSING
    sampling: Any = MISSING
    training: TrainingConfig = field(default_factory=TrainingConfig)
    model: Any = MISSING
    threshold: Any = MISSING
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    tracking: TrackingConfig = MISSING
    console: ConsoleConfig = MISSING
    cache: CacheConfig = field(default_factory=CacheConfig)
    plots: PlotsConfig = field(default_factory=PlotsConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    metrics: list[str] = field(default_factory=lambda: ["accuracy", "macro_f1", "f1"])
    whitelist: list[str] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 2**32 - 1")
        if isinstance(self.split, SplitByConfig) and isinstance(self.data, TableConfig):
            self.data.keep = list(dict.fromkeys([*self.data.keep, self.split.by]))

    __repr__ = represent


EXPERIMENT_GROUPS = (
    *("data", "preprocessing", "split", "vectorizer", "sampling", "model", "threshold"),
)
"""The groups that decide the result of a run."""

OPTIONAL_GROUPS = frozenset({"sampling", "threshold"})
"""The groups that may be null, which is the same as none."""

SCHEMA_CLASSES: dict[str, type] = {
    "config": Config,
    "task/elt": tasks.EltTaskConfig,
    "task/train": tasks.TrainTaskConfig,
    "task/evaluate": tasks.EvaluateTaskConfig,
    "task/errors": tasks.ErrorsTaskConfig,
    "task/predict": tasks.PredictTaskConfig,
    "task/runs": evaluation_tasks.RunsTaskConfig,
    "task/compare": evaluation_tasks.CompareTaskConfig,
    "task/nested": evaluation_tasks.NestedTaskConfig,
    "task/curve": evaluation_tasks.CurveTaskConfig,
    "task/promote": model_tasks.PromoteTaskConfig,
    "task/rollback": model_tasks.RollbackTaskConfig,
    "task/rerun": tasks.RerunTaskConfig,
    "task/export": model_tasks.ExportTaskConfig,
    "task/import": model_tasks.ImportTaskConfig,
    "task/serve": model_tasks.ServeTaskConfig,
    "task/clean": tasks.CleanTaskConfig,
    "task/repair": tasks.RepairTaskConfig,
    "task/sync": tasks.SyncTaskConfig,
    "task/info": tasks.InfoTaskConfig,
    "task/init": tasks.InitTaskConfig,
    "data/table": TableConfig,
    "data/two_tables": TwoTablesConfig,
    "preprocessing/steps": PreprocessingConfig,
    "split/stratified": SplitConfig,
    "split/grouped": GroupedSplitConfig,
    "split/time": TimeSplitConfig,
    "vectorizer/counts": CountVectorizerConfig,
    "vectorizer/embedding": EmbeddingConfig,
    "vectorizer/embedding_union": EmbeddingUnionConfig,
    "vectorizer/hashing": HashingVectorizerConfig,
    "vectorizer/tfidf": TfidfVectorizerConfig,
    "vectorizer/union": FeatureUnionConfig,
    "sampling/random_over": RandomOverSamplerConfig,
    "sampling/random_under": RandomUnderSamplerConfig,
    "model/complement_nb": ComplementNBConfig,
    "model/linear_svc": LinearSVCConfig,
    "model/logistic_regression": LogisticRegressionConfig,
    "model/sgd": SGDConfig,
    "threshold/auto": AutoThresholdConfig,
    "threshold/quantile": QuantileThresholdConfig,
    "threshold/fixed": FixedThresholdConfig,
    "threshold/tuned": TunedThresholdConfig,
    "tracking/mlflow": TrackingConfig,
    "console/console": ConsoleConfig,
    "cache/features": CacheConfig,
    "plots/plots": PlotsConfig,
    "nothing": DisabledConfig,
}

CUSTOM_OPTIONS: dict[str, dict[str, Any]] = {
    "model/custom": {"_target_": "???"},
    "vectorizer/custom": {"_target_": "???"},
}
"""Options for any class; `glob(*)` leaves them out, because they need a `_target_`."""


def find_schema_name(settings: Any) -> str | None:
    """Return the name of the schema of a group's settings, or None for a plain dict."""
    return next((name for name, node in SCHEMA_CLASSES.items() if type(settings) is node), None)


def flatten_config(config: Config, without: Collection[str]) -> dict[str, Any]:
    """Return a configuration under flat keys, such as "model.alpha".

    Args:
        config: the whole configuration.
        without: groups that are left out.
    """
    return flatten({k: v for k, v in asdict(config).items() if k not in without})


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings, and those of groups of them, under flat keys that begin with a prefix."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def check(cfg: DictConfig) -> Config:
    """Convert a composed configuration to its dataclasses, which check every range.

    Args:
        cfg: what Hydra composed, without the `hydra` node.

    Returns:
        The configuration, resolved; a group without a schema is a plain dict.

    Raises:
        ConfigError: a value is missing, of a wrong type, out of range or unknown.
    """
    checked: dict[str, Any] = {}
    for name in map(str, cfg):
        _refuse_additions(cfg, name)
        checked[name] = _convert(cfg, name)
    for name in ("task", *EXPERIMENT_GROUPS, "tracking", "console"):
        if checked.get(name) is None and name not in OPTIONAL_GROUPS:
            raise ConfigError(f"{name} is not set. It is a group; choose an option: {name}=...")
    _check_task(checked["task"])
    try:
        return Config(**checked)
    except InvalidValueError as error:
        raise ConfigError(str(error)) from None


def _check_task(task: Any) -> None:
    """Refuse a task's name that is not its option's own: the name chooses the code that is run."""
    if type(task) is not SCHEMA_CLASSES.get(f"task/{getattr(task, 'name', None)}"):
        raise ConfigError(
            "task.name belongs to the option and cannot be changed by itself. Choose a task:"
            " task=..."
        )


def _refuse_additions(cfg: DictConfig, name: str) -> None:
    """Refuse keys that "+" added to a group with a schema: nothing would read them."""
    known = [f.name for f in fields(Config)]
    if name not in known:
        close = suggest_closest(name, known)
        raise ConfigError(f"'{name}' is not a key of the configuration.{close}")
    schema = OmegaConf.get_type(cfg, name)
    if not is_dataclass(schema) or OmegaConf.is_missing(cfg, name):
        return
    try:
        group = cfg[name]
    except OmegaConfBaseException:
        return  # `_convert` will say what is wrong.
    allowed = [f.name for f in fields(schema)]
    for key in map(str, group):
        if key not in allowed:
            raise ConfigError(
                f"'{name}.{key}' is not a key of {name}.{suggest_closest(key, allowed)}"
                f" It takes: {', '.join(allowed) or 'nothing'}."
            )


def _convert(cfg: DictConfig, name: str) -> Any:
    try:
        node = cfg[name]
        return OmegaConf.to_object(node) if OmegaConf.is_config(node) else node
    except InvalidValueError as error:
        raise ConfigError(f"{name}.{error}") from None
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key or name} is not set; give it a value.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from None
