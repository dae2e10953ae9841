"""Files of strangers that once hung a command, filled memory, or predicted no numbers."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from tagifai.exceptions import BundleError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import vectorizers
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.serving import archives
from tests.benchmarks import fuzz
from tests.conftest import DOCUMENTS, TAGS, TEXTS

RUN = "0" * 32
HANG = r"(?:\w+)+-"
LIMITS: dict[str, Any] = {"seconds": 3, "megabytes": 400}

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Members]:
    """The members of exported bundles."""
    folder, encoder = tmp_path_factory.mktemp("exports"), LabelEncoder.fit(TAGS)
    made = {"words": TfidfVectorizer(), "union": vectorizers.union(1, 2, 2, 4, "char_wb", 0.5)}
    found = {}
    for name, vectorizer in made.items():
        model = SGDClassifier(loss="log_loss", random_state=RandomState(0))
        model.fit(vectorizer.fit_transform([text.lower() for text in TEXTS]), encoder.encode(TAGS))
        tagger = Tagger({"keep": "a-z"}, vectorizer, model, encoder, 0.4, "cv")
        bundles.save(folder / name, tagger, DOCUMENTS)
        archives.export_run(folder / name, RUN, folder / f"{name}.zip")
        with ZipFile(folder / f"{name}.zip") as archive:
            found[name] = {item: archive.read(item) for item in archive.namelist()}
    return found


def write(path: Path, members: Members) -> Path:
    """Write a file whose manifest has the sums of what is in it."""
    fuzz.correct_sums(members)
    with ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def edit(part: str, **changed: Any) -> Callable[[Members], None]:
    """Return what puts other values into a JSON part."""

    def change(members: Members) -> None:
        document = json.loads(members[f"bundle/{part}"])
        document.update(changed)
        members[f"bundle/{part}"] = json.dumps(document).encode()

    return change


def set_parameter(**changed: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        document = json.loads(members["bundle/vectorizer.json"])
        steps = document["parameters"].get("transformer_list")
        (steps[0][1] if steps else document)["parameters"].update(changed)
        members["bundle/vectorizer.json"] = json.dumps(document).encode()

    return change


def set_own(**changed: Any) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        document = json.loads(members["bundle/vectorizer.json"])
        document["parameters"].update(changed)
        members["bundle/vectorizer.json"] = json.dumps(document).encode()

    return change


def put(part: str, content: bytes) -> Callable[[Members], None]:
    return lambda members: members.update({f"bundle/{part}": content})


def npy(array: Any, **arguments: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **arguments)
    return file.getvalue()


def lie(shape: str) -> bytes:
    """Return an array whose header promises another shape."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(8)


def cleaning(**steps: Any) -> Callable[[Members], None]:
    return edit("tagger.json", cleaning=steps)


def probe(texts: list[str]) -> Callable[[Members], None]:
    return edit("tagger.json", probe={"texts": texts, "outputs": [[0.3, 0.3, 0.4]] * len(texts)})


ATTACKS: dict[str, tuple[str, Callable[[Members], None], str]] = {
    "pattern": ("words", set_parameter(token_pattern=HANG), "token_pattern"),
    "pattern inside": ("union", set_parameter(token_pattern=HANG), "token_pattern"),
    "n-grams": ("words", set_parameter(ngram_range=[1, 15_000]), "ngram_range"),
    "processes": ("union", set_own(n_jobs=-1), "n_jobs"),
    "more": ("union", edit("vectorizer.json", x=1), "'x'"),
    "kept": ("words", cleaning(keep="a]+(x+)+["), "not the inside of a character class"),
    "kept, anchored": ("words", cleaning(keep=r"a]|(?:\w+)+-|[b"), "not the inside of a character"),
    "stop words": ("words", cleaning(stopwords=[f"w{n}" for n in range(50_000)]), "stopwords"),
    "steps": ("words", cleaning(first=["os.system"]), "is not allowed"),
    "texts": ("words", probe(["a"] * 2_000_000), "the limit is 16777216"),
    "many texts": ("words", probe(["a"] * 500_000), "texts: a list of texts is taken, 20 of"),
    "long text": ("words", probe(["a" * 1_000_000]), "texts"),
    "no numbers": ("words", put("model.coef_.npy", npy(np.full((3, 10), np.nan))), ""),
    "infinite": ("words", put("model.intercept_.npy", npy(np.full(3, np.inf))), "not finite"),
    "threshold": (
        "words", put("tagger.json", b'{"needs": {}, "threshold": NaN}'), "is no finite number",
    ),
    "temperature": ("words", edit("tagger.json", temperature=-1.0), "temperature"),
    "deep": ("words", put("splits.json", b"[" * 900 + b"]" * 900), "nested in more than 20"),
    "deeper": ("words", put("performance.json", b"[" * 10**6), "cannot be read"),
    "half a character": ("words", edit("tagger.json", other="\ud800"), "surrogates not allowed"),
    "colliding": ("words", put("MODEL.coef_.npy", npy(np.zeros(1))), "2 times"),
    "aliases": ("words", put("config.yaml", b"a: &a [1]\nb: [*a, *a]\n"), "anchors or tags"),
    "large record": ("words", put("config.yaml", b"a: 1\n" * 30_000), "the limit is 131072"),
    "classes": (
        "words",
        edit("tagger.json", classes=[str(n) for n in range(1_000_000)], other=None),
        "classes",
    ),
    "negative": ("words", put("model.classes_.npy", npy(np.array([-1, 0], "i8"))), "classes"),
    "header": ("words", put("model.coef_.npy", lie("(3, 1000000000)")), "greater than file size"),
    "header below 0": ("words", put("model.coef_.npy", lie("(-1,)")), "is not an array"),
    "header of tokens": ("words", put("model.coef_.npy", lie("((((((((")), "is not an array"),
    "objects": (
        "words", put("model.coef_.npy", npy(np.array([None]), allow_pickle=True)), "objects",
    ),
    "terms twice": (
        "words", put("vectorizer.vocabulary_.npy", npy(np.frombuffer(b"a\xffa", "u1"))), "twice",
    ),
    "fewer terms": (
        "words", put("vectorizer.vocabulary_.npy", npy(np.frombuffer(b"a\xffb", "u1"))), "number",
    ),
    "forest": ("words", lambda m: m.update({"bundle/model.skops": m.pop("bundle/model.json")}), ""),
}  # fmt: skip


@pytest.mark.e2e
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_in_one_sentence_and_leaves_nothing(
    name: str, exports: dict[str, Members], tmp_path: Path
) -> None:
    kind, change, reason = ATTACKS[name]
    members = dict(exports[kind])
    change(members)
    path, began = write(tmp_path / "model.zip", members), time.monotonic()
    with pytest.raises(BundleError) as caught:
        archives.import_run(path, tmp_path / "stores", **LIMITS)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "checking it" not in str(caught.value), "it was ended, and not refused"
    assert len(str(caught.value)) < 1_000
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]
    assert time.monotonic() - began < 10


@pytest.mark.e2e
def test_what_takes_too_long_is_ended_whoever_is_trusted(
    exports: dict[str, Members], tmp_path: Path
) -> None:
    members = dict(exports["words"])
    set_parameter(token_pattern=HANG)(members)
    probe(["a" * 5_000])(members)
    path, began = write(tmp_path / "model.zip", members), time.monotonic()
    with pytest.raises(BundleError) as caught:
        archives.import_run(path, tmp_path / "stores", trusted=True, **LIMITS)
    assert "checking it took longer than 3 seconds" in str(caught.value)
    assert "task.seconds" in str(caught.value)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]
    assert time.monotonic() - began < 10


@pytest.mark.e2e
def test_what_takes_too_much_memory_is_refused(exports: dict[str, Members], tmp_path: Path) -> None:
    members = dict(exports["words"])
    # Lists take twenty times what their text does.
    members["bundle/splits.json"] = b"[" + b"[]," * 15_000_000 + b"[]]"
    path = write(tmp_path / "model.zip", members)
    assert path.stat().st_size < 200_000
    with pytest.raises(BundleError, match="checking it took more memory than 400 MB"):
        archives.import_run(path, tmp_path / "stores", **LIMITS)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]


@pytest.mark.e2e
def test_an_interrupt_ends_the_check_at_once_and_leaves_nothing(
    exports: dict[str, Members], tmp_path: Path
) -> None:
    members = dict(exports["words"])
    set_parameter(token_pattern=HANG)(members)
    probe(["a" * 5_000])(members)
    path, began = write(tmp_path / "model.zip", members), time.monotonic()
    timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        archives.import_run(path, tmp_path / "stores", trusted=True, seconds=60)
    assert time.monotonic() - began < 5
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]


@pytest.mark.e2e
def test_two_hundred_random_changes_do_no_harm() -> None:
    report = fuzz.run(200, seed=16)
    assert report.failures == []
    assert report.counts["refused"] > 100
    assert report.counts["taken in"] > 0
