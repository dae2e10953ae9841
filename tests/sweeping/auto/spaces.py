"""A small space of a search with a budget, and attempts in it."""

from __future__ import annotations

from typing import Any

from tagifai.sweeping.auto.costs import Attempt
from tagifai.sweeping.auto.fidelity import Fidelity
from tagifai.sweeping.auto.points import Point, PointSpace
from tagifai.sweeping.spaces.grammar import parse_space

PARAMS = {"vectorizer": "choice(tfidf_word,tfidf_char)", "model": "choice(sgd,linear_svc)"}
WHEN = {
    "vectorizer=tfidf_char": {"vectorizer.ngram_max": "range(3,8)"},
    "model=sgd": {"model.C": "tag(log,interval(1.0,100.0))"},
    "model=linear_svc": {
        "model.C": "tag(log,interval(0.1,10.0))",
        "model.class_weight": "null,balanced",
    },
}
STARTS: list[dict[str, Any]] = [
    {"vectorizer": "tfidf_word", "model": "sgd", "model.C": 10},
    {"model": "linear_svc", "model.C": 1},
    {"vectorizer": "tfidf_char", "vectorizer.ngram_max": 6, "model": "linear_svc"},
    {"vectorizer": "tfidf_char"},
]

HALVED = Fidelity(train_rows=4000, sample_rows=1000, folds=None, repeats=1)
WHOLE = Fidelity(train_rows=400, sample_rows=None, folds=5, repeats=5)


def make_points(*arguments: str, starts: list[dict[str, Any]] | None = None) -> PointSpace:
    return PointSpace(parse_space(PARAMS, WHEN, arguments), starts or STARTS)


def attempt(
    points: PointSpace,
    point: Point,
    value: float | None = None,
    *,
    rows: int | None = None,
    fidelity: Fidelity = HALVED,
    **measured: Any,
) -> Attempt:
    features, model = points.describe_features(point)
    return Attempt(
        number=measured.pop("number", 0),
        point=point,
        name=points.identify(point),
        features=features,
        model=model,
        rows=rows,
        work=fidelity.get_work(rows),
        value=value,
        **measured,
    )
