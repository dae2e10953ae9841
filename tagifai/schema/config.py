"""The whole configuration: its schema, the schemas by name, and the check of a composed one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from tagifai.errors import ConfigError, Refused, nearest
from tagifai.schema.data import Data, Table, TwoTables
from tagifai.schema.experiment import (
    Auto,
    Fixed,
    Nothing,
    Preprocessing,
    Quantile,
    RandomOver,
    RandomUnder,
    Split,
    Training,
    Tuned,
)
from tagifai.schema.models import SGD, ComplementNB, LinearSVC, LogisticRegression
from tagifai.schema.rules import require
from tagifai.schema.surroundings import Cache, Console, Objective, Paths, Plots, Sweep, Tracking
from tagifai.schema.tasks import (
    Clean,
    Compare,
    Elt,
    Errors,
    Evaluate,
    Export,
    Import,
    Info,
    Predict,
    Promote,
    Rerun,
    Rollback,
    Serve,
    Train,
)
from tagifai.schema.vectorizers import Counts, Hashing, Tfidf, Union


@dataclass
class Config:
    """The whole configuration; fields without a type here take any of their group's schemas.

    Args:
        seed: the only source of randomness.
        whitelist: packages of your own whose classes may be named, such as mypackage.*; read from
            conf/config.yaml alone.
    """

    seed: int = 42
    task: Any = MISSING
    data: Data = MISSING
    preprocessing: Preprocessing = MISSING
    split: Split = MISSING
    vectorizer: Any = MISSING
    sampling: Any = MISSING
    training: Training = field(default_factory=Training)
    model: Any = MISSING
    threshold: Any = MISSING
    objective: Objective = field(default_factory=Objective)
    sweep: Sweep = field(default_factory=Sweep)
    tracking: Tracking = MISSING
    console: Console = MISSING
    cache: Cache = field(default_factory=Cache)
    plots: Plots = field(default_factory=Plots)
    paths: Paths = field(default_factory=Paths)
    whitelist: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 2**32 - 1")


EXPERIMENT = (
    "data",
    "preprocessing",
    "split",
    "vectorizer",
    "sampling",
    "model",
    "threshold",
)
"""The groups that make a run what it is."""

OPTIONAL = frozenset({"sampling", "threshold"})
"""The groups that may be null, which is the same as none."""

NODES: dict[str, type] = {
    "config": Config,
    "task/elt": Elt,
    "task/train": Train,
    "task/evaluate": Evaluate,
    "task/errors": Errors,
    "task/predict": Predict,
    "task/compare": Compare,
    "task/promote": Promote,
    "task/rollback": Rollback,
    "task/rerun": Rerun,
    "task/export": Export,
    "task/import": Import,
    "task/serve": Serve,
    "task/clean": Clean,
    "task/info": Info,
    "data/table": Table,
    "data/two_tables": TwoTables,
    "preprocessing/steps": Preprocessing,
    "split/stratified": Split,
    "vectorizer/counts": Counts,
    "vectorizer/hashing": Hashing,
    "vectorizer/tfidf": Tfidf,
    "vectorizer/union": Union,
    "sampling/random_over": RandomOver,
    "sampling/random_under": RandomUnder,
    "model/complement_nb": ComplementNB,
    "model/linear_svc": LinearSVC,
    "model/logistic_regression": LogisticRegression,
    "model/sgd": SGD,
    "threshold/auto": Auto,
    "threshold/quantile": Quantile,
    "threshold/fixed": Fixed,
    "threshold/tuned": Tuned,
    "tracking/mlflow": Tracking,
    "console/console": Console,
    "cache/features": Cache,
    "plots/plots": Plots,
    "nothing": Nothing,
}


UNLISTED: dict[str, dict[str, Any]] = {
    "model/custom": {"_target_": "???"},
    "vectorizer/custom": {"_target_": "???"},
}
"""Options that stand for any class: `glob(*)` cannot know what to run them with."""


def schema_of(settings: Any) -> str | None:
    """Return the name of the schema that a group's settings have, or None of a plain dict."""
    return next((name for name, node in NODES.items() if type(settings) is node), None)


def flat(config: Config, without: Collection[str]) -> dict[str, Any]:
    """Return a configuration under flat keys, such as "model.alpha", without some of its groups."""
    return _flat({k: v for k, v in asdict(config).items() if k not in without}, "")


def _flat(content: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def check(cfg: DictConfig) -> Config:
    """Convert a composed configuration to its dataclasses, which checks every range.

    Args:
        cfg: what Hydra composed, without the `hydra` node.

    Returns:
        The configuration, resolved; a group without a schema is a plain dict.

    Raises:
        ConfigError: a value is missing, of a wrong type, out of range or unknown.
    """
    checked: dict[str, Any] = {}
    for key in cfg:
        name = str(key)
        _refuse_additions(cfg, name)
        checked[name] = _convert(cfg, name)
    for name in ("task", *EXPERIMENT, "tracking", "console"):
        if checked.get(name) is None and name not in OPTIONAL:
            raise ConfigError(f"{name} is not set. It is a group; choose an option: {name}=...")
    _check_task(checked["task"])
    try:
        return Config(**checked)
    except Refused as error:
        raise ConfigError(str(error)) from None


def _check_task(task: Any) -> None:
    """Refuse a name that is not the option's own: it chooses the code that is run."""
    if type(task) is not NODES.get(f"task/{getattr(task, 'name', None)}"):
        raise ConfigError(
            "task.name belongs to the option and cannot be changed by itself. Choose a task:"
            " task=..."
        )


def _refuse_additions(cfg: DictConfig, name: str) -> None:
    """Refuse keys that "+" added to a group with a schema: nothing would read them."""
    known = [f.name for f in fields(Config)]
    if name not in known:
        raise ConfigError(f"'{name}' is not a key of the configuration.{nearest(name, known)}")
    group = cfg._get_node(name)
    schema = OmegaConf.get_type(group) if isinstance(group, DictConfig) else None
    if not isinstance(group, DictConfig) or schema is None or not hasattr(schema, "__mro__"):
        return
    if schema is dict or group._is_missing():
        return
    allowed = [f.name for f in fields(schema)]
    for key in map(str, group):
        if key not in allowed:
            raise ConfigError(
                f"'{name}.{key}' is not a key of {name}.{nearest(key, allowed)}"
                f" It takes: {', '.join(allowed) or 'nothing'}."
            )


def _convert(cfg: DictConfig, name: str) -> Any:
    try:
        node = cfg[name]
        return OmegaConf.to_object(node) if OmegaConf.is_config(node) else node
    except Refused as error:
        raise ConfigError(f"{name}.{error}") from None
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key or name} is not set; give it a value.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}") from None
