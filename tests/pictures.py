"""Makes docs/images/terminal.png, a training on a terminal, and report.png, its report.

    python -m tests.pictures [CHROMIUM]

The training is a real one, in a folder that is removed afterwards.
"""

from __future__ import annotations

import html
import os
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import pyte
from PIL import Image
from pyte.screens import Char

from tests import terminals
from tests.app import ROOT

COLUMNS = 80
WIDTH = 900
LINE = 21
"""Height of a line, in pixels."""

HOME = "/home/me/tagifai"

REPORT_SIZE = (1200, 1330)
"""Width and height of the part of a report that is shown, in pixels."""

PROMPT = "$ uv run run.py model.alpha=0.0002"

COLOURS = {
    "default": "#d6deeb", "cyan": "#5ccfe6", "green": "#a6d96a", "brown": "#ffd173",
    "red": "#ff6b6b", "brightblack": "#7f8ea3",
}  # fmt: skip

PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #10151f; }}
pre {{ margin: 0; padding: 24px 28px; color: {text}; font: 17px/{line}px "DejaVu Sans Mono",
  "Liberation Mono", monospace; }}
</style><pre>{content}</pre>"""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",
)


def trained(folder: Path) -> terminals.Session:
    """Train as a person does who has just got the project."""
    (folder / "conf").symlink_to(ROOT / "conf")
    (folder / "tagifai").symlink_to(ROOT / "tagifai")
    (folder / "run.py").write_bytes((ROOT / "run.py").read_bytes())
    # The words of a command are said as they are typed where uv has started it.
    command = [sys.executable, "run.py", "model.alpha=0.0002"]
    return terminals.run(command, COLUMNS, folder, {"UV": "uv"})


def markup(screen: pyte.Screen, lines: int) -> str:
    """Return what is on a screen as HTML."""
    rows = []
    for number in range(lines):
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        runs = groupby(cells, key=style)
        rows.append("".join(span(css, "".join(c.data for c in run)) for css, run in runs).rstrip())
    return "\n".join(rows)


def style(cell: Char) -> str:
    """Return the style of a character."""
    colour = COLOURS.get(cell.fg, COLOURS["default"])
    return f"color: {colour}" + ("; font-weight: bold" if cell.bold else "")


def span(css: str, text: str) -> str:
    """Return a text in a style."""
    return f'<span style="{css}">{html.escape(text)}</span>' if text.strip() else text


def take(chromium: str, page: Path, size: tuple[int, int], picture: Path) -> None:
    """Take a picture of a page."""
    window = f"--window-size={size[0]},{size[1]}"
    taken = [chromium, *FLAGS, window, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(taken, check=True, capture_output=True, timeout=60)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(160).save(picture, optimize=True)


def main() -> None:
    """Train, and take the pictures."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else "chromium"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        session = trained(path)
        if session.code:
            raise SystemExit("\n".join(session.lines))
        # The renderer knows no dim letters.
        screen = terminals.rendered(session.written.replace("\x1b[2m", "\x1b[90m"), COLUMNS)
        content = f"{PROMPT}\n{markup(screen, len(session.lines))}"
        content = content.replace(os.path.realpath(folder), HOME)
        page = path / "page.html"
        page.write_text(PAGE.format(text=COLOURS["default"], line=LINE, content=content))
        pictures = ROOT / "docs" / "images"
        pictures.mkdir(parents=True, exist_ok=True)
        height = LINE * (len(session.lines) + 1) + 48
        take(chromium, page, (WIDTH, height), pictures / "terminal.png")
        (report,) = path.glob("outputs/*/*-train/report.html")
        page.write_text(report.read_text().replace(os.path.realpath(folder), HOME))
        take(chromium, page, REPORT_SIZE, pictures / "report.png")


if __name__ == "__main__":
    main()
