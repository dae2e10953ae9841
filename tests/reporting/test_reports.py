"""Reports as a person gets them: of real runs, and opened in a real browser where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tagifai.evaluation.summary import format_score
from tests.app import App
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
    assert {"losses.png", "losses.svg", "confusion.png", "classes.svg"} <= drawn
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
    assert first.count("<img") == 9
    performance = (reports(app, "train")[-1].parent / "performance.json").read_text()
    test = json.loads(performance)["test"]
    rows = test["overall"]["num_samples"]
    low, high = (format_score(bound, rows) for bound in test["intervals"]["bounds"]["macro_f1"])
    shown = " ".join(Reader(first).text.split())
    for value in (test["overall"]["f1"], test["metrics"]["macro_f1"], test["metrics"]["ece"]):
        assert format_score(value, rows) in shown
    assert f"({low} to {high})" in shown
    constant = format_score(test["baseline"]["metrics"]["accuracy"], rows)
    assert re.search(rf"accuracy of the baseline ?{re.escape(constant)}", shown)
    assert "Interval: bootstrap over rows, 95 %. Baseline: always" in shown


def test_a_comparison_has_a_report_of_all_rows(app: App) -> None:
    (report,) = reports(app, "compare")
    read = Reader(report.read_text())
    assert "val_f1 (maximize)" in read.text
    assert "linear_svc" in read.text
    assert read.tags.count("img") == 1


def test_without_plots_the_report_has_no_figures(tmp_path: Path, showcase: Showcase) -> None:
    (report,) = reports(showcase.copy("run", tmp_path), "train")
    assert "<img" not in report.read_text()
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
def test_no_part_of_a_page_is_wider_than_the_window(app: App, tmp_path: Path, width: int) -> None:
    # The page itself forbids scripts; this copy measures itself.
    html = reports(app, "compare")[0].read_text()
    allowed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    script = "<script>document.title = document.documentElement.scrollWidth + ' wide'</script>"
    page = tmp_path / "page.html"
    page.write_text(allowed.replace("</body>", script + "</body>"))
    command = [str(BROWSER), *HEADLESS, f"--user-data-dir={tmp_path}/profile"]
    command += [f"--window-size={width},900", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>(\d+) wide</title>", done.stdout)
    assert found is not None
    assert int(found[1]) <= width
