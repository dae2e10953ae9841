from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.random import RandomState
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier

from tagifai.config.schema import Config, check
from tagifai.data import datasets
from tagifai.exceptions import ConfigError, DataError
from tagifai.models.sampling import FeatureRows
from tagifai.preprocessing.deletions import list_warnings
from tagifai.training import streaming
from tagifai.training.chunks import StreamedData
from tagifai.training.components import Components, build_components
from tagifai.training.fitting import TaggerTrainer
from tests.conftest import Compose

WORDS = {"1": ["bad", "broken", "awful"], "3": ["fine", "decent", "plain"], "5": ["good", "nice"]}
SHORT = ("preprocessing=none", "vectorizer.n_features=4096")


def reviews(n: int = 120, seed: int = 3) -> pd.DataFrame:
    """Return short texts whose labels can be told from their words; each has a word of its own."""
    made = random.Random(seed)
    labels = [list(WORDS)[number % 3] for number in range(n)]
    texts = [f"{' '.join(made.choices(WORDS[c], k=3))} w{i}" for i, c in enumerate(labels)]
    return pd.DataFrame({"text": texts, "label": labels})


class Data:
    """Streams a table as a run does.

    Args:
        folder: for the file and the stores.
        composed: composes configurations.
    """

    def __init__(self, folder: Path, composed: Compose) -> None:
        self._folder = folder
        self._composed = composed

    def config(self, table: pd.DataFrame, *overrides: str, rows: int = 10) -> Config:
        path = self._folder / "rows.csv"
        table.to_csv(path, index=False)
        given = ("experiment=streamed", f"data.path={path}", f"data.chunk_rows={rows}", *SHORT)
        return check(self._composed(*given, *overrides))

    def prepared(self, table: pd.DataFrame, *overrides: str, rows: int = 10) -> StreamedData:
        config = self.config(table, *overrides, rows=rows)
        dataset = datasets.load(config.data, self._folder / "stores")
        found = streaming.prepare_dataset(dataset, config, RandomState(config.seed))
        assert isinstance(found, StreamedData)
        return found


@pytest.fixture
def data(tmp_path: Path, composed: Compose) -> Data:
    return Data(tmp_path, composed)


class Whole:
    """A vectorizer that gives the texts back."""

    def transform(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        return np.array(texts, dtype=object)[:, None]


def passed(prepared: StreamedData, epochs: int = 1) -> list[list[FeatureRows]]:
    """Return the chunks of epochs, their features being the texts."""
    nothing = FeatureRows(None, np.array([], np.int64))
    with prepared.open_train_rows(Whole(), None, nothing, None) as stream:
        return [list(stream.iterate_chunks(epoch)) for epoch in range(epochs)]


def texts_of(chunks: Sequence[FeatureRows]) -> list[str]:
    return [text for chunk in chunks for text in chunk.X[:, 0]]


# --- what the cleaning destroys ----------------------------------------------------------------


def test_what_the_cleaning_makes_equal_is_seen_though_it_does_not_train(data: Data) -> None:
    table = reviews()
    # Of 120 texts 24 differ in their stop words alone: their train rows have held-out texts.
    table.loc[:23, "text"] = [f"{chr(97 + n)} of it" for n in range(24)]
    words = "preprocessing.stopwords=[" + ",".join([*map(chr, range(97, 121)), "of"]) + "]"
    found = data.prepared(table, words)
    raw, _ = found.list_cleaned_texts()
    assert sorted(raw) == sorted(table["text"])
    assert len(found.rows) < len(raw)
    (said,) = list_warnings(found.deletions)
    assert said.startswith("The cleaning makes 24 of 120 different texts equal to another one")


# --- which rows train --------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [5, 20, 50, 1000])
def test_every_row_either_trains_once_an_epoch_or_is_held_out(data: Data, rows: int) -> None:
    table = reviews()
    found = data.prepared(table, rows=rows)
    held = [*found.get_part("val")["text"], *found.get_part("test")["text"]]
    for chunks in passed(found, 2):
        assert Counter(texts_of(chunks) + held) == Counter(table["text"])
        labels = dict(zip(table["text"], table["label"], strict=True))
        for chunk in chunks:
            assert found.encoder.decode(chunk.y) == [labels[text] for text in chunk.X[:, 0]]
    assert found.count_rows() == {"train": 84, "val": 18, "test": 18}
    assert found.count_labels() == {"1": 40, "3": 40, "5": 40}


def test_only_so_many_rows_are_in_memory_and_the_rest_trains(data: Data) -> None:
    found = data.prepared(reviews(300), "data.sample_rows=30")
    assert (len(found.rows), found.count_rows()) == (90, {"train": 240, "val": 30, "test": 30})
    assert len(texts_of(passed(found)[0])) == 240
    assert {len(ids) for name, ids in found.get_ids().items() if name != "rest_trains"} == {30}


def test_a_row_with_the_text_of_a_held_out_row_does_not_train(data: Data) -> None:
    table = reviews(60)
    # Only after cleaning are they equal.
    again = table.assign(text=table["text"].str.upper() + " ")
    found = data.prepared(pd.concat([table, again]), "preprocessing=reference")
    held = {*found.get_part("val")["text"], *found.get_part("test")["text"]}
    trained = texts_of(passed(found)[0])
    assert held & set(trained) == set()
    assert held & set(found.get_part("train")["text"]) == set()
    assert len(trained) == 120 - 2 * len(held)


def test_a_class_whose_texts_are_all_held_out_is_refused(data: Data) -> None:
    table = pd.concat([reviews(60), pd.DataFrame({"text": ["same"] * 8, "label": ["x"] * 8})])
    with pytest.raises(DataError, match="No row of x is left to train on: all have the text of a"):
        passed(data.prepared(table))


def test_the_order_is_another_in_each_epoch_and_the_same_for_the_same_seed(data: Data) -> None:
    first, second = (texts_of(chunks) for chunks in passed(data.prepared(reviews()), 2))
    assert first != second
    assert sorted(first) == sorted(second)
    again = [texts_of(chunks) for chunks in passed(data.prepared(reviews()), 2)]
    assert again == [first, second]


def test_a_file_that_is_sorted_by_label_is_mixed(data: Data) -> None:
    found = data.prepared(reviews(600).sort_values("label"), rows=100)
    for chunk in passed(found)[0]:
        assert np.bincount(chunk.y, minlength=3).min() > 5


def test_unshuffled_rows_keep_the_order_of_the_file(data: Data) -> None:
    table = reviews()
    trained = texts_of(passed(data.prepared(table, "split.shuffle=false"))[0])
    assert trained == [text for text in table["text"] if text in set(trained)]


def test_a_class_that_first_appears_in_the_last_chunk_is_a_class(data: Data) -> None:
    late = pd.DataFrame({"text": [f"late {i}" for i in range(8)], "label": ["9"] * 8})
    found = data.prepared(pd.concat([reviews(100), late]), "split.shuffle=false", rows=9)
    assert found.encoder.classes == ("1", "3", "5", "9")
    chunks = passed(found)[0]
    assert [3 in chunk.y for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_texts_that_are_empty_train_unless_one_of_them_is_held_out(data: Data) -> None:
    table = reviews(90)
    table.loc[[4, 9, 20], "text"] = ""
    found = data.prepared(table, "data.sample_rows=1")
    held = [*found.get_part("val")["text"], *found.get_part("test")["text"]]
    assert texts_of(passed(found)[0]).count("") == (0 if "" in held else 3)


def test_parts_of_the_data_are_kept_and_what_is_too_much_of_them_is_not_used(data: Data) -> None:
    table = reviews(150)
    table["part"] = ["train", "train", "val", "test", "test"] * 30
    found = data.prepared(table, "data.split=part", "data.sample_rows=15")
    assert found.count_rows() == {"train": 60, "val": 15, "test": 15}
    assert "60 validation or test rows are not used." in found.list_notes()[0]
    parts = dict(zip(table["text"], table["part"], strict=True))
    assert {parts[text] for text in texts_of(passed(found)[0])} == {"train"}
    assert {parts[text] for text in found.get_part("test")["text"]} == {"test"}


# --- labels ------------------------------------------------------------------------------------


def test_rare_tags_join_the_rest_or_are_left_out(data: Data) -> None:
    table = pd.concat([reviews(90), reviews(7, seed=5).assign(label="rare")], ignore_index=True)
    table["text"] += [f" n{i}" for i in range(97)]
    joined = data.prepared(table, "data.min_freq=10", "data.other=rest")
    assert joined.count_labels() == {"1": 30, "3": 30, "5": 30, "rest": 7}
    left_out = data.prepared(table, "data.min_freq=10")
    assert left_out.count_labels() == {"1": 30, "3": 30, "5": 30}
    assert len(texts_of(passed(left_out)[0])) == 90 - 24


def test_balanced_weights_are_of_all_train_rows_and_not_of_a_chunk(data: Data) -> None:
    table = pd.concat([reviews(90), reviews(90).iloc[::3].assign(label="1")], ignore_index=True)
    table["text"] += [f" n{i}" for i in range(120)]
    found = data.prepared(table)
    model = SGDClassifier(loss="log_loss", class_weight="balanced", random_state=RandomState(1))
    parts = Components(HashingVectorizer(alternate_sign=False), None, model, None)
    TaggerTrainer(found, parts, data.config(table, "training.epochs=1").training).fit()
    train = np.array([42, 22, 22])  # without a seventh each of validation and test rows
    assert list(found.train_counts) == train.tolist()
    expected = dict(enumerate(train.sum() / (3 * train)))
    assert model.class_weight == pytest.approx(expected)


# --- training ----------------------------------------------------------------------------------


def trained(data: Data, *overrides: str, rows: int = 20) -> Any:
    config = data.config(reviews(), "training.epochs=5", *overrides, rows=rows)
    prepared = data.prepared(reviews(), "training.epochs=5", *overrides, rows=rows)
    return TaggerTrainer(prepared, build_components(config, RandomState(3)), config.training).fit()


def test_what_is_learned_is_good_and_the_same_for_the_same_seed(data: Data) -> None:
    first, again = trained(data), trained(data)
    assert first.performance["test"]["overall"]["f1"] == 1.0
    assert np.array_equal(first.tagger.model.coef_, again.tagger.model.coef_)
    assert first.history == again.history
    assert len(first.history.val_loss) == 5


def test_the_penalty_goes_by_all_train_rows_and_not_by_those_of_a_chunk(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watched(self: SGDClassifier, X: Any, y: Any, **more: Any) -> Any:
        chunks.append((self.alpha, X.shape[0]))
        return passed(self, X, y, **more)

    chunks: list[tuple[float, int]] = []
    passed = SGDClassifier.partial_fit
    monkeypatch.setattr(SGDClassifier, "partial_fit", watched)
    result = trained(data, "model.C=4", "training.epochs=1")
    assert len(chunks) > 1
    assert sum(rows for _, rows in chunks) == 84
    assert {alpha for alpha, _ in chunks} == {1 / (4 * 84)}
    assert result.tagger.model.alpha == 1 / (4 * 84)


def test_naive_bayes_takes_every_row_once(data: Data) -> None:
    result = trained(data, "model=complement_nb")
    assert result.tagger.model.class_count_.tolist() == [28, 28, 28]
    assert len(result.history.val_loss) == 1


def test_whoever_asks_is_told_how_many_rows_are_done(data: Data) -> None:
    told: list[int] = []
    config = data.config(reviews(), "training.epochs=2", rows=50)
    prepared = data.prepared(reviews(), rows=50)
    TaggerTrainer(prepared, build_components(config, RandomState(3)), config.training).fit(
        on_progress=told.append
    )
    assert prepared.count_streamed_rows() == 120
    assert told == [50, 100, 120] * 2


# --- what is refused ---------------------------------------------------------------------------

REFUSED = [
    (["vectorizer=tfidf_char"], "TfidfVectorizer learns its terms from all texts. Use vectorizer="),
    (["sampling=random_over"], "RandomOverSampler draws from all rows. Use sampling=none"),
    (["model=logistic_regression"], "LogisticRegression has no partial_fit. Use model=sgd"),
    (["training.refit=true"], "training.refit=true fits to all rows at once."),
    (["objective.repeats=3"], "objective.repeats splits all rows again."),
]


@pytest.mark.parametrize(("overrides", "said"), REFUSED)
def test_what_needs_all_rows_at_once_is_refused_without_data(
    composed: Compose, overrides: list[str], said: str
) -> None:
    config = check(composed("experiment=streamed", "data.path=nowhere.csv", *overrides))
    with pytest.raises(ConfigError) as caught:
        streaming.check_supported(config, build_components(config, RandomState(1)))
    assert str(caught.value).startswith("data.chunk_rows = 20000: the rows are never in memory")
    assert said in str(caught.value)


def test_nothing_is_refused_where_nothing_is_streamed(composed: Compose) -> None:
    config = check(composed("data=table", "data.path=nowhere.csv"))
    streaming.check_supported(config, build_components(config, RandomState(1)))
