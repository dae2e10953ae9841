"""Any texts in any dialect are read as they are, the same for training and for its use."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagifai.config.schema import TableConfig
from tagifai.config.schema.tasks import PredictTaskConfig
from tagifai.data import datasets
from tagifai.data.tables import inputs
from tagifai.data.tables.options import ReadOptions
from tagifai.exceptions import DataError
from tagifai.models import bundles
from tests.data.tables.reading import SIZES, read, write

WORDS = st.sampled_from(
    [
        *("a", '"', "'", ",", ";", "\t", "|", "\\", " ", "\n", "\r\n", "\r", "NA", "\u2028"),
        *("ß", "名", "\U0001f600", "\u200b", "\ufeff", "e\u0301", "=1+1", "\x1a", "\x85", "1.0"),
    ]
)
TEXTS = st.lists(WORDS, max_size=6).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
NAMES = ("column text", "Größe (en)", "名")


@dataclass(frozen=True)
class Dialect:
    """A form of a file.

    Args:
        format: of the file.
        options: those that read it.
        lines: what ends a line.
        encoding: of the bytes.
        packed: whether they are compressed.
    """

    format: str
    options: dict[str, Any] = field(default_factory=dict)
    lines: str = "\n"
    encoding: str = "utf-8"
    packed: bool = False

    @property
    def name(self) -> str:
        return f"table.{self.format}{'.gz' if self.packed else ''}"

    @property
    def settings(self) -> dict[str, Any]:
        """The options, with those of the encoding where it has no mark."""
        marked = self.encoding in ("utf-8", "utf-8-sig", "utf-16")
        return self.options | ({} if marked else {"encoding": self.encoding})

    def write(self, path: Path, rows: Sequence[Sequence[str]]) -> Path:
        if self.format == "parquet":
            columns = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
            pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
            return path
        content = self._format(rows).encode(self.encoding)
        return write(path, gzip.compress(content) if self.packed else content)

    def _format(self, rows: Sequence[Sequence[str]]) -> str:
        objects = [dict(zip(NAMES, row, strict=True)) for row in rows]
        if self.format == "json":
            return json.dumps(objects, ensure_ascii=False, indent=1)
        if self.format == "jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + self.lines for row in objects)
        delimiter = self.options.get("delimiter", "," if self.format == "csv" else "\t")
        return "".join(delimiter.join(map(self._quote, row)) + self.lines for row in [NAMES, *rows])

    def _quote(self, text: str) -> str:
        quote: str = self.options.get("quotechar", '"')
        escape: str | None = self.options.get("escape")
        if self.options.get("quoting") == "none":
            special = {*"\r\n", quote, escape, self.options.get("delimiter", "\t"), ","}
            return "".join(f"{escape}{c}" if c in special else c for c in text)
        if escape is not None:
            for mark in (escape, quote):
                text = text.replace(mark, escape + mark)
            return f"{quote}{text}{quote}"
        return quote + text.replace(quote, 2 * quote) + quote


def make_dialects() -> st.SearchStrategy[Dialect]:
    """Return the forms that can have any text."""
    options = st.fixed_dictionaries(
        {"quoting": st.just("minimal"), "delimiter": st.sampled_from([",", ";", "\t", "|", "^"])},
        optional={"quotechar": st.sampled_from(["'", "`"]), "escape": st.just("\\")},
    ) | st.fixed_dictionaries(
        {
            "quoting": st.just("none"),
            "escape": st.sampled_from(["\\", "~"]),
            "delimiter": st.sampled_from(["\t", ",", "|"]),
        }
    )
    form = {
        "lines": st.sampled_from(["\n", "\r\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030", "utf-16-le"]),
        "packed": st.booleans(),
    }
    delimited = st.builds(Dialect, st.sampled_from(["csv", "tsv"]), options, **form)
    objects = st.builds(Dialect, st.sampled_from(["json", "jsonl"]), **form)
    return delimited | objects | st.just(Dialect("parquet"))


PLAIN = str.maketrans(dict.fromkeys("\t\r\n", " "))
TABLES = st.lists(st.tuples(TEXTS, TEXTS, TEXTS).map(list), min_size=1, max_size=8)


@settings(max_examples=300)
@given(make_dialects(), TABLES, st.sampled_from(SIZES))
def test_what_is_written_in_any_dialect_is_read_text_by_text(
    dialect: Dialect, rows: list[list[str]], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = dialect.write(Path(folder) / dialect.name, rows)
        assert read(path, NAMES, rows=size, **dialect.settings) == rows


@settings(max_examples=100)
@given(TABLES.map(lambda rows: [[text.translate(PLAIN) for text in row] for row in rows]))
def test_without_quotes_all_but_delimiters_and_line_ends_is_text(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        write(path, "".join("\t".join(row) + "\n" for row in [NAMES, *rows]))
        assert read(path, NAMES, quoting="none") == rows


EXAMPLES = [
    Dialect("csv", {"delimiter": ";", "quotechar": "'"}, encoding="gb18030"),
    Dialect("csv", {"quoting": "none", "escape": "\\", "delimiter": "|"}, packed=True),
    Dialect("tsv", {"quoting": "minimal"}, encoding="utf-16"),
    Dialect("json"),
    Dialect("jsonl", lines="\r\n"),
    Dialect("parquet"),
]
ROWS = [
    ['He said "no", \\ twice', "x", "1"],
    ["two\nlines\r\nand; a\ttab | 'quoted'", "y", "2"],
    ["NA", "x", "3"],
    [" spaces \u200b名\U0001f600 ", "y", "4"],
    ["", "x", "5"],
    ["=1+1", "y", "6"],
]


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What a bundle says of how its run's table was read."""
    document: dict[str, Any] = {}
    monkeypatch.setattr(bundles, "read_manifest", lambda _: {})
    monkeypatch.setattr(bundles, "read_document", lambda *_: document)
    return document


@pytest.mark.parametrize("dialect", EXAMPLES, ids=lambda dialect: dialect.format)
@pytest.mark.parametrize("text", [["column text"], ["Größe (en)", "column text"]])
def test_training_on_a_file_and_predicting_it_see_the_same_texts(
    dialect: Dialect, text: list[str], bundle: dict[str, Any], tmp_path: Path
) -> None:
    path = dialect.write(tmp_path / dialect.name, ROWS)
    source = TableConfig(path=str(path), text=text, label=NAMES[1], id=NAMES[2], **dialect.settings)
    made = datasets.load(source, tmp_path / "stores")
    bundle["input"] = made.options

    for size in SIZES:
        task = PredictTaskConfig()
        found = list(inputs.read_inputs(str(path), tmp_path, task, keep="id", rows=size))
        texts = [text for batch in found for text in batch.texts]
        assert texts == made.table["text"].tolist()
        assert [name for some in found for name in some.kept[NAMES[2]]] == list("123456")
        blank = sum(len(batch.errors) for batch in found)
        assert blank == made.table["text"].tolist().count("")
    again = inputs.read_labeled(str(path), tmp_path, PredictTaskConfig())
    assert again == (made.table["text"].tolist(), made.table["tag"].tolist())


OTHER_FILES = {
    "label_text": ("a.txt", "x one text\ny\tanother, text\n"),
    "fasttext": ("a.txt", "__label__x one text\n__label__y another, text\n"),
    "tsv": ("a.csv", "text\tlabel\none text\tx\nanother, text\ty\n"),
    "csv": ("table", 'text,label\none text,x\n"another, text",y\n'),
    "folder": ("d/x/1", "one text"),
}


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_a_file_whose_name_does_not_say_its_format_is_used_as_it_was_trained_on(
    kind: str, bundle: dict[str, Any], tmp_path: Path
) -> None:
    name, content = OTHER_FILES[kind]
    path = write(tmp_path / name, content)
    if kind == "folder":
        write(tmp_path / "d" / "y" / "1", "another, text")
        path = tmp_path / "d"
    made = datasets.load(TableConfig(path=str(path), format=kind), tmp_path / "stores")
    bundle |= {"input": made.options, "classes": ["x", "y"]}

    found = list(inputs.read_inputs(str(path), tmp_path, PredictTaskConfig(), keep="id", rows=9))
    assert [text for batch in found for text in batch.texts] == ["one text", "another, text"]
    again = inputs.read_labeled(str(path), tmp_path, PredictTaskConfig())
    assert again == (["one text", "another, text"], ["x", "y"])


def test_texts_are_not_taken_for_labels_and_texts(bundle: dict[str, Any], tmp_path: Path) -> None:
    options = ReadOptions(format="label_text", ending="txt", label_names=(("1", "pos"),))
    bundle |= {"input": options.to_document(), "classes": ["pos", "neg"]}
    path = write(tmp_path / "new.txt", "How is it ?\nGood .\n")
    with pytest.raises(
        DataError, match=r"no line begins with a label of the run\. .* task\.format=txt"
    ):
        list(inputs.read_inputs(str(path), tmp_path, PredictTaskConfig(), keep="id", rows=9))
    for content in ("How ?\nneg Bad .\n", "How ?\n1 Good .\n"):
        write(path, content)
        assert list(inputs.read_inputs(str(path), tmp_path, PredictTaskConfig(), keep="id", rows=9))
    task = PredictTaskConfig(format="txt")
    (batch,) = inputs.read_inputs(str(path), tmp_path, task, keep="id", rows=9)
    assert batch.texts == ["How ?", "1 Good ."]


@pytest.mark.parametrize("dialect", EXAMPLES, ids=lambda dialect: dialect.format)
def test_a_data_set_does_not_depend_on_how_much_is_read_at_a_time(
    dialect: Dialect, tmp_path: Path
) -> None:
    path = dialect.write(tmp_path / dialect.name, ROWS)
    source = TableConfig(path=str(path), text=NAMES[0], label=NAMES[1], **dialect.settings)
    made = [
        datasets.load(replace(source, chunk_rows=size), tmp_path / f"stores{size}")
        for size in (None, *SIZES)
    ]
    assert len({found.digest for found in made}) == 1
    assert all(found.table.equals(made[0].table) for found in made)
    assert {tuple(found.notes) for found in made} == {tuple(made[0].notes)}


def test_a_data_set_is_the_same_in_every_format(tmp_path: Path) -> None:
    digests = set()
    for dialect in EXAMPLES:
        path = dialect.write(tmp_path / dialect.name, ROWS)
        source = TableConfig(path=str(path), text=NAMES[0], label=NAMES[1], **dialect.settings)
        digests.add(datasets.load(source, tmp_path / "stores").digest)
    assert len(digests) == 1
