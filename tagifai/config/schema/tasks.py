"""Schemas of the `task` group: each task and its own parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagifai.config.schema.rules import (
    require_at_least,
    require_non_negative,
    require_not_blank,
    require_one_of,
)
from tagifai.config.schema.sources import read_mapping, require_source, require_target
from tagifai.config.schema.tables import FORMATS, check_dialect


@dataclass
class EltTaskConfig:
    """Fetch, check and join the tables of a data set.

    Args:
        force: do it again even if nothing has changed.
    """

    name: str = "elt"
    force: bool = False


@dataclass
class TrainTaskConfig:
    """Train a model, score it and record the run; the data are fetched if they are missing."""

    name: str = "train"


@dataclass
class InputTaskConfig:
    """How the table of a task is read, where it is not as the run's own: None is as in the run.

    Args:
        columns: names or positions of the file's columns by those of the run, where they differ.
        format: of the file, as data.format; or txt, a text a line.
        header: as data.header.
        missing: as data.missing.
        records: as data.records.
        sheet: as data.sheet.
        encoding: as data.encoding.
        encoding_errors: as data.encoding_errors.
        delimiter: as data.delimiter.
        quoting: as data.quoting.
        quotechar: as data.quotechar.
        escape: as data.escape.
        max_unpacked_mb: as data.max_unpacked_mb.
        max_unpacked_ratio: as data.max_unpacked_ratio.
    """

    columns: Any = field(default_factory=dict)
    format: str | None = None
    header: bool | None = None
    missing: list[str] | None = None
    records: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    encoding_errors: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    quotechar: str | None = None
    escape: str | None = None
    max_unpacked_mb: int | None = None
    max_unpacked_ratio: int | None = None

    def __post_init__(self) -> None:
        for key in ("format", "records", "sheet", "encoding"):
            require_not_blank(key, getattr(self, key))
        self.columns = read_mapping("columns", self.columns)
        require_one_of("format", self.format, (None, *FORMATS, "txt"))
        check_dialect(self)


@dataclass
class EvaluateTaskConfig(InputTaskConfig):
    """Score a trained model on its test rows, or on a labelled file.

    Args:
        run_id: the run, or latest, best or champion; None is the latest.
        data: a labelled file with the columns of the run; None is the test split of the run.
        output: a JSON file for the scores; None writes them to the output folder only.
    """

    name: str = "evaluate"
    run_id: str | None = None
    data: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_blank("run_id", self.run_id)
        require_source("data", self.data)
        require_target("output", self.output)


@dataclass
class PredictTaskConfig(InputTaskConfig):
    """Tag a text (`task.text`), or the texts of a file (`task.input`), with a trained model.

    Args:
        run_id: the run, or latest, best or champion; None is the latest.
        text: a text, taken literally.
        input: a file with the columns of the run, in any format of `data`; a .txt file with a text
            a line; or - for standard input, which has a text a line unless `format` is given.
        output: a .json, .jsonl, .csv, .tsv, .parquet or .xlsx file, which .gz and the like
            compress; None prints JSON to standard output.
        keep: "id" writes the run's id column with the predictions, "all" all columns of the input.
        top_k: labels that are written with their probabilities, the most probable first.
        probabilities: whether to write the probability of every label.
        csv_safe: whether a text that a spreadsheet would compute gets a ' before it in CSV.
        batch_size: texts that a process holds in memory at a time.
        n_jobs: processes; None is one for each processor. A single batch is predicted in one.
    """

    name: str = "predict"
    run_id: str | None = None
    text: str | None = None
    input: str | None = None
    output: str | None = None
    keep: str = "id"
    top_k: int = 1
    probabilities: bool = False
    csv_safe: bool = True
    batch_size: int = 1000
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of("keep", self.keep, ("id", "all"))
        require_at_least("top_k", self.top_k, 1)
        require_not_blank("run_id", self.run_id)
        require_not_blank("text", self.text)
        require_source("input", self.input)
        require_target("output", self.output)
        require_at_least("batch_size", self.batch_size, 1)
        if self.n_jobs is not None:
            require_at_least("n_jobs", self.n_jobs, 1)


@dataclass
class ErrorsTaskConfig:
    """Show the confusion matrix of a run and its most confident mistakes.

    Args:
        run_id: the run, or latest, best or champion; None is the latest.
        part: of the run's rows: train, val or test.
        limit: most mistakes of each kind that are shown: wrong labels, and under the threshold.
        words: most words of a mistake that are marked, of linear models.
        output: a JSON file; None writes to the output folder only.
    """

    name: str = "errors"
    run_id: str | None = None
    part: str = "test"
    limit: int = 10
    words: int = 5
    output: str | None = None

    def __post_init__(self) -> None:
        for key in ("run_id", "output"):
            require_not_blank(key, getattr(self, key))
        require_one_of("part", self.part, ("train", "val", "test"))
        require_at_least("limit", self.limit, 0)
        require_at_least("words", self.words, 0)


@dataclass
class RerunTaskConfig:
    """Train a run again from its own record, and compare the two.

    Args:
        run_id: the run, or latest, best or champion; None is the latest.
    """

    name: str = "rerun"
    run_id: str | None = None

    def __post_init__(self) -> None:
        require_not_blank("run_id", self.run_id)


@dataclass
class CleanTaskConfig:
    """Find failed runs, old outputs, old caches and unused models, and remove them on request.

    Args:
        apply: remove them; otherwise they are only shown.
        days: output folders and caches are old after so many days.
        max_gb: of all output folders, in 10**9 bytes; above it the oldest go too. None: no limit.
        cache: remove all caches, old or not.
    """

    name: str = "clean"
    apply: bool = False
    days: float = 30.0
    max_gb: float | None = None
    cache: bool = False

    def __post_init__(self) -> None:
        require_non_negative("days", self.days)
        if self.max_gb is not None:
            require_non_negative("max_gb", self.max_gb)


@dataclass
class RepairTaskConfig:
    """Find what is damaged, dead or half done in stores and outputs, and mend it on request.

    Args:
        apply: mend it; otherwise it is only shown.
    """

    name: str = "repair"
    apply: bool = False


@dataclass
class SyncTaskConfig:
    """Record the runs that were kept because the tracking store was away."""

    name: str = "sync"


@dataclass
class InfoTaskConfig:
    """Show data sets, runs, champion, studies and presets, where they are, and what is wrong."""

    name: str = "info"


@dataclass
class InitTaskConfig:
    """Copy the configuration into a folder of your own, to read and change its options.

    Args:
        path: a new folder.
    """

    name: str = "init"
    path: str = "conf"

    def __post_init__(self) -> None:
        require_target("path", self.path)
