from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.neighbors import KNeighborsClassifier

from tagifai.exceptions import BundleError
from tagifai.models import limits, serialization


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def npy(value: Any, **arguments: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value, **arguments)
    return file.getvalue()


def npz(content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file.getvalue()


def claiming(shape: str, data: bytes = bytes(48), kind: str = "'<f8'") -> bytes:
    """Return an array with a header of its own and a few bytes."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A skops file of a model with an array and a sparse matrix."""
    path = tmp_path / "model.skops"
    skops.io.dump(KNeighborsClassifier(1).fit(csr_matrix(np.eye(3)), [0, 1, 2]), path)
    return path


def change(path: Path, made: Callable[[dict[str, bytes]], object]) -> None:
    """Write a skops file anew with other members."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    made(content)
    path.write_bytes(npz(content))


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        limits.check_skops(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [np.eye(3), np.zeros(0), np.float64(1), np.array(["a", "bc"]), np.asfortranarray([[1]])],
)
def test_an_array_as_it_was_saved_is_let_through(value: Any) -> None:
    content = npy(value)
    limits.check_array(io.BytesIO(content), len(content), "here")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00", b"\x93NUMPY\x03\x00" + bytes(20)),
        *(b"PK\x03\x04", pickle.dumps([1]), claiming("x"), claiming("(2.5,)"), claiming("None")),
        claiming("__import__('os').system('true')"),
    ],
)
def test_what_is_no_array_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^here is not an array \("):
        limits.check_array(io.BytesIO(content), len(content), "here")


@pytest.mark.parametrize(
    "content",
    [
        *(claiming("(7,)"), claiming("(5,)"), claiming("(10**3,)".replace("10**3", "1000000000"))),
        *(claiming(f"({2**62}, 8)"), claiming("(-6,)"), claiming("(-2, -3)"), claiming("()")),
        *(claiming("(6,)", bytes(47)), claiming("(6,)", bytes(49))),
        claiming(f"({10**18},)", b"", "'<U0'"),
    ],
)
def test_an_array_of_another_size_than_it_claims_is_refused(content: bytes) -> None:
    with pytest.raises(
        BundleError, match=r"^here declares an array of shape .* and type .*, but has \d+ bytes"
    ):
        limits.check_array(io.BytesIO(content), len(content), "here")


def test_an_array_of_objects_is_refused() -> None:
    content = npy(np.array([None]), allow_pickle=True)
    with pytest.raises(BundleError, match="an array of objects, which would have to be unpickled"):
        limits.check_array(io.BytesIO(content), len(content), "here")


# --- skops -------------------------------------------------------------------------------------


def test_a_skops_file_as_it_was_saved_is_let_through(model: Path) -> None:
    limits.check_skops(model)


def test_objects_that_several_own_are_let_through(tmp_path: Path) -> None:
    shared = SGDClassifier().fit(np.eye(3), [0, 1, 2])
    skops.io.dump({"a": shared, "b": [shared, {"c": shared}]}, tmp_path / "model.skops")
    limits.check_skops(tmp_path / "model.skops")


@pytest.mark.parametrize("content", [b"", b"no zip", pickle.dumps([1])])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.skops").write_bytes(content)
    assert "is not a skops file (" in refusal(tmp_path / "model.skops")


def test_a_skops_file_without_a_schema_is_refused(model: Path) -> None:
    change(model, lambda content: content.pop("schema.json"))
    assert refusal(model).endswith("has no schema.json.")


@pytest.mark.parametrize("schema", [b"{", b"[" * 100_000, b"\xff"])
def test_a_schema_that_cannot_be_read_is_refused(model: Path, schema: bytes) -> None:
    change(model, lambda content: content.update({"schema.json": schema}))
    assert "is not a skops file (" in refusal(model)


@pytest.mark.parametrize("name", ["x.pkl", "x", "../x.py", "/x.so"])
def test_a_member_that_skops_does_not_write_is_refused(model: Path, name: str) -> None:
    change(model, lambda content: content.update({name: b""}))
    assert f"holds {name!r}, which is no part of a model" in refusal(model)


def replace_kind(suffix: str, data: bytes) -> Callable[[dict[str, bytes]], object]:
    def made(content: dict[str, bytes]) -> None:
        (name,) = [name for name in content if name.endswith(suffix)][:1]
        content[name] = data

    return made


def test_a_pickle_in_place_of_an_array_is_not_unpickled(model: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    evil = pickle.dumps(Runs(f"touch {planted}"))
    for suffix, data in ((".npy", evil), (".npz", evil), (".npy", npy(np.array([1]))[:8] + evil)):
        changed = model.with_name(f"{suffix}.skops")
        changed.write_bytes(model.read_bytes())
        change(changed, replace_kind(suffix, data))
        with pytest.raises((BundleError, ValueError)):
            serialization.load(tmp_path, suffix, {})
    assert not planted.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_of_objects_inside_is_refused_whatever_its_member_is_called(
    model: Path, tmp_path: Path, suffix: str
) -> None:
    planted = tmp_path / "planted"
    evil = np.array([Runs(f"touch {planted}")], dtype=object)
    change(model, replace_kind(suffix, npy(evil, allow_pickle=True)))
    assert "is an array of objects" in refusal(model)
    change(model, replace_kind(suffix, npz({"data.npy": npy(evil, allow_pickle=True)})))
    assert "data.npy is an array of objects" in refusal(model)
    assert not planted.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_inside_that_claims_more_than_it_has_is_refused(model: Path, suffix: str) -> None:
    change(model, replace_kind(suffix, claiming("(1000000,)")))
    assert "declares an array of shape (1000000,)" in refusal(model)
    change(model, replace_kind(suffix, npz({"data.npy": claiming("(1000000,)")})))
    assert "declares an array of shape (1000000,)" in refusal(model)


def test_a_bomb_inside_is_refused_before_it_is_read(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(model, replace_kind(".npz", npz({"data.npy": npy(np.zeros(100_000))})))
    assert model.stat().st_size < 20_000
    limits.check_skops(model)
    for limit, bytes_, reason in (("MEMBER_BYTES", 10**5, "data.npy'"), ("WHOLE_BYTES", 10**5, "")):
        with monkeypatch.context() as patched:
            patched.setattr(limits, limit, bytes_)
            message = refusal(model)
        assert f"; the limit is {bytes_}" in message
        assert reason in message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_so_that_a_step_may_unpack_gigabytes_is_refused(
    model: Path, method: int
) -> None:
    change(model, replace_kind(".npz", npz({"data.npy": npy(np.zeros(9))}, method)))
    assert "'data.npy' is compressed in a way that is not supported" in refusal(model)
    model.write_bytes(npz({"schema.json": b"{}"}, method))
    assert "'schema.json' is compressed in a way that is not supported" in refusal(model)


def test_a_file_that_is_read_over_and_over_again_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"a.npy": npy(np.zeros(10_000))}
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    node |= {"type": "numpy", "file": "a.npy"}
    model.write_bytes(npz({**content, "schema.json": json.dumps([node] * 100).encode()}))
    limits.check_skops(model)
    monkeypatch.setattr(limits, "WHOLE_BYTES", 10**6)
    assert "would read 8012800 bytes" in refusal(model)


def test_objects_that_multiply_by_their_number_are_refused(model: Path) -> None:
    # A list of twice the list of twice the list: 2**60 of them.
    schema: dict[str, Any] = {"__id__": 1, "content": []}
    for number in range(2, 60):
        schema = {"__id__": number, "content": [schema, {"__id__": number - 1}]}
    model.write_bytes(npz({"schema.json": json.dumps(schema).encode()}))
    assert "object 2 has several contents" in refusal(model)


def test_an_object_inside_of_itself_is_refused(model: Path) -> None:
    schema = {"__id__": 1, "content": [{"__id__": 1}]}
    model.write_bytes(npz({"schema.json": json.dumps(schema).encode()}))
    assert "has a schema that refers to itself" in refusal(model)
