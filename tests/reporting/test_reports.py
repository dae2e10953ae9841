"""Reports as a person gets them: of real runs, and opened in a real browser where there is one."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.evaluation.summary import describe_weakest, format_score
from tests.app import ROOT, App
from tests.reporting.test_html_pages import Reader
from tests.showcase import Showcase

DRAWN = ("vectorizer=tfidf_word", "training.epochs=3")

BROWSER = shutil.which("chromium")
HEADLESS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=5000"),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, showcase: Showcase) -> App:
    """Two runs, the first with another model and nothing drawn, and their comparison."""
    app = showcase.prepare(tmp_path_factory.mktemp("reported"))
    app.ok(*DRAWN, "model=linear_svc", "threshold=none", "console=quiet", "plots=none")
    app.ok(*DRAWN, "console=quiet")
    app.ok("task=compare", "console=quiet")
    return app


def reports(app: App, task: str) -> list[Path]:
    return sorted(app.outputs.glob(f"*/*-{task}/report.html"))


def test_a_run_leaves_its_report_and_its_figures_in_its_folder_and_in_its_record(app: App) -> None:
    report = reports(app, "train")[-1]
    drawn = {path.name for path in (report.parent / "figures").iterdir()}
    assert {"losses.svg", "confusion.svg", "classes.svg"} <= drawn
    client = MlflowClient(f"sqlite:///{app.stores}/mlflow.db")
    assert "report.html" in {file.path for file in client.list_artifacts(app.run_id())}
    kept = {file.path for file in client.list_artifacts(app.run_id(), "figures")}
    assert kept == {f"figures/{name}" for name in drawn}


def test_a_report_has_the_scores_what_was_chosen_and_the_command_again(app: App) -> None:
    other, first = (path.read_text() for path in reports(app, "train"))
    assert "model=linear_svc" in Reader(other).text
    assert "Probabilities are calibrated on the validation rows" in Reader(other).text
    assert 'class="changed"><td><code>model._target_' in other
    assert 'class="changed"><td><code>seed' not in other
    assert 'class="changed"><td><code>training.epochs</code></td><td>3</td><td>10<' in first
    assert first.count("<svg") == 9
    performance = (reports(app, "train")[-1].parent / "performance.json").read_text()
    test = json.loads(performance)["test"]
    rows = test["overall"]["num_samples"]
    low, high = (format_score(bound, rows) for bound in test["intervals"]["bounds"]["macro_f1"])
    shown = " ".join(Reader(first).text.split())
    for value in (test["overall"]["f1"], test["metrics"]["macro_f1"], test["metrics"]["ece"]):
        assert format_score(value, rows) in shown
    constant = format_score(test["baseline"]["metrics"]["macro_f1"], rows)
    assert f"; 95 % interval {low} to {high}; baseline {constant}" in shown
    assert "Interval: bootstrap over rows, 95 %. Baseline: always" in shown


def test_a_report_begins_with_the_score_what_is_weak_and_what_to_try(app: App) -> None:
    report = reports(app, "train")[-1]
    test = json.loads((report.parent / "performance.json").read_text())["test"]
    summarized = report.read_text().partition('class="summary"')[2].partition("</dl>")[0]
    names = re.findall(r"<dt>(.*?)</dt>", summarized)
    assert names[:2] == ["score", "weak"]
    shown = Reader(f'<dl class="summary"{summarized}</dl>').text
    value = format_score(test["overall"]["f1"], test["overall"]["num_samples"])
    assert f"f1 = {value} on " in shown
    assert f"; always {test['baseline']['label']!r} has " in shown
    for text in describe_weakest(test):
        assert text in shown


def test_a_report_has_the_ten_top_confusions_each_with_a_text_of_the_data(app: App) -> None:
    report = reports(app, "train")[-1]
    html = report.read_text()
    table = html.partition("Most frequent confusions of the test rows")[2].partition("</table>")[0]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table)
    lines = [cells[place : place + 5] for place in range(0, len(cells), 5)]
    assert 0 < len(lines) <= 10
    test = json.loads((report.parent / "performance.json").read_text())["test"]["class"]
    counts = [int(line[2]) for line in lines]
    assert counts == sorted(counts, reverse=True)
    with (ROOT / "tagifai" / "sample" / "projects.csv").open(encoding="utf-8") as file:
        rows_of_data = list(csv.DictReader(file))
    texts = [" ".join(f"{row['title']} {row['description']}".split()) for row in rows_of_data]
    for true, predicted, rows, share, example in lines:
        assert true != predicted
        assert share == f"{int(rows) / test[true]['num_samples']:.0%}"
        assert any(text.startswith(unescape(example).removesuffix("…")) for text in texts)


def test_a_report_marks_the_words_of_its_surest_mistakes_apart_by_kind(app: App) -> None:
    html = reports(app, "train")[-1].read_text()
    kinds = re.findall(r'<h2 id="examples-\d">(.*?)</h2>', html)
    assert kinds
    assert set(kinds) <= {"Wrong label", "Under the threshold"}
    assert re.search(r'<mark class="for" style="--w: 1\.00">[^<]+</mark>', html)
    # The heaviest word of each text, and none that weighs next to nothing.
    assert min(map(float, re.findall(r"--w: ([\d.]+)", html))) >= 0.2


def test_the_scores_of_classes_on_test_rows_have_intervals_and_the_order_of_the_figures(
    app: App,
) -> None:
    report = reports(app, "train")[-1]
    html = report.read_text()
    test = html.partition("Scores on test rows")[2].partition("</table>")[0]
    named = re.findall(r"<tr[^>]*><td[^>]*>(.*?)</td>", test)
    figure = (report.parent / "figures" / "class_balance.svg").read_text()
    drawn = [text for text in re.findall(r">([^<>]+)</text>", figure) if text in named]
    assert named[: len(drawn)] == drawn
    for value, low, high in re.findall(r">([\d.]+)</td><td[^>]*>([\d.]+) to ([\d.]+)</td>", test):
        assert float(low) <= float(value) <= float(high)


def test_a_comparison_has_a_report_of_all_rows(app: App) -> None:
    (report,) = reports(app, "compare")
    read = Reader(report.read_text())
    assert "val_f1 (maximize)" in read.text
    assert "linear_svc" in read.text
    assert read.tags.count("svg") == 2


def test_without_plots_the_report_has_no_figures(tmp_path: Path, showcase: Showcase) -> None:
    (report,) = reports(showcase.copy("run", tmp_path), "train")
    assert "<svg" not in report.read_text()
    assert not (report.parent / "figures").exists()


@pytest.mark.e2e
def test_a_figure_that_fails_is_no_reason_for_a_run_to_fail(
    tmp_path: Path, showcase: Showcase
) -> None:
    app = showcase.prepare(tmp_path)
    # matplotlib reads this file when it is imported, and stumbles over it.
    (tmp_path / "matplotlibrc").write_text("backend: no_such_backend\nfont.size: large and wide\n")
    done = app.fork(*DRAWN, "console=quiet", env={"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")})
    assert done.returncode == 0
    assert app.run_id()
    assert len(reports(app, "train")) == 1


def screenshot(report: Path, folder: Path, width: int, *flags: str) -> Path:
    path = folder / f"{width}.png"
    command = [str(BROWSER), *HEADLESS, *flags, f"--user-data-dir={folder}/profile"]
    command += [f"--window-size={width},2400", f"--screenshot={path}", report.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


@pytest.mark.e2e
@pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine")
def test_a_browser_shows_a_report_light_and_dark_wide_and_narrow(app: App, tmp_path: Path) -> None:
    from PIL import Image

    report = reports(app, "train")[-1]
    shown = {}
    for mode, flags in {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}.items():
        for width in (1200, 500):
            (tmp_path / mode).mkdir(exist_ok=True)
            with Image.open(screenshot(report, tmp_path / mode, width, *flags)) as image:
                corner = image.convert("RGB").getpixel((2, 2))
                assert isinstance(corner, tuple)
                shown[mode, width] = sum(corner) / 3
                # Something is on the page: it is not of one colour.
                assert len(image.convert("L").resize((60, 60)).getcolors() or []) > 10
    assert all(level > 240 for (mode, _), level in shown.items() if mode == "light")
    assert all(level < 40 for (mode, _), level in shown.items() if mode == "dark")


@pytest.mark.e2e
@pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine")
@pytest.mark.parametrize("width", [1200, 500])
@pytest.mark.parametrize("task", ["compare", "train"])
def test_no_part_of_a_page_is_wider_than_the_window(
    app: App, tmp_path: Path, width: int, task: str
) -> None:
    # The page itself forbids scripts; this copy measures itself, and what is to be scrolled in it.
    html = reports(app, task)[-1].read_text()
    allowed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    parts = "[...document.querySelectorAll('.scroll, figure')]"
    over = f"Math.max(...{parts}.map(part => part.scrollWidth - part.clientWidth))"
    said = f"document.documentElement.scrollWidth + ' wide, over ' + {over}"
    script = f"<script>document.title = {said}</script>"
    page = tmp_path / "page.html"
    page.write_text(allowed.replace("</body>", script + "</body>"))
    command = [str(BROWSER), *HEADLESS, f"--user-data-dir={tmp_path}/profile"]
    command += [f"--window-size={width},900", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>(\d+) wide, over (\d+)</title>", done.stdout)
    assert found is not None
    assert int(found[1]) <= width
    assert int(found[2]) == 0
