from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import skops.io
from numpy.random import RandomState
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

from tagifai.exceptions import BundleError
from tagifai.models import bundles, serialization
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import cleaning
from tagifai.utils import own_modules
from tagifai.utils.files import compute_sha256
from tests.conftest import DOCUMENTS, TAGS, TEXTS, fitted

PARTS = {
    "config.yaml",
    "model._expanded_class_weight.npy",
    "model.classes_.npy",
    "model.coef_.npy",
    "model.intercept_.npy",
    "model.json",
    "performance.json",
    "provenance.json",
    "splits.json",
    "tagger.json",
    "vectorizer._tfidf.idf_.npy",
    "vectorizer.json",
    "vectorizer.vocabulary_.npy",
}
SKOPS_PARTS = {*DOCUMENTS, "tagger.json", "model.skops", "vectorizer.skops"}
"""Of a bundle of estimators that are more than plain values and arrays."""

KINDS = ("json", "skops")

ANY_TEXTS = [*TEXTS[:3], "", "unseen: Ünïcode", "x" * 1000]

SAVE = """
import json, sys
from pathlib import Path
from tagifai.models import bundles
from tests.conftest import DOCUMENTS, fitted

print(json.dumps(bundles.save(Path(sys.argv[1]), fitted(), DOCUMENTS)))
"""


class Unknown:
    """A type that nobody trusts."""


@pytest.fixture
def bundle(tmp_path: Path, tagger: Tagger) -> Path:
    path = tmp_path / "bundle"
    bundles.save(path, tagger, DOCUMENTS)
    return path


@pytest.fixture
def packed(tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of the same estimators, as if they were more than plain values and arrays."""
    path = tmp_path / "packed"
    with monkeypatch.context() as patched:
        patched.setattr(serialization, "CLASSES", {})
        bundles.save(path, tagger, DOCUMENTS)
    return path


def change_manifest(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = bundle / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def replace_part(bundle: Path, name: str, content: bytes) -> None:
    """Give a part another content, and the manifest the sum of it."""
    (bundle / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest()}
    change_manifest(bundle, lambda manifest: manifest["parts"].update(sums))


def array(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=False)
    return file.getvalue()


def refusal(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        bundles.load(bundle)
    assert str(bundle) in str(caught.value)
    return str(caught.value)


# --- round trip --------------------------------------------------------------------------------


def test_a_loaded_tagger_predicts_the_same_as_the_saved_one(bundle: Path, tagger: Tagger) -> None:
    loaded = bundles.load(bundle)
    assert loaded.predict(ANY_TEXTS) == tagger.predict(ANY_TEXTS)
    np.testing.assert_array_equal(loaded.predict_proba(ANY_TEXTS), tagger.predict_proba(ANY_TEXTS))
    settings = ("cleaning", "encoder", "threshold", "other")
    assert all(getattr(loaded, name) == getattr(tagger, name) for name in settings)


def test_a_bundle_with_skops_files_is_loaded_and_predicts_the_same(
    packed: Path, tagger: Tagger
) -> None:
    assert set(bundles.read_manifest(packed)["parts"]) == SKOPS_PARTS
    assert bundles.load(packed).predict(ANY_TEXTS) == tagger.predict(ANY_TEXTS)


def test_saving_leaves_the_tagger_as_it_was(tmp_path: Path, tagger: Tagger) -> None:
    before = tagger.predict(ANY_TEXTS)
    bundles.save(tmp_path / "bundle", tagger, DOCUMENTS)
    assert tagger.predict(ANY_TEXTS) == before
    assert isinstance(tagger.model.random_state, RandomState)


def test_a_temperature_is_kept_and_only_where_there_is_one(tmp_path: Path, tagger: Tagger) -> None:
    model = LinearSVC(random_state=0)
    model.fit(tagger.vectorize(["image", "text", "x"]), [0, 1, 2])
    calibrated = replace(tagger, model=model, threshold=None, temperature=0.25)
    for made in (tagger, calibrated):
        bundles.save(tmp_path / "b", made, DOCUMENTS)
        kept = json.loads((tmp_path / "b" / "tagger.json").read_text())
        assert ("temperature" in kept) == (made is calibrated)
        found = bundles.load(tmp_path / "b")
        assert found.temperature == made.temperature
        assert found.predict(["image", ""]) == made.predict(["image", ""])
        for wrong in ("a", 0.5, -0.25):
            settings = {**kept, "temperature": wrong}
            replace_part(tmp_path / "b", "tagger.json", json.dumps(settings).encode())
            with pytest.raises(BundleError):
                bundles.load(tmp_path / "b")


def test_a_tagger_without_a_threshold_stays_without(tmp_path: Path, tagger: Tagger) -> None:
    bare = replace(tagger, threshold=None)
    bundles.save(tmp_path / "bundle", bare, DOCUMENTS)
    assert bundles.load(tmp_path / "bundle").threshold is None


def test_the_parts_are_there_with_the_sums_of_their_files(bundle: Path) -> None:
    manifest = bundles.read_manifest(bundle)
    assert manifest["format"] == 4
    assert set(manifest["parts"]) == PARTS
    assert {file.name for file in bundle.iterdir()} == PARTS | {"manifest.json"}
    for name, sha256 in manifest["parts"].items():
        assert sha256 == compute_sha256(bundle / name)
    assert (bundle / "config.yaml").read_text() == "seed: 42\n"


def test_vocabulary_and_weights_are_what_anyone_can_read(bundle: Path, tagger: Tagger) -> None:
    terms = bytes(np.load(bundle / "vectorizer.vocabulary_.npy")).split(b"\xff")
    assert [term.decode() for term in terms] == tagger.vectorizer.get_feature_names_out().tolist()
    weights = np.load(bundle / "model.coef_.npy", allow_pickle=False)
    np.testing.assert_array_equal(weights, tagger.model.coef_)


def test_nothing_is_pickled(bundle: Path, packed: Path) -> None:
    found: dict[str, bytes] = {}
    for file in (*bundle.iterdir(), *packed.iterdir()):
        if file.suffix != ".skops":
            found[file.name] = file.read_bytes()
            continue
        with zipfile.ZipFile(file) as archive:
            found |= {f"{file.name}/{name}": archive.read(name) for name in archive.namelist()}
    assert {Path(name).suffix for name in found} == {".json", ".npy", ".yaml"}
    for name, content in found.items():
        if name.endswith(".npy"):
            # An array of objects says so in its header, and would be a pickle.
            assert content.startswith(b"\x93NUMPY")
            assert b"'|O'" not in content[:128]
        else:
            content.decode("utf-8")


@pytest.mark.e2e
def test_the_sums_of_content_are_equal_in_two_processes(tmp_path: Path, tagger: Tagger) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(tmp_path / "there")],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    here = bundles.save(tmp_path / "here", tagger, DOCUMENTS)
    assert here == json.loads(done.stdout)
    other = bundles.save(tmp_path / "other", fitted(seed=1), DOCUMENTS)
    changed = {name for name in here if here[name] != other[name]}
    assert changed == {"model.coef_.npy", "model.intercept_.npy", "tagger.json"}


def test_publishing_copies_a_bundle_to_the_run_and_replaces_what_is_there(
    bundle: Path, tmp_path: Path
) -> None:
    stores = tmp_path / "stores"
    for _ in range(2):
        path = bundles.publish(bundle, stores, "abc")
        assert path == bundles.get_path(stores, "abc")
        assert path == stores / "artifacts" / "abc" / "artifacts" / "bundle"
        assert bundles.read_manifest(path) == bundles.read_manifest(bundle)


def test_a_full_disk_is_one_error_and_leaves_no_part_of_a_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path, **_: Any) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(OSError, match="No space left on device") as caught:
        bundles.publish(bundle, tmp_path / "stores", "abc")
    assert caught.value.errno == errno.ENOSPC
    assert [path for path in (tmp_path / "stores").rglob("*") if path.is_file()] == []


# --- failing saves -----------------------------------------------------------------------------


def test_a_failing_save_leaves_nothing(tmp_path: Path, tagger: Tagger) -> None:
    with pytest.raises(UnicodeEncodeError):
        bundles.save(tmp_path / "bundle", tagger, {**DOCUMENTS, "config.yaml": "\ud800"})
    assert list(tmp_path.iterdir()) == []


def test_a_failing_save_leaves_the_old_bundle(bundle: Path, tagger: Tagger) -> None:
    with pytest.raises(UnicodeEncodeError):
        bundles.save(bundle, tagger, {**DOCUMENTS, "config.yaml": "\ud800"})
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
    assert bundles.load(bundle).predict(ANY_TEXTS) == tagger.predict(ANY_TEXTS)


@pytest.mark.parametrize("part", ["model", "vectorizer"])
def test_a_type_that_is_not_trusted_is_not_saved_and_leaves_nothing(
    tmp_path: Path, tagger: Tagger, part: str
) -> None:
    changed: dict[str, Any] = {part: Unknown()}
    with pytest.raises(BundleError, match=r"holds types that are not trusted: .*Unknown\.$"):
        bundles.save(tmp_path / "bundle", replace(tagger, **changed), DOCUMENTS)
    assert list(tmp_path.iterdir()) == []


# --- code of one's own -------------------------------------------------------------------------


class Own(LogisticRegression):  # type: ignore[misc]
    """A class that this module has, as an extension would."""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, with nobody's code known; what is let known is forgotten afterwards."""
    monkeypatch.setattr(own_modules, "_files", {})
    monkeypatch.setattr(own_modules, "_packages", set())
    monkeypatch.setattr(cleaning, "_REGISTERED", {})


def with_own_model(tagger: Tagger) -> Tagger:
    y = tagger.encoder.encode(TAGS)
    return replace(tagger, model=Own().fit(tagger.vectorize(TEXTS), y))


def with_own_step(tagger: Tagger, module: str) -> Tagger:
    def shout(text: str) -> str:
        return text.upper()

    shout.__module__ = module
    cleaning.cleaning_step(shout)
    return replace(tagger, cleaning={**tagger.cleaning, "last": ["shout"]})


def needs(bundle: Path) -> object:
    return json.loads((bundle / "tagger.json").read_text())["needs"]


def test_a_bundle_of_this_package_s_own_code_needs_none(bundle: Path) -> None:
    assert needs(bundle) == {}


@pytest.mark.usefixtures("known")
def test_a_class_of_an_extension_is_kept_and_loaded_where_it_is_known(
    tmp_path: Path, tagger: Tagger
) -> None:
    own_modules.register(__name__)
    mine = with_own_model(tagger)
    bundles.save(tmp_path / "bundle", mine, DOCUMENTS)
    loaded = bundles.load(tmp_path / "bundle")
    assert type(loaded.model) is Own
    assert loaded.predict(ANY_TEXTS) == mine.predict(ANY_TEXTS)


@pytest.mark.usefixtures("known")
def test_a_class_of_an_allowed_package_is_kept_and_said_to_be_needed(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_modules.allow_packages(["tests.*"])
    bundles.save(tmp_path / "bundle", with_own_model(tagger), DOCUMENTS)
    assert needs(tmp_path / "bundle") == {__name__: None}
    assert type(bundles.load(tmp_path / "bundle").model) is Own
    monkeypatch.setattr(own_modules, "_packages", {"other."})
    assert (
        "needs the package tests, which is not allowed. If you know and trust it, add tests.* to"
        " whitelist in conf/config.yaml, or allow it by the environment: "
        "TAGIFAI_WHITELIST='tests.*'"
    ) in refusal(tmp_path / "bundle")


@pytest.mark.usefixtures("known")
def test_a_step_of_an_extension_is_said_by_its_file_where_it_is_missing(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_modules.register("my_steps", tmp_path / "my_steps.py")
    mine = with_own_step(tagger, "my_steps")
    bundles.save(tmp_path / "bundle", mine, DOCUMENTS)
    assert needs(tmp_path / "bundle") == {"my_steps": "my_steps.py"}
    assert bundles.load(tmp_path / "bundle").clean(["a"]) == ["A"]
    monkeypatch.setattr(own_modules, "_files", {})
    message = refusal(tmp_path / "bundle")
    assert message.startswith(f"{tmp_path}/bundle needs the extension my_steps.py, which is not")
    assert "Add the file to extensions in conf/config.yaml" in message
    assert "TAGIFAI_WHITELIST='my_steps.*'" in message


@pytest.mark.parametrize("needed", [{"os;x": None}, {"a" * 101: None}, {"a": "b" * 101}])
def test_what_is_no_module_is_not_told_to_be_allowed(
    bundle: Path, needed: dict[str, str | None]
) -> None:
    settings = json.loads((bundle / "tagger.json").read_text())
    replace_part(bundle, "tagger.json", json.dumps({**settings, "needs": needed}).encode())
    message = refusal(bundle)
    assert "needs code that has no name of a module" in message
    assert "whitelist" not in message


@pytest.mark.usefixtures("known")
def test_what_a_bundle_says_that_it_needs_lets_nothing_else_be_loaded(
    tmp_path: Path, tagger: Tagger, packed: Path
) -> None:
    own_modules.register("my_steps", tmp_path / "my_steps.py")
    settings = json.loads((packed / "tagger.json").read_text())
    content = json.dumps({**settings, "needs": {"my_steps": "my_steps.py"}}).encode()
    replace_part(packed, "tagger.json", content)
    replace_part(packed, "model.skops", skops.io.dumps(Unknown()))
    assert "model.skops holds types that are not trusted" in refusal(packed)


@pytest.mark.usefixtures("known")
def test_a_step_of_a_notebook_is_to_be_put_into_a_file(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles.save(tmp_path / "bundle", with_own_step(tagger, "__main__"), DOCUMENTS)
    assert bundles.load(tmp_path / "bundle").clean(["a"]) == ["A"]
    monkeypatch.setattr(own_modules, "_files", {})
    assert "of the notebook or program that trained it. Put them into a file" in refusal(
        tmp_path / "bundle"
    )


@pytest.mark.parametrize("value", [None, [], "my_steps", 3])
def test_a_bundle_that_does_not_say_what_it_needs_is_refused(bundle: Path, value: object) -> None:
    settings = json.loads((bundle / "tagger.json").read_text())
    replace_part(bundle, "tagger.json", json.dumps({**settings, "needs": value}).encode())
    assert "does not say which code of a person's own it needs" in refusal(bundle)


# --- refused bundles ---------------------------------------------------------------------------


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith("There is no model at ")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"format": "1", "versions": {}, "parts": {}}',
        '{"format": 1.0, "versions": {}, "parts": {}}',
        '{"format": true, "versions": {}, "parts": {}}',
        '{"format": null, "versions": {}, "parts": {}}',
        '{"format": 4, "versions": {}, "parts": 3}',
        '{"format": 4, "versions": [], "parts": {}}',
        '{"format": 4, "versions": null, "parts": {}}',
        '{"format": 4, "versions": {"numpy": 2}, "parts": {}}',
        '{"format": 4, "versions": {"numpy": "\\u001b[2J"}, "parts": {}}',
        '{"format": 4, "versions": {"": "2"}, "parts": {}}',
        "[" * 100_000,
        '{"format": 4, "parts": {}}',
        '{"format": 4, "versions": {}}',
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(bundle: Path, content: str) -> None:
    (bundle / "manifest.json").write_text(content)
    message = refusal(bundle)
    assert "manifest" in message
    assert " cannot be read (" in message


@pytest.mark.parametrize("content", [None, ["a"], 1])
def test_a_manifest_whose_sums_are_none_is_refused(bundle: Path, content: Any) -> None:
    change_manifest(bundle, lambda manifest: manifest["parts"].update({"config.yaml": content}))
    assert "config.yaml is not the one that was saved" in refusal(bundle)


def test_a_manifest_without_the_version_of_a_library_is_refused(bundle: Path) -> None:
    change_manifest(bundle, lambda manifest: manifest["versions"].pop("numpy"))
    assert "(versions of the libraries are expected, " in refusal(bundle)


@pytest.mark.parametrize("found", [-1, 0, 1, 2, 3, 5])
def test_another_format_is_refused_with_what_to_do(bundle: Path, found: int) -> None:
    """The rest of the manifest may be of another form too."""
    (bundle / "manifest.json").write_text(json.dumps({"format": found}))
    assert refusal(bundle) == (
        f"{bundle} has format {found}, and this version of tagifai reads format 4 only: train it"
        " again, or use the version that wrote it."
    )


@pytest.mark.parametrize("name", sorted(PARTS | SKOPS_PARTS))
def test_a_changed_part_is_refused(bundle: Path, packed: Path, name: str) -> None:
    bundle = bundle if name in PARTS else packed
    content = bytearray((bundle / name).read_bytes())
    content[-1] ^= 1
    (bundle / name).write_bytes(content)
    assert refusal(bundle).endswith(f": the part {name} is not the one that was saved.")


@pytest.mark.parametrize("name", sorted(PARTS | SKOPS_PARTS))
def test_a_missing_part_is_refused(bundle: Path, packed: Path, name: str) -> None:
    bundle = bundle if name in PARTS else packed
    (bundle / name).unlink()
    assert f"the part {name} is missing or not a plain file" in refusal(bundle)


def test_a_link_in_place_of_a_part_is_refused_although_its_content_is_right(bundle: Path) -> None:
    shutil.move(bundle / "tagger.json", bundle.parent / "tagger.json")
    (bundle / "tagger.json").symlink_to(bundle.parent / "tagger.json")
    assert "the part tagger.json is missing or not a plain file" in refusal(bundle)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/b", ".hidden", "..", "", "a b", "model.__class__.x.npy"],
)
def test_a_bad_name_of_a_part_is_refused(bundle: Path, name: str) -> None:
    change_manifest(bundle, lambda manifest: manifest["parts"].update({name: {}}))
    assert f"{name!r} is not the name of a part" in refusal(bundle)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.py", "model", "model.npz"])
def test_a_part_of_a_kind_that_could_run_code_is_refused(bundle: Path, name: str) -> None:
    replace_part(bundle, name, pickle.dumps(print))
    assert f"{name!r} is not the name of a part; those are files of .json, .npy" in refusal(bundle)


def test_a_manifest_that_is_a_link_is_refused_although_its_content_is_right(bundle: Path) -> None:
    shutil.move(bundle / "manifest.json", bundle.parent / "manifest.json")
    (bundle / "manifest.json").symlink_to(bundle.parent / "manifest.json")
    assert "the part manifest.json is missing or not a plain file" in refusal(bundle)


@pytest.mark.parametrize("sha256", [None, {}, "x", ""])
def test_a_part_without_a_sum_is_refused(bundle: Path, sha256: object) -> None:
    change_manifest(bundle, lambda manifest: manifest["parts"].update({"tagger.json": sha256}))
    assert "the part tagger.json is not the one that was saved" in refusal(bundle)


@pytest.mark.parametrize("name", ["model", "vectorizer"])
def test_a_manifest_with_an_estimator_twice_is_refused(
    bundle: Path, packed: Path, name: str
) -> None:
    replace_part(bundle, f"{name}.skops", (packed / f"{name}.skops").read_bytes())
    assert f"the manifest has both {name}.json and {name}.skops" in refusal(bundle)


NEEDED = [*DOCUMENTS, "tagger.json", *(f"{n}.{k}" for n in ("model", "vectorizer") for k in KINDS)]


@pytest.mark.parametrize("name", NEEDED)
def test_a_manifest_without_a_needed_part_is_refused(bundle: Path, packed: Path, name: str) -> None:
    bundle = bundle if name in PARTS else packed
    change_manifest(bundle, lambda manifest: manifest["parts"].pop(name))
    shown = (
        f"{name.partition('.')[0]}.json or"
        if name.partition(".")[0] in ("model", "vectorizer")
        else name
    )
    assert f"the manifest has no part {shown}" in refusal(bundle)


def test_a_type_that_is_not_trusted_is_refused_even_under_the_right_sum(packed: Path) -> None:
    replace_part(packed, "model.skops", skops.io.dumps(Unknown()))
    message = refusal(packed)
    assert re.search(r"model\.skops holds types that are not trusted: .*Unknown\.$", message)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tagger.json", b"{}"),
        ("tagger.json", b"[]"),
        ("model.coef_.npy", array(np.zeros((3, 2)))),
        ("model.coef_.npy", array("text")),
        ("vectorizer._tfidf.idf_.npy", array([1.0])),
        ("vectorizer.vocabulary_.npy", array(3)),
        ("vectorizer.vocabulary_.npy", array(np.frombuffer(b"a\xffa", np.uint8))),
        ("vectorizer.nowhere.vocabulary_.npy", array(np.frombuffer(b"a", np.uint8))),
    ],
)
def test_parts_that_make_no_working_model_are_refused_even_under_the_right_sum(
    bundle: Path, name: str, content: bytes
) -> None:
    replace_part(bundle, name, content)
    assert "the parts do not make a working model (" in refusal(bundle)


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"needs": NaN}', b'{"a": "\\ud800"}'])
def test_a_document_that_is_no_json_or_cannot_be_written_again_is_refused(
    bundle: Path, content: bytes
) -> None:
    replace_part(bundle, "tagger.json", content)
    assert "tagger.json cannot be read (" in refusal(bundle)


def test_an_array_of_objects_is_not_unpickled(bundle: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array([Unknown()], dtype=object), allow_pickle=True)
    replace_part(bundle, "model.coef_.npy", file.getvalue())
    assert "model.coef_.npy is not an array (" in refusal(bundle)


@pytest.mark.parametrize("name", ["model.coef_.npy", "vectorizer._tfidf.idf_.npy"])
@pytest.mark.parametrize("content", [b"not an array", pickle.dumps([1]), b"PK\x05\x06" + bytes(18)])
def test_what_is_no_array_is_refused(bundle: Path, name: str, content: bytes) -> None:
    replace_part(bundle, name, content)
    assert f"{name} is not an array (" in refusal(bundle)


def test_an_array_that_claims_more_than_its_file_has_is_refused(bundle: Path) -> None:
    content = array(np.zeros((3, 2)))
    replace_part(bundle, "model.coef_.npy", content.replace(b"(3, 2), ", b"(3, 2**40), "))
    assert "model.coef_.npy is not an array (" in refusal(bundle)
    replace_part(bundle, "model.coef_.npy", content.replace(b"(3, 2), }  ", b"(3, 200), }"))
    assert "is not an array (mmap length is greater than file size)" in refusal(bundle)


@pytest.mark.parametrize("name", ["model.skops", "vectorizer.skops"])
@pytest.mark.parametrize("content", [b"", b"not a zip", pickle.dumps([1])])
def test_what_is_no_skops_file_is_refused(packed: Path, name: str, content: bytes) -> None:
    replace_part(packed, name, content)
    assert "the parts do not make a working model (" in refusal(packed)


@pytest.mark.parametrize("name", ["vectorizer.vocabulary_.npy", "model.coef_.npy"])
def test_a_bundle_without_a_large_part_is_refused(bundle: Path, name: str) -> None:
    change_manifest(bundle, lambda manifest: manifest["parts"].pop(name))
    (bundle / name).unlink()
    assert "the parts do not make a working model (" in refusal(bundle)


@pytest.mark.parametrize(
    "changed", [{"classes": ["cv"]}, {"classes": ["b", "a"]}, {"cleaning": {"x": 1}}, {"other": 3}]
)
def test_settings_that_do_not_fit_the_model_are_refused(
    bundle: Path, changed: dict[str, object]
) -> None:
    settings = {**json.loads((bundle / "tagger.json").read_text()), **changed}
    replace_part(bundle, "tagger.json", json.dumps(settings).encode())
    assert "the parts do not make a working model (" in refusal(bundle)


@pytest.mark.parametrize("name", ["model.__class__.x.npy", "model.loss_functions.x.npy"])
def test_a_part_cannot_set_anything_on_a_class(bundle: Path, packed: Path, name: str) -> None:
    before = {**vars(SGDClassifier)}, {**SGDClassifier.loss_functions}
    replace_part(bundle, name, array([1.0]))
    refusal(bundle)
    replace_part(packed, name, array([1.0]))
    with suppress(BundleError):
        bundles.load(packed)
    assert (dict(vars(SGDClassifier)), SGDClassifier.loss_functions) == before
    assert not hasattr(SGDClassifier, "x")


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "../x", "a b", "a.b", "x" * 65, "a\n", "é"])
def test_a_bad_run_id_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(BundleError, match="is not a run id: those have letters, digits"):
        bundles.get_path(tmp_path, run_id)


def test_a_run_id_of_letters_digits_dashes_and_underscores_is_accepted(tmp_path: Path) -> None:
    for run_id in ("a", "A-b_9", "x" * 64):
        assert run_id in bundles.get_path(tmp_path, run_id).parts


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"test": 1}', '{"test": {"overall": []}}'])
def test_a_document_without_what_is_asked_of_it_is_refused(bundle: Path, text: str) -> None:
    replace_part(bundle, "performance.json", text.encode())
    with pytest.raises(BundleError, match=r"/performance\.json has no test\.overall\."):
        bundles.read_document(bundle, "performance.json", "test", "overall")
    replace_part(bundle, "performance.json", b'{"test": {"overall": {"f1": 1}}}')
    assert bundles.read_document(bundle, "performance.json", "test", "overall") == {"f1": 1}


# --- strangers ---------------------------------------------------------------------------------


def test_the_mark_of_a_stranger_stays_and_its_settings_have_limits(
    bundle: Path, packed: Path, tmp_path: Path, tagger: Tagger
) -> None:
    assert not bundles.is_imported(bundle)
    for made in (bundle, packed):
        marked = bundles.publish(made, tmp_path / "stores", "a", {"file": "x.zip"})
        assert bundles.is_imported(marked)
        again = bundles.publish(marked, tmp_path / "stores", "b")
        assert bundles.is_imported(again)
        assert bundles.read_manifest(again)["imported"] == {"file": "x.zip"}
    assert "the vectorizer is none of BernoulliNB, " in refusal(again)
    assert "task.trusted=true, or tagifai.load" in refusal(again)
    assert bundles.load(again, stranger=False).predict(TEXTS) == tagger.predict(TEXTS)
    trusted = bundles.publish(packed, tmp_path / "stores", "c", {"file": "x", "trusted": True})
    assert bundles.is_imported(trusted)
    assert bundles.load(trusted).predict(TEXTS) == tagger.predict(TEXTS)
    with pytest.raises(BundleError, match="is none of BernoulliNB"):
        bundles.load(trusted, stranger=True)


@pytest.mark.parametrize("mark", [True, "x", [], None, 1])
def test_a_mark_that_is_no_mapping_is_refused(bundle: Path, mark: object) -> None:
    change_manifest(bundle, lambda manifest: manifest.update(imported=mark))
    assert "and where it is from" in refusal(bundle)


def change_settings(bundle: Path, **changed: object) -> None:
    settings = json.loads((bundle / "tagger.json").read_text()) | changed
    replace_part(bundle, "tagger.json", json.dumps(settings).encode())


EXCESSES: dict[str, dict[str, Any]] = {
    "texts of the probe": {"probe": {"texts": ["a"] * 21, "outputs": [[1, 0, 0]] * 21}},
    "millions of texts": {"probe": {"texts": ["a"] * 10**6, "outputs": []}},
    "a long text": {"probe": {"texts": ["a" * 10_001], "outputs": [[1, 0, 0]]}},
    "classes": {"classes": [*map(str, range(10_001))], "other": None},
    "the name of a class": {"classes": ["a" * 1_001, "b", "c"], "other": None},
    "stop words": {"cleaning": {"stopwords": [f"w{n}" for n in range(2_001)]}},
    "a stop word": {"cleaning": {"stopwords": ["a" * 101]}},
    "a pattern": {"cleaning": {"keep": "]+(x+)+["}},
    "a long pattern": {"cleaning": {"keep": "a" * 10_001}},
    "names of columns": {"input": {"text": ["a"] * 10_001}},
}


@pytest.mark.parametrize("name", EXCESSES)
def test_what_a_stranger_may_not_ask_for_is_refused(bundle: Path, name: str) -> None:
    change_settings(bundle, **EXCESSES[name])
    with pytest.raises(BundleError):
        bundles.load(bundle, stranger=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"threshold": "0.4"},
        {"threshold": 10**400, "other": None},
        {"threshold": True},
        {"temperature": 0},
        {"temperature": -1.0},
        {"classes": ["cv", "cv", "nlp"]},
        {"classes": ["cv", "graph", 3]},
        {"other": "nowhere"},
        {"probe": {"texts": "abc", "outputs": []}},
    ],
)
def test_settings_that_are_none_are_refused_whoever_made_them(
    bundle: Path, changed: dict[str, object]
) -> None:
    change_settings(bundle, **changed)
    assert "the parts do not make a working model (" in refusal(bundle)


def test_outputs_of_a_stranger_are_finite(tmp_path: Path, tagger: Tagger) -> None:
    huge = LinearSVC().fit(tagger.vectorize(TEXTS), tagger.encoder.encode(TAGS))
    huge.coef_ = np.full_like(huge.coef_, 1e308)
    bundles.save(tmp_path / "bundle", replace(tagger, model=huge, threshold=None), DOCUMENTS)
    with pytest.raises(BundleError, match="its outputs are not finite"):
        bundles.load(tmp_path / "bundle", stranger=True)


# --- versions ----------------------------------------------------------------------------------


def test_the_same_versions_are_no_reason_to_warn(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundles.load(bundle)
    assert caplog.records == []


def test_another_version_of_a_library_is_a_warning_with_both(
    bundle: Path, caplog: pytest.LogCaptureFixture, tagger: Tagger
) -> None:
    change_manifest(bundle, lambda manifest: manifest["versions"].update(numpy="1.0", python="2"))
    assert bundles.load(bundle).predict(ANY_TEXTS) == tagger.predict(ANY_TEXTS)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"was saved with numpy 1.0 and is loaded with numpy {np.__version__};" in record.message


def test_several_other_versions_are_one_line(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {"scikit-learn": "1.0", "scipy": "1.1"}
    change_manifest(bundle, lambda manifest: manifest["versions"].update(others))
    bundles.load(bundle, "model.zip")
    (record,) = caplog.records
    start = "model.zip was saved with scikit-learn 1.0, scipy 1.1 and is loaded with scikit-learn "
    assert record.message.startswith(start)
    assert "\n" not in record.message


# --- the probe ---------------------------------------------------------------------------------


def change_probe(bundle: Path, probe: object) -> None:
    settings = json.loads((bundle / "tagger.json").read_text())
    replace_part(bundle, "tagger.json", json.dumps({**settings, "probe": probe}).encode())


def test_a_bundle_without_a_probe_is_refused(bundle: Path) -> None:
    settings = json.loads((bundle / "tagger.json").read_text())
    del settings["probe"]
    replace_part(bundle, "tagger.json", json.dumps(settings).encode())
    assert "do not make a working model (KeyError: 'probe')" in refusal(bundle)


def test_a_model_that_gives_other_outputs_is_refused_with_both_versions_and_the_way_out(
    bundle: Path,
) -> None:
    change_probe(bundle, {"texts": ["a"], "outputs": [[0.2, 0.2, 0.6]]})
    change_manifest(bundle, lambda manifest: manifest["versions"].update(scipy="1.0"))
    message = refusal(bundle)
    assert "the model gives other outputs than when it was saved. It was saved with" in message
    assert f"with scipy 1.0, and here is scipy {scipy.__version__}: install" in message
    assert message.endswith("(pip install scipy==1.0), or train again.")


def test_a_changed_model_under_the_right_sum_is_refused(bundle: Path, tagger: Tagger) -> None:
    replace_part(bundle, "model.coef_.npy", array(tagger.model.coef_ + 1e-3))
    message = refusal(bundle)
    assert "other outputs than when it was saved. The libraries are the same" in message


@pytest.mark.parametrize(
    "probe",
    [3, {}, {"texts": ["a"]}, {"texts": [1], "outputs": [[1]]}, {"texts": [], "outputs": "x"}],
)
def test_a_probe_that_is_none_is_refused(bundle: Path, probe: object) -> None:
    change_probe(bundle, probe)
    assert "the parts do not make a working model (" in refusal(bundle)


def test_parts_that_do_not_work_with_other_versions_say_so(bundle: Path) -> None:
    replace_part(bundle, "tagger.json", b"{}")
    change_manifest(bundle, lambda manifest: manifest["versions"].update(numpy="1.0"))
    assert "(KeyError: 'needs'). It was saved with numpy 1.0, and here is" in refusal(bundle)


def test_a_type_that_another_version_had_is_refused_with_that_version(packed: Path) -> None:
    replace_part(packed, "model.skops", skops.io.dumps(Unknown()))
    change_manifest(packed, lambda m: m["versions"].update({"scikit-learn": "1.8.0"}))
    message = refusal(packed)
    assert "Unknown. It was saved with scikit-learn 1.8.0, and here is scikit-learn" in message
    assert message.endswith("(pip install scikit-learn==1.8.0), or train again.")
