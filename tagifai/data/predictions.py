"""What is written of predictions: columns of the input, tags, probabilities and errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tagifai.utils import table_files
from tagifai.utils.excerpts import secure_cell

if TYPE_CHECKING:
    from tagifai.config.schema import PredictTaskConfig
    from tagifai.data.tables.inputs import InputBatch
    from tagifai.models.tagger import PredictedColumns, Tagger

NOT_FINITE = "the model gives no finite number for this text"


class PredictionTable:
    """What is written of predictions: the columns, their order and their names.

    Args:
        kept: names of the input's columns that come first; they give way to those of predictions.
        task: says what is written, and where to.
        tagger: has the labels.
    """

    def __init__(self, kept: Iterable[str], task: PredictTaskConfig, tagger: Tagger) -> None:
        kind, self._labels = table_files.parse_target(task.output)[0], tagger.labels
        self._nested, self._matrix = kind in ("json", "jsonl"), task.probabilities
        self._safe = task.csv_safe and kind in ("csv", "tsv")
        # A tag that is given for want of a better one has no rank, so that ranks begin at 1.
        first = 1 if tagger.threshold is not None and tagger.other is not None else 2
        last = min(task.top_k, len(self._labels))
        self._ranks = range(first, last + 1) if task.top_k > 1 else range(0)
        own: table_files.Fields = {"input_text": str, "predicted_tag": str, "probability": float}
        by_label: list[str] = []
        if self._nested:
            own |= {"top": list} if task.top_k > 1 else {}
            own |= {"probabilities": dict} if self._matrix else {}
        else:
            for rank in self._ranks:
                own |= {f"tag_{rank}": str, f"probability_{rank}": float}
            by_label = [f"probability_{label}" for label in self._labels if self._matrix]
        # Labels may be numbers, as ranks are. An error has its name where there is none, too.
        labelled = _find_free_names(by_label, {*own, "error"}, "_label")
        own |= dict.fromkeys(labelled.values(), float)
        own |= {"error": str} if task.input is not None else {}
        before = _find_free_names([*kept], {*own, "error"}, "_input")
        names = [*before.items(), *labelled.items()]
        self.renamed = [f"{old} as {new}" for old, new in names if old != new]
        named = dict.fromkeys(before.values(), str) | own
        self.fields = dict(zip(self._secure(named), named.values(), strict=True))

    def tabulate(
        self, batch: InputBatch, found: PredictedColumns
    ) -> tuple[table_files.Columns, dict[int, str]]:
        """Return the columns of a batch, in the order of the fields, and the errors by place.

        Args:
            batch: what was read, n rows.
            found: predictions of the rows without an error.
        """
        rows, broken = range(len(batch.texts)), batch.errors
        places = [row for row in rows if row not in broken]
        errors = broken | {places[place]: NOT_FINITE for place in found.failed}

        def spread(values: Iterable[Any]) -> Iterable[Any]:
            following = iter(values)
            cells = (None if row in broken else next(following) for row in rows)
            spaced = (
                None if row in errors else cell for row, cell in zip(rows, cells, strict=True)
            )
            return spaced if errors else values

        texts = [None if row in broken else text for row, text in enumerate(batch.texts)]
        own: list[Iterable[Any]] = [texts, spread(found.tags), spread(found.probabilities)]
        if self._nested:
            own += [spread(_nest_ranks(found))] if "top" in self.fields else []
            own += [spread(self._nest_matrix(found))] if self._matrix else []
        else:
            own += [spread(cells) for rank in self._ranks for cells in found.ranked[rank - 1]]
            own += map(spread, () if found.matrix is None else found.matrix.T.tolist())
        own += [[errors.get(row) for row in rows]] if "error" in self.fields else []
        columns = [*map(_mend, batch.kept.values()), *own]
        return list(map(self._secure, columns)), errors

    def _secure(self, cells: Iterable[Any]) -> Iterable[Any]:
        return map(secure_cell, cells) if self._safe else cells

    def _nest_matrix(self, found: PredictedColumns) -> Iterator[dict[str, float]]:
        for row in () if found.matrix is None else found.matrix:
            yield dict(zip(self._labels, row.tolist(), strict=True))


def _nest_ranks(found: PredictedColumns) -> Iterator[list[dict[str, Any]]]:
    for row in zip(*(zip(*columns, strict=True) for columns in found.ranked), strict=True):
        yield [{"tag": tag, "probability": value} for tag, value in row]


def _find_free_names(wanted: Sequence[str], taken: Collection[str], suffix: str) -> dict[str, str]:
    """Return names that are not taken by those that are wanted; a suffix is what they get."""
    found = {name: name for name in wanted}
    for name in wanted:
        while found[name] in taken or (found[name] != name and found[name] in wanted):
            found[name] += suffix
    return found


def _mend(values: list[str]) -> list[str]:
    """Return texts that can be written: half of a surrogate pair becomes U+FFFD."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return [v.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for v in values]
    return values
