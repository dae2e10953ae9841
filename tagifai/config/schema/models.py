"""Schemas of the `model` group."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tagifai.config.schema.rules import (
    require,
    require_at_least,
    require_non_negative,
    require_one_of,
    require_positive,
)

CLASS_WEIGHTS = (None, "balanced")

DEFAULT_C = 10.0
"""Of SGD. On public sets within a point of the best; 1 costs up to seven points."""

NO_ARGUMENT = {"argument": False}
"""Marks a field that the target of its schema does not take."""


@dataclass
class SGDConfig:
    """Arguments of scikit-learn's SGDClassifier; None leaves its default (penalty: has none).

    Args:
        loss: what a step lowers; log_loss and modified_huber have probabilities.
        penalty: on the weights; elasticnet is l1 and l2 together, None is none.
        C: inverse of the penalty's strength, whatever the number of rows: alpha is 1 / (C * rows),
            with the rows that are fitted, of each fold and refit its own. Where both are None, C
            is 10.
        alpha: strength of the penalty, whatever the number of rows; not together with C.
        l1_ratio: share of l1 in elasticnet.
        fit_intercept: learn a constant for each class.
        learning_rate: how steps get smaller; pa1 and pa2 are passive-aggressive steps.
        eta0: size of a step at the start.
        power_t: exponent of invscaling.
        class_weight: balanced weighs rows so that all classes count the same.
        average: keep the mean of the weights over all steps.
        shuffle: take the rows of an epoch in another order each time.
    """

    _target_: str = "sklearn.linear_model.SGDClassifier"
    loss: str = "log_loss"
    penalty: str | None = "l2"
    C: float | None = field(default=None, metadata=NO_ARGUMENT)
    alpha: float | None = None
    l1_ratio: float | None = None
    fit_intercept: bool = True
    learning_rate: str = "optimal"
    eta0: float | None = None
    power_t: float | None = None
    class_weight: str | None = None
    average: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        # The last three have no probabilities, so no threshold applies.
        known = ("log_loss", "modified_huber", "hinge", "squared_hinge", "perceptron")
        require_one_of("loss", self.loss, known)
        require_one_of("penalty", self.penalty, (None, "l2", "l1", "elasticnet"))
        self._check_strength()
        if self.l1_ratio is not None:
            right = 0 <= self.l1_ratio <= 1
            require(right, "l1_ratio", self.l1_ratio, "a share from 0 to 1")
        # "adaptive" watches the loss within one call of fit, but here a call is one epoch.
        rates = ("constant", "optimal", "invscaling", "pa1", "pa2")
        require_one_of("learning_rate", self.learning_rate, rates)
        passive = self.learning_rate in ("pa1", "pa2")
        reason = f"hinge, because learning_rate={self.learning_rate} is the passive-aggressive step"
        require(not passive or self.loss == "hinge", "loss", self.loss, reason)
        if self.eta0 is None and self.learning_rate != "optimal":
            self.eta0 = 0.1
        if self.eta0 is not None:
            require_positive("eta0", self.eta0)
        if self.power_t is not None:
            require(math.isfinite(self.power_t), "power_t", self.power_t, "a finite number")
        require_one_of("class_weight", self.class_weight, CLASS_WEIGHTS)

    def _check_strength(self) -> None:
        """Check the two forms of the penalty's strength; without either, C is its default."""
        if self.alpha is None:
            self.C = DEFAULT_C if self.C is None else self.C
            require_positive("C", self.C)
            return
        only_one = "null if alpha is set (model.C=null), or alpha null (model.alpha=null)"
        require(self.C is None, "C", self.C, only_one)
        require_non_negative("alpha", self.alpha)
        uses_alpha = self.learning_rate == "optimal"
        reason = "above 0, because learning_rate=optimal divides by it"
        require(not uses_alpha or self.alpha > 0, "alpha", self.alpha, reason)

    def find_ignored(self) -> dict[str, str]:
        """Return the parameters that have no effect, with the reason."""
        reasons = {}
        if self.learning_rate == "optimal":
            reasons["eta0"] = "under model.learning_rate=optimal"
        elif self.penalty is None:
            reasons |= dict.fromkeys(("C", "alpha"), "with model.penalty=null")
        if self.learning_rate != "invscaling":
            reasons["power_t"] = f"under model.learning_rate={self.learning_rate}"
        if self.penalty != "elasticnet":
            reasons["l1_ratio"] = f"with model.penalty={self.penalty or 'null'}"
        return reasons


@dataclass
class LogisticRegressionConfig:
    """Arguments of scikit-learn's LogisticRegression, which is fitted as a whole by L-BFGS.

    Args:
        C: inverse of the strength of the L2 penalty.
        class_weight: balanced weighs rows so that all classes count the same.
        fit_intercept: learn a constant for each class.
        max_iter: most steps.
        tol: the gradient at which fitting stops.
    """

    _target_: str = "sklearn.linear_model.LogisticRegression"
    C: float = 1.0
    class_weight: str | None = None
    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float = 1e-4

    def __post_init__(self) -> None:
        require_positive("C", self.C)
        require_one_of("class_weight", self.class_weight, CLASS_WEIGHTS)
        require_at_least("max_iter", self.max_iter, 1)
        require_positive("tol", self.tol)


@dataclass
class ComplementNBConfig:
    """Arguments of scikit-learn's ComplementNB (J. Rennie and others, 2003).

    Args:
        alpha: smoothing.
        fit_prior: learn how frequent classes are; counts only if there is one class.
        norm: normalize the weights a second time.
    """

    _target_: str = "sklearn.naive_bayes.ComplementNB"
    alpha: float = 1.0
    fit_prior: bool = True
    norm: bool = False

    def __post_init__(self) -> None:
        require_non_negative("alpha", self.alpha)


@dataclass
class LinearSVCConfig:
    """Arguments of scikit-learn's LinearSVC.

    Its probabilities are calibrated by temperature, on the validation rows.

    Args:
        C: inverse of the strength of the penalty.
        loss: hinge or squared_hinge.
        class_weight: balanced weighs rows so that all classes count the same.
        max_iter: most steps.
        tol: the change at which fitting stops.
    """

    _target_: str = "sklearn.svm.LinearSVC"
    C: float = 1.0
    loss: str = "squared_hinge"
    class_weight: str | None = None
    max_iter: int = 1000
    tol: float = 1e-4

    def __post_init__(self) -> None:
        require_positive("C", self.C)
        require_one_of("loss", self.loss, ("hinge", "squared_hinge"))
        require_one_of("class_weight", self.class_weight, CLASS_WEIGHTS)
        require_at_least("max_iter", self.max_iter, 1)
        require_positive("tol", self.tol)
