"""Whether two models differ, by what each of them has right of the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS, SEED, CONFIDENCE = 10_000, 0, 0.95
"""Of the bootstrap: draws of as many rows, their seed, and the share of them in the interval."""


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two accuracies on the same rows.

    Args:
        rows: that both have predicted.
        difference: of the first model's accuracy to the second's.
        low: end of its interval, by a bootstrap over the rows.
        high: likewise.
        p_value: of McNemar's exact test.
    """

    rows: int
    difference: float
    low: float
    high: float
    p_value: float

    def describe(self) -> str:
        """Return the difference in words."""
        # Of few rows the interval alone is too sure: five of five better gain 1, from 1 to 1.
        is_likely = self.p_value < 1 - CONFIDENCE
        shown = is_likely and (self.low > 0 or self.high < 0)
        said = f"a difference of {self.difference:+.3f}" if shown else "no difference shown"
        return (
            f"{said} in accuracy on the same {self.rows} test rows: {100 * CONFIDENCE:g} % interval"
            f" {self.low:+.3f} to {self.high:+.3f} (bootstrap over rows), McNemar's p ="
            f" {self.p_value:.2g}"
        )


def compute_paired_difference(
    one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]
) -> PairedDifference:
    """Return by how much the first of two models has more right, and how sure that is.

    The interval is a percentile bootstrap over the rows (B. Efron, 1979); the test is exact, over
    the rows that only one of the two has right (Q. McNemar, 1947).

    Args:
        one: what the first model has right, shape (n,).
        other: what the second has right, shape (n,).
    """
    from scipy.stats import binomtest  # late: it takes a third of a second

    rows, only_one, only_other = len(one), int((one & ~other).sum()), int((other & ~one).sum())
    shares = [only_one / rows, only_other / rows, 1 - (only_one + only_other) / rows]
    # Rows count by what they show alone, so that draws of rows are draws of these three numbers.
    draws = np.random.RandomState(SEED).multinomial(rows, shares, DRAWS)
    gains = (draws[:, 0] - draws[:, 1]) / rows
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    differing = only_one + only_other
    p_value = float(binomtest(only_one, differing).pvalue) if differing else 1.0
    return PairedDifference(rows, (only_one - only_other) / rows, float(low), float(high), p_value)
