"""Kinds of faults of the disk: full, read-only, and files that are damaged."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.faults.place import Place
from tests.faults.trial import Skipped, Trial

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000

ENOUGH = "size=400m"

SPACES = (0, 4, 16, *range(64, 1024, 64), *range(1024, 6 * 1024, 1024))
"""Left on a file system, in kB: a training takes one to two thousand."""


@cache
def may_mount() -> bool:
    """Return whether this process may mount, seen by itself and its children alone."""
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | (0 if user == 0 else CLONE_NEWUSER)
    if ctypes.CDLL(None).unshare(flags) != 0:
        return False
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    return _mount("--make-rprivate", "/") == 0


def fill_disk(trial: Trial) -> None:
    """A file system with little space left, for the stores, the outputs, or both."""
    _need_mounts()
    place = trial.place
    name, _ = trial.pick()
    folder = trial.chance.choice([place.app.folder, place.app.stores, place.app.outputs])
    free = trial.chance.choice(SPACES)
    with _mounted(place, folder):
        size = _measure(folder) + free
        _mount("-o", f"remount,size={size}k", str(folder))
        trial.say(f"{name} with {free} kB left in {folder.name}")
        _try_and_read(trial, name)
        _mount("-o", f"remount,{ENOUGH}", str(folder))
        trial.check()


def write_protect(trial: Trial) -> None:
    """Stores, outputs or both that are read-only."""
    _need_mounts()
    place = trial.place
    name, _ = trial.pick()
    folder = trial.chance.choice([place.app.folder, place.app.stores, place.app.outputs])
    with _mounted(place, folder):
        _mount("-o", "remount,ro", str(folder))
        trial.say(f"{name} with {folder.name} read-only")
        _try_and_read(trial, name)
        _mount("-o", f"remount,rw,{ENOUGH}", str(folder))
        trial.check()


def _try_and_read(trial: Trial, name: str) -> None:
    """Try a command, and read what was there before."""
    trial.take(trial.start(name).end())
    trial.take(trial.place.follow("task=info"), (0,))
    trial.take(trial.place.predict(trial.place.latest), (0,))


def damage_file(trial: Trial) -> None:
    """A file of the stores or the outputs that is cut, emptied, overwritten, replaced or gone."""
    place = trial.place
    path = trial.chance.choice([*_choose_files(place)])
    inside = path.relative_to(place.app.folder)
    how = trial.chance.choice(["cut", "emptied", "overwritten", "scattered", "a folder", "gone"])
    content = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(_spoil(trial, content, how))
    name, _ = trial.pick()
    trial.say(f"{inside} is {how}, then {name}")
    trial.lost |= {run for run in place.answers if run in path.parts} | {
        path.name.split(".db")[0] + ".db"
    }
    trial.take(trial.start(name).end())


def _choose_files(place: Place) -> Iterator[Path]:
    """Yield files, those by themselves often, of the many of a bundle few."""
    for path in place.list_files():
        if "code" not in path.parts:
            yield path
        if path.parent == place.app.stores:
            yield from [path] * 8


def _spoil(trial: Trial, content: bytes, how: str) -> bytes:
    if how == "emptied":
        return b""
    if how == "cut":
        return content[: trial.chance.randint(0, len(content))]
    if how == "overwritten":
        return trial.chance.randbytes(trial.chance.randint(1, 4096))
    spoiled = bytearray(content)
    for _ in range(max(1, len(spoiled) // 200)):
        if spoiled:
            spoiled[trial.chance.randrange(len(spoiled))] = trial.chance.randrange(256)
    return bytes(spoiled)


def _need_mounts() -> None:
    if not may_mount():
        raise Skipped("mounting is not allowed here")


@contextmanager
def _mounted(place: Place, folder: Path) -> Iterator[None]:
    """Have a folder, with what is in it, on a file system of its own."""
    kept = place.folder / "kept"
    shutil.copytree(folder, kept)
    assert _mount("-t", "tmpfs", "-o", ENOUGH, "tmpfs", str(folder)) == 0
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode


def _measure(folder: Path) -> int:
    """Return the space that is taken on a file system, in kB."""
    taken = os.statvfs(folder)
    return (taken.f_blocks - taken.f_bfree) * taken.f_frsize // 1024
