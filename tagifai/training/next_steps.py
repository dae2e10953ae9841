"""Next steps: what to try after a run, by a fixed table of rules.

Each rule is tested to raise the validation score of a data set where it applies, and was tried on
public ones: see docs/defaults.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tagifai.config import composition
from tagifai.config.schema import PROBABILITY_METRICS, SCORE_NAMES, Config, SGDConfig
from tagifai.config.schema.encoders import DEFAULT_ENCODER, EmbeddingUnionConfig
from tagifai.config.schema.experiment import DisabledConfig
from tagifai.config.schema.models import (
    DEFAULT_C,
    ComplementNBConfig,
    LinearSVCConfig,
    LogisticRegressionConfig,
)
from tagifai.config.schema.vectorizers import (
    CountVectorizerConfig,
    FeatureUnionConfig,
    TermVectorizerConfig,
)
from tagifai.exceptions import ConfigError

if TYPE_CHECKING:
    # For types only: the terminal's header is shown before scikit-learn is imported.
    from tagifai.data.prepare import PreparedData
    from tagifai.training.fitting import FitResult

SCORES = {f"val_{name}" for name in SCORE_NAMES if name not in PROBABILITY_METRICS}
"""Objectives that the rules are made for: not losses, sizes, or what is of one class alone."""

BY_CLASS = {"val_macro_f1", "val_balanced_accuracy"}
"""Those in which every class counts the same."""

DEFAULT_EPOCHS = 10

SHORT_TEXT = 16
"""Words of a text in which stop words say much: who, where, not."""

UNEVEN = 10
"""Times as many rows as the smallest class has, of the largest, that are worth a weight."""

FEW_ROWS = 200
"""Rows of a class, on average, that are few for learning what words mean."""

QUICK_ROWS = 20_000
"""Rows of which a search tries enough within a minute."""

Condition = Callable[[Config, "FitResult", "PreparedData"], bool]


@dataclass(frozen=True)
class Suggestion:
    """What to try next.

    Args:
        override: one or two, as they are typed behind the command.
        reason: why, in a sentence.
    """

    override: str
    reason: str

    def add_to(self, overrides: Sequence[str]) -> list[str]:
        """Return the arguments of the command that does it.

        Args:
            overrides: of the run; those that it takes the place of are left out.
        """
        added = self.override.split()
        replaced = [word.partition("=")[0] for word in added]
        return [*filter(lambda given: not _is_part_of(given, replaced), overrides), *added]


@dataclass(frozen=True)
class Rule:
    """A suggestion, and when it is made.

    Args:
        name: of the rule.
        applies: says so of a run that has been trained.
        suggestion: that is made.
    """

    name: str
    applies: Condition
    suggestion: Suggestion


RULES: list[Rule] = []
"""In the order in which they are looked at: what costs most comes first."""


def suggest(
    config: Config, result: FitResult, prepared: PreparedData, overrides: Sequence[str]
) -> Suggestion | None:
    """Return what to try after a run: of the first rule that applies; None if none does.

    Args:
        config: of the run.
        result: of its training.
        prepared: its rows.
        overrides: of the run; what fails or changes nothing behind them is not suggested.
    """
    objective = config.objective
    is_known = objective.metric in map(str, SCORES) and not objective.constraints
    if not is_known or prepared.count_streamed_rows() is not None:
        return None  # most of what is suggested takes rows in memory
    for rule in RULES:
        if rule.applies(config, result, prepared):
            # The values of a preset win over an option, and need not fit it.
            words = rule.suggestion.add_to(overrides)
            after = composition.try_compose([word for word in words if word != "-m"])
            if after and ("-m" in words or not rule.applies(after, result, prepared)):
                return rule.suggestion
    return None


def _is_part_of(override: str, keys: Sequence[str]) -> bool:
    """Return whether an override sets one of some keys, or something in one of these groups."""
    name = override.partition("=")[0].lstrip("+~").partition("@")[0]
    return any(name == key or name.startswith(f"{key}.") for key in keys)


# --- the rules, in the order in which they are looked at ----------------------------------------


def _rule(override: str, reason: str) -> Callable[[Condition], Condition]:
    """Make a rule of the function that says when it applies."""

    def add(applies: Condition) -> Condition:
        name = applies.__name__.strip("_").replace("_", " ")
        RULES.append(Rule(name, applies, Suggestion(override, reason)))
        return applies

    return add


@_rule("threshold=none", "the threshold costs more right answers than it gains")
def _threshold_costs(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    effect = result.threshold_effect
    costs = effect is not None and effect.f1_with < effect.f1_without
    return costs and not isinstance(config.threshold, DisabledConfig)


@_rule("sampling=none", "rows of the larger classes are left out")
def _rows_are_dropped(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    return str(getattr(config.sampling, "_target_", "")).endswith("RandomUnderSampler")


@_rule("preprocessing=default", "in short texts, words such as who and not say much")
def _short_texts_lose_words(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    cleaning = config.preprocessing
    if not cleaning.stopwords and cleaning.language is None:
        return False
    lengths = sorted(len(text.split()) for text in prepared.get_part("train")["raw"])
    return lengths[len(lengths) // 2] <= SHORT_TEXT


@_rule("vectorizer.min_df=1", "rare terms are left out, and many say much")
def _rare_terms_are_dropped(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    vectorizer = config.vectorizer
    known = isinstance(vectorizer, CountVectorizerConfig | FeatureUnionConfig)
    return known and vectorizer.min_df not in (0.0, 1)


@_rule("vectorizer=tfidf_union", "parts of words help beside the words")
def _words_are_alone(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    vectorizer = config.vectorizer
    return isinstance(vectorizer, TermVectorizerConfig) and vectorizer.analyzer == "word"


@_rule("model=sgd", "logistic regression by SGD is better on most texts")
def _model_is_unsuited(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    model = config.model
    if isinstance(model, SGDConfig):
        # Steps of pa1 and pa2 are as good, and have no loss to choose.
        passive = model.learning_rate in ("pa1", "pa2")
        return not passive and (model.loss, model.learning_rate) != ("log_loss", "optimal")
    return isinstance(model, ComplementNBConfig)


@_rule("model.C=10", "C is far from what suits most texts")
def _penalty_is_unsuited(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    model = config.model
    known = isinstance(model, LogisticRegressionConfig | SGDConfig)
    if not known or model.C is None or getattr(model, "penalty", "l2") is None:
        return False
    return not DEFAULT_C / 10 < model.C < DEFAULT_C * 10


@_rule("model.alpha=null model.C=10", "alpha does not suit so many rows, C suits any")
def _alpha_is_unsuited(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    model = config.model
    if not isinstance(model, SGDConfig) or model.alpha is None or model.penalty is None:
        return False
    usual = DEFAULT_C * model.alpha * len(prepared.split.train)  # 1 with the default C
    return not 0.1 < usual < 10


@_rule("model.C=1", "the penalty is so strong that the model learns too little")
def _svc_is_held_back(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    return isinstance(config.model, LinearSVCConfig) and config.model.C <= 0.1


@_rule("training.epochs=10", "the last epoch was still the best one")
def _epochs_are_few(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    best_is_last = result.epoch + 1 == config.training.epochs < DEFAULT_EPOCHS
    return isinstance(config.model, SGDConfig) and best_is_last


@_rule("model.class_weight=balanced", "the largest class outweighs the smallest")
def _classes_are_uneven(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    weighs = getattr(config.model, "class_weight", "balanced") is not None
    balances = weighs or not isinstance(config.sampling, DisabledConfig)
    if config.objective.metric not in BY_CLASS or balances:
        return False
    counts = [*prepared.count_labels().values()]
    return max(counts) >= UNEVEN * min(counts)


@_rule("vectorizer=tfidf_embedding", "the encoder knows more words than few rows teach")
def _rows_are_few(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    vectorizer, model = config.vectorizer, config.model
    fits = isinstance(vectorizer, FeatureUnionConfig) and not isinstance(model, ComplementNBConfig)
    if not fits or isinstance(vectorizer, EmbeddingUnionConfig):
        return False
    few = len(prepared.split.train) < FEW_ROWS * len(prepared.encoder.classes)
    return few and _is_english(prepared.get_texts("train")) and _has_encoder()


def _is_english(texts: Sequence[str]) -> bool:
    """Return whether texts are likely to be English: almost all letters are plain ones."""
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    return sum(map(str.isascii, letters)) >= 0.99 * max(1, len(letters))


def _has_encoder() -> bool:
    from tagifai.preprocessing.encoders.files import find_encoder  # late: only few runs ask

    try:
        find_encoder(DEFAULT_ENCODER)
    except ConfigError:
        return False
    return all(find_spec(library) is not None for library in ("onnxruntime", "tokenizers"))


@_rule("-m sweep=auto sweep.budget=60", "a minute's search tries other features and models")
def _nothing_is_chosen(config: Config, result: FitResult, prepared: PreparedData) -> bool:
    """Return whether features and model are those that are taken where nothing is said."""
    plain = FeatureUnionConfig(char_analyzer="auto", sublinear_tf=True)
    few = sum(prepared.count_rows().values()) <= QUICK_ROWS
    return few and config.model == SGDConfig() and config.vectorizer == plain
