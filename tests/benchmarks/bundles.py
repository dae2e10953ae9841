"""Print what bundles cost: seconds to save and to load, bytes, and lines of the format's modules.

A load is a process of its own that has imported nothing but Python; what it takes with NumPy and
scikit-learn imported beforehand is in brackets.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import FeatureUnion

from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.preprocessing.labels import LabelEncoder
from tests.conftest import DOCUMENTS, fitted

TIMES = 5
FORMAT = ("bundles", "part_files", "serialization", "skops_files", "verification")
"""Modules of the format."""

LOAD = """
import sys, time
if sys.argv[2] == "warm":
    import numpy, scipy.sparse, sklearn.feature_extraction.text, sklearn.linear_model
began = time.process_time()
from pathlib import Path
from tagifai.models import bundles
bundles.load(Path(sys.argv[1]))
print(time.process_time() - began)
"""


def make_tagger(terms: int, make_vectorizer: Callable[[], Any], model: Any) -> Tagger:
    """Return a tagger of texts with about as many different words."""
    state = RandomState(0)
    words = [f"w{number:x}é" for number in range(terms)]
    texts = [" ".join(words[first : first + 100]) for first in range(0, terms, 100)]
    y = np.arange(len(texts)) % 3
    vectorizer = make_vectorizer()
    X = vectorizer.fit_transform(texts)
    cleaning = {"lower": True, "separate_punctuation": False, "keep": None}
    model.set_params(random_state=state)
    return Tagger(cleaning, vectorizer, model.fit(X, y), LabelEncoder(("a", "b", "c")), None, None)


def make_union() -> FeatureUnion:
    """Return words beside characters, as the default has them."""
    parts = [
        ("word", TfidfVectorizer(ngram_range=(1, 2))),
        ("char", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5))),
    ]
    return FeatureUnion(parts, transformer_weights={"word": 1.0, "char": 1.0})


def measure(name: str, tagger: Tagger) -> str:
    """Return a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        took = []
        for _ in range(TIMES):
            began = time.perf_counter()
            bundles.save(path, tagger, DOCUMENTS)
            took.append(time.perf_counter() - began)
        loads = {
            state: statistics.median(
                float(
                    subprocess.run(
                        [sys.executable, "-c", LOAD, str(path), state],
                        check=True,
                        capture_output=True,
                        text=True,
                    ).stdout
                )
                for _ in range(TIMES)
            )
            for state in ("cold", "warm")
        }
        size = sum(file.stat().st_size for file in path.iterdir())
    load = f"{loads['cold']:.2f} ({loads['warm']:.2f})"
    return f"{name:<24} {statistics.median(took):>8.3f} {load:>14} {size / 1e6:>8.2f}"


def main() -> None:
    """Print the table."""
    models = Path(bundles.__file__).parent
    lines = {
        file.stem: len(file.read_text(encoding="utf-8").splitlines())
        for file in sorted(models.glob("*.py"))
        if file.stem in FORMAT
    }
    print(f"{sum(lines.values())} lines: {lines}")
    print(f"{'':<24} {'save, s':>8} {'load, CPU s':>14} {'MB':>8}")
    sgd = SGDClassifier(loss="log_loss")
    print(measure("smallest", fitted()))
    print(measure("words, 100,000 terms", make_tagger(100_000, TfidfVectorizer, sgd)))
    print(measure("words and characters", make_tagger(20_000, make_union, sgd)))
    print(measure("forest (skops)", make_tagger(2_000, TfidfVectorizer, RandomForestClassifier())))


if __name__ == "__main__":
    main()
