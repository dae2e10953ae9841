from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagifai.exceptions import BundleError
from tagifai.models import part_files


def npy(value: Any, **arguments: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value, **arguments)
    return file.getvalue()


def claiming(shape: str, data: bytes = bytes(48), kind: str = "'<f8'") -> bytes:
    """Return an array with a header of its own and a few bytes."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [np.eye(3), np.zeros(0), np.float64(1), np.array(["a", "bc"]), np.asfortranarray([[1]])],
)
def test_an_array_as_it_was_saved_is_let_through(tmp_path: Path, value: Any) -> None:
    (tmp_path / "here").write_bytes(npy(value))
    found = part_files.read_array(tmp_path / "here")
    np.testing.assert_array_equal(found, value, strict=True)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00", b"\x93NUMPY\x03\x00" + bytes(20)),
        *(b"PK\x03\x04", pickle.dumps([1]), claiming("x"), claiming("(2.5,)"), claiming("None")),
        claiming("__import__('os').system('true')"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "here").write_bytes(content)
    with pytest.raises(BundleError, match=r"/here is not an array \("):
        part_files.read_array(tmp_path / "here")


@pytest.mark.parametrize(
    "content",
    [
        *(claiming("(7,)"), claiming("(5,)"), claiming("(10**3,)".replace("10**3", "1000000000"))),
        *(claiming(f"({2**62}, 8)"), claiming("(-6,)"), claiming("(-2, -3)"), claiming("()")),
        *(claiming("(6,)", bytes(47)), claiming("(6,)", bytes(49))),
        claiming(f"({10**18},)", b"", "'<U0'"),
    ],
)
def test_an_array_of_another_size_than_it_claims_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "here").write_bytes(content)
    with pytest.raises(BundleError, match=r"/here is not an array \("):
        part_files.read_array(tmp_path / "here")


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(npy(np.array([None]), allow_pickle=True))
    with pytest.raises(BundleError, match=r"is not an array .*Python objects in dtype"):
        part_files.read_array(tmp_path / "here")


# --- JSON --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{}, [1, -2.5, None, True, "é\U0001f600"], {"a": [{"b": 1e300}]}])
def test_a_document_as_it_was_written_is_read(tmp_path: Path, value: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert part_files.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff", "it is not UTF-8"),
        (b"NaN", "NaN is no finite number"),
        (b'{"a": [-Infinity]}', "-Infinity is no finite number"),
        (b"[1e999]", "1e999 is no finite number"),
        (b"9" * 5000, "Exceeds the limit"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b'{"\\uDFFF": 1}', "surrogates not allowed"),
        (b"[" * 100_000, "recursion"),
        (b"[" * 21 + b"]" * 21, "nested in more than 20 levels"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nested in more than 20 levels"),
    ],
)
def test_a_document_that_could_do_harm_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"/a\.json cannot be read \(") as caught:
        part_files.read_json(tmp_path / "a.json")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_document_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        part_files.read_json(tmp_path / "nowhere.json")
