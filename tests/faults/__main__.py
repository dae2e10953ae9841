"""Inject faults one after the other, and say what was tried, and how to see a failure again."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.faults import crowds, disks, ends, tracking
from tests.faults.place import Place
from tests.faults.trial import Skipped, Trial

KINDS: dict[str, Callable[[Trial], None]] = {
    "kill": ends.kill_at_random,
    "call": ends.kill_at_call,
    "signal": ends.send_signals,
    "damage": disks.damage_file,
    "error": ends.fail_at_call,
    "pair": crowds.run_two,
    "full": disks.fill_disk,
    "stop": ends.stop_and_go_on,
    "start": crowds.start_at_once,
    "clock": crowds.set_clock_wrong,
    "readonly": disks.write_protect,
    "server": tracking.disturb_server,
}


def main() -> int:
    """Do what the command line says; the exit code is 1 if a fault was not survived."""
    asked = _parse()
    kinds = asked.kind or [*KINDS]
    disks.may_mount()  # before there are threads
    until = time.monotonic() + asked.seconds
    tried, failed, skipped = Counter[str](), Counter[str](), dict[str, str]()
    folder = Path(tempfile.mkdtemp(prefix="tagifai-faults-"))
    try:
        place = Place(folder)
        with place.stack:
            for number in range(asked.count or len(kinds)):
                if time.monotonic() > until:
                    break
                kind, seed = kinds[number % len(kinds)], asked.seed + number
                try:
                    survived = _try(place, kind, seed)
                except Skipped as without:
                    skipped[kind] = str(without)
                    continue
                tried[kind] += 1
                failed[kind] += not survived
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for kind, reason in skipped.items():
        _write(f"{kind}: skipped, {reason}")
    for kind, count in tried.items():
        _write(f"{kind:<9} tries {count:>4}, survived {count - failed[kind]:>4}")
    total = tried.total()
    _write(f"{'all':<9} tries {total:>4}, survived {total - failed.total():>4}")
    return int(failed.total() > 0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--count", type=int, help="most tries; one of each kind where nothing is said"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no try begins later")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first try; the next has the next"
    )
    parser.add_argument("--kind", action="append", choices=[*KINDS], help="may be given repeatedly")
    return parser.parse_args()


def _try(place: Place, kind: str, seed: int) -> bool:
    """Inject one fault, say how it went, and return whether it was survived."""
    begun = time.monotonic()
    place.restore()
    trial = Trial(place, seed)
    try:
        KINDS[kind](trial)
        trial.check()
    except Skipped:
        raise
    except Exception as error:  # what is left may be any ruin
        trial.faults.append(f"the try itself failed: {type(error).__name__}: {error}")
    finally:
        trial.end()
    verdict = "FAILED" if trial.faults else "ok"
    story = "; ".join(trial.story)
    _write(f"{kind:<9} {seed:>5} {verdict:<6} {time.monotonic() - begun:5.1f} s  {story}")
    for fault in trial.faults:
        _write(f"    - {fault}")
    if trial.faults:
        _write(f"    again: python -m tests.faults --seed {seed} --kind {kind}")
    return not trial.faults


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
