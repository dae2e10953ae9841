from __future__ import annotations

import copy
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from tagifai.config.schema import SCHEMA_CLASSES, Config, check
from tagifai.config.schema.experiment import DisabledConfig
from tagifai.exceptions import ConfigError
from tagifai.preprocessing.cleaning import Cleaner
from tests.conftest import CONF, Compose

SCHEMAS: dict[str, dict[str, str]] = {
    "task": {
        name: f"task/{name}"
        for name in (
            *("elt", "train", "evaluate", "errors", "predict", "compare", "info"),
            *("promote", "rollback", "rerun", "export", "import", "serve", "clean"),
            *("nested", "curve", "repair", "sync", "init", "runs"),
        )
    },
    "data": {
        **dict.fromkeys(("sample", "madewithml"), "data/two_tables"),
        **dict.fromkeys(("table", "streamed"), "data/table"),
    },
    "preprocessing": dict.fromkeys(
        ("default", "none", "reference", "stem", "unicode"), "preprocessing/steps"
    ),
    "split": {name: f"split/{name}" for name in ("stratified", "grouped", "time")},
    "vectorizer": {
        **dict.fromkeys(
            ("tfidf_char", "tfidf_char_wb", "tfidf_word", "tfidf_word12"), "vectorizer/tfidf"
        ),
        "tfidf_union": "vectorizer/union",
        "counts": "vectorizer/counts",
        "hashing": "vectorizer/hashing",
        "embedding": "vectorizer/embedding",
        "tfidf_embedding": "vectorizer/embedding_union",
    },
    "sampling": {
        "none": "nothing",
        "random_over": "sampling/random_over",
        "random_under": "sampling/random_under",
    },
    "model": {
        **dict.fromkeys(
            (
                *("sgd", "sgd_averaged", "sgd_elasticnet", "sgd_huber", "sgd_reference"),
                "passive_aggressive",
            ),
            "model/sgd",
        ),
        "complement_nb": "model/complement_nb",
        "linear_svc": "model/linear_svc",
        "logistic_regression": "model/logistic_regression",
    },
    "threshold": {
        "none": "nothing",
        "auto": "threshold/auto",
        "tuned": "threshold/tuned",
        "fixed": "threshold/fixed",
        "quantile": "threshold/quantile",
    },
    "tracking": dict.fromkeys(("mlflow", "none"), "tracking/mlflow"),
    "console": dict.fromkeys(
        ("default", "notebook", "plain", "quiet", "silent"), "console/console"
    ),
    "cache": dict.fromkeys(("default", "none"), "cache/features"),
    "plots": dict.fromkeys(("default", "none"), "plots/plots"),
}
NEEDED = {
    ("data", "table"): ["data.path=a.csv"],
    ("data", "streamed"): ["data.path=a.csv"],
    ("experiment", "streamed"): ["data.path=a.csv"],
    ("split", "grouped"): ["split.by=author"],
    ("split", "time"): ["split.by=created_on"],
    ("task", "export"): ["task.path=a.zip"],
    ("task", "import"): ["task.path=a.zip"],
}


def configured(composed: Compose, *overrides: str) -> Config:
    return check(composed(*overrides))


def on_disk(group: str) -> set[str]:
    return {file.stem for file in (CONF / group).glob("*.yaml")}


def values(settings: Any) -> dict[str, Any]:
    found = OmegaConf.to_container(OmegaConf.structured(settings))
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


# --- options -----------------------------------------------------------------------------------


def test_the_tested_options_are_those_that_there_are() -> None:
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert groups - {"hydra", "experiment", "sweep"} == set(SCHEMAS)
    for group, options in SCHEMAS.items():
        assert on_disk(group) == set(options)


@pytest.mark.parametrize("place", range(max(map(len, SCHEMAS.values()))))
def test_every_option_composes_to_its_schema_and_is_accepted(composed: Compose, place: int) -> None:
    # An option of each group at a time, the last ones of the smaller groups several times.
    row = {group: [*options][min(place, len(options) - 1)] for group, options in SCHEMAS.items()}
    needed = [word for item in row.items() for word in NEEDED.get(item, [])]
    config = check(composed(*(f"{group}={option}" for group, option in row.items()), *needed))
    for group, option in row.items():
        assert type(getattr(config, group)) is SCHEMA_CLASSES[SCHEMAS[group][option]], group


@pytest.mark.parametrize("group", ["model", "vectorizer"])
def test_a_custom_class_is_an_option_that_no_listing_and_no_sweep_has(
    composed: Compose, group: str
) -> None:
    cfg = composed(f"{group}=custom", f"{group}._target_=sklearn.X", f"+{group}.alpha=3")
    assert getattr(check(cfg), group) == {"_target_": "sklearn.X", "alpha": 3}


@pytest.mark.parametrize("preset", sorted(on_disk("experiment")))
def test_every_preset_is_accepted(composed: Compose, preset: str) -> None:
    needed = NEEDED.get(("experiment", preset), [])
    assert isinstance(configured(composed, f"experiment={preset}", *needed), Config)


def test_the_default_is_the_first_option_of_each_line(composed: Compose, tmp_path: Path) -> None:
    config = configured(composed)
    assert (config.seed, config.task.name, config.data.name) == (42, "train", "sample")
    assert (config.vectorizer.word_ngram_max, config.vectorizer.char_ngram_max) == (2, 5)
    assert (config.vectorizer.char_analyzer, config.vectorizer.sublinear_tf) == ("auto", True)
    assert {type(config.sampling), type(config.threshold)} == {DisabledConfig}
    assert (config.split.train_size, config.split.val_size) == (0.7, 0.15)
    assert (config.model.loss, config.model.learning_rate) == ("log_loss", "optimal")
    assert (config.model.C, config.model.alpha, config.model.eta0) == (10.0, None, None)
    more = {"max_rows": None, "resume": False}
    assert values(config.training) == {"epochs": 10, "patience": 3, "refit": True, **more}
    assert (config.objective.metric, config.objective.direction) == ("val_f1", "maximize")
    assert config.paths.root == str(tmp_path)
    assert config.paths.stores == f"{tmp_path}/stores"
    assert config.tracking.uri == f"sqlite:///{tmp_path}/stores/mlflow.db"


@pytest.mark.parametrize(
    ("option", "base", "changed"),
    [
        ("model=sgd_huber", "model=sgd", {"loss": "modified_huber"}),
        ("model=sgd_elasticnet", "model=sgd", {"penalty": "elasticnet", "l1_ratio": 0.15}),
        (
            "model=sgd_reference",
            "model=sgd",
            {"C": None, "alpha": 1e-4, "learning_rate": "constant", "eta0": 0.1},
        ),
        ("preprocessing=stem", "preprocessing=reference", {"stem": True}),
        (
            "preprocessing=unicode",
            "preprocessing=default",
            {"keep": r"\w\p{M}", "remove_links": True},
        ),
        ("preprocessing=none", "preprocessing=default", {"lower": False}),
        ("vectorizer=tfidf_char_wb", "vectorizer=tfidf_char", {"analyzer": "char_wb"}),
        (
            "vectorizer=tfidf_word",
            "vectorizer=tfidf_char",
            {"analyzer": "word", "ngram_min": 1, "ngram_max": 1},
        ),
        ("console=quiet", "console=default", {"verbosity": "quiet"}),
        ("console=plain", "console=default", {"style": "plain"}),
    ],
)
def test_an_option_differs_from_its_base_in_what_it_says(
    composed: Compose, option: str, base: str, changed: dict[str, Any]
) -> None:
    group = option.partition("=")[0]
    found, expected = (
        values(getattr(configured(composed, choice), group)) for choice in (option, base)
    )
    assert found == {**expected, **changed}


def test_options_that_switch_something_off_do(composed: Compose) -> None:
    config = configured(composed, "tracking=none", "preprocessing=none")
    assert not config.tracking.enabled
    off = {"lower": False, "stopwords": [], "language": None, "separate_punctuation": False}
    assert values(config.preprocessing) == {
        **off, "keep": None, "remove_links": False, "stem": False, "first": [], "last": []
    }  # fmt: skip


def test_the_default_deletes_nothing(composed: Compose) -> None:
    cleaning = values(configured(composed).preprocessing)
    del cleaning["language"]
    text = "Don't miss it: 5 % off, only at https://x.org/a?b=1 — naïve 模型!"
    assert Cleaner(**cleaning)(text) == text.lower()


def test_the_stop_words_of_the_reference_are_the_published_list(composed: Compose) -> None:
    words = configured(composed, "preprocessing=reference").preprocessing.stopwords
    assert len(words) == 179
    digest = "2faef318155a30d7e91c39de3f51fde2eb44a3fe24e0adb0c504fd35c7add888"
    assert sha256("\n".join(words).encode()).hexdigest() == digest
    assert {"no", "on", "off", "y"} <= set(words)


# --- presets -----------------------------------------------------------------------------------


def test_the_published_run_is_a_preset(composed: Compose) -> None:
    config = configured(composed, "experiment=reference")
    assert (config.data.name, config.threshold.value) == ("madewithml", 0.6)
    assert (config.vectorizer.analyzer, config.model.loss) == ("char", "log_loss")


CLEANING = {
    "first": [], "lower": True, "stopwords": 179, "language": None, "separate_punctuation": True,
    "keep": "A-Za-z0-9", "remove_links": True, "stem": False, "last": [],
}  # fmt: skip
SPLIT = {"shuffle": True, "train_size": 0.7, "val_size": 0.15, "near_duplicates": "apart"}
CHARACTERS = {
    "_target_": "tagifai.preprocessing.tfidf", "analyzer": "char", "ngram_min": 2, "ngram_max": 7,
    "lowercase": True, "strip_accents": None, "token_pattern": None, "binary": False, "min_df": 1,
    "max_df": 1.0, "max_features": None, "norm": "l2", "use_idf": True, "smooth_idf": True,
    "sublinear_tf": False,
}  # fmt: skip
UNION = {
    "_target_": "tagifai.preprocessing.union", "word_ngram_min": 1, "word_ngram_max": 2,
    "char_ngram_min": 2, "char_ngram_max": 5, "char_analyzer": "char_wb", "token_pattern": None,
    "char_weight": 1.0, "lowercase": True, "strip_accents": None, "min_df": 1, "max_df": 1.0,
    "max_features": None, "binary": False, "norm": "l2", "use_idf": True, "smooth_idf": True,
    "sublinear_tf": True,
}  # fmt: skip
OVERSAMPLING = {
    "_target_": "imblearn.over_sampling.RandomOverSampler", "sampling_strategy": "all",
}  # fmt: skip
CONSTANT_SGD = {
    "_target_": "sklearn.linear_model.SGDClassifier", "loss": "log_loss", "penalty": "l2",
    "C": None, "alpha": 1e-4, "l1_ratio": None, "fit_intercept": True,
    "learning_rate": "constant", "eta0": 0.1, "power_t": None, "class_weight": None,
    "average": False, "shuffle": True,
}  # fmt: skip
OBJECTIVE: dict[str, Any] = {
    "metric": "val_f1", "direction": "maximize", "report_every": None, "repeats": 1, "by": "seeds",
    "constraints": {},
}  # fmt: skip
TRAINING = {
    "epochs": 100, "patience": None, "refit": False, "max_rows": None, "resume": False,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "experiment=reference": {
        "preprocessing": CLEANING,
        "vectorizer": CHARACTERS,
        "threshold": {"_target_": "tagifai.models.FixedThreshold", "value": 0.6},
        "training": TRAINING,
        "model": CONSTANT_SGD,
        "objective": OBJECTIVE,
    },
    "experiment=best": {
        "preprocessing": {**CLEANING, "stem": True},
        "vectorizer": {
            **UNION,
            "word_ngram_max": 1,
            "char_analyzer": "char_wb",
            "char_weight": 1.4755999307064833,
        },
        "threshold": {},
        "training": {**TRAINING, "epochs": 30, "refit": True},
        "model": {**CONSTANT_SGD, "alpha": 0.00018107783713050836, "eta0": 1.3195192974237784},
        "objective": OBJECTIVE,
    },
    "sweep=reference": {
        "preprocessing": CLEANING,
        "vectorizer": CHARACTERS,
        "threshold": {"_target_": "tagifai.models.AutoThreshold", "q": 0.25},
        "training": TRAINING,
        "model": CONSTANT_SGD,
        "objective": {**OBJECTIVE, "report_every": 5},
    },
    "sweep=best": {
        "preprocessing": CLEANING,
        "vectorizer": UNION,
        "threshold": {},
        "training": {**TRAINING, "epochs": 30, "refit": True},
        "model": CONSTANT_SGD,
        "objective": {**OBJECTIVE, "report_every": 5, "repeats": 5},
    },
}
"""What the published figures were made with, whatever the defaults have become."""


@pytest.mark.parametrize("preset", PUBLISHED)
def test_what_is_published_has_its_values_whatever_the_default_is(
    composed: Compose, preset: str
) -> None:
    config = configured(composed, preset, "data=madewithml")
    expected = {"split": SPLIT, "sampling": OVERSAMPLING, **PUBLISHED[preset]}
    found = {group: values(getattr(config, group)) for group in expected}
    found["preprocessing"]["stopwords"] = len(config.preprocessing.stopwords)
    assert found == expected
    assert config.seed == 42
    assert (config.data.min_freq, config.data.other) == (75, "other")


@pytest.mark.parametrize("preset", PUBLISHED)
def test_what_is_published_names_its_options_and_settings_itself(preset: str) -> None:
    group, _, name = preset.partition("=")
    chosen = OmegaConf.load(CONF / group / f"{name}.yaml")
    named = {key.removeprefix("override /") for line in chosen.defaults for key in line}
    assert {"preprocessing", "vectorizer", "sampling", "model", "threshold"} <= named
    assert set(chosen.training) == {"epochs", "patience", "refit"}


def test_an_option_of_the_command_line_wins_over_a_preset(composed: Compose) -> None:
    config = configured(
        composed, "experiment=reference", "vectorizer=tfidf_char_wb", "threshold=quantile"
    )
    assert config.vectorizer.analyzer == "char_wb"
    assert values(config.threshold) == {
        "_target_": "tagifai.models.QuantileThreshold",
        "q": 0.25,
    }
    assert config.data.name == "madewithml"


@pytest.mark.parametrize("name", sorted(on_disk("sweep")))
def test_every_preset_of_a_search_is_accepted_and_reports_to_its_pruner(
    composed: Compose, name: str
) -> None:
    config = configured(composed, f"sweep={name}")
    every = {"best": 5, "reference": 5, "auto": None}  # which halves by rows instead
    assert config.objective.report_every == every.get(name, 2)
    repeats = 5 if name == "best" else 1
    assert (config.objective.metric, config.objective.repeats) == ("val_f1", repeats)
    assert config.sweep.restart is False


def test_a_preset_holds_choices_and_no_values_of_a_group_unless_it_is_a_winner() -> None:
    for preset in on_disk("experiment"):
        path = CONF / "experiment" / f"{preset}.yaml"
        winner = "As a search writes its winners, it\n# holds values" in path.read_text()
        assert winner == (preset == "best")
        # The settings of training are no group, and have no options to choose.
        assert winner or list(OmegaConf.load(path)) == ["defaults", "training"]


# --- schemas are not options -------------------------------------------------------------------


def test_schemas_are_in_no_listing(composed: Compose) -> None:
    composed()
    loader = GlobalHydra.instance().config_loader()
    assert "schema" not in loader.list_groups("")
    assert loader.get_group_options("schema") == []
    for group, options in SCHEMAS.items():
        assert loader.get_group_options(group) == sorted(options)


def test_a_sweep_over_all_options_of_a_group_runs_no_schema(composed: Compose) -> None:
    composed()
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    for group, options in SCHEMAS.items():
        (override,) = parser.parse_overrides([f"{group}=glob(*)"])
        assert sorted(override.sweep_string_iterator()) == sorted(options)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        "model.alhpa=1",
        "seeed=1",
        "seed=1.5",
        "seed=null",
        "vectorizer.min_df=true",
        "vectorizer.min_df=a",
        "training.patience=x",
        "data.accepted_tags=mlops",
        "model.average=maybe",
        "model=nope",
    ],
)
def test_an_unknown_key_or_option_and_a_wrong_type_are_refused_by_hydra(
    composed: Compose, override: str
) -> None:
    with pytest.raises(HydraException):
        composed(override)


def test_an_added_key_is_refused_on_an_option_with_a_schema(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"'model\.x' is not a key of model"):
        configured(composed, "+model.x=1")


def test_every_group_refuses_an_added_key(composed: Compose) -> None:
    cfg = composed()
    for group in (*SCHEMAS, "training", "objective", "sweep", "paths"):
        added = copy.deepcopy(cfg)
        OmegaConf.update(added, f"{group}.x", 1, force_add=True)
        with pytest.raises(ConfigError, match=rf"'{group}\.x' is not a key of {group}"):
            check(added)


@pytest.mark.parametrize("group", ["model", "vectorizer"])
def test_a_custom_option_without_a_target_is_refused(composed: Compose, group: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{group}\._target_\b"):
        configured(composed, f"{group}=custom")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("defaults:\n  - /schema/model/sgd@_here_\n\nalhpa: 1\n", "alhpa"),
        ("defaults:\n  - sgd\n\nalhpa: 1\n", "alhpa"),
        ("defaults:\n  - /schema/model/sgd@_here_\n\nalpha: much\n", "much"),
    ],
)
def test_a_file_of_the_user_s_own_is_held_to_the_schema(
    composed: Compose, tmp_path: Path, content: str, error: str
) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text(content)
    where = f"hydra.searchpath=[file://{tmp_path}/own]"
    with pytest.raises((HydraException, ConfigError)) as caught:
        configured(composed, "model=mine", where)
    assert error in f"{caught.value} {caught.value.__cause__}"


def test_a_file_of_the_user_s_own_is_an_option_like_any_other(
    composed: Compose, tmp_path: Path
) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    content = "defaults:\n  - sgd\n\nalpha: 0.25\n"
    (tmp_path / "own" / "model" / "mine.yaml").write_text(content)
    where = f"hydra.searchpath=[file://{tmp_path}/own]"
    assert configured(composed, "model=mine", where).model.alpha == 0.25


def preset(folder: Path, content: str) -> list[str]:
    """Return what chooses a preset with this content."""
    (folder / "own" / "experiment").mkdir(parents=True)
    (folder / "own" / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}\n")
    return [f"hydra.searchpath=[file://{folder}/own]", "experiment=mine"]


@pytest.mark.parametrize("group", ["sampling", "threshold"])
def test_sampling_and_threshold_may_be_null_in_a_file(
    composed: Compose, tmp_path: Path, group: str
) -> None:
    assert getattr(configured(composed, *preset(tmp_path, f"{group}: null")), group) is None


@pytest.mark.parametrize("group", ["model", "vectorizer", "task"])
def test_no_other_group_may_be_null_in_a_file(
    composed: Compose, tmp_path: Path, group: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{group} is not set\. It is a group; choose an"):
        configured(composed, *preset(tmp_path, f"{group}: null"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.name=predict", "task.name belongs to the option and cannot be changed by itself."),
        ("data.projects=' '", "data.projects = ' ' is not allowed: something that is not blank"),
        ("tracking.uri=", "tracking.uri = '' is not allowed: something that is not blank"),
        ("tracking.run_name=' '", "tracking.run_name = ' ' is not allowed: something that is not"),
        ("paths.stores=", "paths.stores = '' is not allowed: something that is not blank"),
        ("preprocessing.keep='a]b'", "preprocessing.keep = 'a]b' is not allowed: the inside of a"),
        ("preprocessing.keep='a--b'", "preprocessing.keep = 'a--b' is not allowed: the inside of"),
        ("vectorizer.norm=max", "vectorizer.norm = 'max' is not allowed: one of null, l1, l2"),
        ("+task.x=1", "'task.x' is not a key of task. It takes: name."),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_its_key(
    composed: Compose, override: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(composed, override)
    assert str(caught.value).startswith(message)


def test_both_forms_of_the_penalty_are_refused_with_a_way_out_that_works(
    composed: Compose,
) -> None:
    both = ("model.alpha=1e-4", "model.C=3")
    with pytest.raises(ConfigError) as caught:
        configured(composed, *both)
    message = str(caught.value)
    assert message.startswith("model.C = 3.0 is not allowed: null if alpha is set (")
    ways = re.findall(r"model\.\w+=null", message)
    assert ways == ["model.C=null", "model.alpha=null"]
    assert configured(composed, *both, ways[0]).model.alpha == 1e-4
    assert configured(composed, *both, ways[1]).model.C == 3
    # An option that has the one keeps the other out, too.
    with pytest.raises(ConfigError, match=r"model\.alpha=null"):
        configured(composed, "model=sgd_reference", "model.C=3")
    assert configured(composed, "model=sgd_reference", "model.C=3", ways[1]).model.C == 3


@pytest.mark.parametrize("key", ["run_id", "text", "input", "output"])
def test_a_blank_argument_of_a_task_is_refused(composed: Compose, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^task\.{key} = '' is not allowed: something that is"):
        configured(composed, "task=predict", f"task.{key}=")
