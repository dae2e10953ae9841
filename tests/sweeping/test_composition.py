from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from tagifai.config import extensions
from tagifai.config.job import SEARCH_TARGET, SearchTrial, get_job, strip_hydra_node
from tagifai.config.schema import Config
from tagifai.exceptions import ConfigError
from tagifai.sweeping import composition, studies
from tagifai.sweeping.composition import TrialComposer
from tagifai.sweeping.settings import SERIAL, get_launcher_kind
from tagifai.sweeping.studies import Study
from tests.spies import SpyVectorizer
from tests.sweeping.conftest import Searching


def a_study(name: str = "s") -> Study:
    return studies.open_study(None, name, ["maximize"])


def told(cfg: DictConfig) -> dict[str, Any]:
    """Return what jobs are told of Hydra's own keys, as they would read it."""
    parsed = OverridesParser.create().parse_overrides(list(cfg.hydra.overrides.hydra))
    return {override.get_key_element(): override.value() for override in parsed}


# --- composing -------------------------------------------------------------------------------


def test_hydras_own_node_is_left_out_of_a_copy() -> None:
    cfg = OmegaConf.create({"hydra": {"a": 1}, "seed": 3, "twice": "${seed}"})
    OmegaConf.set_readonly(cfg, True)
    OmegaConf.set_struct(cfg, True)
    alone = strip_hydra_node(cfg)
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


def test_a_value_that_the_schema_refuses_and_a_launcher_are_refused(searching: Searching) -> None:
    compose = composition.make_composer(searching())
    with pytest.raises(ConfigError, match=r"model\.alpha = -1\.0 is not allowed"):
        compose(["model.alpha=-1.0"])
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
    # Lines of every job would be mixed with those of the search.
    assert cfg.hydra.hydra_logging.root.level == "WARNING"
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


KEPT = "2026-01-02/03-04-05-s"


@pytest.mark.parametrize(
    ("kept", "asked", "outputs", "found"),
    [
        # A study that is taken up again goes on in its folder, wherever the outputs are,
        (KEPT, None, "moved", f"moved/{KEPT}"),
        # a folder that was asked for is taken,
        (KEPT, "mine", "outputs", "mine"),
        # and one of elsewhere is not kept with the study.
        (None, None, "others", None),
        *((kept, None, "outputs", None) for kept in ("../x", "a/../../x", "/tmp/x", "${oc.env:X}")),
    ],
)
def test_the_folder_of_a_study_is_below_the_outputs(
    kept: str | None,
    asked: str | None,
    outputs: str,
    found: str | None,
    searching: Searching,
    tmp_path: Path,
) -> None:
    study, sweeper = a_study(), searching(*[f"hydra.sweep.dir={tmp_path}/{asked}"] * bool(asked))
    if kept is not None:
        study.set_attribute(composition.FOLDER, kept)
    cfg = composition.make_job_config(sweeper, study, tmp_path / outputs, 1)
    folder = Path(cfg.hydra.sweep.dir)
    assert told(cfg)["hydra.sweep.dir"] == str(folder)
    if found is None:  # a new one
        assert (folder.parents[1], folder.name[-2:]) == (tmp_path / "outputs", "-s")
        assert study.get_attribute(composition.FOLDER) == (
            folder.relative_to(tmp_path / "outputs").as_posix() if outputs == "outputs" else None
        )
    else:
        assert folder == tmp_path / found
        assert study.get_attribute(composition.FOLDER) == KEPT


@pytest.mark.parametrize(("launcher", "serial"), [("basic", True), ("joblib", False)])
def test_joblib_is_told_how_many_jobs_there_are_at_a_time_and_only_basic_is_serial(
    launcher: str, serial: bool, searching: Searching, tmp_path: Path
) -> None:
    sweeper = searching(f"hydra/launcher={launcher}")
    cfg = composition.make_job_config(sweeper, a_study(), tmp_path, 3)
    assert (get_launcher_kind(sweeper.master) == SERIAL) is serial
    assert cfg.hydra.launcher.get("n_jobs") == told(cfg).get("hydra.launcher.n_jobs")
    assert told(cfg).get("hydra.launcher.n_jobs") == (None if serial else 3)


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


def test_what_was_told_of_each_job_alone_is_kept_as_it_is() -> None:
    cfg = empty()
    composition.set_hydra_value(cfg, "hydra.b", "${hydra.job.num}")
    composition.set_hydra_value(cfg, "hydra.a", "1")
    kept = OmegaConf.to_container(cfg.hydra.overrides.hydra, resolve=False)
    assert kept == ['hydra.b="${hydra.job.num}"', 'hydra.a="1"']


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


# --- composing a search's trials --------------------------------------------------------------


def contents(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg, resolve=False)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Hydra's own loader was asked for."""
    asked: list[list[str]] = []
    compose = ConfigLoaderImpl.load_sweep_config

    def noted(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        asked.append(list(sweep_overrides))
        return compose(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", noted)
    return asked


@pytest.fixture
def composer(searching: Searching) -> TrialComposer:
    sweeper = searching()
    return TrialComposer(sweeper.context.config_loader, sweeper.master)


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
def test_a_trial_has_the_configuration_that_hydra_gives_its_job(
    overrides: list[str], searching: Searching
) -> None:
    sweeper = searching()
    # The time that is in it is that of the search, once it has been looked at.
    folder = sweeper.master.hydra.sweep.dir
    expected = sweeper.context.config_loader.load_sweep_config(sweeper.master, list(overrides))
    composer = TrialComposer(sweeper.context.config_loader, sweeper.master)
    for _ in range(2):
        found, whole = composer.compose(overrides)
        assert contents(found) == contents(strip_hydra_node(expected))
        assert whole.hydra.sweep.dir == folder
        assert contents(whole.hydra.runtime.choices) == contents(expected.hydra.runtime.choices)


def test_trials_of_the_same_options_are_composed_once(
    composer: TrialComposer, composed: list[list[str]]
) -> None:
    def read(*overrides: str) -> tuple[float, str]:
        cfg, whole = composer.compose(overrides)
        return cfg.model.alpha, whole.hydra.runtime.choices.sampling

    values = [read(f"model.alpha={n}", "sampling=none") for n in (1, 2, 3)]
    assert values == [(1.0, "none"), (2.0, "none"), (3.0, "none")]
    assert read("sampling=random_over")[1] == "random_over"
    assert read()[0] not in (1, 2, 3)
    assert composed == [["sampling=none"], ["sampling=random_over"], []]


def test_what_one_trial_does_with_its_configuration_no_other_sees(composer: TrialComposer) -> None:
    first, _ = composer.compose(["model.alpha=0.5"])
    first.model.alpha = 0.75
    assert composer.compose([])[0].model.alpha not in (0.5, 0.75)


def test_a_key_that_is_not_there_is_refused_as_hydra_does(composer: TrialComposer) -> None:
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'model\.nope'"):
        composer.compose(["model.nope=1"])


def test_a_trial_has_a_folder_a_record_and_a_log_as_a_job_of_hydras(
    searching: Searching, tmp_path: Path
) -> None:
    sweeper = searching("+model.password=s3cret", f"hydra.sweep.dir={tmp_path}/search")
    composer = TrialComposer(sweeper.context.config_loader, sweeper.master)
    log = logging.getLogger("a.trial")
    for number, alpha in enumerate((0.5, 0.25)):
        overrides = [f"model.alpha={alpha}", "sampling=random_over"]
        folder = tmp_path / "search" / str(number)
        with composer.open_job(SearchTrial(number, "s"), overrides) as cfg:
            job, hydra = get_job(), HydraConfig.get()
            log.warning("It is warm in %s.", number)
        assert (cfg.model.alpha, "hydra" in cfg) == (alpha, False)
        assert (job.output_dir, job.multirun_dir) == (folder, tmp_path / "search")
        assert (job.number, job.sweeper, job.overrides) == (number, SEARCH_TARGET, tuple(overrides))
        assert job.trial == SearchTrial(number, "s")
        assert job.options["sampling"] == "random_over"
        assert (hydra.runtime.output_dir, hydra.job.num) == (str(folder), number)

        record = {p.stem: p.read_text() for p in (folder / ".hydra").iterdir()}
        assert sorted(record) == ["config", "hydra", "overrides"]
        assert OmegaConf.create(record["overrides"]) == overrides
        assert OmegaConf.create(record["config"]).model.alpha == alpha
        assert OmegaConf.create(record["hydra"]).hydra.job.id.endswith(f"_{number}")
        assert "s3cret" not in "".join(record.values())


def test_outside_of_its_block_there_is_no_job(composer: TrialComposer) -> None:
    before = get_job()
    with pytest.raises(ZeroDivisionError), composer.open_job(SearchTrial(0, "s"), []):
        raise ZeroDivisionError
    assert get_job() == before
