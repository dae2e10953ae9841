"""What scikit-learn keeps to itself and making its objects needs; nothing else.

Read in scikit-learn 1.9.1; `tests/config/test_private_sklearn.py` fails when it changes.
"""

from __future__ import annotations

from typing import Any


def check_parameters(made: Any) -> None:
    """Have an estimator check its parameters by scikit-learn's own ranges.

    The public way is to fit it: the data would be read before a wrong value is found.

    Args:
        made: an estimator; an object without such ranges is let through.

    Raises:
        ValueError: a parameter is out of range or of a wrong type.
    """
    if hasattr(made, "_parameter_constraints"):
        made._validate_params()
