"""What `config/_sklearn.py` takes of scikit-learn is still there."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier

from tagifai.config._sklearn import check_parameters
from tests.private_names import require

FENCE = "tagifai/config/_sklearn.py"


def test_an_estimator_has_ranges_and_checks_them() -> None:
    names = ["_parameter_constraints", "_validate_params"]
    require(LogisticRegression(), names, "scikit-learn", FENCE)
    check_parameters(SGDClassifier())
    check_parameters(object())
    with pytest.raises(ValueError, match="alpha"):
        check_parameters(SGDClassifier(alpha=-1))
