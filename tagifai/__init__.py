"""tagifai: find, keep and use the best way of classifying texts.

>>> import tagifai
>>> reviews = ["data=table", "data.path=reviews.csv", "data.text=[title,body]", "data.label=stars"]
>>> run = tagifai.train(*reviews)
>>> run.tagger.predict("It works very well")["predicted_tag"]
'5'

What is named here is imported when it is first asked for.
"""

from __future__ import annotations

from tagifai._lazy import make_getattr

TYPE_CHECKING = False  # by itself: importing it takes half of the time until signals are handled
if TYPE_CHECKING:
    from typing import Any

    from tagifai.api.explanation import Explanation, explain
    from tagifai.api.functions import compare, compose, search, train
    from tagifai.api.loading import load
    from tagifai.api.results import Board, Run, Search
    from tagifai.config.schema import Config
    from tagifai.evaluation.metrics import metric
    from tagifai.evaluation.slices import slicing_function
    from tagifai.exceptions import BundleError, ConfigError, DataError, TrackingError, UserError
    from tagifai.models.tagger import Tagger
    from tagifai.preprocessing.cleaning import cleaning_step

    __version__: str

__all__ = [
    "Board",
    "BundleError",
    "Config",
    "ConfigError",
    "DataError",
    "Explanation",
    "Run",
    "Search",
    "Tagger",
    "TrackingError",
    "UserError",
    "__version__",
    "cleaning_step",
    "compare",
    "compose",
    "explain",
    "load",
    "metric",
    "search",
    "slicing_function",
    "train",
]


_get = make_getattr(
    __name__,
    {
        **dict.fromkeys(("compare", "compose", "search", "train"), "tagifai.api.functions"),
        **dict.fromkeys(("Explanation", "explain"), "tagifai.api.explanation"),
        "load": "tagifai.api.loading",
        **dict.fromkeys(("Board", "Run", "Search"), "tagifai.api.results"),
        "Config": "tagifai.config.schema",
        "metric": "tagifai.evaluation.metrics",
        "slicing_function": "tagifai.evaluation.slices",
        **dict.fromkeys(
            ("BundleError", "ConfigError", "DataError", "TrackingError", "UserError"),
            "tagifai.exceptions",
        ),
        "Tagger": "tagifai.models.tagger",
        "cleaning_step": "tagifai.preprocessing.cleaning",
    },
)


def __getattr__(name: str) -> Any:
    if name != "__version__":
        return _get(name)
    from importlib.metadata import version  # late: it takes longer than the rest of this module

    return version(__name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
