from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from optuna.storages import InMemoryStorage

from tagifai.config import extensions
from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError
from tagifai.sweeping import composition
from tagifai.sweeping.studies import Study
from tagifai.sweeping.sweeper import SearchSweeper
from tests.spies import SpyVectorizer
from tests.sweeping.conftest import Searching


def a_study(name: str = "s") -> Study:
    storage = InMemoryStorage()
    return Study(optuna.create_study(storage=storage, study_name=name), storage, name)


def told(cfg: DictConfig) -> dict[str, Any]:
    """Return what jobs are told of Hydra's own keys, as they would read it."""
    parsed = OverridesParser.create().parse_overrides(list(cfg.hydra.overrides.hydra))
    return {override.get_key_element(): override.value() for override in parsed}


# --- composing -------------------------------------------------------------------------------


def test_hydras_own_node_is_left_out_of_a_copy() -> None:
    cfg = OmegaConf.create({"hydra": {"a": 1}, "seed": 3, "twice": "${seed}"})
    OmegaConf.set_readonly(cfg, True)
    OmegaConf.set_struct(cfg, True)
    alone = composition.strip_hydra_node(cfg)
    assert OmegaConf.to_container(alone, resolve=True) == {"seed": 3, "twice": 3}
    assert "hydra" in cfg


def test_a_jobs_configuration_has_its_overrides_and_those_of_the_search(
    searching: Searching, tmp_path: Path
) -> None:
    compose = composition.make_composer(searching("training.epochs=7"))
    config, choices = compose(["vectorizer=tfidf_word", "training.epochs=7", "model.alpha=0.5"])
    assert isinstance(config, Config)
    assert (config.training.epochs, config.model.alpha) == (7, 0.5)
    assert config.vectorizer.analyzer == "word"
    assert config.paths.outputs == str(tmp_path / "outputs")
    assert choices == {
        "data": "sample",
        "preprocessing": "default",
        "split": "stratified",
        "vectorizer": "tfidf_word",
        "sampling": "none",
        "model": "sgd",
        "threshold": "none",
    }


def test_a_value_that_the_schema_refuses_is_refused(searching: Searching) -> None:
    compose = composition.make_composer(searching())
    with pytest.raises(ConfigError, match=r"model\.alpha = -1\.0 is not allowed"):
        compose(["model.alpha=-1.0"])


def test_a_launcher_is_not_chosen_by_a_trial(searching: Searching) -> None:
    compose = composition.make_composer(searching())
    with pytest.raises(ConfigCompositionException):
        compose(["hydra/launcher=joblib"])


def test_options_alone_are_composed_without_the_values_of_the_search(searching: Searching) -> None:
    compose = composition.make_run_composer(searching("training.epochs=7", "model.alpha=0.5"))
    config = compose(["model=sgd_huber"])
    assert (config.training.epochs, config.model.loss) == (10, "modified_huber")
    assert config.model.alpha != 0.5


def test_options_alone_may_make_no_configuration(searching: Searching) -> None:
    compose = composition.make_run_composer(searching())
    with pytest.raises((ConfigError, HydraException)):
        compose(["model=custom"])


# --- what a launcher is given ----------------------------------------------------------------


def test_jobs_are_told_the_study_and_its_folder(searching: Searching, tmp_path: Path) -> None:
    sweeper = searching()
    study = a_study("quick-sample")
    cfg = composition.make_job_config(sweeper, study, tmp_path / "outputs", 3)
    folder = Path(cfg.hydra.sweep.dir)
    assert folder.name.endswith("-quick-sample")
    assert "-multirun" not in folder.name
    assert folder.is_relative_to(tmp_path / "outputs")
    assert cfg.hydra.sweeper.study_name == "quick-sample"
    assert told(cfg) == {
        "hydra/sweeper": "tagifai",
        "hydra.sweep.dir": str(folder),
        "hydra.sweeper.study_name": "quick-sample",
    }
    assert (
        study.get_attribute(composition.FOLDER)
        == folder.relative_to(tmp_path / "outputs").as_posix()
    )


def test_the_search_itself_is_left_as_it_was(searching: Searching, tmp_path: Path) -> None:
    sweeper = searching()
    before = list(sweeper.master.hydra.overrides.hydra)
    composition.make_job_config(sweeper, a_study(), tmp_path / "outputs", 3)
    assert list(sweeper.master.hydra.overrides.hydra) == before
    assert sweeper.master.hydra.sweeper.study_name is None
    assert sweeper.master.hydra.hydra_logging.root.level != "WARNING"


def test_a_job_composed_from_it_knows_its_study_and_its_folder(
    searching: Searching, tmp_path: Path
) -> None:
    sweeper = searching()
    study = a_study()
    study.set_attribute(
        composition.FOLDER, "2026-01-02/a folder, with=\"these\" $ and 'those' \\ too"
    )
    cfg = composition.make_job_config(sweeper, study, tmp_path / "outputs", 3)
    composition.set_hydra_value(cfg, "hydra.job.env_set.TAGIFAI_PARENT_RUN", "abc")
    job = sweeper.context.config_loader.load_sweep_config(cfg, ["model.alpha=0.5"])
    assert job.hydra.sweep.dir == str(
        tmp_path / "outputs" / str(study.get_attribute(composition.FOLDER))
    )
    assert job.hydra.sweeper.study_name == "s"
    assert job.hydra.job.env_set.TAGIFAI_PARENT_RUN == "abc"
    assert job.model.alpha == 0.5


def test_a_study_that_is_taken_up_again_goes_on_in_its_folder(
    searching: Searching, tmp_path: Path
) -> None:
    study = a_study()
    study.set_attribute(composition.FOLDER, "2026-01-02/03-04-05-s")
    cfg = composition.make_job_config(searching(), study, tmp_path / "moved", 1)
    assert cfg.hydra.sweep.dir == str(tmp_path / "moved" / "2026-01-02" / "03-04-05-s")


@pytest.mark.parametrize("folder", ["../x", "a/../../x", "/tmp/x", "${oc.env:HOME}"])
def test_the_folder_of_a_study_is_below_the_outputs(
    searching: Searching, tmp_path: Path, folder: str
) -> None:
    study = a_study()
    study.set_attribute(composition.FOLDER, folder)
    made = composition.make_job_config(searching(), study, tmp_path, 1).hydra.sweep.dir
    assert Path(made).name.endswith("-s")
    assert Path(made) != tmp_path / folder


def test_a_folder_that_was_asked_for_is_taken(searching: Searching, tmp_path: Path) -> None:
    study = a_study()
    study.set_attribute(composition.FOLDER, "2026-01-02/03-04-05-s")
    sweeper = searching(f"hydra.sweep.dir={tmp_path}/mine")
    cfg = composition.make_job_config(sweeper, study, tmp_path / "outputs", 1)
    assert cfg.hydra.sweep.dir == f"{tmp_path}/mine"
    assert told(cfg)["hydra.sweep.dir"] == f"{tmp_path}/mine"


def test_a_folder_elsewhere_is_not_kept_with_the_study(
    searching: Searching, tmp_path: Path
) -> None:
    study = a_study()
    cfg = composition.make_job_config(searching(), study, tmp_path / "other outputs", 1)
    assert study.get_attribute(composition.FOLDER) is None
    assert told(cfg)["hydra.sweep.dir"] == cfg.hydra.sweep.dir


def test_joblib_is_told_how_many_jobs_there_are_at_a_time(
    searching: Searching, tmp_path: Path
) -> None:
    cfg = composition.make_job_config(searching("hydra/launcher=joblib"), a_study(), tmp_path, 3)
    assert cfg.hydra.launcher.n_jobs == 3
    assert told(cfg)["hydra.launcher.n_jobs"] == 3


def test_the_launchers_lines_for_single_jobs_are_not_shown(
    searching: Searching, tmp_path: Path
) -> None:
    cfg = composition.make_job_config(searching(), a_study(), tmp_path, 1)
    assert cfg.hydra.hydra_logging.root.level == "WARNING"


@pytest.mark.parametrize(("launcher", "serial"), [("basic", True), ("joblib", False)])
def test_only_the_basic_launcher_is_serial(
    launcher: str, serial: bool, searching: Searching
) -> None:
    assert composition.is_serial(searching(f"hydra/launcher={launcher}").master) is serial


def test_the_folders_that_were_given_are_needed_by_the_next_command_too(
    searching: Searching,
) -> None:
    sweeper = searching("paths.stores=/x y", "seed=3", "paths.outputs=/z")
    assert composition.get_path_overrides(sweeper.master) == [
        "paths.stores=/x y",
        "paths.outputs=/z",
    ]


# --- telling ---------------------------------------------------------------------------------


def empty() -> DictConfig:
    return OmegaConf.create(
        {"hydra": {"a": None, "job": {"env_set": {}}, "overrides": {"hydra": ["hydra.b=1"]}}}
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")))
def test_jobs_read_any_text_as_it_was_told(text: str) -> None:
    cfg = empty()
    composition.set_hydra_value(cfg, "hydra.a", text)
    assert told(cfg) == {"hydra.b": 1, "hydra.a": text}


def test_what_is_told_again_takes_the_place_of_what_was_told() -> None:
    cfg = empty()
    composition.set_hydra_value(cfg, "hydra.b", "x")
    composition.set_hydra_value(cfg, "hydra.b", 5)
    assert cfg.hydra.overrides.hydra == ["hydra.b=5"]
    assert cfg.hydra.b == 5


def test_only_a_variable_that_is_not_there_yet_is_added() -> None:
    cfg = empty()
    composition.set_hydra_value(cfg, "hydra.job.env_set.X", "1")
    composition.set_hydra_value(cfg, "hydra.a", "1")
    assert cfg.hydra.overrides.hydra[1:] == ['+hydra.job.env_set.X="1"', 'hydra.a="1"']


# --- an extension ----------------------------------------------------------------------------


def test_no_name_is_no_extension() -> None:
    assert composition.load_space_extension(None) is None


def test_an_extension_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extensions._given, extensions.WHITELIST_VARIABLE, "tests.*")
    found: Any = composition.load_space_extension("tests.spies.SpyVectorizer")
    assert found is SpyVectorizer


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "hydra.sweeper.custom_search_space = 'os.system' is not allowed: it"),
        ("tagifai.exceptions.f", "hydra.sweeper.custom_search_space = 'tagifai.exceptions.f' is"),
        ("tests.nope.f", "hydra.sweeper.custom_search_space = 'tests.nope.f' cannot be found"),
        ("tests.spies", "hydra.sweeper.custom_search_space = 'tests.spies' cannot be"),
    ],
)
def test_an_extension_that_is_not_there_or_not_allowed_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setitem(extensions._given, extensions.WHITELIST_VARIABLE, "tests.*")
    with pytest.raises(ConfigError) as caught:
        composition.load_space_extension(name)
    assert str(caught.value).startswith(message)


def contents(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg, resolve=False)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Hydra's own loader was asked for, with nothing composed before."""
    monkeypatch.setattr(composition, "_composed_configs", {})
    asked: list[list[str]] = []
    compose = ConfigLoaderImpl.load_sweep_config

    def noted(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        asked.append(list(sweep_overrides))
        return compose(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", noted)
    return asked


def quick(sweeper: SearchSweeper, *overrides: str) -> DictConfig:
    return composition.make_loader(sweeper).load_sweep_config(sweeper.master, list(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["vectorizer.ngram_max=2", "vectorizer=tfidf_word", "model.class_weight=null"],
        ["model=custom", "model._target_=sklearn.linear_model.Perceptron", "+model.n_jobs=2"],
        ["sampling=none", "seed=3", "training.epochs=7", "data.accepted_tags=[a,b]"],
        ["++tracking.tags.who='a, b'", "~tracking.tags.who", "paths.stores='a b'", "seed=4"],
        ["model.alpha=0.5", "model.alpha=0.25", "objective.direction=minimize"],
    ],
)
@pytest.mark.usefixtures("composed")
def test_a_job_has_the_configuration_that_hydra_gives_it(
    overrides: list[str], searching: Searching
) -> None:
    sweeper = searching()
    # The time that is in it is that of the search, once it has been looked at.
    folder = sweeper.master.hydra.sweep.dir
    expected = sweeper.context.config_loader.load_sweep_config(sweeper.master, list(overrides))
    for _ in range(2):
        found = quick(sweeper, *overrides)
        assert contents(found) == contents(expected)
        assert found.hydra.sweep.dir == folder


def test_jobs_of_the_same_options_are_composed_once(
    searching: Searching, composed: list[list[str]]
) -> None:
    sweeper = searching()
    values = [quick(sweeper, f"model.alpha={n}", "sampling=none").model.alpha for n in (1, 2, 3)]
    assert values == [1.0, 2.0, 3.0]
    assert composed == [["sampling=none"]]


def test_other_options_are_composed_by_themselves(
    searching: Searching, composed: list[list[str]]
) -> None:
    sweeper = searching()
    chosen = quick(sweeper, "sampling=random_over").hydra.runtime.choices.sampling
    assert (chosen, quick(sweeper).hydra.runtime.choices.sampling) == ("random_over", "none")
    assert composed == [["sampling=random_over"], []]


def test_another_sweep_is_composed_by_itself(
    searching: Searching, composed: list[list[str]]
) -> None:
    assert quick(searching("hydra.sweeper.n_trials=5")).hydra.sweeper.n_trials == 5
    assert quick(searching("hydra.sweeper.n_trials=6")).hydra.sweeper.n_trials == 6
    assert len(composed) == 2


def test_what_one_job_does_with_its_configuration_no_other_sees(searching: Searching) -> None:
    sweeper = searching()
    first = quick(sweeper, "model.alpha=0.5")
    first.model.alpha = 0.75
    first.hydra.job.num = 3
    second = quick(sweeper)
    assert second.model.alpha not in (0.5, 0.75)
    assert OmegaConf.is_missing(second.hydra.job, "num")


def test_a_key_that_is_not_there_is_refused_as_hydra_does(searching: Searching) -> None:
    sweeper = searching()
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'model\.nope'"):
        quick(sweeper, "model.nope=1")
    with pytest.raises(ConfigCompositionException):
        quick(sweeper, "hydra/launcher=joblib")
