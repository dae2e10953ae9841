from __future__ import annotations

import pytest

from tagifai.tracking.recording import naming

OPTIONS = {"model": "sgd", "vectorizer": "tfidf_word", "data": "sample"}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "sgd · sample"),
        (["paths.stores=/s", "console=plain", "tracking.tags={a: b}", "task=train", "plots=none"],
         "sgd · sample"),
        (["model=sgd", "model.alpha=2e-4"], "sgd · alpha=2e-4"),
        (["model.alpha=0.00023487239847", "seed=1"], "sgd · seed=1, alpha=2.349e-4"),
        (["vectorizer=tfidf_word", "vectorizer.min_df=2"], "sgd · min_df=2, vectorizer=tfidf_word"),
        (["data=table", "data.path=a/b/reviews.csv", "data.text=body"], "sgd · sample"),
        (["data=table", "data.path=r.csv", "data.min_freq=3", "C=1"],
         "sgd · C=1, min_freq=3 · sample"),
        (["+experiment=best", "~model.tol"], "sgd · tol=, experiment=best"),
        (["model=custom", "model._target_=sklearn.svm.LinearSVC", "+model.C=1"], "LinearSVC · C=1"),
        (["vectorizer._target_=my.Counts"], "sgd · vectorizer=Counts"),
        (["split.shuffle=true", "model.shuffle=false"],
         "sgd · model.shuffle=false, split.shuffle=true"),
        (["model.C=1", "model.C=2"], "sgd · C=2"),
        (["model.note='a b'", "model.file=/a/b/c.txt"], "sgd · file=c.txt, note=a b"),
        (["model.uri=https://me:secret@host/x"], "sgd · uri=x"),
    ],
)  # fmt: skip
def test_a_name_says_what_was_overridden_that_changes_a_model(
    overrides: list[str], name: str
) -> None:
    assert naming.make_run_name(OPTIONS, overrides, "sample") == name


def test_a_trial_is_named_by_its_number_and_the_model_is_one_of_its_settings() -> None:
    found = naming.make_run_name(OPTIONS, ["model=sgd", "model.alpha=2e-4"], "sample", 7)
    assert found == "trial 7 · alpha=2e-4, model=sgd"


def test_a_long_name_counts_what_it_leaves_out() -> None:
    overrides = [f"model.setting_{number}={number}" for number in range(12)]
    found = naming.make_run_name(OPTIONS, overrides, "sample")
    assert found == "sgd · setting_11=11, setting_10=10, setting_9=9, setting_8=8, +8"
    long = naming.make_run_name(OPTIONS, [f"model.x={'y' * 300}"], "z" * 20)
    assert long == f"sgd · x={'y' * 24}…"


def test_what_the_jobs_of_a_multirun_vary_comes_first_and_the_data_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(naming.VARIED_VARIABLE, "model.C seed")
    fixed = [f"vectorizer.setting_{number}={number}" for number in range(8)]
    names = {
        naming.make_run_name(OPTIONS, [f"model.C={C}", "seed=1", *fixed, "data=table"], "mails")
        for C in (1, 2)
    }
    assert names == {f"sgd · C={C}, seed=1, setting_7=7, setting_6=6, +6 · mails" for C in (1, 2)}


@pytest.mark.parametrize(
    ("overrides", "data"),
    [
        ([f"+model.{'k' * 300}=1"], "sample"),
        (["model.C=1", f"+model.{'k' * 300}=1"], "sample"),
        (["data=table"], "z" * 300),
        (["model=custom", f"model._target_=a.{'B' * 300}", "model.C=1"], "sample"),
    ],
)
def test_no_name_has_more_characters_than_there_is_room_for(
    overrides: list[str], data: str
) -> None:
    name = naming.make_run_name(OPTIONS, overrides, data)
    assert len(name) <= naming.MOST_CHARACTERS
    assert "…" in name
    assert len(naming.make_multirun_name([f"model.{'k' * 300}"])) == naming.MOST_CHARACTERS


def test_a_name_has_no_secret_and_nothing_that_cannot_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "hush-hush-hush")
    overrides = ["model.key=hush-hush-hush", "model.x='\x1b[31m'"]
    found = naming.make_run_name(OPTIONS, overrides, "\u202esample")
    assert "hush" not in found
    assert found.isprintable()


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["model.alpha", "seed"], "multirun · alpha, seed"),
        (["+experiment"], "multirun · experiment"),
        ([], "multirun"),
    ],
)
def test_a_multirun_is_named_by_the_keys_in_which_its_jobs_differ(
    keys: list[str], name: str
) -> None:
    assert naming.make_multirun_name(keys) == name
