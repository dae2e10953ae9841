from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from numpy.random import RandomState
from omegaconf import OmegaConf

from tagifai.config.schema import EXPERIMENT_GROUPS, Config, TrainingConfig, check, find_schema_name
from tagifai.config.schema.settings import ConsoleConfig, PathsConfig, TrackingConfig
from tagifai.config.schema.tasks import RerunTaskConfig, TrainTaskConfig
from tagifai.data import datasets
from tagifai.exceptions import BundleError, ConfigError, DataError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import records
from tagifai.training.components import build_components
from tagifai.utils.files import format_json
from tests.conftest import CONF, DOCUMENTS, Compose

GROUPS = (*EXPERIMENT_GROUPS, "tracking", "console", "cache")
SCHEMA = re.compile(r"/schema/(\S+)@_here_")
OPTIONS = {
    group: [*{
        "".join(SCHEMA.findall(file.read_text())): file.stem
        for file in sorted((CONF / group).glob("*.yaml"), reverse=True)
    }.values()]
    for group in GROUPS
}  # fmt: skip
"""An option of each schema of each group; others of the schema differ in values alone."""

NEEDED = {
    ("data", "table"): ["data.path=a.csv", "data.text=[title,body]"],
    ("data", "streamed"): ["data.path=a.csv"],
    ("experiment", "streamed"): ["data.path=a.csv"],
    ("split", "grouped"): ["split.by=author"],
    ("split", "time"): ["split.by=created_on"],
}
PRESETS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))

SETTINGS = ("seed", *EXPERIMENT_GROUPS, "training", "objective")

PROVENANCE: dict[str, Any] = {
    "options": {},
    "overrides": [],
    "schemas": {},
    "versions": {},
    "git": {},
    "platform": "Linux",
}

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, tagger: Tagger) -> Save:
    """A function that saves a bundle with a recorded configuration, as a mapping or as a text."""

    def made(record: Any, schemas: Mapping[str, Any], **more: Any) -> Path:
        text = record if isinstance(record, str) else OmegaConf.to_yaml(OmegaConf.create(record))
        provenance = {**PROVENANCE, "schemas": schemas, **more}
        written = {"config.yaml": text, "provenance.json": format_json(provenance)}
        bundles.save(tmp_path / "bundle", tagger, {**DOCUMENTS, **written})
        return tmp_path / "bundle"

    return made


def present(config: Config) -> Config:
    """The configuration of a command that trains something else, somewhere else."""
    return replace(
        config,
        task=RerunTaskConfig(),
        seed=99,
        model=None,
        training=TrainingConfig(epochs=1),
        tracking=TrackingConfig(uri="sqlite:///present.db", tags={"a": "b"}),
        console=ConsoleConfig(verbosity="quiet"),
        paths=PathsConfig("/root", "/outputs", "/stores"),
    )


def schemas(config: Config) -> dict[str, str | None]:
    return {group: find_schema_name(getattr(config, group)) for group in EXPERIMENT_GROUPS}


def assert_rebuilt(bundle: Path, config: Config) -> None:
    here = present(config)
    made = records.load_config(bundle, here)
    assert {key: getattr(made, key) for key in SETTINGS} == {
        key: getattr(config, key) for key in SETTINGS
    }
    assert [type(getattr(made, key)) for key in SETTINGS] == [
        type(getattr(config, key)) for key in SETTINGS
    ]
    place = (made.tracking, made.console, made.paths, made.whitelist)
    assert place == (here.tracking, here.console, here.paths, here.whitelist)
    assert made.task == TrainTaskConfig()


# --- configurations ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(max(map(len, OPTIONS.values()))))
def test_an_option_of_every_schema_is_rebuilt_from_its_record(
    composed: Compose, save: Save, place: int
) -> None:
    row = {group: options[min(place, len(options) - 1)] for group, options in OPTIONS.items()}
    needed = [word for item in row.items() for word in NEEDED.get(item, [])]
    config = check(composed(*(f"{group}={option}" for group, option in row.items()), *needed))
    assert_rebuilt(save(asdict(config), schemas(config)), config)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_rebuilt_from_its_record(
    composed: Compose, save: Save, preset: str
) -> None:
    needed = NEEDED.get(("experiment", preset), [])
    config = check(composed(f"experiment={preset}", "seed=7", *needed))
    assert_rebuilt(save(asdict(config), schemas(config)), config)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=3", "model.alpha=1e-5", "model.eta0=2.0", "training.patience=null"],
        ["objective.metric=[val_f1,model_bytes]", "objective.direction=[maximize,minimize]"],
        ["vectorizer.min_df=2", "vectorizer.max_df=0.5", "vectorizer.max_features=100"],
        ["preprocessing.stopwords=[1e5,\"'on'\",'2020-01-01']", "data.other=null"],
        # Classes that a person names have no schema, although one has the class and the keys.
        ["model=custom", "model._target_=sklearn.linear_model.LogisticRegression", "+model.C=10"],
        ["model=custom", "model._target_=sklearn.linear_model.RidgeClassifier",
         "+model.alpha=0.5", "+model.class_weight=balanced"],
        ["vectorizer=custom",
         "vectorizer._target_=sklearn.feature_extraction.text.CountVectorizer",
         "+vectorizer.stop_words=[a,b]", "+vectorizer.vocabulary={y:0}"],
    ],
)  # fmt: skip
def test_values_are_rebuilt_from_their_record(
    composed: Compose, save: Save, overrides: list[str]
) -> None:
    config = check(composed(*overrides))
    assert_rebuilt(save(asdict(config), schemas(config)), config)


def test_a_group_that_is_null_stays_so(composed: Compose, save: Save) -> None:
    config = replace(check(composed()), sampling=None, threshold=None)
    assert_rebuilt(save(asdict(config), schemas(config)), config)


@pytest.mark.parametrize(
    ("group", "key"),
    [("training", "refit"), ("model", "tol"), ("preprocessing", "first"), ("objective", "")],
)
def test_a_run_from_before_there_was_a_setting_is_refused_with_its_name_and_the_way_out(
    composed: Compose, save: Save, group: str, key: str
) -> None:
    config = check(composed("model=logistic_regression"))
    record = asdict(config)
    if key:
        del record[group][key]
    else:
        del record[group]
    bundle = save(record, schemas(config))
    with pytest.raises(ConfigError) as caught:
        records.load_config(bundle, present(config))
    assert str(caught.value) == (
        f"{bundle}/config.yaml does not fit this version: it says nothing of"
        f" {group}{f'.{key}' if key else ''}; train it anew, without task=rerun."
    )


@pytest.mark.parametrize(
    "overrides",
    [["experiment=reference"], ["experiment=best", "data=table", "data.path=a.csv"]],
)
def test_a_record_from_before_a_setting_whose_default_changes_nothing_is_read(
    composed: Compose, save: Save, overrides: list[str]
) -> None:
    config = check(composed(*overrides))
    record = asdict(config)
    for key in (
        *("data.keep", "split.near_duplicates", "training.max_rows"),
        *("model.C", "vectorizer.token_pattern"),
    ):
        group, _, name = key.partition(".")
        record[group].pop(name, None)
    assert_rebuilt(save(record, schemas(config)), config)


def test_a_record_with_a_setting_that_is_no_more_is_refused_with_its_name_and_the_way_out(
    composed: Compose, save: Save
) -> None:
    config = check(composed("model=linear_svc"))
    bundle = save(changed(config, "model", folds=5, ensemble=False), schemas(config))
    with pytest.raises(ConfigError) as caught:
        records.load_config(bundle, present(config))
    assert str(caught.value) == (
        f"{bundle}/config.yaml does not fit this version: it sets model.folds, model.ensemble,"
        " which is no more; train it anew, without task=rerun."
    )


def test_what_belongs_to_the_place_need_not_be_recorded(composed: Compose, save: Save) -> None:
    config = check(composed())
    record = asdict(config)
    for group in (*records.LOCAL_GROUPS, "whitelist", "task", "sweep"):
        del record[group]
    assert_rebuilt(save(record, schemas(config)), config)


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${seed}", "???", "\\${x}", "a ${", "\\???"])
def test_nothing_is_looked_up_for_a_record(composed: Compose, save: Save, text: str) -> None:
    config = check(composed())
    config.preprocessing.stopwords = [text, "b"]
    config.data.other = text
    assert_rebuilt(save(json.dumps(asdict(config)), schemas(config)), config)


def changed(config: Config, group: str, **values: Any) -> dict[str, Any]:
    record = asdict(config)
    record[group] |= values
    return record


def test_a_record_is_checked_as_a_command_line_is(composed: Compose, save: Save) -> None:
    config = check(composed())
    without = {key: value for key, value in asdict(config).items() if key != "split"}
    for record, reason in (
        (changed(config, "model", C=None, alpha=-1.0), "model.alpha = -1.0 is not allowed"),
        (changed(config, "model", alpha="much"), "much"),
        (changed(config, "training", speed=9), "speed"),
        (asdict(config) | {"magic": {"x": 1}}, "magic"),
        (asdict(config) | {"seed": -1}, "seed = -1"),
        (without, "it says nothing of split;"),
        ("[1, 2]", "not a mapping"),
        ("a: [", "no YAML"),
        (changed(config, "objective", metric="test_f1"), "objective.metric"),
    ):
        bundle = save(record, schemas(config))
        with pytest.raises(ConfigError) as caught:
            records.load_config(bundle, present(config))
        assert str(caught.value).startswith(f"{bundle}/config.yaml does not fit this version: ")
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["sgd", "custom"])
def test_a_record_cannot_run_what_is_not_allowed_nor_allow_more(
    composed: Compose, save: Save, option: str
) -> None:
    config = check(composed(f"model={option}", "model._target_=os.system"))
    more = {"whitelist": ["os.*"], "extensions": ["mine.py"]}
    with pytest.raises(ConfigError, match=r"model\._target_ = 'os\.system' is not allowed"):
        records.load_config(save(asdict(config) | more, schemas(config)), present(config))
    config = check(composed())
    made = records.load_config(save(asdict(config) | more, schemas(config)), present(config))
    assert (made.whitelist, made.extensions) == ([], [])


def test_data_files_of_the_project_are_looked_for_below_its_present_root(
    composed: Compose, save: Save
) -> None:
    config = check(composed("paths.root=/old", "data.projects=/old/a/p.csv", "data.tags=/x/t.csv"))
    made = records.load_config(save(asdict(config), schemas(config)), present(config))
    assert made.data.projects == "/root/a/p.csv"  # type: ignore[attr-defined]
    assert made.data.tags == "/x/t.csv"  # type: ignore[attr-defined]


def test_each_of_several_data_files_is_looked_for_below_the_present_root(
    composed: Compose, save: Save
) -> None:
    files = ["data.path=[/old/a/p.csv,/x/q.csv,https://h/old/r.csv]", "data.label_names=/old/n.txt"]
    config = check(composed("paths.root=/old", "data=table", *files, "data.missing=[/old/a]"))
    made = vars(records.load_config(save(asdict(config), schemas(config)), present(config)).data)
    assert made["path"] == ["/root/a/p.csv", "/x/q.csv", "https://h/old/r.csv"]
    assert (made["label_names"], made["missing"]) == ("/root/n.txt", ["/old/a"])


SECRET = "${oc.env:SECRET_OF_TEST}"
GIT = "${oc.create:{_target_:tagifai.utils.environment._git,_args_:[/,[],status]}}"

CUSTOM_WORDS = (
    *("vectorizer=custom", "vectorizer._target_=sklearn.feature_extraction.text.CountVectorizer"),
)


@pytest.mark.parametrize("text", [SECRET, GIT, "${oc.create:{_target_:os.getcwd}}", "${seed}"])
def test_a_text_of_a_record_is_a_text_in_what_is_made_too(
    composed: Compose, save: Save, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SECRET_OF_TEST", "very secret")
    config = check(composed(*CUSTOM_WORDS))
    config.vectorizer["stop_words"] = [text]
    made = records.load_config(save(json.dumps(asdict(config)), schemas(config)), present(config))
    assert build_components(made, RandomState(0)).vectorizer.stop_words == [text]


@pytest.mark.parametrize(
    ("group", "values", "reason"),
    [
        ("model", {"class_weight": GIT}, "class_weight = "),
        ("model", {"class_weight": {"_target_": "os.getcwd"}}, "os.getcwd"),
        ("model", {"_target_": "sklearn.datasets.clear_data_home"}, "clear_data_home' is not all"),
        ("threshold", {"_target_": "tagifai.cli.main"}, "threshold._target_ = 'tagifai.cli.main'"),
        ("vectorizer", {"_target_": "tagifai.preprocessing.counts"}, "no such argument"),
        ("vectorizer", {"_partial_": True}, "_partial_"),
    ],
)
def test_a_record_is_refused_before_anything_of_it_is_used(
    composed: Compose, save: Save, group: str, values: dict[str, Any], reason: str
) -> None:
    config = check(composed("threshold=fixed"))
    bundle = save(json.dumps(changed(config, group, **values)), schemas(config))
    with pytest.raises(ConfigError) as caught:
        records.load_config(bundle, present(config))
    assert str(caught.value).startswith(f"{bundle}/config.yaml does not fit this version: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model": [1]}, "model is no mapping."),
        ({"sampling": "none"}, "sampling is no mapping."),
        ({"training": [0] * 20_000}, "list is not a subclass of TrainingConfig."),
        ({"data": {"accepted_tags": {"a": 1}}}, ""),
        ({"training": {"epochs": [1]}}, ""),
        ({"split": {"train_size": 10**400}}, "int too large"),
    ],
)
def test_a_record_of_other_kinds_of_values_is_refused_in_a_sentence(
    composed: Compose, save: Save, values: dict[str, Any], reason: str
) -> None:
    config = check(composed())
    record = asdict(config)
    for group, given in values.items():
        record[group] = {**record[group], **given} if isinstance(given, dict) else given
    bundle = save(json.dumps(record), schemas(config))
    with pytest.raises(ConfigError, match=f"does not fit this version: .*{reason}") as caught:
        records.load_config(bundle, present(config))
    assert len(str(caught.value)) < 1_500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x\n", "anchors or tags"),
        ("a: !!python/object/apply:os.getcwd []\n", "anchors or tags"),
        ("a: !!binary aGk=\n", "anchors or tags"),
        ("[" * 100_000, "more than 20 deep"),
        ("a: " + "{b: " * 30 + "}" * 30, "more than 20 deep"),
        ("a: " + "x" * 2**22, "more than 4,194,304 characters"),
    ],
)
def test_a_record_that_would_grow_when_it_is_read_is_refused(
    composed: Compose, save: Save, text: str, reason: str
) -> None:
    bundle = save(text, {})
    with pytest.raises(ConfigError, match=reason):
        records.load_config(bundle, present(check(composed())))


# --- a run of somebody else's ------------------------------------------------------------------


def imported(bundle: Path) -> Path:
    """Mark a bundle as one that was imported."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "imported": {"file": "a.zip"}}))
    return bundle


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["vectorizer.token_pattern='(?:\\w+)+-'"], "vectorizer.token_pattern"),
        (["vectorizer.analyzer=word", "vectorizer.ngram_max=15000"], "vectorizer.ngram_max"),
        (["model=custom", "model._target_=sklearn.linear_model.Perceptron", "+model.n_jobs=4"],
         "model.n_jobs"),
        (["training.epochs=100000"], "training.epochs"),
        ([f"vectorizer.max_features={10**400}"], "vectorizer.max_features"),
    ],
)  # fmt: skip
def test_the_run_of_somebody_else_may_not_ask_for_too_much(
    composed: Compose, save: Save, overrides: list[str], reason: str
) -> None:
    config = check(composed("vectorizer=tfidf_word", *overrides))
    bundle = save(asdict(config), schemas(config))
    records.load_config(bundle, present(config))
    with pytest.raises(ConfigError, match=f"{reason} = .* is not taken from a model that was imp"):
        records.load_config(imported(bundle), present(config))


def test_the_run_of_somebody_else_is_rebuilt_as_one_of_one_s_own(
    composed: Compose, save: Save
) -> None:
    config = check(composed("model=linear_svc"))
    assert_rebuilt(imported(save(asdict(config), schemas(config))), config)


# --- how a run came about ----------------------------------------------------------------------


def test_how_a_run_came_about_is_read_as_it_was_written(save: Save) -> None:
    bundle = save({"seed": 1}, {"model": None}, overrides=["seed=1"])
    expected = {**PROVENANCE, "schemas": {"model": None}, "overrides": ["seed=1"]}
    assert records.read_provenance(bundle) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"options": []}, {"git": None}, {"versions": {"numpy": 2}}, {"overrides": "a"},
     {"overrides": None}, {"schemas": {"model": ["x"]}}],
)  # fmt: skip
def test_provenance_of_another_form_is_refused(save: Save, wrong: dict[str, Any]) -> None:
    bundle = save({"seed": 1}, **({"schemas": {}} | wrong))
    with pytest.raises(BundleError, match="does not say how"):
        records.read_provenance(bundle)


def test_a_schema_that_there_is_not_is_refused(composed: Compose, save: Save) -> None:
    config = check(composed())
    bundle = save(asdict(config), schemas(config) | {"model": "model/x"})
    with pytest.raises(ConfigError, match="model has the schema 'model/x', which is not known"):
        records.load_config(bundle, present(config))


# --- the data set ------------------------------------------------------------------------------


@pytest.fixture
def trained(composed: Compose, tmp_path: Path) -> tuple[Config, str]:
    """A configuration with a table of its own, and the digest of the stored data set."""
    path = tmp_path / "mine.csv"
    path.write_text("text,label\na,x\nb,y\n")
    config = check(
        composed("data=table", f"data.path={path}", f"paths.stores={tmp_path / 'stores'}")
    )
    return config, datasets.load(config.data, tmp_path / "stores").digest


def with_digest(tmp_path: Path, tagger: Tagger, digest: str) -> Path:
    splits = format_json({"data": {"name": "mine", "digest": digest}})
    bundles.save(tmp_path / "bundle", tagger, {**DOCUMENTS, "splits.json": splits})
    return tmp_path / "bundle"


def test_the_stored_data_set_counts_whatever_has_become_of_its_source(
    trained: tuple[Config, str], tmp_path: Path, tagger: Tagger
) -> None:
    config, digest = trained
    bundle = with_digest(tmp_path, tagger, digest)
    (tmp_path / "mine.csv").write_text("text,label\na,x\nc,y\n")
    assert records.load_dataset(bundle, config).digest == digest
    (tmp_path / "mine.csv").unlink()
    found = records.load_dataset(bundle, config)
    assert (found.digest, found.table["text"].tolist()) == (digest, ["a", "b"])


def test_a_data_set_that_is_not_stored_any_more_is_made_from_its_source_as_it_is_now(
    trained: tuple[Config, str], tmp_path: Path, tagger: Tagger
) -> None:
    config, digest = trained
    bundle = with_digest(tmp_path, tagger, digest)
    (tmp_path / "mine.csv").write_text("text,label\na,x\nc,y\n")
    datasets.load(config.data, tmp_path / "stores")
    kept = records.load_dataset(bundle, config)
    assert kept.digest == digest
    shutil.rmtree(kept.path.parent)
    found = records.load_dataset(bundle, config)
    assert found.digest != digest
    assert found.table["text"].tolist() == ["a", "c"]


def test_data_of_somebody_else_s_run_come_from_the_store_or_not_at_all(
    trained: tuple[Config, str], tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, digest = trained
    bundle = imported(with_digest(tmp_path, tagger, digest))
    assert records.load_dataset(bundle, config).digest == digest

    monkeypatch.setattr(datasets, "load", None)  # nothing is asked of it
    for other in ("0" * 64, "../../mine", digest[:12]):
        shutil.rmtree(bundle)
        with pytest.raises(DataError) as caught:
            records.load_dataset(imported(with_digest(tmp_path, tagger, other)), config)
        assert "nothing is read or fetched from where an imported run says" in str(caught.value)
        assert "task=elt data=..." in str(caught.value)


def test_data_that_are_gone_are_one_clear_error(
    trained: tuple[Config, str], tmp_path: Path, tagger: Tagger
) -> None:
    config, _ = trained
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(DataError) as caught:
        records.load_dataset(with_digest(tmp_path, tagger, "0" * 64), config)
    assert "'mine' that the run was trained with (SHA-256 000000000000…) is not in" in str(
        caught.value
    )
    assert f"there is no file {tmp_path}/mine.csv" in str(caught.value)


# --- rows ---------------------------------------------------------------------------------------


DATA = {"name": "sample", "digest": "0"}


@pytest.mark.parametrize(
    "splits",
    [
        *([], {}, {"data": DATA}, {"data": DATA, "policy": {}}, {"data": 3}),
        *(
            {"data": {"name": name, "digest": "0"}, "policy": {}, "test": []}
            for name in ("../data", "/etc", "a\\b", "", None)
        ),
    ],
)
def test_a_bundle_that_does_not_say_which_rows_is_refused(tmp_path: Path, splits: Any) -> None:
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(BundleError, match=r"splits\.json does not say which rows \("):
        records.load_part(tmp_path, tmp_path)


POLICY = {"accepted": [], "min_freq": 1, "other": None}


@pytest.mark.parametrize(
    ("ids", "policy", "reason"),
    [
        ("1", {}, "the test rows are no list of different ids"),
        ({}, {}, "the test rows are no list of different ids"),
        (["1", "1"], {}, "the test rows are no list of different ids"),
        (["nowhere"], {}, "nowhere"),
        ([[]], {}, "unhashable"),
        ([str(n) for n in range(100_000)], {}, "there are 100000 ids, and"),
        (None, {"min_freq": 10**6}, "a row has no label"),
        (None, {"accepted": 5}, "not iterable"),
        (None, {"more": 5}, "unexpected keyword"),
    ],
)
def test_rows_that_the_data_set_has_not_are_refused(
    trained: tuple[Config, str], tmp_path: Path, ids: Any, policy: dict[str, Any], reason: str
) -> None:
    config, digest = trained
    stores = Path(config.paths.stores)
    table = datasets.load(config.data, stores).table
    there = table["id"].tolist() if ids is None else ids
    splits = {"data": {"name": config.data.name, "digest": digest}, "policy": {**POLICY, **policy}}
    (tmp_path / "splits.json").write_text(json.dumps({**splits, "test": there}))
    with pytest.raises(BundleError, match=rf"does not say which rows \(.*{reason}"):
        records.load_part(tmp_path, stores)
