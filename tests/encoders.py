"""A tiny sentence encoder as files: random vectors of words, and nothing that mixes them.

Its weights are written as ONNX by hand, which is a few nested messages of Protocol Buffers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DIMENSIONS = 128

WORDS = [
    *("a", "and", "attention", "boxes", "bert", "cars", "classification", "convolution"),
    *("convolutional", "decoder", "detection", "documents", "edges", "embeddings", "encoder"),
    *("face", "for", "github", "graph", "graphs", "image", "images", "in", "language"),
    *("learning", "lstm", "machine", "model", "models", "network", "networks", "neural"),
    *("nodes", "object", "of", "on", "photos", "python", "pytorch", "recognition"),
    *("segmentation", "sentence", "sentences", "text", "texts", "the", "to", "training"),
    *("transformer", "transformers", "translation", "video", "vision", "with", "word"),
    *("words"),
]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

FLOAT, INT64 = 1, 7


def require_extra() -> None:
    """Skip a test where the extra is not installed."""
    for library in ("onnxruntime", "tokenizers"):
        pytest.importorskip(library, reason="needs the extra: pip install 'tagifai[embed]'")


def make_encoder(
    folder: Path,
    *,
    pooling: str = "mean_tokens",
    normalize: bool = True,
    types: bool = False,
    max_tokens: int = 32,
    seed: int = 0,
    alike: Sequence[Sequence[str]] = (),
) -> np.ndarray[Any, Any]:
    """Write an encoder into a folder, and return its vectors, shape (words, dimensions).

    Words that are `alike` have the same one.
    """
    table = np.random.RandomState(seed).standard_normal((len(SPECIAL + WORDS), DIMENSIONS))
    table[1] = 0  # unknown words say nothing
    for group in alike:
        rows = [len(SPECIAL) + WORDS.index(word) for word in group]
        table[rows] = table[rows[0]]
    table = table.astype(np.float32)
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(make_weights(table, types=types))
    write_json(folder / "1_Pooling" / "config.json", {f"pooling_mode_{pooling}": True})
    steps = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    modules = [{"type": f"sentence_transformers.models.{step}"} for step in steps]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_tokens})
    make_tokenizer(folder / "tokenizer.json")
    return table


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def make_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    tokenizer.enable_padding(length=64)  # as a published one has it, which must not matter
    tokenizer.save(str(path))


# --- ONNX --------------------------------------------------------------------------------------


def make_weights(table: np.ndarray[Any, Any], *, types: bool, name: str = "tiny") -> bytes:
    """Return a model that looks up the vector of each token; segments, if any, add their number."""
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]
    hidden = "looked_up" if types else "last_hidden_state"
    nodes = [make_node("Gather", ["table", "input_ids"], hidden)]
    if types:
        nodes += [
            make_node("Cast", ["token_type_ids"], "segments", field(1, "to") + number(3, FLOAT)
                      + number(20, 2)),
            make_node("Unsqueeze", ["segments", "last"], "column"),
            make_node("Add", [hidden, "column"], "last_hidden_state"),
        ]  # fmt: skip
    tensors = [make_tensor("table", table, FLOAT)]
    tensors += [make_tensor("last", np.array([2], np.int64), INT64)] if types else []
    graph = b"".join(field(1, node) for node in nodes) + field(2, name)
    graph += b"".join(field(5, tensor) for tensor in tensors)
    graph += b"".join(field(11, make_value(item, INT64, ["n", "s"])) for item in inputs)
    graph += field(12, make_value("last_hidden_state", FLOAT, ["n", "s", table.shape[1]]))
    return number(1, 8) + field(7, graph) + field(8, number(2, 17))


def make_node(kind: str, inputs: Sequence[str], output: str, attribute: bytes = b"") -> bytes:
    content = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    return content + (field(5, attribute) if attribute else b"")


def make_tensor(name: str, content: np.ndarray[Any, Any], kind: int) -> bytes:
    sizes = b"".join(number(1, size) for size in content.shape)
    return sizes + number(2, kind) + field(8, name) + field(9, content.tobytes())


def make_value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    sizes = [field(2, size) if isinstance(size, str) else number(1, size) for size in shape]
    tensor = number(1, kind) + field(2, b"".join(field(1, size) for size in sizes))
    return field(1, name) + field(2, field(1, tensor))


def field(tag: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(tag << 3 | 2) + varint(len(data)) + data


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value)


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
