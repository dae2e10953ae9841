"""Change exported bundles at random, import each, and report what was neither refused nor right.

    python -m tests.benchmarks.fuzz 2000 [seed]

Sums are put right, so that a change reaches what reads the part. A try is a failure if it takes too
long or too much memory, ends its process, is refused by anything but one sentence, leaves something
behind, or is taken in with outputs other than those that it says. `seed` and the number of a failed
try make it again: python -m tests.benchmarks.fuzz 1 SEED NUMBER
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from numpy.random import RandomState
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.svm import LinearSVC

from tagifai.exceptions import BundleError
from tagifai.models import bundles, verification
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import vectorizers
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.runs import reproducibility
from tagifai.serving import archives
from tests.conftest import DOCUMENTS, TAGS, TEXTS

RUN = "0" * 32
SECONDS, MEGABYTES = 10, 500
MOST_SECONDS = 20
"""That a try may take, all in all."""

Members = dict[str, bytes]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 15_000, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.5, 1e-300),
    *(
        1e308,
        float("nan"),
        float("inf"),
        "",
        "a",
        "word",
        "char",
        "\ud800",
        "\0",
        "../x",
        "\x1b[2J",
    ),
    *(r"(?:\w+)+-", r"(a|a)*$", "]+(x+)+[", "http://a/b", "content", "filename", "os.system"),
    *([], {}, [[]], [1, 15_000], [0, 0], ["a", "a"], {"a": 1}, "a" * 20_000, [0] * 20_000),
    *({"class": "SGDClassifier"}, {"_target_": "os.system"}, {"class": "RandomForestClassifier"}),
)
ARRAYS: tuple[Any, ...] = (
    *(np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.array(1.0), np.full((3, 3), np.nan)),
    *(
        np.zeros((1, 1, 1)),
        np.array(["a"]),
        np.array([b"a"]),
        np.zeros(3, ">f8"),
        np.zeros(3, "f2"),
    ),
    *(np.array([1j]), np.zeros(3, bool), np.zeros(2, "M8[s]"), np.zeros(2, [("a", "f8")])),
    *(np.zeros(20_000), np.arange(20_000), np.frombuffer(b"a\xffa", np.uint8)),
    *(np.frombuffer(b"\xff" * 20, np.uint8), np.frombuffer(b"\xed\xa0\x80", np.uint8)),
)


@dataclass
class Report:
    """What tries came to."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def make_exports(folder: Path) -> list[Members]:
    """Return the members of exported bundles, of several kinds of estimators."""
    encoder = LabelEncoder.fit(TAGS)
    plain: dict[str, Any] = {"lower": True, "separate_punctuation": False, "keep": None}
    cleaned = {**plain, "stopwords": ["of", "the"], "keep": r"A-Z\w\p{M}", "stem": False}
    pairs: list[tuple[Any, Any, dict[str, Any]]] = [
        (TfidfVectorizer(analyzer="char", ngram_range=(1, 3)), SGDClassifier("log_loss"), plain),
        (vectorizers.union(1, 2, 2, 4, "char_wb", 0.5), LogisticRegression(), cleaned),
        (HashingVectorizer(n_features=64), SGDClassifier("log_loss", average=True), plain),
        (CountVectorizer(stop_words=["of"]), MultinomialNB(), cleaned),
        (TfidfVectorizer(), ComplementNB(), plain),
        (TfidfVectorizer(max_features=5), LinearSVC(), plain),
        (TfidfVectorizer(), RandomForestClassifier(3), plain),
    ]
    found = []
    for number, (vectorizer, model, cleaning) in enumerate(pairs):
        if "random_state" in model.get_params():
            model.set_params(random_state=RandomState(0))
        X = vectorizer.fit_transform([text.lower() for text in TEXTS])
        model.fit(X, encoder.encode(TAGS))
        temperature = 0.5 if isinstance(model, LinearSVC) else None
        threshold = None if temperature else 0.3
        tagger = Tagger(cleaning, vectorizer, model, encoder, threshold, "cv", {}, temperature)
        bundles.save(folder / f"b{number}", tagger, DOCUMENTS)
        archives.export_run(folder / f"b{number}", RUN, folder / f"{number}.zip")
        with ZipFile(folder / f"{number}.zip") as archive:
            found.append({name: archive.read(name) for name in archive.namelist()})
    return found


# --- changes -----------------------------------------------------------------------------------


def change_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some are others, more, fewer, or doubled."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
        elif kind == 2:
            del data[at : at + rng.choice((1, 4, 64))]
        elif kind == 3:
            data[at:at] = data[at : at + 64]
        elif at < len(data):
            data[at] = rng.randrange(256)
    return bytes(data)


def change_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON with a value, a key or an item that is another one."""
    document = json.loads(content)
    places: list[tuple[Any, Any]] = []
    level = [document]
    while level:
        one = level.pop()
        keys = one.keys() if isinstance(one, dict) else range(len(one))
        places += [(one, key) for key in keys]
        level += [one[key] for key in keys if isinstance(one[key], dict | list)]
    if not places or rng.random() < 0.02:
        return json.dumps(rng.choice((rng.choice(VALUES), nest(rng)))).encode()
    holder, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind < 4:
        holder[key] = rng.choice(VALUES)
    elif kind == 4:
        del holder[key]
    elif kind == 5:
        other, name = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[name])) if name in other or other else None
    elif kind == 6:
        holder[key] = nest(rng)
    elif isinstance(holder, dict):
        holder[rng.choice(("x", "coef_", "__class__", "n_features_in_", "imported", "../a"))] = (
            rng.choice(VALUES)
        )
    else:
        holder += holder * rng.choice((1, 30))
    return json.dumps(document).encode()


def nest(rng: random.Random) -> Any:
    """Return a list in a list in a list, and so on."""
    value: Any = 1
    for _ in range(rng.choice((5, 30, 900))):
        value = [value]
    return value


def change_array(content: bytes, rng: random.Random) -> bytes:
    """Return an array with another number, shape, type or header."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    kind = rng.randrange(7)
    if kind == 0 and array.size:
        array = array.copy()
        values = (np.nan, np.inf, -1, 2**31 - 1, 1e308, 0, 255)
        with np.errstate(all="ignore"):
            array.flat[rng.randrange(array.size)] = np.array(rng.choice(values)).astype(array.dtype)
    elif kind == 1:
        array = rng.choice((array[:-1], array[..., :-1], array.T, np.concatenate([array, array])))
    elif kind == 2:
        array = array.astype(rng.choice(("f4", ">f8", "i4", "u1", "f2", "g", "U4", "c16", "?")))
    elif kind == 3:
        array = rng.choice(ARRAYS)
    elif kind == 4:
        array = array.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (1, 1, -1))))
    elif kind == 5:
        head, _, rest = content.partition(b"\n")
        return change_bytes(head, rng) + b"\n" + rest
    file = io.BytesIO()
    if kind == 6:
        np.save(file, np.array([None, "a"], dtype=object), allow_pickle=True)
    else:
        np.save(file, array, allow_pickle=False)
    return file.getvalue()


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": change_json,
    ".npy": change_array,
}


def change(members: Members, rng: random.Random) -> bytes:
    """Return the bytes of a file of members with something changed."""
    found = dict(members)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        change_member(found, rng)
    if rng.random() < 0.9:
        correct_sums(found)
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    whole = file.getvalue()
    return change_bytes(whole, rng) if rng.random() < 0.05 else whole


def change_member(found: Members, rng: random.Random) -> None:
    """Change a member, leave it out, or give it another's name or content."""
    name = rng.choice(sorted(found))
    suffix = Path(name).suffix
    kind = rng.random()
    if kind < 0.7 and suffix in CHANGES:
        try:
            found[name] = CHANGES[suffix](found[name], rng)
        except Exception:  # it was changed before, and is none any more
            found[name] = change_bytes(found[name], rng)
    elif kind < 0.85:
        found[name] = change_bytes(found[name], rng)
    elif kind < 0.9:
        del found[name]
    elif kind < 0.95:
        found[name] = found[rng.choice(sorted(found))]
    else:
        other = rng.choice(("x.json", "model.x.npy", "MODEL.coef_.npy", "model.skops", "../x.json"))
        found[f"bundle/{other}"] = found[name]


def correct_sums(found: Members) -> None:
    """Let the manifest name what is there, with its sums."""
    try:
        manifest = json.loads(found["bundle/manifest.json"])
        parts = {}
        for name, content in found.items():
            part = name.removeprefix("bundle/")
            if part != name and part != "manifest.json":
                parts[part] = hashlib.sha256(content).hexdigest()
        manifest["parts"] = parts
        found["bundle/manifest.json"] = json.dumps(manifest).encode()
    except (ValueError, TypeError, KeyError):
        pass


# --- tries -------------------------------------------------------------------------------------


def try_import(content: bytes, folder: Path, limits: dict[str, Any]) -> str:
    """Return what an import comes to: refused, taken in, or how it failed."""
    path, stores = folder / "model.zip", folder / "stores"
    path.write_bytes(content)
    try:
        made = archives.import_run(path, stores, **limits)
    except BundleError as error:
        if "checking it" in str(error):
            return f"FAILED, {error}"
        # Errors of the code's own making are no refusals: they would be tracebacks elsewhere.
        left = [place for place in stores.rglob("*") if place.is_file()]
        return f"FAILED, left {left}" if left else "refused"
    except Exception:
        return f"FAILED, {traceback.format_exc(limit=-3)}"
    manifest = bundles.read_manifest(made.bundle)
    if not bundles.is_imported(made.bundle) or "file" not in manifest["imported"]:
        return "FAILED, it has no mark"
    tagger = bundles.load(made.bundle)
    probe = bundles.read_document(made.bundle, "tagger.json")["probe"]
    if not verification.verify_outputs(probe, tagger, stranger=True):
        return "FAILED, it gives other outputs"
    predictions = tagger.predict(["Images", "a graph of nodes, http://a", ""])
    json.dumps(predictions, allow_nan=False)
    assert repr(tagger)
    with suppress(BundleError):  # what else it says is for other commands to refuse
        reproducibility.RunFingerprint.from_bundle(made.bundle)
    return "taken in"


def run(tries: int, seed: int, first: int = 0) -> Report:
    """Return what tries came to.

    Args:
        tries: how many.
        seed: of all of them.
        first: number of the first one.
    """
    logging.disable(logging.WARNING)
    np.seterr(all="ignore")  # weights may overflow
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        exports = make_exports(Path(scratch))
        for number in range(first, first + tries):
            rng = random.Random(f"{seed} {number}")
            content = change(rng.choice(exports), rng)
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                limits = {"seconds": SECONDS, "megabytes": MEGABYTES, "trusted": False}
                start = time.perf_counter()
                found = try_import(content, Path(folder), limits)
                took = time.perf_counter() - start
            report.slowest = max(report.slowest, took)
            report.counts[found.partition(",")[0]] += 1
            if took > MOST_SECONDS:
                found = f"FAILED, it took {took:.0f} s"
            if found.startswith("FAILED"):
                report.failures.append(f"seed {seed}, number {number}: {found}")
    logging.disable(logging.NOTSET)
    return report


def main() -> int:
    """Print a report, and return 1 if anything failed."""
    numbers = [int(text) for text in sys.argv[1:]]
    tries, seed, first = (*numbers, *(2000, 0, 0)[len(numbers) :])
    report = run(tries, seed, first)
    for failure in report.failures:
        print(failure)
    counts = ", ".join(f"{what}: {count}" for what, count in sorted(report.counts.items()))
    print(f"{sum(report.counts.values())} tries, {counts}; the slowest took {report.slowest:.1f} s")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
