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

from tagifai.errors import ConfigError, Refused
from tagifai.schema import NODES, Config, check, flat, rules
from tagifai.schema.data import Table, TwoTables
from tagifai.schema.experiment import (
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
from tagifai.schema.surroundings import Cache, Console, Objective, Paths, Sweep, Tracking
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

SUM = "0123456789abcdef" * 4
TABLES: dict[str, Any] = {"name": "mine", "projects": "p.csv", "tags": "t.csv"}

ACCEPTED: list[tuple[type, dict[str, Any]]] = [
    (Config, {"seed": 0}),
    (Config, {"seed": 2**32 - 1}),
    (TwoTables, {"name": "a"}),
    (TwoTables, {"name": "_a.B-9"}),
    (TwoTables, {"projects_sha256": SUM, "tags_sha256": None}),
    (TwoTables, {"min_freq": 1}),
    (TwoTables, {"other": " x "}),
    (Table, {"path": "https://host/my%20reviews.csv.gz?raw=1"}),
    (Table, {"path": "a.csv", "text": ["title", "body"], "delimiter": ";", "encoding": "cp1252"}),
    (Table, {"path": "a.csv", "val_path": "b.csv", "other": "rest", "unlabeled": "drop"}),
    (Preprocessing, {"stopwords": []}),
    (Preprocessing, {"keep": r"\w\p{M}", "language": "de"}),
    (Counts, {"max_df": 0.5}),
    (Errors, {"part": "val", "limit": 0, "terms": 0}),
    (Hashing, {"n_features": 1, "norm": None}),
    (Union, {"word_ngram_max": 1, "char_weight": 0.5}),
    (RandomUnder, {"sampling_strategy": "majority"}),
    (Tuned, {"score": "recall"}),
    (LogisticRegression, {"C": 0.1, "class_weight": "balanced"}),
    (ComplementNB, {"alpha": 0.0}),
    (LinearSVC, {"folds": 2, "method": "isotonic"}),
    (Preprocessing, {"keep": None}),
    (Preprocessing, {"keep": "a-z"}),
    (Preprocessing, {"keep": r"\w"}),
    *[(Preprocessing, {"keep": inside}) for inside in ("]a", r"a\]b", "[a", "a-", " ")],
    (Split, {"train_size": 0.001, "val_size": 0.998}),
    (Split, {"train_size": 0.5, "val_size": 0.4999}),
    *[(Tfidf, {"analyzer": name}) for name in ("char", "char_wb", "word")],
    (Tfidf, {"ngram_min": 1, "ngram_max": 1}),
    *[(Tfidf, {"strip_accents": name}) for name in (None, "ascii", "unicode")],
    *[(Tfidf, {"norm": name}) for name in (None, "l1", "l2")],
    *[(Tfidf, {key: value}) for key in ("min_df", "max_df") for value in (1, 7, 0.0, 0.5, 1.0)],
    *[(Tfidf, {"max_features": number}) for number in (None, 1)],
    *[
        (RandomOver, {"sampling_strategy": name})
        for name in ("all", "auto", "minority", "not minority", "not majority")
    ],
    *[(Training, {"epochs": 1, "patience": number}) for number in (None, 1)],
    *[(SGD, {"loss": name}) for name in ("log_loss", "hinge", "perceptron")],
    *[(SGD, {"penalty": name}) for name in ("l2", "l1", "elasticnet")],
    *[(SGD, {"alpha": number}) for number in (0.0, 1e-300, 1e300)],
    *[(SGD, {"l1_ratio": number}) for number in (None, 0.0, 1.0)],
    *[(SGD, {"learning_rate": name}) for name in ("constant", "optimal", "invscaling")],
    (SGD, {"learning_rate": "optimal", "alpha": 5e-324}),
    (SGD, {"eta0": 5e-324}),
    *[(SGD, {"power_t": number}) for number in (None, 0.0, -1.0, 1.0)],
    *[(SGD, {"class_weight": name}) for name in (None, "balanced")],
    *[(Quantile, {"q": number}) for number in (0.0, 1.0)],
    *[(Fixed, {"value": number}) for number in (0.0, math.nextafter(1, 0))],
    (Tracking, {"experiment": "x"}),
    *[(Tracking, {"run_name": name}) for name in (None, "x")],
    (Tracking, {"tags": {"a b_c./:-9": ""}}),
    *[(Console, {"verbosity": name}) for name in ("normal", "quiet")],
    *[(Console, {"style": name}) for name in ("auto", "plain")],
    (Console, {"every": 1}),
    (Cache, {"max_gb": 0.0}),
    *[(Objective, {"metric": f"val_{name}"}) for name in ("loss", "f1", "precision", "recall")],
    *[
        (Objective, {"metric": name})
        for name in ("val_class/a b/c/f1", "val_slice/short_text/recall")
    ],
    *[(Objective, {"direction": name}) for name in ("maximize", "minimize")],
    (Objective, {"metric": "model_bytes", "direction": "minimize"}),
    (Objective, {"metric": ["val_f1"], "direction": ["maximize"]}),
    (Objective, {"metric": ["val_f1"], "direction": "maximize"}),
    (Objective, {"metric": ["val_f1", "model_bytes"], "direction": ["maximize", "minimize"]}),
    *[(Objective, {"report_every": number}) for number in (None, 1, 1000)],
    (Objective, {"repeats": 1, "by": "seeds"}),
    *[(Objective, {"repeats": 2, "by": name}) for name in ("seeds", "folds")],
    (Predict, {"batch_size": 1}),
    *[(Predict, {"n_jobs": number}) for number in (None, 1, 64)],
    *[
        (Predict, {key: value})
        for key in ("run_id", "text", "input", "output")
        for value in (None, " x ")
    ],
    *[(Evaluate, {key: value}) for key in ("run_id", "data", "output") for value in (None, "x")],
    (Promote, {"run_id": "best", "metric": "val_class/mlops/f1", "direction": "minimize"}),
    (Rerun, {"run_id": "champion"}),
    (Export, {"path": "a/b.ZIP"}),
    (Import, {"path": "anything"}),
    *[(Serve, {"port": port}) for port in (0, 65535)],
    (Clean, {"days": 0.0, "max_gb": 0.0}),
    (Compare, {"parent": "0a-B_9", "direction": "minimize", "tags": None, "limit": 1}),
    *[(Compare, {"output": f"a.{kind}"}) for kind in ("csv", "json", "MD")],
    (Paths, {"root": MISSING, "outputs": "o", "stores": "/s"}),
]

NAN, INFINITY = math.nan, math.inf

NOT_BLANK: list[tuple[type, str]] = [
    *[(TwoTables, key) for key in ("projects", "tags", "other")],
    *[(Tracking, key) for key in ("uri", "experiment", "run_name")],
    *[(Evaluate, key) for key in ("run_id", "data", "output")],
    *[(Predict, key) for key in ("run_id", "text", "input", "output")],
    *[(Compare, key) for key in ("experiment", "filter", "metric", "baseline")],
    *[(Paths, key) for key in ("root", "outputs", "stores")],
]

REFUSED: list[tuple[type, dict[str, Any], str, str]] = [
    (Promote, {"metric": "test_f1"}, "metric", "a metric of validation rows"),
    (Promote, {"direction": "up"}, "direction", "one of null, maximize, minimize"),
    (Promote, {"run_id": " "}, "run_id", "something that is not blank"),
    (Rerun, {"run_id": ""}, "run_id", "something that is not blank"),
    *[(Export, {"path": text}, "path", "a .zip file") for text in ("a", "a.tar.gz", "zip")],
    (Import, {"path": ""}, "path", "something that is not blank"),
    *[(Serve, {"port": port}, "port", "from 0 to 65535") for port in (-1, 65536)],
    (Serve, {"host": ""}, "host", "something that is not blank"),
    *[(Clean, {"days": days}, "days", "a number of at least 0") for days in (-1.0, math.nan)],
    (Clean, {"max_gb": -0.5}, "max_gb", "a number of at least 0"),
    *[(Compare, {"parent": text}, "parent", "the id of a run") for text in ("", "a'b", "a b")],
    *[(Compare, {"output": text}, "output", "a .csv, .json or .md") for text in ("", "a.txt")],
    *[(Compare, {"confidence": number}, "confidence", "a share") for number in (0.0, 1.0)],
    (Compare, {"direction": "up"}, "direction", "one of maximize, minimize"),
    (Compare, {"limit": 0}, "limit", "at least 1"),
    *[
        (Config, {"seed": number}, "seed", "a whole number from 0 to 2**32 - 1")
        for number in (-1, 2**32)
    ],
    *[
        (TwoTables, {"name": name}, "name", "letters, digits")
        for name in ("", "..", ".a", "a/b", "a b", "-a", "a\n")
    ],
    *[
        (TwoTables, {key: value}, key, "64 lower-case hexadecimal digits, or null")
        for key in ("projects_sha256", "tags_sha256")
        for value in ("", SUM[1:], SUM + "0", SUM.upper(), "g" * 64)
    ],
    (TwoTables, {"min_freq": 0}, "min_freq", "at least 1"),
    (Preprocessing, {"stopwords": ["a", ""]}, "stopwords", "words that are not empty"),
    (Preprocessing, {"stopwords": ["a, , b"]}, "stopwords", "words that are not empty"),
    *[
        (Preprocessing, {"keep": inside}, "keep", "the inside of a regular expression's brackets")
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
        (Split, {key: value}, key, "a share between 0 and 1, both excluded")
        for key in ("train_size", "val_size")
        for value in (0.0, 1.0, -0.1, 1.1, NAN, INFINITY)
    ],
    (Split, {"train_size": 0.75, "val_size": 0.25}, "val_size", "less than 1 - train_size = 0.25"),
    (Split, {"train_size": 0.9, "val_size": 0.9}, "val_size", "so that test rows remain"),
    *[(Tfidf, {"analyzer": name}, "analyzer", "char, char_wb, word") for name in ("", "chars")],
    (Tfidf, {"ngram_min": 0}, "ngram_min", "at least 1"),
    (Tfidf, {"ngram_min": 3, "ngram_max": 2}, "ngram_max", "at least ngram_min = 3"),
    (Tfidf, {"strip_accents": "x"}, "strip_accents", "one of null, ascii, unicode"),
    (Tfidf, {"norm": "max"}, "norm", "one of null, l1, l2"),
    *[
        (Tfidf, {key: value}, key, "a count of texts (1 or more) or a share (0.0 to 1.0)")
        for key in ("min_df", "max_df")
        for value in (0, -1, -0.1, 1.1, 2.0, NAN)
    ],
    (Tfidf, {"max_features": 0}, "max_features", "at least 1"),
    (RandomOver, {"sampling_strategy": "some"}, "sampling_strategy", "one of all, auto, minority"),
    (Table, {"path": " "}, "path", "not blank"),
    (Table, {"path": "a.csv", "text": []}, "text", "a column's name, or a list"),
    (Table, {"path": "a.csv", "text": ["a", 3]}, "text", "a column's name, or a list"),
    (Table, {"path": "a.csv", "format": "xlsx"}, "format", "one of null, csv, tsv, jsonl, parquet"),
    (Table, {"path": "a.csv", "encoding": "utf9"}, "encoding", "a name that Python knows"),
    (Table, {"path": "a.csv", "delimiter": "; "}, "delimiter", "one character"),
    (Table, {"path": "a.csv", "unlabeled": "keep"}, "unlabeled", "one of error, drop"),
    (Table, {"path": "a.csv", "test_path": "b.csv", "split": "part"}, "split", "null where there"),
    (Table, {"path": "a.csv", "sha256": "AB"}, "sha256", "64 lower-case"),
    (Errors, {"part": "dev"}, "part", "one of train, val, test"),
    (Errors, {"limit": -1}, "limit", "at least 0"),
    (Counts, {"min_df": 0}, "min_df", "a count of texts"),
    (Hashing, {"n_features": 0}, "n_features", "at least 1"),
    (
        Union,
        {"char_ngram_min": 6, "char_ngram_max": 5},
        "char_ngram_max",
        "the n-gram range is empty",
    ),
    (Union, {"char_weight": 0.0}, "char_weight", "a number above 0"),
    (RandomUnder, {"sampling_strategy": "minority"}, "sampling_strategy", "one of all, auto"),
    (Tuned, {"score": "accuracy"}, "score", "one of f1, precision, recall"),
    (LogisticRegression, {"C": 0.0}, "C", "a number above 0"),
    (ComplementNB, {"alpha": -1.0}, "alpha", "at least 0"),
    (LinearSVC, {"folds": 1}, "folds", "at least 2"),
    (SGD, {"learning_rate": "pa1", "loss": "log_loss"}, "loss", "hinge, because learning_rate=pa1"),
    (Training, {"epochs": 0}, "epochs", "at least 1"),
    (Training, {"patience": 0}, "patience", "at least 1"),
    *[
        (SGD, {"loss": name}, "loss", "one of log_loss, modified_huber, hinge")
        for name in ("squared_error", "log")
    ],
    (SGD, {"penalty": "l0"}, "penalty", "one of null, l2, l1, elasticnet"),
    *[
        (SGD, {"alpha": number}, "alpha", "a number of at least 0")
        for number in (-5e-324, NAN, INFINITY)
    ],
    *[
        (SGD, {"l1_ratio": number}, "l1_ratio", "a share from 0 to 1")
        for number in (-0.1, math.nextafter(1, 2), NAN)
    ],
    *[
        (SGD, {"learning_rate": name}, "learning_rate", "one of constant, optimal, invscaling")
        for name in ("adaptive", "")
    ],
    (SGD, {"learning_rate": "optimal", "alpha": 0.0}, "alpha", "learning_rate=optimal divides"),
    *[(SGD, {"eta0": number}, "eta0", "a number above 0") for number in (0.0, -1.0, NAN, INFINITY)],
    *[(SGD, {"power_t": number}, "power_t", "finite") for number in (NAN, INFINITY, -INFINITY)],
    (SGD, {"class_weight": "even"}, "class_weight", "one of null, balanced"),
    *[
        (Quantile, {"q": number}, "q", "a share from 0 to 1")
        for number in (-0.1, math.nextafter(1, 2), NAN)
    ],
    *[(Fixed, {"value": number}, "value", "at least 0 and below 1") for number in (-0.1, 1.0, NAN)],
    *[
        (schema, {key: name}, key, "not blank")
        for schema, key in NOT_BLANK
        for name in ("", " ", "\n")
    ],
    *[
        (Tracking, {"tags": {name: "x"}}, "tags", "names of letters, digits, spaces")
        for name in ("", "a=b", "é,")
    ],
    (Console, {"verbosity": "loud"}, "verbosity", "one of normal, quiet"),
    (Console, {"style": "rich"}, "style", "one of auto, plain"),
    (Console, {"every": 0}, "every", "at least 1"),
    *[(Cache, {"max_gb": size}, "max_gb", "a number of at least 0") for size in (-1.0, math.inf)],
    *[
        (Objective, {"metric": name}, "metric", "test metrics are not for choosing")
        for name in (
            *("test_f1", "f1", "val_", "val_f1 ", "val_class//f1", "val_class/a/loss"),
            *("", "train_loss", "val_model_bytes", "model_bytes ", "xmodel_bytes", "val_slice/f1"),
        )
    ],
    *[
        (Objective, {"metric": item}, "metric", "test metrics are not for choosing")
        for item in (None, 1, 0.5, {"val_f1": 1})
    ],
    (Objective, {"metric": []}, "metric", "test metrics are not for choosing"),
    *[
        (Objective, {"metric": names}, "metric", "metrics that differ")
        for names in (["val_f1", "val_f1"], ["model_bytes", "val_f1", "model_bytes"])
    ],
    (Objective, {"direction": "max"}, "direction", "one of maximize, minimize"),
    (Objective, {"direction": None}, "direction", "one of maximize, minimize"),
    *[
        (Objective, {"direction": names}, "direction", "one direction for each of val_f1")
        for names in ([], ["maximize", "minimize"])
    ],
    *[
        (
            Objective,
            {"metric": ["val_f1", "val_loss"], "direction": names},
            "direction",
            "one direction for each of val_f1, val_loss",
        )
        for names in ("maximize", ["maximize"], ["maximize"] * 3)
    ],
    *[(Objective, {"report_every": n}, "report_every", "at least 1") for n in (0, -5)],
    *[(Objective, {"repeats": number}, "repeats", "at least 1") for number in (0, -1)],
    (Objective, {"by": "fold"}, "by", "one of seeds, folds"),
    (Objective, {"repeats": 1, "by": "folds"}, "repeats", "at least 2 with objective.by=folds"),
    (Predict, {"batch_size": 0}, "batch_size", "at least 1"),
    (Predict, {"n_jobs": 0}, "n_jobs", "at least 1"),
]


def made(schema: type, values: dict[str, Any]) -> Any:
    needed = TABLES if schema is TwoTables else {}
    return schema(**{**needed, **values})


def composed(**changed: Any) -> DictConfig:
    """Return a whole configuration, as Hydra would compose it."""
    groups: dict[str, Any] = {
        "task": Train,
        "data": TwoTables(**TABLES),
        "preprocessing": Preprocessing,
        "split": Split,
        "vectorizer": Tfidf,
        "sampling": Nothing,
        "model": SGD,
        "threshold": Quantile,
        "tracking": Tracking,
        "console": Console,
        "paths": Paths("/root", "/root/outputs", "/root/stores"),
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
    with pytest.raises(Refused) as caught:
        made(schema, values)
    assert caught.value.key == key
    assert allowed in caught.value.allowed
    if key not in ("stopwords", "tags") or schema is TwoTables:
        assert str(caught.value).startswith(f"{key} = {values[key]!r} is not allowed: ")


def test_stop_words_may_be_several_in_one_string() -> None:
    given = ["a, b,c", "of course", "d"]
    assert Preprocessing(stopwords=given).stopwords == ["a", "b", "c", "of course", "d"]


def test_every_schema_with_rules_is_among_the_tested_ones() -> None:
    with_rules = {schema for schema in NODES.values() if "__post_init__" in vars(schema)}
    nested = {Training, Objective, Paths}
    assert {schema for schema, *_ in ACCEPTED} == with_rules | nested
    assert {schema for schema, *_ in REFUSED} == with_rules | nested


@pytest.mark.parametrize(
    "schema", [schema for schema in NODES.values() if schema not in (Table, TwoTables, Export)]
)
def test_defaults_keep_the_rules(schema: type) -> None:
    assert isinstance(schema(), schema)


def test_what_every_data_set_must_say_for_itself_has_no_default() -> None:
    assert (TwoTables.name, TwoTables.projects, TwoTables.tags) == (MISSING,) * 3


def test_the_file_to_hand_on_has_no_default() -> None:
    assert (Export.path, Import.path) == (MISSING, MISSING)


def test_no_two_schemas_share_a_mutable_default() -> None:
    assert Preprocessing().stopwords is not Preprocessing().stopwords
    assert Tracking().tags is not Tracking().tags


def test_the_name_of_a_task_is_its_option() -> None:
    named = {name.removeprefix("task/"): node for name, node in NODES.items() if "task/" in name}
    assert set(named.values()) == {
        *(Elt, Train, Evaluate, Errors, Predict, Compare, Info),
        *(Promote, Rollback, Serve, Rerun, Export, Import, Clean),
    }
    found = {name: getattr(node, "name", None) for name, node in named.items()}
    assert found == {name: name for name in named}


def test_every_field_of_a_schema_has_a_default_so_that_options_may_leave_it_out() -> None:
    for schema in NODES.values():
        for field in fields(schema):
            assert field.default is not NO_DEFAULT or field.default_factory is not NO_DEFAULT


# --- objectives --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "direction", "metrics", "directions"),
    [
        ("val_loss", "minimize", ["val_loss"], ["minimize"]),
        (["val_loss"], "minimize", ["val_loss"], ["minimize"]),
        ("val_loss", ["minimize"], ["val_loss"], ["minimize"]),
        (["val_f1", "model_bytes"], ["maximize", "minimize"],
         ["val_f1", "model_bytes"], ["maximize", "minimize"]),
    ],
)  # fmt: skip
def test_an_objective_has_a_list_of_metrics_and_a_direction_for_each(
    metric: Any, direction: Any, metrics: list[str], directions: list[str]
) -> None:
    objective = Objective(metric, direction)
    assert objective.metrics == metrics
    assert objective.directions == directions


def test_the_lists_of_an_objective_are_no_way_to_change_it() -> None:
    objective = Objective(["val_f1"], ["maximize"])
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
    with pytest.raises(Refused, match=rf"^{refused} is not allowed: "):
        Objective(metric, direction)


def test_an_objective_of_several_metrics_is_composed_and_checked() -> None:
    cfg = composed()
    cfg.objective.metric = ["val_f1", "model_bytes"]
    cfg.objective.direction = ["maximize", "minimize"]
    assert check(cfg).objective == Objective(["val_f1", "model_bytes"], ["maximize", "minimize"])
    assert type(check(cfg).objective.metric) is list
    cfg.objective.direction = "maximize"
    message = r"^objective\.direction = 'maximize' is not allowed: one direction for each of"
    with pytest.raises(ConfigError, match=message):
        check(cfg)


def test_a_search_goes_on_with_its_study_unless_it_is_told_to_restart() -> None:
    cfg = composed()
    assert check(cfg).sweep == Sweep(restart=False)
    cfg.sweep.restart = True
    assert check(cfg).sweep.restart is True


# --- rules -------------------------------------------------------------------------------------


@given(st.floats())
def test_numeric_rules_accept_finite_numbers_of_their_range_only(number: float) -> None:
    def accepts(rule: Callable[[str, float], None]) -> bool:
        try:
            rule("key", number)
        except Refused:
            return False
        return True

    finite = math.isfinite(number)
    assert accepts(rules.positive) is (finite and number > 0)
    assert accepts(rules.not_negative) is (finite and number >= 0)
    assert accepts(rules.share) is (finite and 0 < number < 1)


def test_what_is_allowed_is_written_as_in_yaml() -> None:
    with pytest.raises(Refused) as caught:
        rules.one_of("key", "x", (None, True, 1, "a"))
    assert caught.value.allowed == "one of null, True, 1, a"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.none())
def test_a_filled_field_has_something_other_than_white_space(value: str | None) -> None:
    if value is None or value.strip():
        rules.filled("key", value)
    else:
        with pytest.raises(Refused, match=r"^key = .* something that is not blank$"):
            rules.filled("key", value)


def test_an_escaped_bracket_may_come_first() -> None:
    assert Preprocessing(keep=r"\]a").keep == r"\]a"


def test_a_bracket_after_an_escaped_backslash_closes_early() -> None:
    with pytest.raises(Refused, match=r"^keep = "):
        Preprocessing(keep=r"a\\]")


# --- parameters without effect -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "ignored"),
    [
        ({}, {"power_t", "l1_ratio"}),
        ({"learning_rate": "optimal"}, {"eta0", "power_t", "l1_ratio"}),
        ({"learning_rate": "invscaling"}, {"l1_ratio"}),
        ({"learning_rate": "invscaling", "penalty": "elasticnet"}, set()),
    ],
)
def test_parameters_without_effect_are_named(values: dict[str, str], ignored: set[str]) -> None:
    assert set(SGD(**values).ignored()) == ignored  # type: ignore[arg-type]


def test_a_parameter_without_effect_comes_with_the_reason() -> None:
    assert SGD(learning_rate="optimal").ignored() == {
        "eta0": "under model.learning_rate=optimal",
        "power_t": "under model.learning_rate=optimal",
        "l1_ratio": "with model.penalty=l2",
    }


# --- check -------------------------------------------------------------------------------------


def test_a_composed_configuration_becomes_its_dataclasses_resolved() -> None:
    config = check(composed())
    assert isinstance(config, Config)
    assert (config.seed, config.task, config.sampling) == (42, Train(), Nothing())
    assert config.tracking.uri == "sqlite:////root/stores/mlflow.db"
    assert config.objective == Objective("val_f1", "maximize")


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
        check(composed(data=TwoTables))
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
    found = flat(check(cfg), without=())
    assert (found["seed"], found["training.epochs"], found["training.patience"]) == (42, 100, None)
    assert (found["tracking.tags.team"], found["sweep.restart"]) == ("x", False)
    assert found["model._target_"] == "sklearn.x"
    assert found["model.inner.C"] == [1, 2]
    assert not [key for key in found if "empty" in key]
    assert not [key for key in found if key in ("model", "training", "objective")]


def test_a_flat_configuration_is_without_the_groups_that_are_left_out() -> None:
    config = check(composed())
    groups = {key.partition(".")[0] for key in flat(config, without=())}
    gone = {"paths", "sweep", "tracking", "seed"}
    left = flat(config, without=gone)
    assert gone < groups
    assert {key.partition(".")[0] for key in left} == groups - gone
    assert {key: flat(config, without=())[key] for key in left} == left


def test_a_group_that_is_null_is_a_value_of_its_own() -> None:
    assert flat(check(composed(threshold=None)), without=())["threshold"] is None
