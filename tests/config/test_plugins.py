from __future__ import annotations

import copy
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from tagifai.config import _hydra
from tagifai.config.error_messages import explain
from tagifai.config.plugins import FileConfigSource, OwnSearchPath, PresetSource, SchemaSource
from tagifai.config.schema import SCHEMA_CLASSES, Config, DataConfig
from tagifai.exceptions import ConfigError
from tagifai.sweeping.sweeper import SearchSweeper
from tests.conftest import CONF, Compose


@pytest.fixture
def source() -> SchemaSource:
    return SchemaSource("test", "tagifai://schemas")


def test_hydra_finds_the_source_by_its_entry_point() -> None:
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-schemas")
    assert entry.load() is SchemaSource
    assert SchemaSource in Plugins.instance().discover(ConfigSource)


def test_another_scheme_is_not_served() -> None:
    with pytest.raises(ValueError, match="Invalid path"):
        SchemaSource("test", "file://schemas")


@pytest.mark.parametrize("name", sorted(SCHEMA_CLASSES))
@pytest.mark.parametrize("suffix", ["", ".yaml"])
def test_every_schema_is_served_as_a_structured_configuration(
    source: SchemaSource, name: str, suffix: str
) -> None:
    path = f"schema/{name}{suffix}"
    assert source.is_config(path)
    assert source.exists(path)
    result = source.load_config(path)
    assert OmegaConf.get_type(result.config) is SCHEMA_CLASSES[name]
    assert (result.provider, result.path) == ("test", "tagifai://schemas")
    assert result.header == {"package": None}


@pytest.mark.parametrize(
    "path", ["model/sgd", "schema", "schema/", "schema/model", "schema/model/nope", "sgd", ""]
)
def test_nothing_else_is_served(source: SchemaSource, path: str) -> None:
    assert not source.is_config(path)
    assert not source.exists(path)


@pytest.mark.parametrize("path", ["", "schema", "schema/model", "model"])
@pytest.mark.parametrize("kind", [None, ObjectType.CONFIG, ObjectType.GROUP])
def test_no_schema_is_listed(source: SchemaSource, path: str, kind: ObjectType | None) -> None:
    assert source.available()
    assert not source.is_group(path)
    assert source.list(path, kind) == []


def test_every_schema_is_asked_for_by_an_option_and_every_one_asked_for_is_there() -> None:
    asked = {
        line.strip().removeprefix("- ").removeprefix("/").removeprefix("schema/")
        for file in CONF.rglob("*.yaml")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "schema/" in line and line.strip().endswith("@_here_")
    }
    # The options of groups that take one schema only have it from the whole configuration's.
    typed = {type_ for type_ in get_type_hints(Config).values() if type_ is not DataConfig}
    of_group = {name for name, node in SCHEMA_CLASSES.items() if node in typed}
    assert asked == {f"{name}@_here_" for name in set(SCHEMA_CLASSES) - of_group}


# --- files, and texts as they are typed --------------------------------------------------------


OPTION = """
defaults: [/schema/data/table@_here_]
path: 2024.csv
text: 0
label: 0x10
other: no
id: null
split: ~
accepted_tags: [true, 1e3, 01, null, "x", 1_000, "${data.label}"]
missing:
  - NA
  - ~
label_names: {01: neg, yes: 2}
sheet: 2024-01-02
chunk_rows: 007
"""

EXPERIMENT = """# @package _global_
defaults:
  - override /data: mine
names: &names {text: 007}
data:
  <<: *names
  accepted_tags: [off, 1.50]
  label: "1"
task: {missing: [null]}
seed: 5
"""


@pytest.fixture
def files(tmp_path: Path) -> FileConfigSource:
    for name, content in [("data/mine", OPTION), ("experiment/mine", EXPERIMENT)]:
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.yaml").write_text(content)
    return FileConfigSource("test", f"file://{tmp_path}")


def test_texts_in_yaml_are_what_is_typed_there(files: FileConfigSource) -> None:
    config: Any = files.load_config("data/mine").config
    assert config.pop("defaults")
    assert OmegaConf.to_container(config, resolve=False) == {
        "path": "2024.csv",
        "text": "0",
        "label": "0x10",
        "other": "no",
        "id": None,
        "split": None,
        "missing": ["NA", "~"],
        "sheet": "2024-01-02",
        "accepted_tags": ["true", "1e3", "01", "null", "x", "1_000", "${data.label}"],
        "label_names": {"01": "neg", "yes": "2"},
        "chunk_rows": 7,
    }


def test_a_preset_has_texts_as_typed_too(files: FileConfigSource) -> None:
    for path in ("experiment/mine", "experiment/mine.yaml"):
        config: Any = files.load_config(path).config
        assert config.data == {"text": "007", "accepted_tags": ["off", "1.50"], "label": "1"}
        assert (config.task.missing, config.seed) == (["null"], 5)


def test_hydra_takes_its_files_from_this_source(
    files: FileConfigSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    where = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(str(CONF)):
        data = compose("config", [where, "data=mine"]).data
    assert data.accepted_tags[:3] == ["true", "1e3", "01"]
    assert files.available()


# --- presets that searches have found ----------------------------------------------------------


@pytest.fixture
def presets(tmp_path: Path) -> PresetSource:
    """A source whose folder is not there yet."""
    return PresetSource("test", f"presets://{tmp_path}/stores/presets")


def found(stores: Path, name: str, content: str) -> None:
    folder = stores / "presets" / "experiment"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(f"# @package _global_\n{content}\n")


def test_hydra_finds_the_presets_and_the_search_by_their_entry_points() -> None:
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-presets")
    assert entry.load() is PresetSource
    assert PresetSource in Plugins.instance().discover(ConfigSource)
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-search-path")
    assert entry.load() is OwnSearchPath
    assert OwnSearchPath in Plugins.instance().discover(SearchPathPlugin)
    (entry,) = entry_points(group="hydra.plugins", name="tagifai-search")
    assert entry.load() is SearchSweeper
    assert SearchSweeper in Plugins.instance().discover(Sweeper)


def test_presets_have_a_scheme_of_their_own() -> None:
    assert PresetSource.scheme() == "presets"
    with pytest.raises(ValueError, match="Invalid path"):
        PresetSource("test", "file:///a")


@pytest.mark.parametrize("path", ["", "experiment", "nope"])
@pytest.mark.parametrize("kind", [None, ObjectType.CONFIG, ObjectType.GROUP])
def test_before_the_first_search_there_is_nothing_and_that_is_no_trouble(
    presets: PresetSource, tmp_path: Path, path: str, kind: ObjectType | None
) -> None:
    assert presets.available()
    assert presets.list(path, kind) == []
    assert not presets.is_group(path)
    assert not presets.exists("experiment/quick-sample")
    assert list(tmp_path.iterdir()) == []


def test_what_a_search_has_found_is_listed_and_loaded(
    presets: PresetSource, tmp_path: Path
) -> None:
    found(tmp_path / "stores", "quick-sample", "seed: 7")
    found(tmp_path / "stores", "quick-sample-2", "seed: 8")
    assert presets.list("", ObjectType.GROUP) == ["experiment"]
    assert presets.list("", ObjectType.CONFIG) == []
    assert presets.list("experiment", ObjectType.CONFIG) == ["quick-sample", "quick-sample-2"]
    assert presets.list("experiment", ObjectType.GROUP) == presets.list("nope", None) == []
    result = presets.load_config("experiment/quick-sample")
    assert result.config == {"seed": 7}
    assert result.header["package"] == "_global_"
    assert (result.provider, result.path) == ("test", f"presets://{tmp_path}/stores/presets")


def test_a_preset_in_the_stores_is_an_option_beside_those_of_the_project(
    composed: Compose, tmp_path: Path
) -> None:
    assert composed().seed == 42
    found(tmp_path / "stores", "quick-sample", "defaults:\n  - override /model: sgd_huber\nseed: 7")
    cfg = composed("experiment=quick-sample")
    assert (cfg.seed, cfg.model.loss) == (7, "modified_huber")
    with pytest.raises(MissingConfigException) as caught:
        composed("experiment=quick-sampel")
    message, _ = explain(caught.value)
    assert message == (
        "experiment=quick-sampel: there is no such option. Did you mean 'quick-sample'? experiment"
        " takes: best, best_embedding, quick-sample, reference, streamed."
    )


PRESET = """# @package _global_
# Trial 3 of the search.
defaults:
- override /data: sample
- override /model: sgd
seed: 7
model:
  C: null
  alpha: 0.75
preprocessing:
  stopwords: ['\\${oc.env:HOME}', a]
training: {epochs: 3}
objective: {metric: val_f1}
metrics: [f1]
"""

MOVE = (
    "task=repair puts it aside. A preset of the stores sets data, preprocessing, split,"
    " vectorizer, sampling, model, threshold, seed, training, objective, metrics"
    " to plain values, and nothing else."
    " If the file is yours, move it into conf/experiment, or into a folder that --config-dir names."
)


def refused_preset(stores: Path, content: str) -> str:
    file = stores / "presets" / "experiment" / "evil.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    source = PresetSource("test", f"presets://{stores}/presets")
    with pytest.raises(ConfigError) as caught:
        source.load_config("experiment/evil")
    message = str(caught.value)
    assert message.startswith(f"{file} is not taken as a preset: ")
    assert message.endswith(MOVE)
    assert "\n" not in message
    return message


def test_what_searches_write_is_taken(presets: PresetSource, tmp_path: Path) -> None:
    found(tmp_path / "stores", "good", PRESET)
    config: Any = presets.load_config("experiment/good").config
    assert config.model == {"C": None, "alpha": 0.75}
    assert config.preprocessing.stopwords[0] == "${oc.env:HOME}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("hydra: {callbacks: {x: {_target_: os.system, command: id}}}", "it sets hydra."),
        ("hydra: {job: {env_set: {GIT_CONFIG_COUNT: '1'}}}", "it sets hydra."),
        ("hydra: {job: {env_set: {TAGIFAI_WHITELIST: 'os.*'}}}", "it sets hydra."),
        ("hydra.job.chdir: true", "it sets hydra.job.chdir."),
        *((f"{key}: {{}}", f"it sets {key}.") for key in ("paths", "tracking", "task", "sweep")),
        *((f"{key}: [os.*]", f"it sets {key}.") for key in ("whitelist", "extensions", "_target_")),
        ("1: 2", "it sets 1."),
        ("model: {class_weight: '${oc.env:HOME}'}", "model.class_weight = '${oc.env:HOME}' refers"),
        (r"data: {other: 'a \\${seed}'}", "data.other = "),
        (r"data: {accepted_tags: ['\${a}${b}']}", "data.accepted_tags.0 = "),
        ("seed: ${oc.create:{_target_:os.system}}", "seed = "),
        ("model: ${hydra.job}", "model = "),
        ("model: {_target_: os.system}", "model._target_ = 'os.system' is not allowed"),
        ("model: {class_weight: {_target_: os.getcwd}}", "_target_ = 'os.getcwd' is not allowed"),
        ("model: {_target_: sklearn.svm.SVC, _partial_: true}", "model._partial_ is not taken"),
        ("model: &a [1]\ndata: *a", "anchors or tags"),
        ("model: !!python/name:os.system ''", "anchors or tags"),
        ("data: " + "[" * 10_000, "more than 20 deep"),
        ("data: [", "it is no YAML"),
        ("? [a, b]\n: 1", "found unhashable key"),
        ("seed: " + "9" * 5_000, "Exceeds the limit"),
        ("preprocessing: {stopwords: [" + "a," * 400_000 + "]}", "node expansion exceeds"),
        ("data: " + "x" * 2**20, "more than 1,048,576 characters"),
        ("data: " + "x" * 2**23, "more than 1,048,576 characters"),
        *(
            (f"defaults:\n- {item}", "its defaults have")
            for item in (
                *("override /hydra/launcher: basic", "override /hydra/callbacks: x", "_self_"),
                *("/hydra/callbacks: x", "hydra/callbacks: x", "override model: sgd", "model: sgd"),
                *("override /task: serve", "override /paths: x", "override /tracking: mlflow"),
                *("override /model: ../hydra/launcher/evil", "override /model: /etc/passwd"),
                *("override /model: file://x", "override /model: pkg://x"),
                *(
                    "override /model: schema://x",
                    "override /model@hydra: sgd",
                    "optional /model: a",
                ),
                *("override /model: [sgd, sgd]", "override /model: '${oc.env:HOME}'", "/model"),
                *("{override /model: sgd, override /task: serve}", "{}", "null", "[]"),
                *(
                    "/schema/config@_here_",
                    "tagifai://schemas/config",
                    "override /experiment: best",
                ),
            )
        ),
        ("defaults: {override /model: sgd}", "its defaults have"),
        ("defaults: x", "its defaults have"),
    ],
)
def test_a_preset_of_the_stores_that_is_more_than_values_is_refused(
    tmp_path: Path, content: str, reason: str
) -> None:
    assert reason in refused_preset(tmp_path, f"# @package _global_\n{content}\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("seed: 1", "does not begin with '# @package _global_'"),
        ("# @package hydra\ncallbacks: {}", "does not begin with '# @package _global_'"),
        ("# @package _global_\n# @package hydra\nseed: 1", "does not begin with"),
        ("# @package _global_\n# @x y\nseed: 1", "does not begin with"),
        ("# @package _global_\n- 1", "it is not a mapping"),
    ],
)
def test_a_preset_of_the_stores_has_one_package_and_is_a_mapping(
    tmp_path: Path, content: str, reason: str
) -> None:
    assert reason in refused_preset(tmp_path, content)


WHOLE = """\
# @package _global_
# Trial 3 of the search 's', the best of 9: 0.5.
# Written by the search. Its values win over options that are chosen on the
# command line.
model:
  alpha: 0.75
# The preset ends here.
"""


def test_a_preset_that_is_cut_off_anywhere_is_refused_by_its_name(
    presets: PresetSource, tmp_path: Path
) -> None:
    for size in range(len(WHOLE)):
        reason = refused_preset(tmp_path, WHOLE[:size])
        if not size:
            assert "it is empty." in reason
    (tmp_path / "stores" / "presets" / "experiment").mkdir(parents=True)
    (tmp_path / "stores" / "presets" / "experiment" / "whole.yaml").write_text(WHOLE)
    assert presets.load_config("experiment/whole").config == {"model": {"alpha": 0.75}}


@pytest.mark.parametrize("content", [b"\0" * 10, b"\xff\xfe", b"", b" \n", b"model: {alpha: ["])
def test_a_file_of_options_that_cannot_be_read_or_is_empty_is_named(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        FileConfigSource("test", f"file://{tmp_path}").load_config("experiment/mine")
    assert str(caught.value).startswith(f"{tmp_path}/experiment/mine.yaml ")
    assert str(caught.value).endswith(" or remove it.")
    assert "\n" not in str(caught.value)


def test_a_link_is_no_preset_of_the_stores(tmp_path: Path) -> None:
    found(tmp_path, "good", "seed: 7")
    folder = tmp_path / "presets" / "experiment"
    (folder / "evil.yaml").symlink_to(folder / "good.yaml")
    with pytest.raises(ConfigError, match="it is not a plain file"):
        PresetSource("test", f"presets://{tmp_path}/presets").load_config("experiment/evil")


def test_no_other_group_is_looked_for_in_the_stores(tmp_path: Path) -> None:
    source = PresetSource("test", f"presets://{tmp_path}")
    for path in ("hydra/launcher/evil", "model/evil", "config", "experiment/sub/x", "sweep/evil"):
        (tmp_path / f"{path}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{path}.yaml").write_text("# @package _global_\nseed: 1\n")
        assert not source.is_config(path)
        assert not source.exists(path)
        assert not source.is_group(path)
        with pytest.raises(ConfigError, match="it is not a plain file"):
            source.load_config(path)
    assert source.list("", ObjectType.CONFIG) == source.list("hydra", None) == []
    assert source.list("", ObjectType.GROUP) == ["experiment"]
    assert not source.is_config("experiment/../config")


def test_an_error_of_a_preset_is_one_sentence_of_the_command(
    composed: Compose, tmp_path: Path
) -> None:
    found(tmp_path / "stores", "evil", "hydra: {job: {env_set: {A: b}}}")
    with pytest.raises(ConfigError, match=r"evil\.yaml is not taken as a preset: it sets hydra\. "):
        composed("experiment=evil")


def test_presets_are_those_of_the_stores_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(tmp_path / "stores", "here", "seed: 7")
    found(tmp_path / "elsewhere", "there", "seed: 8")
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "elsewhere"))
    with initialize_config_dir(str(CONF)):
        assert compose("config", ["experiment=there"]).seed == 8
        with pytest.raises(MissingConfigException, match="experiment/here"):
            compose("config", ["experiment=here"])


def test_the_stores_of_the_environment_are_taken_as_they_are_and_a_blank_one_is_none(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert composed().paths.stores == f"{tmp_path}/stores"
    assert composed("paths.root=/elsewhere").paths.stores == "/elsewhere/stores"
    for given, stores in [("/a ${b}/???", "/a ${b}/???"), (" ", f"{tmp_path}/stores")]:
        monkeypatch.setenv("TAGIFAI_STORES", given)
        assert composed().paths.stores == stores
    assert composed("paths.stores=/mine").paths.stores == "/mine"


@pytest.mark.parametrize("root", ["TAGIFAI_ROOT", None])
def test_schemas_and_presets_are_on_the_search_path_of_our_commands_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str | None
) -> None:
    monkeypatch.delenv("TAGIFAI_STORES", raising=False)
    monkeypatch.delenv("TAGIFAI_ROOT", raising=False)
    if root is not None:
        monkeypatch.setenv(root, str(tmp_path))
    with initialize_config_dir(str(tmp_path)):
        path = GlobalHydra.instance().config_loader().get_search_path().get_path()
    ours = [entry.path for entry in path if entry.provider == "tagifai"]
    assert ours == (
        [] if root is None else ["tagifai://schemas", f"presets://{tmp_path}/stores/presets"]
    )


@pytest.mark.parametrize("own", ["[]", "[file://{folder}]", "[file:///nowhere,file://{folder}]"])
@pytest.mark.filterwarnings("ignore:.*is not available:UserWarning")
def test_a_search_path_of_one_s_own_adds_to_ours(
    composed: Compose, tmp_path: Path, own: str
) -> None:
    found(tmp_path / "stores", "here", "seed: 7")
    (tmp_path / "own" / "model").mkdir(parents=True)
    content = "defaults: [/schema/model/sgd@_here_]\nalpha: 0.25\n"
    (tmp_path / "own" / "model" / "mine.yaml").write_text(content)
    where = f"hydra.searchpath={own.format(folder=tmp_path / 'own')}"
    assert composed(where, "experiment=here").seed == 7
    if "folder" in own:
        assert composed(where, "model=mine").model.alpha == 0.25


def test_a_preset_in_a_folder_that_a_person_names_wins_over_one_of_the_stores(
    composed: Compose, tmp_path: Path
) -> None:
    found(tmp_path / "stores", "both", "seed: 7")
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "both.yaml").write_text("# @package _global_\nseed: 8\n")
    assert composed("experiment=both").seed == 7
    assert composed(f"hydra.searchpath=[file://{tmp_path}/own]", "experiment=both").seed == 8


def test_a_file_is_read_anew_when_it_has_changed_and_what_it_gave_is_the_caller_s_own(
    tmp_path: Path,
) -> None:
    source = FileConfigSource("test", f"file://{tmp_path}")
    for seed in (1, 2, 1):
        (tmp_path / "config.yaml").write_text(f"defaults: [a]\nseed: {seed}\n")
        for _ in range(3):
            config: Any = source.load_config("config").config
            assert (config.pop("defaults"), config.seed) == (["a"], seed)


def test_however_often_hydra_asks_for_a_file_it_is_read_twice_and_its_sources_are_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = _hydra.FileConfigSource.load_config

    def count(source: FileConfigSource, config_path: str) -> ConfigResult:
        read.append(config_path)
        return load(source, config_path)

    monkeypatch.setattr(_hydra.FileConfigSource, "load_config", count)
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    for provider in ("main", "command-line", "hydra.searchpath in main"):
        source = FileConfigSource(provider, f"file://{tmp_path}")
        assert copy.deepcopy(source) is source
        for _ in range(3):
            result = source.load_config("config")
            assert (result.provider, result.path) == (provider, f"file://{tmp_path}")
    assert read == ["config", "config"]


def test_what_is_listed_are_folders_and_yaml_files(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.c.yaml", "README.md", "d.yml", "e.yaml/x.yaml", "__pycache__/y.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = FileConfigSource("test", f"file://{tmp_path}")
    assert source.list("", ObjectType.CONFIG) == ["a", "b.c"]
    assert source.list("", ObjectType.GROUP) == ["e.yaml"]
    assert source.list("", None) == ["a", "b.c", "e.yaml"]
    assert not source.exists("x" * 2_000)
    assert not source.exists("\0")


def test_without_presets_hydra_warns_of_nothing(
    composed: Compose, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    composed()
    assert not (tmp_path / "stores").exists()
    assert recwarn.list == []
