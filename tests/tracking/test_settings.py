from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tagifai
from tagifai.config.formatting import format_yaml
from tagifai.tracking import leaderboard, query, session, settings, store
from tagifai.tracking.limits import MAX_PARAM_LENGTH
from tagifai.tracking.store import Experiment
from tests.frames import a_run, frame

OPTIONS = {"data": "sample", "model": "sgd", "vectorizer": "tfidf_union"}


def uri(stores: Path) -> str:
    return f"sqlite:///{stores}/mlflow.db"


def composed(*overrides: str) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(tagifai.compose(*overrides))


def keys_of(*overrides: str) -> set[str]:
    return {item.partition("=")[0].lstrip("+") for item in overrides}


def chosen(*overrides: str) -> dict[str, str]:
    return settings.choose_params(composed(*overrides), OPTIONS, keys_of(*overrides))


def recorded(stores: Path, folder: Path, name: str, *overrides: str) -> None:
    """Record a run as a training does."""
    content, params = composed(*overrides), chosen(*overrides)
    run = session.create_run(Experiment(uri(stores), "mine", stores), name)
    run.log_params(params)
    run.log_tags({settings.REST_TAG: settings.compute_rest(content, params)})
    (folder / "config.yaml").write_text(format_yaml(content))
    run.log_file(folder / "config.yaml")
    run.end("FINISHED")


@pytest.mark.parametrize(
    "overrides",
    [[], ["vectorizer=tfidf_word", "model=linear_svc"], ["data=table", "data.path=a.csv"]],
)
def test_a_run_has_at_most_forty_parameters(overrides: list[str]) -> None:
    found = chosen(*overrides)
    assert len(found) <= settings.MOST_PARAMS + len(overrides)
    assert {"seed", "task.name", "data.name", "training.epochs", "split.train_size"} <= found.keys()
    assert (found["model"], found["vectorizer"], found["sampling"]) == (
        "sgd",
        "tfidf_union",
        "None",
    )
    assert not [key for key in found if key.startswith(("paths", "console", "tracking"))]


@pytest.mark.parametrize(
    "override",
    ["model.shuffle=false", "vectorizer.norm=l1", "plots.enabled=false", "objective.by=splits"],
)
def test_an_overridden_key_is_always_a_parameter(override: str) -> None:
    key, _, value = override.partition("=")
    assert key not in chosen()
    assert chosen(override)[key] == value.capitalize() if value == "false" else value


def test_a_chosen_group_is_its_option_and_not_all_that_is_in_it() -> None:
    found = chosen("console=quiet", "vectorizer=tfidf_word", "data=sample")
    assert not [key for key in found if key.startswith("console")]
    assert "vectorizer.norm" not in found


def test_a_model_of_many_settings_leaves_out_those_that_come_last_but_not_an_overridden_one() -> (
    None
):
    many = [f"+model.own_{number}={number}" for number in range(60)]
    content = composed("model=custom", "model._target_=sklearn.svm.LinearSVC", *many)
    found = settings.choose_params(content, OPTIONS, {"model.own_59", "model._target_"})
    assert len(found) == settings.MOST_PARAMS + 2
    assert (found["model.own_59"], found["model._target_"]) == ("59", "sklearn.svm.LinearSVC")
    assert "training.epochs" not in found


def test_the_rest_is_equal_where_only_what_is_not_compared_differs() -> None:
    base = settings.compute_rest(composed(), chosen())
    for other in ("seed=7", "console.verbosity=quiet", "tracking.experiment=x", "model.C=3"):
        assert settings.compute_rest(composed(other), chosen()) == base
    for other in ("model.fit_intercept=false", "vectorizer.strip_accents=unicode"):
        assert settings.compute_rest(composed(other), chosen()) != base


def test_runs_whose_parameters_say_all_are_not_looked_up(
    tracked_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("a", "1"), ("b", "2")):
        recorded(tracked_stores, tmp_path, name, f"model.C={value}", f"seed={value}")
    runs = query.load_runs(uri(tracked_stores), "mine")
    monkeypatch.setattr(store, "connect_existing", lambda *_: pytest.fail("looked up"))
    assert settings.complete_params(runs, uri(tracked_stores)) is runs


def test_a_setting_that_is_no_parameter_is_looked_up_where_it_differs(
    tracked_stores: Path, tmp_path: Path
) -> None:
    recorded(tracked_stores, tmp_path, "base")
    recorded(tracked_stores, tmp_path, "other", "vectorizer.norm=l1", "model.class_weight=balanced")
    session.create_run(Experiment(uri(tracked_stores), "mine", tracked_stores), "parent")
    runs = query.load_runs(uri(tracked_stores), "mine")
    found = settings.complete_params(runs, uri(tracked_stores))
    assert list(found["run_id"]) == list(runs["run_id"])
    assert list(found.columns[: len(runs.columns)]) == list(runs.columns)
    by_name = found.set_index("name")
    varied = ["params.vectorizer.norm", "params.model.class_weight"]
    assert list(by_name.loc["base", varied]) == ["l2", "None"]
    assert list(by_name.loc["other", varied]) == ["l1", "balanced"]
    assert by_name.loc["parent", varied].isna().all()
    same = by_name.drop("parent").filter(regex=r"^params\.").nunique(dropna=False)
    assert set(same[same > 1].index) == set(varied)


def test_a_run_without_its_file_keeps_its_parameters_and_is_told_apart(
    tracked_stores: Path, tmp_path: Path
) -> None:
    recorded(tracked_stores, tmp_path, "base")
    recorded(tracked_stores, tmp_path, "other", "vectorizer.norm=l1")
    runs = query.load_runs(uri(tracked_stores), "mine")
    gone = runs.set_index("name").loc["base", "artifacts"]
    (Path(str(gone)) / settings.CONFIG_FILE).unlink()
    found = settings.complete_params(runs, uri(tracked_stores)).set_index("name")
    assert found["params.vectorizer.norm"].isna().to_dict() == {"base": True, "other": False}
    assert found.loc["other", "params.vectorizer.norm"] == "l1"
    assert found.loc["base", "params.model.C"] == "10.0"
    rest = runs.set_index("name").loc["base", "tags.config.rest"]
    assert found["params.configuration"].fillna("").to_dict() == {"base": rest, "other": ""}
    assert "params.config.rest" not in found


@pytest.mark.parametrize("gone", ["missing", "[1, 2]"])
def test_a_run_without_its_file_stays_in_its_row(
    tracked_stores: Path, tmp_path: Path, gone: str
) -> None:
    for norm in ("l2", "l1"):
        for seed in (1, 2, 3):
            more = ["vectorizer.norm=l1"] if norm == "l1" else []
            recorded(tracked_stores, tmp_path, f"{norm}-{seed}", f"seed={seed}", *more)
    runs = query.load_runs(uri(tracked_stores), "mine").assign(**{"metrics.f1": 0.5})
    folders = runs.set_index("name")["artifacts"]
    for name in ("l2-2", "l1-1"):
        path = Path(str(folders[name])) / settings.CONFIG_FILE
        path.unlink()
        if gone != "missing":
            path.write_text(gone)
    found = settings.complete_params(runs, uri(tracked_stores))
    rows = leaderboard.build(found, "f1").rows
    assert rows["n"].to_dict() == {"vectorizer.norm=l2": 3, "vectorizer.norm=l1": 3}


def test_long_values_that_differ_at_their_end_alone_stay_different() -> None:
    words = [[f"word{number}" for number in range(1000)] + [last] for last in ("a", "b")]
    one, other = (settings.format_settings({"preprocessing": {"stop": w}}) for w in words)
    assert len(one["preprocessing.stop"]) == MAX_PARAM_LENGTH
    assert one["preprocessing.stop"] != other["preprocessing.stop"]
    contents = [{"preprocessing": {"stop": w}} for w in words]
    assert settings.compute_rest(contents[0], ()) != settings.compute_rest(contents[1], ())


def test_the_name_of_the_data_makes_no_run_another_one() -> None:
    assert settings.compute_rest(composed("data.name=x"), ()) == settings.compute_rest(
        composed("data.name=y"), ()
    )
    named = [a_run(n, 0.5, seed=seed, params__data__name=n) for seed, n in enumerate("xy")]
    assert leaderboard.build(frame(*named), "f1").rows["n"].tolist() == [2]


def test_a_server_is_asked_for_the_file(
    tracked_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tracked_stores, tmp_path, "base")
    recorded(tracked_stores, tmp_path, "other", "vectorizer.norm=l1")
    runs = query.load_runs(uri(tracked_stores), "mine")
    runs["artifacts"] = "mlflow-artifacts:/1/1/artifacts"
    (tmp_path / "config.yaml").write_text("{vectorizer: {norm: served}}")
    client = store.connect(uri(tracked_stores))
    monkeypatch.setattr(client, "download_artifacts", lambda *_: str(tmp_path / "config.yaml"))
    monkeypatch.setattr(store, "connect_existing", lambda _: client)
    found = settings.complete_params(runs, uri(tracked_stores)).set_index("name")
    assert found.loc["base", "params.vectorizer.norm"] == "served"
