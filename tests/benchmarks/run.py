"""Single commands against what they are compared with, whole processes in alternation.

    uv run python -m tests.benchmarks.run FOLDER [ROUNDS]

FOLDER has the raw Made With ML tables. Medians of ROUNDS (5) after one that does not count, and of
three times as many for the commands that only show something. Where others use the machine, the
ratio of the processors' time is the steadier one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.app import App
from tests.benchmarks.costs import cost, limits

PLAIN = (sys.executable, "-W", "ignore", "-m", "tests.benchmarks.plain_run")
TEXT = "Transfer learning with transformers for text classification"

BARE = """
import hydra

@hydra.main(config_path=None)
def main(cfg):
    pass

main()
"""
"""A Hydra application that does nothing, with the same plugins installed."""


def compare(name: str, ours: Sequence[str], other: Sequence[str], rounds: int) -> None:
    """Time two commands in turn, and print both medians and the medians of the ratios."""
    pairs = [(cost(ours), cost(other)) for _ in range(rounds + 1)][1:]
    mine, theirs = (
        statistics.median(c.wall for c in column) for column in zip(*pairs, strict=True)
    )
    ratio = statistics.median(a.wall / b.wall for a, b in pairs)
    of_processors = statistics.median(a.cpu / b.cpu for a, b in pairs)
    peaks = [max(c.peak for c in column) for column in zip(*pairs, strict=True)]
    ratios = f"{ratio:>8.2f}{of_processors:>8.2f}"
    cells = f"{mine:>10.2f}{theirs:>10.2f}{ratios}{peaks[0]:>10.0f}{peaks[1]:>8.0f}"
    print(f"{name:<34}{cells}", flush=True)


def main(folder: str, rounds: str = "5") -> None:
    data = Path(folder).absolute()
    tables = [f"data.projects={data}/projects.csv", f"data.tags={data}/tags.csv"]
    with tempfile.TemporaryDirectory() as scratch:
        app, number = App(Path(scratch)), int(rounds)
        (app.folder / "bare.py").write_text(BARE)
        bare = [sys.executable, str(app.folder / "bare.py")]
        train = app.command(
            "experiment=reference", *tables, "cache=none", "plots=none", "console=quiet"
        )
        print(f"{'':<34}{'seconds, medians':>28}{'of CPU':>8}{'peak MiB':>18}")
        head = f"{'tagifai':>10}{'other':>10}{'ratio':>8}{'ratio':>8}{'tagifai':>10}{'other':>8}"
        print(f"{'':<34}{head}")
        for flags in (["--help"], ["--cfg", "job"]):
            title = f"{' '.join(flags)} / a bare Hydra application"
            compare(title, app.command(*flags), [*bare, *flags], 3 * number)
        # As the shells ask; see hydra/_internal/core_plugins/bash_completion.py.
        os.environ["COMP_LINE"] = "run.py mod"
        asked = ["-sc", "query=bash"]
        title = "a completion / a bare application"
        compare(title, app.command(*asked), [*bare, *asked], 3 * number)
        given = [str(app.folder), str(data / "projects.csv"), str(data / "tags.csv")]
        compare("one run / the plain script", train, [*PLAIN, "train", *given], number)
        own = app.command("task=predict", f"task.text={TEXT}")
        other = [*PLAIN, "predict", str(app.folder), TEXT]
        compare("predict one text / plain script", own, other, number)
    print(limits())


if __name__ == "__main__":
    main(*sys.argv[1:])
