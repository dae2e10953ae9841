"""Next steps: what is suggested raises the validation score of rows that are known to need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tagifai.config.composition import try_compose
from tagifai.config.schema import Config, check
from tagifai.config.schema.encoders import DEFAULT_ENCODER
from tagifai.data import datasets
from tagifai.data.prepare import PreparedData, prepare_table
from tagifai.preprocessing.encoders import files
from tagifai.training.components import build_components
from tagifai.training.fitting import FitResult, TaggerTrainer
from tagifai.training.next_steps import RULES, Suggestion, suggest
from tests import encoders
from tests.conftest import CONF, Compose

SAMPLE = ("data=sample",)
TABLE = ("data=table", "data.path=rows.csv", "data.text=text", "data.label=tag")

TRADES = ("cook", "smith", "clerk")


def make_questions() -> pd.DataFrame:
    """Short questions whose words for asking are their class."""
    draw = np.random.RandomState(0)
    asked = {"person": "who is the", "place": "where is the", "reason": "why is the"}
    nouns = [f"noun{number}" for number in range(60)]
    return make_table(
        (f"{words} {' '.join(draw.choice(nouns, 3))}", tag)
        for _ in range(60)
        for tag, words in asked.items()
    )


def make_trades(sizes: Sequence[int], wrong: float = 0.0) -> pd.DataFrame:
    """Texts of one telling word among many that say nothing; some tell of another class.

    Args:
        sizes: rows of each class.
        wrong: share of the texts whose telling word is of any class.
    """
    draw = np.random.RandomState(1)
    common = [f"word{number}" for number in range(40)]
    rows = []
    for tag, size in zip(TRADES, sizes, strict=True):
        for _ in range(size):
            telling = draw.choice(TRADES) if draw.rand() < wrong else tag
            rows.append((" ".join([*draw.choice(common, 12), telling]), tag))
    return make_table(rows)


def make_table(rows: Any) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=["text", "tag"])
    return table.assign(id=[f"id{number}" for number in range(len(table))])


def make_rare_words() -> pd.DataFrame:
    """Few texts of a single word each, of which most are in one text alone."""
    return make_table(
        (f"{word} {word}", tag)
        for tag, words in (("one", encoders.WORDS[:24]), ("two", encoders.WORDS[24:48]))
        for word in words
    )


Fitted = tuple[Config, FitResult, PreparedData]


def fit(
    compose: Compose, overrides: Sequence[str], table: pd.DataFrame | None, stores: Path
) -> Fitted:
    config = check(compose(*overrides))
    draw = np.random.RandomState(config.seed)
    components = build_components(config, draw)
    rows = datasets.load(config.data, stores).table if table is None else table
    prepared = prepare_table(rows, config.data, config.preprocessing, config.split, draw)
    return config, TaggerTrainer(prepared, components, config.training).fit(test=False), prepared


def score(fitted: Fitted) -> float:
    config, result, _ = fitted
    return result.get_metric(config.objective.metric)


CASES: dict[str, tuple[Sequence[str], Callable[[], pd.DataFrame] | None]] = {
    "threshold costs": ([*SAMPLE, "threshold=fixed"], None),
    "rows are dropped": ([*SAMPLE, "sampling=random_under"], None),
    "short texts lose words": ([*TABLE, "preprocessing=reference"], make_questions),
    "rare terms are dropped": ([*SAMPLE, "vectorizer.min_df=5"], None),
    "words are alone": ([*SAMPLE, "vectorizer=hashing"], None),
    "model is unsuited": ([*SAMPLE, "model=complement_nb"], None),
    "penalty is unsuited": ([*SAMPLE, "model.C=1"], None),
    "alpha is unsuited": ([*SAMPLE, "model.C=null", "model.alpha=0.01"], None),
    "svc is held back": ([*SAMPLE, "model=linear_svc", "model.C=0.03"], None),
    "epochs are few": (
        [*TABLE, "training.epochs=1"],
        lambda: make_trades([120, 120, 120], wrong=0.2),
    ),
    "classes are uneven": (
        [*TABLE, "objective.metric=val_macro_f1"],
        lambda: make_trades([400, 40, 20], wrong=0.2),
    ),
    "rows are few": (TABLE, make_rare_words),
}
"""Overrides and rows to which a rule applies; None is the sample."""


@pytest.fixture(autouse=True)
def _no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PACKAGED", {})


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an encoder by the name of the one that is suggested, which knows words of two kinds."""
    monkeypatch.setenv(files.FOLDERS_VARIABLE, str(tmp_path))
    encoders.make_encoder(
        tmp_path / DEFAULT_ENCODER, alike=[encoders.WORDS[:24], encoders.WORDS[24:48]]
    )


@pytest.mark.parametrize(
    ("name", "overrides", "make"),
    [
        *((name, *case) for name, case in CASES.items()),
        ("penalty is unsuited", [*SAMPLE, "model.C=100"], None),
    ],
)
def test_what_a_rule_suggests_raises_the_validation_score(
    name: str,
    overrides: Sequence[str],
    make: Callable[[], pd.DataFrame] | None,
    composed: Compose,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if name == "rows are few":
        encoders.require_extra()
        request.getfixturevalue("encoder")
    table = make() if make else None
    before = fit(composed, overrides, table, tmp_path)
    (rule,) = [rule for rule in RULES if rule.name == name]
    assert suggest(*before, overrides) == rule.suggestion
    after = fit(composed, rule.suggestion.add_to(overrides), table, tmp_path)
    assert score(after) > score(before)
    assert not rule.applies(*after)


def test_a_search_that_is_suggested_begins_with_a_trial_that_is_better(
    composed: Compose, tmp_path: Path
) -> None:
    table = make_trades([400, 40, 20], wrong=0.2)
    before = fit(composed, TABLE, table, tmp_path)
    suggested = suggest(*before, TABLE)
    assert suggested is not None
    assert suggested.override == "-m sweep=auto sweep.budget=60"
    start = yaml.safe_load((CONF / "sweep" / "auto.yaml").read_text())["sweep"]["start"]
    chosen: dict[str, object] = {}
    scores = []
    for trial in start[:7]:  # those that differ in words and in the model
        kind = trial.get("model", chosen.get("model"))
        if kind != chosen.get("model"):
            chosen = {key: value for key, value in chosen.items() if not key.startswith("model.")}
        chosen |= trial
        overrides = [f"{key}={quote(value)}" for key, value in chosen.items()]
        scores.append(score(fit(composed, [*TABLE, *overrides], table, tmp_path)))
    assert max(scores) > score(before)


def quote(value: object) -> str:
    """Return a value in Hydra's grammar."""
    plain = not isinstance(value, str) or value.replace("_", "").isalnum()
    return str(value) if plain else f"'{value}'"


def test_every_rule_is_tested_and_has_its_own_name() -> None:
    assert [*CASES, "nothing is chosen"] == [rule.name for rule in RULES]


@pytest.mark.parametrize(
    "overrides",
    [
        ["objective.metric=val_loss"],
        ["objective.metric=val_class/mlops/f1"],
        ["objective.metric=[val_f1,model_bytes]"],
        ["+objective.constraints={model_bytes: '<= 1e9'}"],
        ["vectorizer=tfidf_char"],
        ["model=linear_svc"],
    ],
)
def test_nothing_is_suggested_where_no_rule_was_tried(
    overrides: Sequence[str], composed: Compose, tmp_path: Path
) -> None:
    fitted = fit(composed, [*SAMPLE, *overrides], None, tmp_path)
    assert suggest(*fitted, [*SAMPLE, *overrides]) is None


NB = "override /model: complement_nb"
FIXED = "override /threshold: fixed"


@pytest.mark.parametrize(
    ("options", "values", "suggested"),
    [
        ([NB], {}, "model=sgd"),
        # Its values do not fit another option, or hold with it as before.
        ([NB], {"model": {"norm": True}}, None),
        ([FIXED], {}, "threshold=none"),
        ([FIXED], {"threshold": {"value": 0.7}}, None),
        (["override /preprocessing: default"], {"preprocessing": {"stopwords": ["who"]}}, None),
        # As a search writes what it found.
        ([], {"vectorizer": {"min_df": 5}}, "vectorizer.min_df=1"),
        ([], {"model": {"alpha": None, "C": 1}}, "model.C=10"),
    ],
)
def test_behind_a_preset_only_that_is_suggested_which_does_what_it_is_to_do(
    options: Sequence[str],
    values: dict[str, Any],
    suggested: str | None,
    composed: Compose,
    tmp_path: Path,
) -> None:
    rows = make_questions() if "preprocessing" in values else None
    data = SAMPLE if rows is None else TABLE
    overrides = [*data, "experiment=mine", f"hydra.searchpath=[file://{tmp_path}]"]
    preset = {"defaults": [dict([option.split(": ")]) for option in options], **values}
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\n{yaml.dump(preset)}")
    found = suggest(*fit(composed, overrides, rows, tmp_path), overrides)
    other = [rule.suggestion.override for rule in RULES if rule.name == "nothing is chosen"]
    assert (found and found.override) in ([suggested] if suggested else [None, *other])
    if found:
        assert try_compose([w for w in found.add_to(overrides) if w != "-m"]) is not None


@pytest.mark.parametrize(
    ("override", "given", "made"),
    [
        ("model.C=10", ["seed=1", "model.C=1"], ["seed=1", "model.C=10"]),
        ("model=sgd", ["model=complement_nb", "model.alpha=0.3"], ["model=sgd"]),
        (
            "model=sgd",
            ["metrics=[f1]", "modelling=1"],
            ["metrics=[f1]", "modelling=1", "model=sgd"],
        ),
        ("model.alpha=null model.C=10", ["+model.alpha=1"], ["model.alpha=null", "model.C=10"]),
        ("-m sweep=auto", ["seed=1"], ["seed=1", "-m", "sweep=auto"]),
    ],
)
def test_a_suggestion_takes_the_place_of_what_it_contradicts(
    override: str, given: Sequence[str], made: Sequence[str]
) -> None:
    assert Suggestion(override, "").add_to(given) == made
