"""task=evaluate: score a run on its own test rows, or on any labelled file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from tagifai import artifacts, datasets, pipeline, readers, runs, tracking
from tagifai.console import Display
from tagifai.errors import DataError
from tagifai.files import write_json
from tagifai.labels import apply_policy, to_known
from tagifai.metrics import Performance
from tagifai.schema import Config, Data
from tagifai.tagger import Tagger


def run(config: Config) -> float:
    """Score a trained model, show the table, write the scores; return the weighted F1."""
    display = Display.of(config.console)
    stores = Path(config.paths.stores)
    tracking.close_abandoned(stores)
    uri = tracking.tracking_uri(config.tracking.uri) if config.tracking.enabled else None
    run_id, path = runs.find(stores, config.task.run_id, uri)
    tagger = artifacts.load(path)
    if config.task.data is None:
        texts, tags = _test_rows(path, stores)
        title = f"Run {run_id} on its test rows"
    else:
        texts, tags = readers.labelled(config.task.data)
        title = f"Run {run_id} on {config.task.data}"
    performance = score(tagger, texts, tags)
    output = config.task.output or HydraConfig.get().runtime.output_dir + "/performance.json"
    write_json(Path(output), performance)
    display.scores(title, performance)
    display.say(f"Scores written to {output}")
    return performance["overall"]["f1"]


def score(tagger: Tagger, texts: Sequence[str], tags: Sequence[str]) -> Performance:
    """Score a tagger on labelled texts; tags that it does not know count as the rest label.

    Raises:
        DataError: there are unknown tags and no rest label.
    """
    labels = to_known(tags, tagger.encoder.classes, tagger.other)
    y_true = tagger.encoder.encode(labels)
    return pipeline.score_rows(tagger.clean(texts), y_true, tagger, tagger.predict_proba(texts))


def _test_rows(path: Path, stores: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels of the rows that the run was tested on, in their order."""
    splits = runs.document(path, "splits.json")
    recorded = OmegaConf.load(path / "config.yaml").data
    dataset = datasets.load(_as_data(recorded), stores)
    if dataset.digest != splits["data_digest"]:
        raise DataError(
            f"The data set {recorded.name} is not the one that the run was trained with (SHA-256"
            f" {dataset.digest[:12]}… now, {splits['data_digest'][:12]}… then). Bring the old files"
            " back and run task=elt, or score other rows with task.data=labelled.csv."
        )
    table = dataset.table.set_index("id").loc[splits["test"]]
    labels = apply_policy(
        dataset.table.set_index("id")["tag"],
        recorded.accepted_tags,
        recorded.min_freq,
        recorded.other,
    )
    texts = (table["title"] + " " + table["description"]).tolist()
    return texts, labels.loc[splits["test"]].tolist()


def _as_data(recorded: Any) -> Data:
    return cast(Data, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Data), recorded)))
