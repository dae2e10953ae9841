from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagifai.preprocessing import cache as module
from tagifai.preprocessing.cache import FeatureCache

KEY = {"texts": "a", "n": 1}


class Maker:
    """Makes arrays, and counts how often."""

    def __init__(self, size: int = 3) -> None:
        self.size = size
        self.times = 0

    def __call__(self) -> dict[str, Any]:
        self.times += 1
        return {"x": np.arange(self.size), "a.b": np.array([0.5])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def test_what_was_made_once_is_read_by_others(folder: Path) -> None:
    make = Maker()
    for _ in range(2):
        found = FeatureCache(folder, 1e6)(KEY, make)
        assert found["x"].tolist() == [0, 1, 2]
        assert found["a.b"].tolist() == [0.5]
        assert found["x"].flags.writeable
    assert make.times == 1
    assert [path.name for path in folder.iterdir()] == [entries(folder)[0].name]


@pytest.mark.parametrize("key", [{"texts": "b", "n": 1}, {"texts": "a", "n": "1"}, {"texts": "a"}])
def test_another_key_is_another_entry(key: dict[str, Any], folder: Path) -> None:
    make = Maker()
    FeatureCache(folder, 1e6)(KEY, make)
    FeatureCache(folder, 1e6)(key, make)
    assert make.times == 2


def test_other_code_libraries_or_machines_are_other_entries(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker()
    before = module._describe_environment()
    assert before["code"].keys() == set(module.CODE)
    assert {"scikit-learn", "numpy", "scipy", "python"} <= before["versions"].keys()
    FeatureCache(folder, 1e6)(KEY, make)
    for changed in ("code", "versions", "machine"):
        now = {**before, changed: "other"}
        monkeypatch.setattr(module, "_describe_environment", lambda now=now: now)
        FeatureCache(folder, 1e6)(KEY, make)
    assert make.times == 4


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    at = content.index(np.arange(3).tobytes())
    return content[:at] + b"\xff" + content[at + 1 :]


def array(content: bytes) -> bytes:
    return b"\x93NUMPY" + content


@pytest.mark.parametrize("damage", [cut, flipped, array, lambda _: b"", lambda _: b"\0" * 900])
def test_a_damaged_entry_is_made_again_and_replaced(damage: Any, folder: Path) -> None:
    make = Maker()
    FeatureCache(folder, 1e6)(KEY, make)
    (path,) = entries(folder)
    path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        assert FeatureCache(folder, 1e6)(KEY, make)["x"].tolist() == [0, 1, 2]
    assert make.times == 2


def test_objects_are_not_unpickled(folder: Path, tmp_path: Path) -> None:
    make = Maker()
    FeatureCache(folder, 1e6)(KEY, make)
    (path,) = entries(folder)
    np.savez(path, x=np.array([{}], dtype=object))
    assert FeatureCache(folder, 1e6)(KEY, make)["x"].tolist() == [0, 1, 2]
    assert make.times == 2


def test_an_error_is_the_callers_and_leaves_nothing(folder: Path) -> None:
    def fail() -> dict[str, Any]:
        raise OSError("of the maker")

    with pytest.raises(OSError, match="of the maker"):
        FeatureCache(folder, 1e6)(KEY, fail)
    assert list(folder.iterdir()) == []


# --- its size ----------------------------------------------------------------------------------


def test_what_has_not_been_used_for_longest_goes_first(folder: Path) -> None:
    kept = FeatureCache(folder, 30_000)
    for number in range(3):
        kept({"n": number}, Maker(1000))  # 8 kB each
        path = max(entries(folder), key=lambda p: p.stat().st_mtime_ns)
        os.utime(path, (number, number))
    make = Maker(1000)
    kept({"n": 0}, make)  # used again
    kept({"n": 3}, make)
    assert make.times == 1
    for number in (0, 2, 3):
        kept({"n": number}, make)
    assert make.times == 1
    kept({"n": 1}, make)
    assert make.times == 2
    assert len(entries(folder)) == 3


def test_what_is_larger_than_all_may_be_is_not_kept(folder: Path) -> None:
    make = Maker(1000)
    for _ in range(2):
        FeatureCache(folder, 100)(KEY, make)
    assert make.times == 2
    assert list(folder.iterdir()) == []


def test_one_that_may_hold_nothing_does_not_touch_the_disk(folder: Path) -> None:
    make = Maker()
    for _ in range(2):
        FeatureCache(folder, 0)(KEY, make)
    assert make.times == 2
    assert not folder.exists()


# --- a disk that fails -------------------------------------------------------------------------


def test_where_no_folder_can_be_all_is_made_anew_and_the_log_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file is in its place")
    make, kept = Maker(), FeatureCache(folder, 1e6)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert kept(KEY, make)["x"].tolist() == [0, 1, 2]
    assert make.times == 2
    assert [record.message[:12] for record in caplog.records] == ["The cache in"]


def test_a_full_disk_leaves_no_half_entry(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with caplog.at_level(logging.INFO):
        assert FeatureCache(folder, 1e6)(KEY, Maker())["x"].tolist() == [0, 1, 2]
    assert list(folder.iterdir()) == []
    assert "No space left on device" in caplog.text


# --- several processes -------------------------------------------------------------------------

WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from tagifai.preprocessing.cache import FeatureCache

kept, counter = FeatureCache(Path(sys.argv[1]), 1e6), Path(sys.argv[2])

def make(n):
    with counter.open("a") as file:
        file.write(f"{n}\\n")
    time.sleep(0.05)
    return {"x": np.full(3, n)}

print("ready", flush=True)
sys.stdin.readline()
for n in range(5):
    assert kept({"n": n}, lambda: make(n))["x"].tolist() == [n] * 3
"""


@pytest.mark.e2e
def test_several_processes_make_each_entry_once(folder: Path, tmp_path: Path) -> None:
    counter = tmp_path / "made"
    command = [sys.executable, "-c", WORKER, str(folder), str(counter)]
    root = Path(module.__file__).parents[2]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert sorted(counter.read_text().split()) == list("01234")
    assert len(list(folder.iterdir())) == 5
