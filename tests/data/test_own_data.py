"""Data of one's own by configuration alone, end to end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tagifai.data.dataset_store import list_manifests
from tests.app import App

WORDS = {
    "1": ["schlecht", "kaputt", "defekt", "enttäuscht", "zurück"],
    "3": ["geht", "mittel", "naja", "ordentlich", "teils"],
    "5": ["größer", "schön", "prima", "herrlich", "wunderbar"],
}
OTHERS = ["das", "Gerät", "nach", "Wochen", "Paket", "Farbe", "und", "noch", "immer", "sehr"]
SMALL = (
    *("vectorizer=tfidf_word", "training.epochs=20", "preprocessing=unicode", "plots=none"),
    *("console=plain", "tracking=none"),
)


def reviews(n: int = 90) -> pd.DataFrame:
    """Return short German reviews whose stars can be told from their words."""
    made = random.Random(3)
    rows = []
    for number in range(n):
        stars = list(WORDS)[number % 3]
        words = made.sample(WORDS[stars], 2) + made.sample(OTHERS, 4)
        rows.append((f"r{number}", " ".join(words[:3]), " ".join(words[3:]), stars))
    return pd.DataFrame(rows, columns=["key", "title", "body", "stars"])


@pytest.fixture
def app(tmp_path: Path, ready: Callable[[Path], App]) -> App:
    return ready(tmp_path)


COLUMNS = ("data=table", "data.text=[title,body]", "data.label=stars")


def scores(app: App, part: str = "test") -> dict[str, float]:
    content = json.loads((app.stores / "performance.json").read_text())
    return dict(content[part]["overall"])


def test_a_table_trains_evaluates_and_predicts(app: App) -> None:
    reviews().to_csv(app.cwd / "reviews.csv", index=False)

    output = app.ok(*COLUMNS, "data.path=reviews.csv", "data.id=key", *SMALL)
    assert "90 rows, 3 classes (1 30, 3 30, 5 30)" in output
    assert "train 62, val 14, test 14" in output
    # There is no label of the rest, so no threshold.
    assert "threshold" not in output.partition(": test")[2].splitlines()[0]
    found = scores(app)
    assert found["f1"] > 0.9
    assert f"{found['f1']:.2f}" in app.ok("task=evaluate")
    (answer,) = json.loads(app.ok("task=predict", "task.text=Das Gerät ist wunderbar, so schön!"))
    assert answer["predicted_tag"] == "5"


def test_a_run_reads_later_files_as_its_own_and_outlives_a_file_of_the_same_name(
    app: App,
) -> None:
    (app.cwd / "a").mkdir()
    (app.cwd / "b").mkdir()
    table, path = reviews(), app.cwd / "a" / "train.csv"
    table.to_csv(path, index=False, sep=";", encoding="cp1252")
    form = ("data.delimiter=;", "data.encoding=cp1252", "data.id=key")
    app.ok(*COLUMNS, "data.path=a/train.csv", *form, *SMALL)
    own = scores(app)
    table[::-1].to_csv(app.cwd / "b" / "train.csv", index=False)
    app.ok("task=elt", *COLUMNS, "data.path=b/train.csv")

    app.ok("task=evaluate", "task.output=again.json")
    assert json.loads((app.cwd / "again.json").read_text())["overall"] == own
    app.ok("task=predict", "task.input=a/train.csv", "task.output=found.jsonl")
    found = [json.loads(line) for line in (app.cwd / "found.jsonl").read_text().splitlines()]
    assert [row["key"] for row in found] == table["key"].tolist()
    texts = [f"{title} {body}" for title, body in zip(table["title"], table["body"], strict=True)]
    assert [row["input_text"] for row in found] == texts
    right = [row["predicted_tag"] for row in found] == table["stars"].to_numpy()
    assert np.mean(right) > 0.9
    said = "The run wants: title, body, stars. It has: key, title, stars."
    table.drop(columns="body").to_csv(app.cwd / "less.csv", index=False, sep=";", encoding="cp1252")
    refused = app.run("task=evaluate", "task.data=less.csv")
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


def test_a_table_of_any_format_becomes_the_same_data_set(app: App) -> None:
    table = reviews()
    table.to_csv(app.cwd / "a.csv", index=False)
    table.to_csv(app.cwd / "a.tsv", index=False, sep="\t")
    table.to_json(app.cwd / "a.jsonl", orient="records", lines=True)
    table.to_parquet(app.cwd / "a.parquet")
    for kind in ("csv", "tsv", "jsonl", "parquet"):
        app.ok("task=elt", *COLUMNS, f"data.path=a.{kind}", "data.id=key", f"data.name={kind}")
    made = list_manifests(app.stores)
    assert {manifest["name"] for manifest in made} == {"csv", "tsv", "jsonl", "parquet"}
    assert len({manifest["digest"] for manifest in made}) == 1


def test_parts_of_one_s_own_are_kept_and_texts_in_two_of_them_are_said(app: App) -> None:
    table = reviews()
    table["part"] = ["test" if number >= 75 else "train" for number in range(90)]
    for column in ("title", "body"):
        table.loc[80, column] = table[column][8]
    table.to_csv(app.cwd / "reviews.csv", index=False)

    output = app.ok(*COLUMNS, "data.path=reviews.csv", "data.split=part", *SMALL)

    assert "train 61, val 14, test 15" in output
    profile = json.loads(next(app.outputs.glob("*/*/profile.json")).read_text())
    pairs = ("train and test", "val and test")
    assert sorted(profile["leaks"][pair] for pair in pairs) == [0, 1]
    (said,) = [line for line in output.splitlines() if line.startswith("Note: ")]
    assert said.endswith("and test: scores on test will be too good.")
    splits = json.loads((app.bundle() / "splits.json").read_text())
    assert sorted(map(int, splits["test"])) == list(range(76, 91))


def test_files_of_parts_are_kept_apart(app: App) -> None:
    table = reviews()
    for name, rows in {"a": table[:60], "b": table[60:75], "c": table[75:]}.items():
        rows.to_csv(app.cwd / f"{name}.csv", index=False)
    paths = ("data.path=a.csv", "data.val_path=b.csv", "data.test_path=c.csv")

    assert "train 60, val 15, test 15" in app.ok(*COLUMNS, *paths, *SMALL)


def test_a_label_of_the_rest_brings_the_threshold_back(app: App) -> None:
    reviews().to_csv(app.cwd / "reviews.csv", index=False)
    rest = ("data.other=sonst", "data.accepted_tags=['1','5']", "threshold=auto")

    output = app.ok(*COLUMNS, "data.path=reviews.csv", *rest, *SMALL)

    assert "(1 30, 5 30, sonst 30)" in output
    assert ": test at threshold 0." in output


def test_a_run_on_texts_without_spaces_says_what_its_words_are(app: App) -> None:
    texts = {"好": "这家餐厅的菜非常好吃", "差": "服务态度太差了手机坏了"}
    rows = [(f"{texts[tag]}第{n}号", tag) for n in range(30) for tag in texts]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(app.cwd / "own.csv", index=False)
    told = ("data=table", "data.path=own.csv", "plots=none", "tracking=none")
    note = "Note: The texts have no spaces between words, so that single characters are the words"
    assert app.ok(*told).count(note) == 1
    assert note not in app.ok(*told, "vectorizer.char_analyzer=char_wb")


def test_without_a_label_of_the_rest_rare_classes_are_left_out(app: App) -> None:
    reviews(92).to_csv(app.cwd / "reviews.csv", index=False)

    output = app.ok(*COLUMNS, "data.path=reviews.csv", "data.min_freq=31", *SMALL)

    assert "62 rows, 2 classes (1 31, 3 31)" in output


def test_forty_classes_with_a_long_tail_train(app: App) -> None:
    made = random.Random(5)
    rows = [
        (f"word{label} word{label + 1} {made.choice(OTHERS)}", f"class {label}")
        for label in range(40)
        for _ in range(8 + 400 // (label + 1))
    ]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(app.cwd / "tail.csv", index=False)

    output = app.ok("data=table", "data.path=tail.csv", *SMALL, "model=logistic_regression")

    assert "40 classes" in output
    assert scores(app)["f1"] > 0.9


def test_a_changed_file_or_another_column_is_another_data_set(app: App) -> None:
    reviews().to_csv(app.cwd / "reviews.csv", index=False)
    elt = ("task=elt", "data=table", "data.path=reviews.csv", "data.label=stars")

    assert "reviews, made\n" in app.ok(*elt, "data.text=title")
    assert "up to date" in app.ok(*elt, "data.text=title")
    assert "reviews, made\n" in app.ok(*elt, "data.text=body")
    reviews(60).to_csv(app.cwd / "reviews.csv", index=False)
    assert "60: train 42, val 9, test 9" in app.ok(*elt, "data.text=body")


TEXT = "sklearn.feature_extraction.text"

REFUSED = [
    (["data=table"], "data.path = None is not allowed: a file, a folder, a URL, or -"),
    (["data=table", "data.path=nowhere.csv"], "data.path: there is no file"),
    ([*COLUMNS, "data.path=reviews.csv", "data.label=starz"], "Did you mean 'stars'?"),
    ([*COLUMNS, "data.path=reviews.csv", "data.split=stars"], "'stars' is '1', and has to be"),
    ([*COLUMNS, "data.path=reviews.csv", "data.id=stars"], "the id '1' is there"),
    ([*COLUMNS, "data.path=reviews.csv", "data.label=key"], "with every class in each part"),
    ([*COLUMNS, "data.path=reviews.csv", "data.min_freq=99"], "at least two classes"),
    ([*COLUMNS, "data.path=reviews.csv", "threshold=fixed"], "A threshold gives unsure texts"),
    ([*COLUMNS, "data.path=reviews.csv", "preprocessing.language=xx"], "no stop words for it"),
    (["model=complement_nb", "vectorizer=custom", f"vectorizer._target_={TEXT}.HashingVectorizer"],
     "takes no negative features"),
    (["model=custom", "model._target_=sklearn.naive_bayes.ComplementNB", "+model.aplha=1"],
     "Did you mean 'alpha'?"),
    (["model=custom", "model._target_=sklearn.preprocessing.Normalizer"], "it has no predict()"),
    (["model._target_=sklearn.naive_bayes.ComplementNB"], "start from model=custom"),
    (["whitelist=[os.*]"], "has no effect"),
]  # fmt: skip


def test_bad_input_is_one_clear_error(app: App) -> None:
    reviews().to_csv(app.cwd / "reviews.csv", index=False)
    for arguments, said in REFUSED:
        done = app.run(*arguments, "console=plain")
        assert done.returncode == 2, (arguments, done.stdout + done.stderr)
        assert said in done.stderr, arguments
        assert done.stderr.startswith("Error: "), arguments
        assert done.stderr.count("\n") == 1, arguments
        assert "Epoch" not in done.stdout, arguments
        assert not (app.stores / "run_id.txt").exists(), arguments


def test_any_estimator_is_used_by_its_name(app: App) -> None:
    target = f"vectorizer._target_={TEXT}.CountVectorizer"
    vectorizer = ("vectorizer=custom", "+vectorizer.min_df=2", target)
    model = ("model=custom", "model._target_=sklearn.naive_bayes.BernoulliNB", "+model.alpha=0.3")

    app.ok(*vectorizer, *model, "console=quiet", "plots=none", "tracking=none")

    assert 0.3 < scores(app)["f1"] < 1


def test_a_glob_over_models_runs_every_one_but_the_custom_one(app: App) -> None:
    chosen = (
        "-m",
        "model=glob([sgd,l*])",
        "vectorizer=tfidf_word",
        "training.epochs=1",
        "plots=none",
        "tracking=none",
    )
    output = app.run(*chosen, "console=quiet")
    assert output.returncode == 0, output.stderr
    folders = list(app.outputs.glob("*/*-multirun/*/performance.json"))
    assert len(folders) == 3  # sgd, logistic_regression, linear_svc


def test_a_whitelist_that_is_none_is_one_clear_error(app: App) -> None:
    done = app.run("--cfg", "job", env={"TAGIFAI_WHITELIST": "*"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: The whitelist has '*'; a pattern is a package's name")
