from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import MISSING, DictConfig, OmegaConf

from tagifai.config.schema import (
    SCHEMA_CLASSES,
    Config,
    TableConfig,
    TwoTablesConfig,
    check,
    flatten_config,
    rules,
)
from tagifai.config.schema.encoders import EmbeddingUnionConfig
from tagifai.config.schema.evaluation_tasks import (
    CompareTaskConfig,
    CurveTaskConfig,
    NestedTaskConfig,
    RunsTaskConfig,
)
from tagifai.config.schema.experiment import (
    DisabledConfig,
    FixedThresholdConfig,
    PreprocessingConfig,
    QuantileThresholdConfig,
    RandomOverSamplerConfig,
    RandomUnderSamplerConfig,
    SplitConfig,
    TrainingConfig,
    TunedThresholdConfig,
)
from tagifai.config.schema.model_tasks import (
    ExportTaskConfig,
    ImportTaskConfig,
    PromoteTaskConfig,
    RollbackTaskConfig,
    ServeTaskConfig,
)
from tagifai.config.schema.models import (
    ComplementNBConfig,
    LinearSVCConfig,
    LogisticRegressionConfig,
    SGDConfig,
)
from tagifai.config.schema.objective import ObjectiveConfig
from tagifai.config.schema.settings import (
    CacheConfig,
    ConsoleConfig,
    PathsConfig,
    SweepConfig,
    TrackingConfig,
)
from tagifai.config.schema.tasks import (
    CleanTaskConfig,
    EltTaskConfig,
    ErrorsTaskConfig,
    EvaluateTaskConfig,
    InfoTaskConfig,
    InitTaskConfig,
    PredictTaskConfig,
    RepairTaskConfig,
    RerunTaskConfig,
    SyncTaskConfig,
    TrainTaskConfig,
)
from tagifai.config.schema.vectorizers import (
    CountVectorizerConfig,
    FeatureUnionConfig,
    HashingVectorizerConfig,
    TfidfVectorizerConfig,
)
from tagifai.exceptions import ConfigError, InvalidValueError

SUM = "0123456789abcdef" * 4
TABLES: dict[str, Any] = {"name": "mine", "projects": "p.csv", "tags": "t.csv"}

ACCEPTED: list[tuple[type, dict[str, Any]]] = [
    (Config, {"seed": 0}),
    (Config, {"seed": 2**32 - 1}),
    (TwoTablesConfig, {"name": "a"}),
    (TwoTablesConfig, {"name": "_a.B-9"}),
    (TwoTablesConfig, {"projects_sha256": SUM, "tags_sha256": None}),
    (TwoTablesConfig, {"min_freq": 1}),
    (TwoTablesConfig, {"other": " x "}),
    (TableConfig, {"path": ["https://host/my%20reviews.csv.gz?raw=1", "file:///a%20b.csv"]}),
    (TableConfig, {"path": ["/stores/data/piped/0123"], "format": "csv"}),
    (TableConfig, {"path": ["a.csv"], "label_names": {"0": "neg"}}),
    (
        TableConfig,
        {"path": ["a.csv"], "text": ["title", "body"], "delimiter": ";", "encoding": "cp1252"},
    ),
    (TableConfig, {"path": ["a"], "val_path": ["b"], "other": "rest", "unlabeled": "drop"}),
    (PreprocessingConfig, {"stopwords": []}),
    (PreprocessingConfig, {"keep": r"\w\p{M}", "language": "de"}),
    (CountVectorizerConfig, {"max_df": 0.5}),
    (ErrorsTaskConfig, {"part": "val", "limit": 0, "words": 0}),
    (HashingVectorizerConfig, {"n_features": 1, "norm": None}),
    (FeatureUnionConfig, {"word_ngram_max": 1, "char_weight": 0.5}),
    (EmbeddingUnionConfig, {"encoder": "my-encoder", "embedding_weight": 0.5}),
    *[(FeatureUnionConfig, {"char_analyzer": name}) for name in ("auto", "char", "char_wb")],
    *[
        (schema, {"token_pattern": pattern})
        for schema in (FeatureUnionConfig, TfidfVectorizerConfig)
        for pattern in (None, r"(?u)\w+|[^\w\s]", r"(\w)\w*", r"(?:a|b)(c)")
    ],
    (RandomUnderSamplerConfig, {"sampling_strategy": "majority"}),
    (TunedThresholdConfig, {"score": "recall"}),
    (LogisticRegressionConfig, {"C": 0.1, "class_weight": "balanced"}),
    (ComplementNBConfig, {"alpha": 0.0}),
    (LinearSVCConfig, {"C": 1e-9, "max_iter": 1, "loss": "hinge"}),
    (PreprocessingConfig, {"keep": None}),
    (PreprocessingConfig, {"keep": "a-z"}),
    (PreprocessingConfig, {"keep": r"\w"}),
    *[(PreprocessingConfig, {"keep": inside}) for inside in ("]a", r"a\]b", "[a", "a-", " ")],
    (SplitConfig, {"train_size": 0.001, "val_size": 0.998}),
    (SplitConfig, {"train_size": 0.5, "val_size": 0.4999}),
    (SplitConfig, {"near_duplicates": "together"}),
    (NestedTaskConfig, {"splits": 2, "sweep": "text", "trials": 1}),
    (CurveTaskConfig, {"shares": [0.5, 1.0], "repeats": 2}),
    *[(TfidfVectorizerConfig, {"analyzer": name}) for name in ("char", "char_wb", "word")],
    (TfidfVectorizerConfig, {"ngram_min": 1, "ngram_max": 1}),
    *[(TfidfVectorizerConfig, {"strip_accents": name}) for name in (None, "ascii", "unicode")],
    *[(TfidfVectorizerConfig, {"norm": name}) for name in (None, "l1", "l2")],
    *[
        (TfidfVectorizerConfig, {key: value})
        for key in ("min_df", "max_df")
        for value in (1, 7, 0.0, 0.5, 1.0)
    ],
    *[(TfidfVectorizerConfig, {"max_features": number}) for number in (None, 1)],
    *[
        (RandomOverSamplerConfig, {"sampling_strategy": name})
        for name in ("all", "auto", "minority", "not minority", "not majority")
    ],
    *[(TrainingConfig, {"epochs": 1, "patience": number}) for number in (None, 1)],
    *[(SGDConfig, {"loss": name}) for name in ("log_loss", "hinge", "perceptron")],
    *[(SGDConfig, {"penalty": name}) for name in ("l2", "l1", "elasticnet")],
    *[(SGDConfig, {"alpha": number}) for number in (1e-300, 1e300)],
    (SGDConfig, {"learning_rate": "constant", "alpha": 0.0}),
    *[(SGDConfig, {"C": number}) for number in (1e-300, 1e300)],
    *[(SGDConfig, {"l1_ratio": number}) for number in (None, 0.0, 1.0)],
    *[(SGDConfig, {"learning_rate": name}) for name in ("constant", "optimal", "invscaling")],
    (SGDConfig, {"learning_rate": "optimal", "alpha": 5e-324}),
    (SGDConfig, {"eta0": 5e-324}),
    *[(SGDConfig, {"power_t": number}) for number in (None, 0.0, -1.0, 1.0)],
    *[(SGDConfig, {"class_weight": name}) for name in (None, "balanced")],
    *[(QuantileThresholdConfig, {"q": number}) for number in (0.0, 1.0)],
    *[(FixedThresholdConfig, {"value": number}) for number in (0.0, math.nextafter(1, 0))],
    (TrackingConfig, {"experiment": "x"}),
    *[(TrackingConfig, {"run_name": name}) for name in (None, "x")],
    (TrackingConfig, {"tags": {"a b_c./:-9": ""}}),
    *[(ConsoleConfig, {"verbosity": name}) for name in ("normal", "quiet", "silent")],
    *[(ConsoleConfig, {"style": name}) for name in ("auto", "plain")],
    (ConsoleConfig, {"every": 1}),
    (CacheConfig, {"max_gb": 0.0}),
    *[
        (ObjectiveConfig, {"metric": f"val_{name}"})
        for name in ("loss", "f1", "precision", "recall")
    ],
    *[
        (ObjectiveConfig, {"metric": name})
        for name in ("val_class/a b/c/f1", "val_slice/short_text/recall")
    ],
    *[(ObjectiveConfig, {"direction": name}) for name in ("maximize", "minimize")],
    (ObjectiveConfig, {"metric": "model_bytes", "direction": "minimize"}),
    (ObjectiveConfig, {"metric": ["val_f1"], "direction": ["maximize"]}),
    (ObjectiveConfig, {"metric": ["val_f1"], "direction": "maximize"}),
    (ObjectiveConfig, {"metric": ["val_f1", "model_bytes"], "direction": ["maximize", "minimize"]}),
    *[(ObjectiveConfig, {"report_every": number}) for number in (None, 1, 1000)],
    (ObjectiveConfig, {"repeats": 1, "by": "seeds"}),
    *[(ObjectiveConfig, {"repeats": 2, "by": name}) for name in ("seeds", "folds")],
    (PredictTaskConfig, {"batch_size": 1}),
    *[(PredictTaskConfig, {"n_jobs": number}) for number in (None, 1, 64)],
    *[
        (PredictTaskConfig, {key: value})
        for key in ("run_id", "text", "input", "output")
        for value in (None, " x ")
    ],
    *[
        (EvaluateTaskConfig, {key: value})
        for key in ("run_id", "data", "output")
        for value in (None, "x")
    ],
    (
        PromoteTaskConfig,
        {"run_id": "best", "metric": "val_class/mlops/f1", "direction": "minimize"},
    ),
    (RerunTaskConfig, {"run_id": "champion"}),
    (ExportTaskConfig, {"path": "a/b.ZIP"}),
    (InitTaskConfig, {"path": "a/b"}),
    (ImportTaskConfig, {"path": "anything"}),
    *[(ServeTaskConfig, {"port": port}) for port in (0, 65535)],
    (CleanTaskConfig, {"days": 0.0, "max_gb": 0.0}),
    (CompareTaskConfig, {"parent": "0a-B_9", "direction": "minimize", "tags": None, "limit": 1}),
    *[(CompareTaskConfig, {"output": f"a.{kind}"}) for kind in ("csv", "json", "MD")],
    (PathsConfig, {"root": MISSING, "outputs": "o", "stores": "/s"}),
]

NAN, INFINITY = math.nan, math.inf

NOT_BLANK: list[tuple[type, str]] = [
    *[(TwoTablesConfig, key) for key in ("projects", "tags", "other")],
    *[(TrackingConfig, key) for key in ("uri", "experiment", "run_name")],
    *[(EvaluateTaskConfig, key) for key in ("run_id", "data", "output")],
    *[(PredictTaskConfig, key) for key in ("run_id", "text", "input", "output")],
    *[(CompareTaskConfig, key) for key in ("experiment", "filter", "metric", "baseline")],
    *[(PathsConfig, key) for key in ("root", "outputs", "stores")],
]

REFUSED: list[tuple[type, dict[str, Any], str, str]] = [
    (PromoteTaskConfig, {"metric": "test_f1"}, "metric", "a metric of validation rows"),
    (PromoteTaskConfig, {"direction": "up"}, "direction", "one of null, maximize, minimize"),
    (PromoteTaskConfig, {"run_id": " "}, "run_id", "something that is not blank"),
    (RerunTaskConfig, {"run_id": ""}, "run_id", "something that is not blank"),
    (InitTaskConfig, {"path": "https://a/b"}, "path", "a path on this machine"),
    *[
        (ExportTaskConfig, {"path": text}, "path", "a .zip file")
        for text in ("a", "a.tar.gz", "zip")
    ],
    (ImportTaskConfig, {"path": ""}, "path", "something that is not blank"),
    *[(ServeTaskConfig, {"port": port}, "port", "from 0 to 65535") for port in (-1, 65536)],
    (ServeTaskConfig, {"host": ""}, "host", "something that is not blank"),
    *[
        (CleanTaskConfig, {"days": days}, "days", "a number of at least 0")
        for days in (-1.0, math.nan)
    ],
    (CleanTaskConfig, {"max_gb": -0.5}, "max_gb", "a number of at least 0"),
    *[
        (CompareTaskConfig, {"parent": text}, "parent", "the id of a run")
        for text in ("", "a'b", "a b")
    ],
    *[
        (CompareTaskConfig, {"output": text}, "output", "a .csv, .json or .md")
        for text in ("", "a.txt")
    ],
    *[
        (CompareTaskConfig, {"confidence": number}, "confidence", "a share")
        for number in (0.0, 1.0)
    ],
    (CompareTaskConfig, {"direction": "up"}, "direction", "one of null, maximize, minimize"),
    (CompareTaskConfig, {"limit": 0}, "limit", "at least 1"),
    *[
        (Config, {"seed": number}, "seed", "a whole number from 0 to 2**32 - 1")
        for number in (-1, 2**32)
    ],
    *[
        (TwoTablesConfig, {"name": name}, "name", "letters, digits")
        for name in ("", "..", ".a", "a/b", "a b", "-a", "a\n")
    ],
    *[
        (TwoTablesConfig, {key: value}, key, "64 lower-case hexadecimal digits, or null")
        for key in ("projects_sha256", "tags_sha256")
        for value in ("", SUM[1:], SUM + "0", SUM.upper(), "g" * 64)
    ],
    (TwoTablesConfig, {"min_freq": 0}, "min_freq", "at least 1"),
    (PreprocessingConfig, {"stopwords": ["a", ""]}, "stopwords", "words that are not empty"),
    (PreprocessingConfig, {"stopwords": ["a, , b"]}, "stopwords", "words that are not empty"),
    *[
        (
            PreprocessingConfig,
            {"keep": inside},
            "keep",
            "the inside of a regular expression's brackets",
        )
        for inside in (
            "",
            "z-a",
            "\\",
            "a]b",
            "]]",
            "a-z][",
            "a--b",
            "a&&b",
            "a||b",
            "a~~b",
        )
    ],
    *[
        (SplitConfig, {key: value}, key, "a share between 0 and 1, both excluded")
        for key in ("train_size", "val_size")
        for value in (0.0, 1.0, -0.1, 1.1, NAN, INFINITY)
    ],
    (
        SplitConfig,
        {"train_size": 0.75, "val_size": 0.25},
        "val_size",
        "less than 1 - train_size = 0.25",
    ),
    (SplitConfig, {"train_size": 0.9, "val_size": 0.9}, "val_size", "so that test rows remain"),
    (SplitConfig, {"near_duplicates": "yes"}, "near_duplicates", "one of apart, together"),
    (NestedTaskConfig, {"splits": 1}, "splits", "at least 2"),
    (NestedTaskConfig, {"trials": 0}, "trials", "at least 1"),
    (CurveTaskConfig, {"shares": [1.0]}, "shares", "two shares or more"),
    (CurveTaskConfig, {"shares": [0.5, 0.2]}, "shares", "ascending"),
    (CurveTaskConfig, {"shares": [0.5, 2]}, "shares", "up to 1"),
    (CurveTaskConfig, {"repeats": 1}, "repeats", "at least 2"),
    *[
        (TfidfVectorizerConfig, {"analyzer": name}, "analyzer", "char, char_wb, word")
        for name in ("", "chars")
    ],
    (TfidfVectorizerConfig, {"ngram_min": 0}, "ngram_min", "at least 1"),
    (
        TfidfVectorizerConfig,
        {"ngram_min": 3, "ngram_max": 2},
        "ngram_max",
        "at least ngram_min = 3",
    ),
    (TfidfVectorizerConfig, {"strip_accents": "x"}, "strip_accents", "one of null, ascii, unicode"),
    (TfidfVectorizerConfig, {"norm": "max"}, "norm", "one of null, l1, l2"),
    *[
        (
            TfidfVectorizerConfig,
            {key: value},
            key,
            "a count of texts (1 or more) or a share (0.0 to 1.0)",
        )
        for key in ("min_df", "max_df")
        for value in (0, -1, -0.1, 1.1, 2.0, NAN)
    ],
    (TfidfVectorizerConfig, {"max_features": 0}, "max_features", "at least 1"),
    (
        RandomOverSamplerConfig,
        {"sampling_strategy": "some"},
        "sampling_strategy",
        "one of all, auto, minority",
    ),
    (TableConfig, {"path": " "}, "path", "a path, or a list of them"),
    (TableConfig, {"path": "s3://b/x.csv"}, "path", "https://, http:// or file:///; download"),
    (TableConfig, {"path": "-"}, "path", "is for the command line, and alone: data.path=-"),
    (TableConfig, {"path": "x/piped/01", "format": None}, "format", "standard input does not say"),
    (TableConfig, {"path": "a.csv", "label_names": "hf://x"}, "label_names", "a path, or a URL"),
    (TableConfig, {"path": "a.csv", "label_names": {"a": None}}, "label_names", "a mapping"),
    (TableConfig, {"path": "a.csv", "label_names": [""]}, "label_names", "a list of names"),
    (TableConfig, {"path": "a.csv", "label_names": 3}, "label_names", "a mapping, a list, a file"),
    (TwoTablesConfig, {"tags": "ftp://h/t.csv"}, "tags", "a path, or a URL"),
    (PredictTaskConfig, {"input": "gs://b/x.csv"}, "input", "a path, or a URL"),
    (PredictTaskConfig, {"output": "https://h/x.csv"}, "output", "a path on this machine"),
    (PredictTaskConfig, {"columns": "title"}, "columns", "a mapping, such as"),
    (TableConfig, {"path": "a.csv", "text": []}, "text", "a column's name, or a list"),
    (TableConfig, {"path": "a.csv", "text": ["a", " "]}, "text", "a column's name, or a list"),
    (
        TableConfig,
        {"path": "a.csv", "format": "xlsx"},
        "format",
        "one of null, csv, tsv, json, jsonl, parquet, workbook",
    ),
    (TableConfig, {"path": "a.csv", "encoding": "utf9"}, "encoding", "a name that Python knows"),
    (TableConfig, {"path": "a.csv", "delimiter": "; "}, "delimiter", "one character"),
    (TableConfig, {"path": "a.csv", "unlabeled": "keep"}, "unlabeled", "one of error, drop"),
    (
        TableConfig,
        {"path": "a.csv", "test_path": "b.csv", "split": "part"},
        "split",
        "null where files are given for parts",
    ),
    (TableConfig, {"path": "a.csv", "sha256": "AB"}, "sha256", "64 lower-case"),
    (ErrorsTaskConfig, {"part": "dev"}, "part", "one of train, val, test"),
    (ErrorsTaskConfig, {"limit": -1}, "limit", "at least 0"),
    (CountVectorizerConfig, {"min_df": 0}, "min_df", "a count of texts"),
    (HashingVectorizerConfig, {"n_features": 0}, "n_features", "at least 1"),
    (
        FeatureUnionConfig,
        {"char_ngram_min": 6, "char_ngram_max": 5},
        "char_ngram_max",
        "the n-gram range is empty",
    ),
    (FeatureUnionConfig, {"char_weight": 0.0}, "char_weight", "a number above 0"),
    (EmbeddingUnionConfig, {"embedding_weight": 0.0}, "embedding_weight", "a number above 0"),
    (EmbeddingUnionConfig, {"word_ngram_min": 0}, "word_ngram_min", "at least 1"),
    (FeatureUnionConfig, {"char_analyzer": "word"}, "char_analyzer", "one of auto, char, char_wb"),
    *[
        (schema, {"token_pattern": pattern}, "token_pattern", said)
        for schema in (FeatureUnionConfig, TfidfVectorizerConfig)
        for pattern, said in (
            ("(", "unterminated subpattern"),
            ("[a", "a regular expression with one group at most"),
            ("(a)(b)", "a regular expression with one group at most"),
        )
    ],
    (
        RandomUnderSamplerConfig,
        {"sampling_strategy": "minority"},
        "sampling_strategy",
        "one of all, auto",
    ),
    (TunedThresholdConfig, {"score": "accuracy"}, "score", "one of f1, precision, recall"),
    (LogisticRegressionConfig, {"C": 0.0}, "C", "a number above 0"),
    (ComplementNBConfig, {"alpha": -1.0}, "alpha", "at least 0"),
    (LinearSVCConfig, {"loss": "log_loss"}, "loss", "one of hinge, squared_hinge"),
    (
        SGDConfig,
        {"learning_rate": "pa1", "loss": "log_loss"},
        "loss",
        "hinge, because learning_rate=pa1",
    ),
    (TrainingConfig, {"epochs": 0}, "epochs", "at least 1"),
    (TrainingConfig, {"patience": 0}, "patience", "at least 1"),
    *[
        (SGDConfig, {"loss": name}, "loss", "one of log_loss, modified_huber, hinge")
        for name in ("squared_error", "log")
    ],
    *[(SGDConfig, {"C": number}, "C", "a number above 0") for number in (0.0, -1.0, NAN)],
    (SGDConfig, {"C": 1.0, "alpha": 1e-4}, "C", "null if alpha is set (model.C=null)"),
    (SGDConfig, {"penalty": "l0"}, "penalty", "one of null, l2, l1, elasticnet"),
    *[
        (SGDConfig, {"alpha": number}, "alpha", "a number of at least 0")
        for number in (-5e-324, NAN, INFINITY)
    ],
    *[
        (SGDConfig, {"l1_ratio": number}, "l1_ratio", "a share from 0 to 1")
        for number in (-0.1, math.nextafter(1, 2), NAN)
    ],
    *[
        (
            SGDConfig,
            {"learning_rate": name},
            "learning_rate",
            "one of constant, optimal, invscaling",
        )
        for name in ("adaptive", "")
    ],
    (
        SGDConfig,
        {"learning_rate": "optimal", "alpha": 0.0},
        "alpha",
        "learning_rate=optimal divides",
    ),
    *[
        (SGDConfig, {"eta0": number}, "eta0", "a number above 0")
        for number in (0.0, -1.0, NAN, INFINITY)
    ],
    *[
        (SGDConfig, {"power_t": number}, "power_t", "finite")
        for number in (NAN, INFINITY, -INFINITY)
    ],
    (SGDConfig, {"class_weight": "even"}, "class_weight", "one of null, balanced"),
    *[
        (QuantileThresholdConfig, {"q": number}, "q", "a share from 0 to 1")
        for number in (-0.1, math.nextafter(1, 2), NAN)
    ],
    *[
        (FixedThresholdConfig, {"value": number}, "value", "at least 0 and below 1")
        for number in (-0.1, 1.0, NAN)
    ],
    *[
        (schema, {key: name}, key, "not blank")
        for schema, key in NOT_BLANK
        for name in ("", " ", "\n")
    ],
    *[
        (TrackingConfig, {"tags": {name: "x"}}, "tags", "names of letters, digits, spaces")
        for name in ("", "a=b", "é,")
    ],
    (ConsoleConfig, {"verbosity": "loud"}, "verbosity", "one of normal, quiet, silent"),
    (ConsoleConfig, {"style": "rich"}, "style", "one of auto, plain"),
    (ConsoleConfig, {"every": 0}, "every", "at least 1"),
    *[
        (CacheConfig, {"max_gb": size}, "max_gb", "a number of at least 0")
        for size in (-1.0, math.inf)
    ],
    *[
        (ObjectiveConfig, {"metric": name}, "metric", "test metrics are not for choosing")
        for name in (
            *("test_f1", "f1", "val_", "val_f1 ", "val_class//f1", "val_class/a/loss"),
            *("", "train_loss", "val_model_bytes", "model_bytes ", "xmodel_bytes", "val_slice/f1"),
        )
    ],
    *[
        (ObjectiveConfig, {"metric": item}, "metric", "test metrics are not for choosing")
        for item in (None, 1, 0.5, {"val_f1": 1})
    ],
    (ObjectiveConfig, {"metric": []}, "metric", "test metrics are not for choosing"),
    *[
        (ObjectiveConfig, {"metric": names}, "metric", "metrics that differ")
        for names in (["val_f1", "val_f1"], ["model_bytes", "val_f1", "model_bytes"])
    ],
    (ObjectiveConfig, {"direction": "max"}, "direction", "one of maximize, minimize"),
    *[
        (
            ObjectiveConfig,
            {"metric": m, "direction": "maximize"},
            "direction",
            f"less {m} is better",
        )
        for m in ("val_log_loss", "val_ece")
    ],
    *[
        (ObjectiveConfig, {"direction": names}, "direction", "one direction for each of val_f1")
        for names in ([], ["maximize", "minimize"])
    ],
    *[
        (
            ObjectiveConfig,
            {"metric": ["val_f1", "val_loss"], "direction": names},
            "direction",
            "one direction for each of val_f1, val_loss",
        )
        for names in ("maximize", ["maximize"], ["maximize"] * 3)
    ],
    *[(ObjectiveConfig, {"report_every": n}, "report_every", "at least 1") for n in (0, -5)],
    *[(ObjectiveConfig, {"repeats": number}, "repeats", "at least 1") for number in (0, -1)],
    (ObjectiveConfig, {"by": "fold"}, "by", "one of seeds, folds"),
    (
        ObjectiveConfig,
        {"repeats": 1, "by": "folds"},
        "repeats",
        "at least 2 with objective.by=folds",
    ),
    (PredictTaskConfig, {"batch_size": 0}, "batch_size", "at least 1"),
    (PredictTaskConfig, {"n_jobs": 0}, "n_jobs", "at least 1"),
]


def made(schema: type, values: dict[str, Any]) -> Any:
    needed = TABLES if schema is TwoTablesConfig else {}
    return schema(**{**needed, **values})


def composed(**changed: Any) -> DictConfig:
    """Return a whole configuration, as Hydra would compose it."""
    groups: dict[str, Any] = {
        "task": TrainTaskConfig,
        "data": TwoTablesConfig(**TABLES),
        "preprocessing": PreprocessingConfig,
        "split": SplitConfig,
        "vectorizer": TfidfVectorizerConfig,
        "sampling": DisabledConfig,
        "model": SGDConfig,
        "threshold": QuantileThresholdConfig,
        "tracking": TrackingConfig,
        "console": ConsoleConfig,
        "paths": PathsConfig("/root", "/root/outputs", "/root/stores"),
        **changed,
    }
    cfg: DictConfig = OmegaConf.structured(Config)
    for name, group in groups.items():
        is_schema = isinstance(group, type) or hasattr(group, "__dataclass_fields__")
        cfg[name] = OmegaConf.structured(group) if is_schema else group
    return cfg


# --- ranges ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("schema", "values"), ACCEPTED)
def test_a_value_at_the_edge_is_accepted(schema: type, values: dict[str, Any]) -> None:
    settings = made(schema, values)
    assert {key: getattr(settings, key) for key in values} == values


@pytest.mark.parametrize(("schema", "values", "key", "allowed"), REFUSED)
def test_a_value_beyond_the_edge_is_refused_with_the_rule(
    schema: type, values: dict[str, Any], key: str, allowed: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        made(schema, values)
    assert caught.value.key == key
    assert allowed in caught.value.allowed
    if key not in ("stopwords", "tags") or schema is TwoTablesConfig:
        assert str(caught.value).startswith(f"{key} = {values[key]!r} is not allowed: ")


def test_stop_words_may_be_several_in_one_string() -> None:
    given = ["a, b,c", "of course", "d"]
    assert PreprocessingConfig(stopwords=given).stopwords == ["a", "b", "c", "of course", "d"]


def test_every_schema_with_rules_is_among_the_tested_ones() -> None:
    with_rules = {schema for schema in SCHEMA_CLASSES.values() if "__post_init__" in vars(schema)}
    nested = {TrainingConfig, ObjectiveConfig, PathsConfig}
    assert {schema for schema, *_ in ACCEPTED} == with_rules | nested
    assert {schema for schema, *_ in REFUSED} == with_rules | nested


@pytest.mark.parametrize(
    "schema",
    [
        schema
        for schema in SCHEMA_CLASSES.values()
        if schema not in (TableConfig, TwoTablesConfig, ExportTaskConfig)
    ],
)
def test_defaults_keep_the_rules(schema: type) -> None:
    assert isinstance(schema(), schema)


def test_what_every_data_set_must_say_for_itself_has_no_default() -> None:
    assert (TwoTablesConfig.name, TwoTablesConfig.projects, TwoTablesConfig.tags) == (MISSING,) * 3


def test_the_file_to_hand_on_has_no_default() -> None:
    assert (ExportTaskConfig.path, ImportTaskConfig.path) == (MISSING, MISSING)


def test_no_two_schemas_share_a_mutable_default() -> None:
    assert PreprocessingConfig().stopwords is not PreprocessingConfig().stopwords
    assert TrackingConfig().tags is not TrackingConfig().tags


def test_the_name_of_a_task_is_its_option() -> None:
    named = {
        name.removeprefix("task/"): node for name, node in SCHEMA_CLASSES.items() if "task/" in name
    }
    assert set(named.values()) == {
        *(
            EltTaskConfig,
            TrainTaskConfig,
            EvaluateTaskConfig,
            ErrorsTaskConfig,
            PredictTaskConfig,
            CompareTaskConfig,
            InfoTaskConfig,
            InitTaskConfig,
        ),
        *(
            PromoteTaskConfig,
            RollbackTaskConfig,
            ServeTaskConfig,
            RerunTaskConfig,
            ExportTaskConfig,
            ImportTaskConfig,
            CleanTaskConfig,
        ),
        *(NestedTaskConfig, CurveTaskConfig, RepairTaskConfig, RunsTaskConfig, SyncTaskConfig),
    }
    found = {name: getattr(node, "name", None) for name, node in named.items()}
    assert found == {name: name for name in named}


def test_every_field_of_a_schema_has_a_default_so_that_options_may_leave_it_out() -> None:
    for schema in SCHEMA_CLASSES.values():
        for field in fields(schema):
            assert field.default is not NO_DEFAULT or field.default_factory is not NO_DEFAULT


# --- objectives --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "direction", "metrics", "directions"),
    [
        ("val_loss", "minimize", ["val_loss"], ["minimize"]),
        (["val_loss"], "minimize", ["val_loss"], ["minimize"]),
        ("val_loss", ["minimize"], ["val_loss"], ["minimize"]),
        ("val_macro_f1", None, ["val_macro_f1"], ["maximize"]),
        ("val_log_loss", None, ["val_log_loss"], ["minimize"]),
        (["val_accuracy", "val_ece", "val_loss", "val_class/loss/f1", "model_bytes"], None,
         ["val_accuracy", "val_ece", "val_loss", "val_class/loss/f1", "model_bytes"],
         ["maximize", "minimize", "minimize", "maximize", "minimize"]),
        (["val_f1", "model_bytes"], ["maximize", "minimize"],
         ["val_f1", "model_bytes"], ["maximize", "minimize"]),
    ],
)  # fmt: skip
def test_an_objective_has_a_list_of_metrics_and_a_direction_for_each(
    metric: Any, direction: Any, metrics: list[str], directions: list[str]
) -> None:
    objective = ObjectiveConfig(metric, direction)
    assert objective.metrics == metrics
    assert objective.directions == directions


def test_the_lists_of_an_objective_are_no_way_to_change_it() -> None:
    objective = ObjectiveConfig(["val_f1"], ["maximize"])
    objective.metrics.append("test_f1")
    objective.directions.clear()
    assert (objective.metric, objective.direction) == (["val_f1"], ["maximize"])


@pytest.mark.parametrize(
    ("metric", "direction", "refused"),
    [
        (["val_f1", "test_f1"], ["maximize"] * 2, "metric = 'test_f1'"),
        (["val_f1", None], ["maximize"] * 2, "metric = None"),
        (["val_f1", ["val_loss"]], ["maximize"] * 2, r"metric = \['val_loss'\]"),
        (["val_f1", "val_loss"], ["maximize", "down"], "direction = 'down'"),
    ],
)
def test_of_a_list_the_item_that_breaks_a_rule_is_named(
    metric: list[Any], direction: list[str], refused: str
) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{refused} is not allowed: "):
        ObjectiveConfig(metric, direction)


def test_an_objective_of_several_metrics_is_composed_and_checked() -> None:
    cfg = composed()
    cfg.objective.metric = ["val_f1", "model_bytes"]
    cfg.objective.direction = ["maximize", "minimize"]
    assert check(cfg).objective == ObjectiveConfig(
        ["val_f1", "model_bytes"], ["maximize", "minimize"]
    )
    assert type(check(cfg).objective.metric) is list
    cfg.objective.direction = "maximize"
    message = r"^objective\.direction = 'maximize' is not allowed: one direction for each of"
    with pytest.raises(ConfigError, match=message):
        check(cfg)


def test_a_search_goes_on_with_its_study_unless_it_is_told_to_restart() -> None:
    cfg = composed()
    assert check(cfg).sweep == SweepConfig(restart=False)
    cfg.sweep.restart = True
    assert check(cfg).sweep.restart is True


# --- rules -------------------------------------------------------------------------------------


@given(st.floats())
def test_numeric_rules_accept_finite_numbers_of_their_range_only(number: float) -> None:
    def accepts(rule: Callable[[str, float], None]) -> bool:
        try:
            rule("key", number)
        except InvalidValueError:
            return False
        return True

    finite = math.isfinite(number)
    assert accepts(rules.require_positive) is (finite and number > 0)
    assert accepts(rules.require_non_negative) is (finite and number >= 0)
    assert accepts(rules.require_fraction) is (finite and 0 < number < 1)


def test_what_is_allowed_is_written_as_in_yaml() -> None:
    with pytest.raises(InvalidValueError) as caught:
        rules.require_one_of("key", "x", (None, True, 1, "a"))
    assert caught.value.allowed == "one of null, True, 1, a"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.none())
def test_a_filled_field_has_something_other_than_white_space(value: str | None) -> None:
    if value is None or value.strip():
        rules.require_not_blank("key", value)
    else:
        with pytest.raises(InvalidValueError, match=r"^key = .* something that is not blank$"):
            rules.require_not_blank("key", value)


def test_an_escaped_bracket_may_come_first() -> None:
    assert PreprocessingConfig(keep=r"\]a").keep == r"\]a"


def test_a_bracket_after_an_escaped_backslash_closes_early() -> None:
    with pytest.raises(InvalidValueError, match=r"^keep = "):
        PreprocessingConfig(keep=r"a\\]")


# --- what is left open -------------------------------------------------------------------------


def test_the_penalty_is_c_unless_alpha_is_said() -> None:
    assert (SGDConfig().C, SGDConfig().alpha) == (10.0, None)
    assert (SGDConfig(C=3.0).C, SGDConfig(C=3.0).alpha) == (3.0, None)
    assert (SGDConfig(alpha=1e-4).C, SGDConfig(alpha=1e-4).alpha) == (None, 1e-4)


def test_the_first_step_has_a_length_where_the_penalty_does_not_make_it() -> None:
    rates = {name: SGDConfig(learning_rate=name).eta0 for name in ("optimal", "constant")}
    assert rates == {"optimal": None, "constant": 0.1}
    assert SGDConfig(learning_rate="invscaling", eta0=0.5).eta0 == 0.5


# --- parameters without effect -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "ignored"),
    [
        ({}, {"eta0", "power_t", "l1_ratio"}),
        ({"learning_rate": "optimal"}, {"eta0", "power_t", "l1_ratio"}),
        # By which its steps get smaller, with a penalty or without.
        ({"learning_rate": "optimal", "penalty": None}, {"eta0", "power_t", "l1_ratio"}),
        ({"learning_rate": "constant"}, {"power_t", "l1_ratio"}),
        ({"learning_rate": "constant", "penalty": None}, {"power_t", "l1_ratio", "C", "alpha"}),
        ({"learning_rate": "invscaling"}, {"l1_ratio"}),
        ({"learning_rate": "invscaling", "penalty": "elasticnet"}, set()),
    ],
)
def test_parameters_without_effect_are_named(
    values: dict[str, str | None], ignored: set[str]
) -> None:
    assert set(SGDConfig(**values).find_ignored()) == ignored  # type: ignore[arg-type]


def test_a_parameter_without_effect_comes_with_the_reason() -> None:
    assert SGDConfig(learning_rate="optimal").find_ignored() == {
        "eta0": "under model.learning_rate=optimal",
        "power_t": "under model.learning_rate=optimal",
        "l1_ratio": "with model.penalty=l2",
    }


# --- check -------------------------------------------------------------------------------------


def test_a_composed_configuration_becomes_its_dataclasses_resolved() -> None:
    config = check(composed())
    assert isinstance(config, Config)
    assert (config.seed, config.task, config.sampling) == (42, TrainTaskConfig(), DisabledConfig())
    assert config.tracking.uri == "sqlite:////root/stores/mlflow.db"
    assert config.objective == ObjectiveConfig("val_f1", "maximize")


def test_a_group_without_a_schema_becomes_a_plain_dict() -> None:
    config = check(composed(model={"_target_": "sklearn.x", "C": [1, 2]}))
    assert config.model == {"_target_": "sklearn.x", "C": [1, 2]}
    assert type(config.model) is dict
    assert type(config.model["C"]) is list


def test_a_refused_value_is_named_with_its_group() -> None:
    cfg = composed()
    cfg.model.alpha = -1.0
    with pytest.raises(ConfigError, match=r"^model\.alpha = -1\.0 is not allowed: a number of"):
        check(cfg)


def test_a_refused_value_of_no_group_is_named_alone() -> None:
    cfg = composed()
    cfg.seed = -1
    with pytest.raises(ConfigError, match=r"^seed = -1 is not allowed: a whole number from 0"):
        check(cfg)


def test_a_missing_value_and_a_missing_group_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^model\._target_\b"):
        check(composed(model={"_target_": MISSING}))
    with pytest.raises(ConfigError, match=r"^data\.name\b"):
        check(composed(data=TwoTablesConfig))
    with pytest.raises(ConfigError, match=r"^threshold\b"):
        check(composed(threshold=MISSING))


@pytest.mark.parametrize("name", ["sampling", "threshold"])
def test_sampling_and_threshold_may_be_null(name: str) -> None:
    assert getattr(check(composed(**{name: None})), name) is None


@pytest.mark.parametrize("name", ["task", "vectorizer", "model"])
def test_no_other_group_may_be_null(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(composed(**{name: None}))
    assert str(caught.value) == f"{name} is not set. It is a group; choose an option: {name}=..."


@pytest.mark.parametrize("name", ["predict", "elt", "os", "", "Train"])
def test_the_name_of_a_task_cannot_be_changed_by_itself(name: str) -> None:
    cfg = composed()
    cfg.task.name = name
    with pytest.raises(ConfigError, match=r"^task\.name belongs to the option .* task=\.\.\.$"):
        check(cfg)


def test_a_task_without_a_schema_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^task\.name belongs to the option"):
        check(composed(task={"name": "train"}))


def test_an_interpolation_that_leads_nowhere_is_named() -> None:
    cfg = composed()
    cfg.tracking.uri = "${paths.nowhere}/x"
    with pytest.raises(ConfigError, match=r"tracking: .*paths\.nowhere"):
        check(cfg)


def test_an_added_key_is_refused_with_the_nearest_and_all_that_there_are() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "model.alhpa", 1, force_add=True)
    with pytest.raises(ConfigError, match=r"'model\.alhpa' is not a key of model") as caught:
        check(cfg)
    assert "Did you mean 'alpha'?" in str(caught.value)
    assert "l1_ratio" in str(caught.value)


def test_an_added_key_of_an_option_without_parameters_is_refused() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "sampling.x", 1, force_add=True)
    with pytest.raises(ConfigError, match=r"'sampling\.x' is not a key of .* It takes: nothing\."):
        check(cfg)


def test_an_added_group_is_refused_with_the_nearest() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "modell", 1, force_add=True)
    with pytest.raises(ConfigError, match=r"'modell' is not a key .* Did you mean 'model'\?"):
        check(cfg)


def test_tags_of_a_run_may_be_added() -> None:
    cfg = composed()
    OmegaConf.update(cfg, "tracking.tags.team", "x", force_add=True)
    assert check(cfg).tracking.tags == {"team": "x"}


# --- flat --------------------------------------------------------------------------------------


def test_a_flat_configuration_has_every_value_under_its_whole_key() -> None:
    cfg = composed(model={"_target_": "sklearn.x", "inner": {"C": [1, 2], "empty": {}}})
    OmegaConf.update(cfg, "tracking.tags.team", "x", force_add=True)
    found = flatten_config(check(cfg), without=())
    assert (found["seed"], found["training.epochs"], found["training.patience"]) == (42, 10, 3)
    assert (found["tracking.tags.team"], found["sweep.restart"]) == ("x", False)
    assert found["model._target_"] == "sklearn.x"
    assert found["model.inner.C"] == [1, 2]
    assert not [key for key in found if "empty" in key]
    assert not [key for key in found if key in ("model", "training", "objective")]


def test_a_flat_configuration_is_without_the_groups_that_are_left_out() -> None:
    config = check(composed())
    groups = {key.partition(".")[0] for key in flatten_config(config, without=())}
    gone = {"paths", "sweep", "tracking", "seed"}
    left = flatten_config(config, without=gone)
    assert gone < groups
    assert {key.partition(".")[0] for key in left} == groups - gone
    assert {key: flatten_config(config, without=())[key] for key in left} == left


def test_a_group_that_is_null_is_a_value_of_its_own() -> None:
    assert flatten_config(check(composed(threshold=None)), without=())["threshold"] is None


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_f1", "minimize"),
        ("test_f1", "minimize"),
        ("test_log_loss", "minimize"),
        ("val_loss", "minimize"),
        ("model_bytes", "minimize"),
        ("test_macro_f1", "maximize"),
    ],
)
def test_a_metric_has_the_direction_of_the_objective_or_its_own(
    metric: str, direction: str
) -> None:
    objective = ObjectiveConfig(metric="val_f1", direction="minimize")
    assert objective.get_direction(metric) == direction


@pytest.mark.parametrize(
    ("schema", "key"),
    [(TwoTablesConfig, "name"), (TrackingConfig, "experiment"), (TrackingConfig, "model")],
)
def test_what_is_shown_as_it_is_is_not_named_after_a_secret(
    monkeypatch: pytest.MonkeyPatch, schema: Any, key: str
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "very-secret-value")
    with pytest.raises(InvalidValueError) as error:
        schema(**{key: "mine-very-secret-value"})
    assert "not the value of a secret variable" in str(error.value)
    assert "very-secret" not in str(error.value)


def test_a_group_shows_no_password_in_python() -> None:
    url = "https://me:secret1@host/x"
    for group in (TrackingConfig(uri=url), TableConfig(name="a", path=url)):
        assert "secret1" not in repr(group)
        assert "https://me:***@host/x" in repr(group)
