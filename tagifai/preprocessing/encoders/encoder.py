"""An encoder at work: texts to tokens to vectors, by onnxruntime and tokenizers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from tagifai.exceptions import ConfigError
from tagifai.preprocessing.encoders.files import EncoderFiles, find_encoder
from tagifai.utils.process_pool import count_processors

Vectors = npt.NDArray[np.float32]

EXTRA = "embed"
"""The extra that installs what is imported here."""

BATCH = 16
"""Texts of a batch. All of them have equally many tokens, so that nothing is padded and a text's
vector is that of the text alone, whichever texts come with it; the same to the last bit."""

BATCHES = 16
"""Batches that are handed to the threads at a time."""

OVERHEAD = 4
"""What a text takes beside its tokens, in tokens."""

DYNAMIC = b"DynamicQuantize"
"""In the name of an operation that rounds by the largest number of a batch."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}

QUIET = 3
"""Severity of onnxruntime's own messages that are shown: errors."""


class Encoder:
    """Embeds texts; those that it holds are not embedded again.

    Args:
        files: of the encoder.

    Raises:
        ConfigError: a library is missing, or a file is damaged or of another kind.
    """

    def __init__(self, files: EncoderFiles) -> None:
        self.files = files
        self.digest = files.digest
        self._tokenizer = _load_tokenizer(files)
        self._session = _load_session(files)
        self._inputs = self._find_inputs()
        self._output = self._find_output()
        self._batch = 1 if DYNAMIC in files.weights.read_bytes() else BATCH
        self._held: dict[str, Vectors] = {}

    @cached_property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._run([self._tokenize("a")]).shape[1])

    def remove_others(self, texts: Sequence[str]) -> None:
        """Hold no vectors but those of some texts."""
        self._held = {text: self._held[text] for text in texts if text in self._held}

    def hold(self, vectors: dict[str, Vectors]) -> None:
        """Hold vectors by their texts, for `embed`."""
        self._held.update(vectors)

    def find_unknown(self, texts: Sequence[str]) -> list[str]:
        """Return the different texts whose vectors are not held."""
        return [text for text in dict.fromkeys(texts) if text not in self._held]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of n texts, shape (n, dimensions)."""
        found = dict(self.compute(self.find_unknown(texts)))
        rows = [found[text] if text in found else self._held[text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.dimensions), np.float32)

    def compute(
        self,
        texts: Sequence[str],
        on_progress: Callable[[int, float], None] = lambda done, share: None,
    ) -> Iterator[tuple[str, Vectors]]:
        """Yield texts and their vectors, the shortest texts first.

        Args:
            texts: different from each other.
            on_progress: called with the texts that are done, and their share of all work.
        """
        tokens = sorted(((self._tokenize(text), text) for text in texts), key=_get_length)
        whole = sum(len(ids) + OVERHEAD for (ids, _), _ in tokens)
        batches = [
            same[i : i + self._batch]
            for _, group in groupby(tokens, key=_get_length)
            for same in [list(group)]
            for i in range(0, len(same), self._batch)
        ]
        done = passed = 0
        with ThreadPoolExecutor(_count_threads()) as pool:
            for i in range(0, len(batches), BATCHES):
                some = batches[i : i + BATCHES]
                made = pool.map(self._run, [[item for item, _ in batch] for batch in some])
                for batch, vectors in zip(some, made, strict=True):
                    done += len(batch)
                    passed += sum(len(ids) + OVERHEAD for (ids, _), _ in batch)
                    yield from zip([text for _, text in batch], vectors, strict=True)
                    on_progress(done, passed / whole)

    def _tokenize(self, text: str) -> tuple[list[int], list[int]]:
        # One by one: the tokenizer's own threads would not survive a fork.
        found = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"))
        return found.ids, found.type_ids

    def _run(self, tokens: Sequence[tuple[list[int], list[int]]]) -> Vectors:
        """Return the vectors of texts of equally many tokens."""
        ids, types = (np.array([item[part] for item in tokens], np.int64) for part in (0, 1))
        if ids.shape[1] == 0:  # a tokenizer that adds no tokens of its own to an empty text
            return np.zeros((len(ids), self.dimensions), np.float32)
        values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        given = {name: values[name].astype(kind) for name, kind in self._inputs.items()}
        hidden = self._session.run([self._output], given)[0].astype(np.float32)
        vectors: Vectors = hidden[:, 0] if self.files.pooling == "cls" else hidden.mean(axis=1)
        if self.files.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def _find_inputs(self) -> dict[str, Any]:
        """Return the inputs of the weights, and the integers that each takes."""
        found = {item.name: INTEGERS.get(item.type) for item in self._session.get_inputs()}
        wrong = [name for name, kind in found.items() if name not in INPUTS or kind is None]
        if wrong:
            raise ConfigError(
                f"The encoder {self.files.weights} wants an input {wrong[0]!r}; one of texts has"
                f" {', '.join(INPUTS)}, as integers."
            )
        return found

    def _find_output(self) -> str:
        """Return the output that has a vector for each token."""
        outputs = self._session.get_outputs()
        found = next((item.name for item in outputs if len(item.shape or ()) == 3), None)
        if found is None:
            raise ConfigError(
                f"The encoder {self.files.weights} gives no vectors of tokens, but"
                f" {', '.join(item.name for item in outputs)}: export it for feature extraction."
            )
        return str(found)


def _get_length(item: Any) -> int:
    (ids, _), _ = item
    return len(ids)


def _count_threads() -> int:
    """Return how many threads may embed, which makes no difference to what they embed."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    most = int(limit) if limit.isdecimal() and int(limit) else count_processors()
    return min(most, count_processors())


def open_encoder(name: str) -> Encoder:
    """Return the encoder of a name; each is loaded once by a process.

    Raises:
        ConfigError: it is not there or cannot be used, or a library is missing.
    """
    files = find_encoder(name)
    return _open(files, files.digest)


@cache
def _open(files: EncoderFiles, _digest: str) -> Encoder:
    return Encoder(files)


def _load_tokenizer(files: EncoderFiles) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _make_missing_error("tokenizers") from None
    try:
        tokenizer = Tokenizer.from_file(str(files.tokenizer))
        tokenizer.no_padding()
        tokenizer.enable_truncation(files.max_tokens)
    except Exception as error:  # it has no class of its own
        reason = " ".join(str(error).split())
        raise ConfigError(f"The tokenizer {files.tokenizer} cannot be read: {reason}") from None
    return tokenizer


def _load_session(files: EncoderFiles) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise _make_missing_error("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    # Texts are shared out among threads, not the sums of one text: those keep their order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    try:
        return onnxruntime.InferenceSession(
            str(files.weights), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its classes are private
        reason = " ".join(str(error).split())
        raise ConfigError(f"The encoder {files.weights} cannot be read: {reason}") from None


def _make_missing_error(library: str) -> ConfigError:
    return ConfigError(
        f"Embeddings need {library}, which is not installed. Install the extra:"
        f" pip install 'tagifai[{EXTRA}]'"
    )
