from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.exceptions import ConfigError, DamagedFileError, TrackingError, UserError
from tagifai.runs.latest import set_run
from tagifai.runs.upkeep import cleanup
from tagifai.runs.upkeep.cleanup import FAILED, MODEL, PRUNED, RemovalCandidate
from tagifai.tracking import multirun, session
from tagifai.tracking.inventory import RunInventory
from tagifai.tracking.store import Experiment
from tagifai.utils import locks

EXPERIMENT = "mine"


class Stores:
    """Stores with a tracking database, and runs in it that somebody has made."""

    def __init__(self, path: Path) -> None:
        self.path, self.outputs = path, path.parent / "outputs"
        self.uri = f"sqlite:///{path}/mlflow.db"
        self.client = MlflowClient(self.uri)

    @property
    def ledger(self) -> RunInventory:
        return RunInventory(self.uri, self.path)

    def run(self, status: str, experiment: str = EXPERIMENT, **tags: str) -> str:
        named = {"trial.state" if key == "trial_state" else key: x for key, x in tags.items()}
        run = session.create_run(Experiment(self.uri, experiment, self.path), None, named)
        put(self.path / "artifacts" / run.id / "artifacts" / "run.log")
        if status != "RUNNING":
            run.end(status)
        return run.id

    def trained(self, *, latest: bool = False) -> str:
        run_id = self.run("FINISHED")
        put(self.bundle(run_id) / "manifest.json", "{}")
        if latest:
            time.sleep(0.01)
            set_run(self.path, run_id, {})
        return run_id

    def bundle(self, run_id: str) -> Path:
        return self.path / "artifacts" / run_id / "artifacts" / "bundle"

    def logged_model(self, run_id: str) -> tuple[str, Path]:
        experiment = self.client.get_run(run_id).info.experiment_id
        made = self.client.create_logged_model(experiment, name="tagger", source_run_id=run_id)
        folder = Path(made.artifact_location)
        put(folder / "MLmodel", "a: 1\n")
        self.client.finalize_logged_model(made.model_id, "READY")
        return made.model_id, folder.parent

    def is_active(self, run_id: str) -> bool:
        return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")

    def found(self) -> dict[str, str]:
        """The kind of each leftover by its name."""
        return {candidate.name: candidate.kind for candidate in self.candidates()}

    def candidates(self, *best: str) -> list[RemovalCandidate]:
        return cleanup.find_tracked(self.path, self.outputs, self.ledger, EXPERIMENT, best)[0]

    def remove_all(self) -> list[bool]:
        return [cleanup.remove(self.path, self.ledger, x) for x in self.candidates()]


@pytest.fixture
def stores(tracked_stores: Path) -> Stores:
    return Stores(tracked_stores)


def put(path: Path, content: str = "12345") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# --- what presets name -------------------------------------------------------------------------


def test_what_a_preset_names_is_kept_and_so_is_the_run_that_its_search_has_trained(
    stores: Stores,
) -> None:
    named, winner, spare = stores.trained(), stores.trained(), stores.trained()
    other, latest = stores.trained(), stores.trained(latest=True)
    folder = stores.outputs / "2026-01-01" / "07-42-16.793593-train"
    for run_id, output in ((winner, folder), (other, stores.outputs / "elsewhere")):
        stores.client.set_tag(run_id, "output_dir", str(output))
    stores.run("FINISHED", study="words", **{"winner.output_dir": str(folder)})
    # A search without a preset any more.
    stores.run("FINISHED", study="old", **{"winner.output_dir": str(stores.outputs / "elsewhere")})
    presets = stores.path / "presets" / "experiment"
    put(presets / "words.yaml", "# Trial 3 of the search 'words'\n")
    beside = put(stores.outputs / "2026-01-02" / "08-00-00.0-elt" / ".hydra" / "config.yaml")
    put(presets / "mine.yaml", f"# As run {named} with 2026-01-02/08-00-00.0-elt/rows.csv\n")
    assert stores.found() == {spare: MODEL, other: MODEL}
    assert latest not in stores.found()
    busy = cleanup.find_tracked(stores.path, stores.outputs, stores.ledger, EXPERIMENT, ())[1]
    assert {*busy} == {beside.parents[1], folder}


def test_a_model_of_another_experiment_is_kept_whose_best_run_is_not_known(stores: Stores) -> None:
    elsewhere = stores.run("FINISHED", experiment="another")
    put(stores.bundle(elsewhere) / "manifest.json", "{}")
    stores.trained(latest=True)
    assert stores.found() == {}


# --- runs --------------------------------------------------------------------------------------


def test_failed_runs_and_pruned_trials_go_from_the_store_and_from_disk(stores: Stores) -> None:
    failed, killed = stores.run("FAILED"), stores.run("KILLED")
    pruned = stores.run("KILLED", trial_state="PRUNED")
    fine, running = stores.run("FINISHED"), stores.run("RUNNING")
    assert stores.found() == {failed: FAILED, killed: FAILED, pruned: PRUNED}

    assert stores.remove_all() == [True, True, True]
    assert stores.found() == {}
    for run_id in (failed, killed, pruned):
        assert not stores.is_active(run_id)
        assert not (stores.path / "artifacts" / run_id).exists()
    for run_id in (fine, running):
        assert stores.is_active(run_id)
        assert (stores.path / "artifacts" / run_id / "artifacts" / "run.log").exists()


def test_the_runs_of_other_experiments_are_nobody_s_business(stores: Stores) -> None:
    assert stores.found() == {}
    fine = stores.run("FINISHED")
    stores.run("FAILED", experiment="another")
    assert stores.found() == {}
    stores.client.delete_experiment(stores.client.get_run(fine).info.experiment_id)
    assert stores.found() == {}


def test_an_experiment_that_is_not_there_is_refused_with_the_nearest(stores: Stores) -> None:
    stores.run("FAILED", experiment="mines")
    with pytest.raises(ConfigError, match=r"'mine': .*Did you mean 'mines'\? There are: mines\."):
        stores.found()


def test_a_failed_run_whose_lock_is_held_survives(stores: Stores) -> None:
    run_id = stores.run("FAILED")
    with locks.hold(stores.path / "running", run_id):
        assert stores.remove_all() == [False]
    assert stores.is_active(run_id)
    assert stores.remove_all() == [True]


def test_a_run_that_is_taken_up_again_between_looking_and_removing_survives(
    stores: Stores,
) -> None:
    run_id = stores.run("KILLED")
    leftovers = stores.candidates()
    session.create_run(Experiment(stores.uri, EXPERIMENT, stores.path), resumed=run_id)
    assert cleanup.remove(stores.path, stores.ledger, leftovers[0]) is False
    assert stores.is_active(run_id)
    assert (stores.path / "artifacts" / run_id).is_dir()


def test_a_removal_that_ends_before_the_record_is_deleted_is_finished_by_the_next(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = stores.run("FAILED")
    stores.logged_model(run_id)

    def interrupted(ledger: RunInventory, name: str) -> None:
        raise KeyboardInterrupt

    for method in ("delete_model", "delete_run"):
        with monkeypatch.context() as patch:
            patch.setattr(RunInventory, method, interrupted)
            with pytest.raises(KeyboardInterrupt):
                stores.remove_all()
        assert stores.found() == {run_id: FAILED}
    assert stores.remove_all() == [True]
    assert not stores.is_active(run_id)


# --- models ------------------------------------------------------------------------------------


def test_the_model_of_a_run_that_is_not_the_latest_goes_and_its_figures_stay(
    stores: Stores,
) -> None:
    spare = stores.trained()
    session.reopen_run(spare, stores.uri).log_metrics({"val_f1": 0.5})
    model, folder = stores.logged_model(spare)
    latest = stores.trained(latest=True)
    _, kept = stores.logged_model(latest)
    assert stores.found() == {spare: MODEL}

    assert stores.remove_all() == [True]
    assert stores.found() == {}
    assert not stores.bundle(spare).exists()
    assert not folder.exists()
    assert stores.client.get_run(spare).data.metrics == {"val_f1": 0.5}
    assert (stores.path / "artifacts" / spare / "artifacts" / "run.log").exists()
    assert stores.bundle(latest).is_dir()
    assert kept.is_dir()
    experiment = stores.client.get_run(spare).info.experiment_id
    assert model not in [x.model_id for x in stores.client.search_logged_models([experiment])]


def registered_by_run(stores: Stores, run_id: str) -> None:
    source = f"runs:/{run_id}/bundle"
    stores.client.create_model_version("tagifai", source, run_id=run_id)


def registered_by_path(stores: Stores, run_id: str) -> None:
    stores.client.create_model_version("tagifai", str(stores.bundle(run_id)))


def registered_by_logged_model(stores: Stores, run_id: str) -> None:
    _, folder = stores.logged_model(run_id)
    stores.client.create_model_version("tagifai", str(folder / "artifacts"))


@pytest.mark.parametrize(
    "register", [registered_by_run, registered_by_path, registered_by_logged_model]
)
def test_a_registered_model_stays_whatever_its_version_names(
    stores: Stores, register: Callable[[Stores, str], None]
) -> None:
    stores.client.create_registered_model("tagifai")
    early, late = stores.trained(), stores.trained()
    failed = stores.run("FAILED")
    stores.trained(latest=True)
    register(stores, early)
    register(stores, failed)
    leftovers = stores.candidates()
    assert [leftover.name for leftover in leftovers] == [late]
    # Registered between looking and removing.
    register(stores, late)
    assert cleanup.remove(stores.path, stores.ledger, leftovers[0]) is False
    assert stores.bundle(early).is_dir()
    assert stores.bundle(late).is_dir()


@pytest.mark.parametrize("manifest", ['{"imported": {"file": "x.zip"}}', "{", "\xff", "[]"])
def test_models_stay_that_were_imported_or_may_have_been(stores: Stores, manifest: str) -> None:
    imported = stores.trained()
    bundle = stores.path / "artifacts" / imported / "artifacts" / "bundle"
    (bundle / "manifest.json").write_text(manifest, encoding="latin-1")
    stores.trained(latest=True)
    assert stores.found() == {}


def test_the_best_model_of_each_data_set_stays(stores: Stores) -> None:
    first, second = stores.trained(), stores.trained()
    stores.trained(latest=True)
    assert {candidate.name for candidate in stores.candidates()} == {first, second}
    assert [candidate.name for candidate in stores.candidates(second)] == [first]


def test_without_knowing_which_run_is_the_latest_no_model_goes(stores: Stores) -> None:
    run_id = stores.trained()
    stores.trained(latest=True)
    candidates = stores.candidates()
    (stores.path / "run_id.txt").write_bytes(b"\0")
    with pytest.raises(DamagedFileError, match="task=repair"):
        stores.candidates()
    with pytest.raises(DamagedFileError, match="task=repair"):
        cleanup.remove(stores.path, stores.ledger, candidates[0])
    assert stores.bundle(run_id).is_dir()


def test_a_model_that_becomes_the_latest_between_looking_and_removing_stays(
    stores: Stores,
) -> None:
    run_id = stores.trained()
    stores.trained(latest=True)
    leftovers = stores.candidates()
    set_run(stores.path, run_id, {})
    assert cleanup.remove(stores.path, stores.ledger, leftovers[0]) is False
    assert stores.bundle(run_id).is_dir()


def test_a_run_that_has_ended_and_is_not_named_the_latest_yet_keeps_its_model(
    stores: Stores,
) -> None:
    stores.trained(latest=True)
    time.sleep(0.01)
    stores.trained()
    assert stores.found() == {}


def test_models_of_runs_that_the_store_does_not_know_are_told_of_and_left(stores: Stores) -> None:
    put(stores.bundle("f" * 32) / "manifest.json", "{}")
    put(stores.bundle("not.an.id") / "manifest.json", "{}")
    stores.trained(latest=True)
    found, _, unknown = cleanup.find_tracked(
        stores.path, stores.outputs, stores.ledger, EXPERIMENT, ()
    )
    assert (found, unknown) == ([], ["f" * 32, "not.an.id"])


def test_a_link_in_place_of_a_run_s_folder_is_not_followed(stores: Stores) -> None:
    run_id = stores.run("FAILED")
    folder = stores.path / "artifacts" / run_id
    elsewhere = folder.rename(stores.path.parent / "elsewhere")
    folder.symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a symbolic link"):
        stores.remove_all()
    assert (elsewhere / "artifacts" / "run.log").exists()
    assert stores.is_active(run_id)


# --- the store ---------------------------------------------------------------------------------


def test_pages_of_versions_and_models_are_read_to_the_end(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagifai.tracking.inventory.VERSIONS_PER_PAGE", 1)
    monkeypatch.setattr("tagifai.tracking.inventory.MODELS_PER_PAGE", 1)
    stores.client.create_registered_model("tagifai")
    trained = [stores.trained(), stores.trained()]
    models = {run_id: [stores.logged_model(run_id)[0]] for run_id in trained}
    for run_id in trained:
        registered_by_run(stores, run_id)
    assert set(trained) <= stores.ledger.list_registered_ids()
    experiment = stores.client.get_run(trained[0]).info.experiment_id
    assert stores.ledger.list_models({experiment}) == models
    assert stores.ledger.list_models({experiment}, trained[1]) == {trained[1]: models[trained[1]]}
    assert stores.ledger.list_models(set()) == {}


def test_a_store_that_is_not_there_is_not_made_and_one_that_is_gone_is_said(
    tmp_path: Path, nobody: str
) -> None:
    with pytest.raises(TrackingError, match="no tracked runs yet"):
        RunInventory(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    with pytest.raises(TrackingError, match="does not answer"):
        RunInventory(nobody, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- on disk -----------------------------------------------------------------------------------

OLD, OTHER = "2026-01-01/07-42-16.793593-train", "2026-01-01/07-43-00.000000-multirun"


def old_outputs(stores: Stores) -> None:
    put(stores.outputs / OLD / ".hydra" / "config.yaml")
    put(stores.outputs / OTHER / "0" / ".hydra" / "config.yaml")
    for path in stores.outputs.rglob("*"):
        os.utime(path, (0, 0))


def on_disk(stores: Stores, *busy: Path) -> list[RemovalCandidate]:
    return cleanup.find_on_disk(stores.path, stores.outputs, busy, days=30, max_gb=None)


def names(found: list[RemovalCandidate]) -> list[str]:
    return [leftover.name for leftover in found]


def test_the_folders_of_runs_and_multiruns_under_way_stay(stores: Stores) -> None:
    old_outputs(stores)
    outputs = stores.outputs
    assert names(on_disk(stores)) == [OLD, OTHER]
    assert names(on_disk(stores, outputs / OTHER / "0")) == [OLD]
    assert names(on_disk(stores, outputs / OLD)) == [OTHER]
    found = on_disk(stores)
    with locks.hold(stores.path / "running", multirun.make_lock_key(outputs / OTHER)):
        assert names(on_disk(stores)) == [OLD]
        assert [cleanup.remove(stores.path, None, leftover) for leftover in found] == [True, False]
    assert names(on_disk(stores)) == [OTHER]


@pytest.mark.parametrize("tag", ["output_dir", "sweep.dir"])
def test_the_output_of_a_running_run_is_told_by_the_store_and_by_its_mark(
    stores: Stores, tag: str
) -> None:
    stores.run("RUNNING")
    for experiment in (EXPERIMENT, "another"):
        run = session.create_run(
            Experiment(stores.uri, experiment, stores.path), None, {tag: "/a/b"}
        )
        locks.write_mark(stores.path / "running", run.id, run.id, stores.uri)
        busy = cleanup.find_tracked(stores.path, stores.outputs, stores.ledger, EXPERIMENT, ())[1]
        assert busy == [Path("/a/b")]
        run.end("FINISHED")


def test_what_changes_between_looking_and_removing_stays(stores: Stores) -> None:
    old_outputs(stores)
    found = on_disk(stores)
    put(stores.outputs / OLD / "run.log")
    assert [cleanup.remove(stores.path, None, leftover) for leftover in found] == [False, True]
    assert (stores.outputs / OLD / ".hydra" / "config.yaml").exists()


def test_caches_and_what_was_half_removed_or_written_go(stores: Stores) -> None:
    for name in ("downloads/old", "downloads/new", "features/.a.lock", "features/.b.lock"):
        put(stores.path / "cache" / name)
    for name in ("downloads/old", "features/.a.lock"):
        os.utime(stores.path / "cache" / name, (0, 0))
    put(stores.path / "artifacts" / ".abc.removed" / "file")
    put(stores.path / ".run_id.txt.abcd1234.tagifai")
    put(stores.outputs / "2026-01-01" / ".07-42-16.793593-train.removed" / "file")
    found = on_disk(stores)
    assert [(one.kind, one.name, one.why) for one in found if one.kind != "caches"] == [
        ("unfinished writes", "2026-01-01/.07-42-16.793593-train.removed", "half removed"),
        ("unfinished writes", ".run_id.txt.abcd1234.tagifai", "half written"),
        ("unfinished writes", "artifacts/.abc.removed", "half removed"),
        ("unfinished writes", "cache/features/.a.lock", found[-1].why),
    ]
    assert [one.name for one in found if one.kind == "caches"] == ["cache/downloads/old"]
    assert [cleanup.remove(stores.path, None, one) for one in found] == [True] * 5
    assert on_disk(stores) == []
    there = [path.name for path in (stores.path / "cache").glob("*/*")]
    assert sorted(there) == [".b.lock", "new"]


def test_without_a_store_no_run_and_no_model_goes(stores: Stores) -> None:
    run_id = stores.run("FAILED")
    assert cleanup.remove(stores.path, None, RemovalCandidate(FAILED, run_id, 0, "")) is False
    assert stores.is_active(run_id)


# --- how old, how large ------------------------------------------------------------------------


def aged(stores: Stores, name: str, days: float, size: int = 10) -> str:
    """Write an output folder, or a cache's entry, that was changed and used so many days ago."""
    if name.startswith("cache/"):
        path = put(stores.path / name, "x" * size)
    else:
        name = f"2026-01-01/{name}-train"
        path = stores.outputs / name
        put(path / ".hydra" / "config.yaml", "x" * size)
    for one in (path, *path.rglob("*")):
        os.utime(one, (time.time() - days * 86_400,) * 2)
    return name


def test_folders_are_old_after_so_many_days_and_go_the_oldest_first(stores: Stores) -> None:
    made = {
        age: aged(stores, f"00-00-{number:02}", age) for number, age in enumerate((1, 50, 30.5, 29))
    }
    found = cleanup.find_on_disk(stores.path, stores.outputs, (), 30, None)
    assert names(found) == [made[50], made[30.5]]
    assert (found[0].bytes, found[0].why) == (10, "50 days")


def test_beyond_the_limit_the_oldest_go_until_the_rest_is_below_it(stores: Stores) -> None:
    a, b, c = (
        aged(stores, name, days, size)
        for name, days, size in (("00-00-01", 3, 10), ("00-00-02", 2, 50), ("00-00-03", 1, 10))
    )
    limits = {70: [], 69: [a], 60: [a], 59: [a, b], 10: [a, b], 0: [a, b, c]}
    for limit, expected in limits.items():
        found = cleanup.find_on_disk(stores.path, stores.outputs, (), 30, (limit + 0.5) / 1e9)
        assert names(found) == expected
    found = cleanup.find_on_disk(stores.path, stores.outputs, (), 30, 69.5e-9)
    assert found[0].why == "beyond task.max_gb"
    # What is old counts no more towards the limit.
    old = aged(stores, "00-00-00", 40, 100)
    found = cleanup.find_on_disk(stores.path, stores.outputs, (), 30, 70.5e-9)
    assert names(found) == [old]


def test_a_folder_with_a_run_or_changed_within_the_hour_stays_whatever_the_limits(
    stores: Stores,
) -> None:
    busy = aged(stores, "00-00-01", 40, 100)
    quiet = aged(stores, "00-00-02", 0.05)
    aged(stores, "00-00-03", 0.04)
    found = cleanup.find_on_disk(stores.path, stores.outputs, [stores.outputs / busy], 0, 0)
    assert names(found) == [quiet]


def test_a_cache_goes_after_days_and_all_of_them_if_that_is_asked_for(stores: Stores) -> None:
    for name, days in (("cache/a", 0.9), ("cache/b", 1.5), ("cache/c", 31)):
        aged(stores, name, days)
    found = cleanup.find_on_disk(stores.path, stores.outputs, (), 1, None)
    assert [(one.name, one.why) for one in found] == [
        *(("cache/b", "36 hours"), ("cache/c", "31 days"))
    ]
    found = cleanup.find_on_disk(stores.path, stores.outputs, (), 30, None, all_caches=True)
    assert {one.why for one in found} == {"all caches"}
    assert names(found) == ["cache/a", "cache/b", "cache/c"]
