"""The notebook in docs/: it is clean in Git, and does what it says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import tagifai
from tests.app import ROOT, environment
from tests.markdown import copy_project

NOTEBOOK = ROOT / "docs" / "first-steps.ipynb"

SECONDS = 120


def test_the_notebook_has_no_outputs_and_nothing_of_a_machine() -> None:
    text = NOTEBOOK.read_text()
    notebook = json.loads(text)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}
    assert {str(cell["metadata"]) for cell in notebook["cells"]} == {"{}"}
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not re.search(r"/(home|root|tmp|work|Users)/|[A-Z]:\\\\", text)


def test_the_notebook_walks_through_what_the_package_offers() -> None:
    text = NOTEBOOK.read_text()
    for name in ("train", "compare", "search", "explain", "load"):
        assert callable(getattr(tagifai, name))
        assert f"tagifai.{name}(" in text


@pytest.mark.e2e
@pytest.mark.usefixtures("unmeasured")
def test_the_notebook_runs_in_a_fresh_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "needs the extra: pip install 'tagifai[notebook]'"
    nbformat = pytest.importorskip("nbformat", reason=why)
    nbclient = pytest.importorskip("nbclient", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    project = copy_project(tmp_path)
    choices = project / "conf" / "choices.yaml"
    choices.write_text(choices.read_text().replace("plots: none", "plots: default"))
    for name in {*os.environ} - {*environment()}:
        monkeypatch.delenv(name)
    monkeypatch.delenv("TAGIFAI_STORES", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(project))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(project)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type in ("stream", "error")] == []
    shown = [output.data for output in outputs if output.output_type == "execute_result"]
    pages = "\n".join(data.get("text/html", "") for data in shown)
    assert "data:image/svg+xml;base64," in pages
    for said in ("Run ", "worst classes", "Search search-sample", "by val_f1", "speak for"):
        assert said in pages
    # Bars are gone when their work is done.
    bars = [output for output in outputs if output.output_type == "display_data"]
    assert [output.data for output in bars] == [{}] * len(bars)
    assert bars
    assert (project / "stores" / "mlflow.db").is_file()
