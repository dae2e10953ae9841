"""The published figures of the pipeline, to the last digit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.app import ROOT, App

DATA = ROOT.parent / "shared" / "data" / "madewithml"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the raw Made With ML tables are not beside this checkout"
)

LOSSES = {
    0: "train_loss 1.16783 | val_loss 1.20177",
    10: "train_loss 0.46262 | val_loss 0.62612",
    20: "train_loss 0.31599 | val_loss 0.51986",
    30: "train_loss 0.25191 | val_loss 0.47544",
    40: "train_loss 0.21720 | val_loss 0.45176",
    50: "train_loss 0.19610 | val_loss 0.43770",
    60: "train_loss 0.18221 | val_loss 0.42857",
    70: "train_loss 0.17291 | val_loss 0.42246",
    80: "train_loss 0.16643 | val_loss 0.41818",
    90: "train_loss 0.16160 | val_loss 0.41528",
}

SCORES = {
    "overall": (0.8990934378802025, 0.8194444444444444, 0.838280325954406, 144),
    "class/computer-vision": (0.975, 0.7222222222222222, 0.8297872340425532, 54),
    "class/mlops": (0.9090909090909091, 0.8333333333333334, 0.8695652173913043, 12),
    "class/natural-language-processing": (
        0.9803921568627451,
        0.8620689655172413,
        0.9174311926605505,
        58,
    ),
    "class/other": (0.4523809523809524, 0.95, 0.6129032258064516, 20),
    "slices/nlp_cnn": (1.0, 1.0, 1.0, 1),
    "slices/short_text": (0.8, 0.8, 0.8, 5),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return App(tmp_path_factory.mktemp("reference"))


def train(app: App, *arguments: str) -> str:
    tables = [f"data.projects={DATA / 'projects.csv'}", f"data.tags={DATA / 'tags.csv'}"]
    return app.ok("experiment=reference", "tracking=none", "plots=none", *tables, *arguments)


def scores(path: Path) -> dict[str, tuple[float, float, float, int]]:
    test = json.loads(path.read_text())["test"]
    named = {"overall": test["overall"]}
    for kind in ("class", "slices"):
        named |= {f"{kind}/{name}": found for name, found in test[kind].items()}
    return {
        name: (found["precision"], found["recall"], found["f1"], found["num_samples"])
        for name, found in named.items()
    }


def test_the_reference_experiment_gives_the_published_figures(app: App) -> None:
    output = train(app)

    assert "train 668, val 143, test 144" in output
    lines = dict(re.findall(r"^Epoch (\d+) \| (.*)$", output, flags=re.MULTILINE))
    assert {epoch: lines[str(epoch)] for epoch in LOSSES} == LOSSES
    assert scores(app.stores / "performance.json") == SCORES
    settings = json.loads((app.bundle() / "tagger.json").read_text())
    assert settings["threshold"] == 0.6
    terms = bytes(np.load(app.bundle() / "vectorizer.vocabulary_.npy")).split(b"\xff")
    assert len(terms) == 98_496


def test_with_the_quartile_threshold_it_gives_the_published_figures(app: App) -> None:
    train(app, "threshold=quantile", "console=quiet")

    settings = json.loads((app.bundle() / "tagger.json").read_text())
    assert settings["threshold"] == 0.6742890218960005
    assert scores(app.stores / "performance.json")["overall"][:3] == (
        0.9116161616161617,
        0.7569444444444444,
        0.7929971988795519,
    )


def test_the_data_set_has_the_published_counts(app: App) -> None:
    tables = [f"data.projects={DATA / 'projects.csv'}", f"data.tags={DATA / 'tags.csv'}"]
    app.ok("task=elt", "data=madewithml", *tables)

    manifest = json.loads((app.dataset("madewithml") / "manifest.json").read_text())
    assert manifest["rows"] == 955
    assert manifest["tag_counts"] == {
        "natural-language-processing": 388,
        "computer-vision": 356,
        "mlops": 79,
        "reinforcement-learning": 56,
        "graph-learning": 45,
        "time-series": 31,
    }
