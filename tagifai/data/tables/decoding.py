"""Read bytes as text; where they are none, say how they would read in other encodings."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, BinaryIO, cast

from tagifai.exceptions import DataError
from tagifai.utils.excerpts import make_visible

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins with that of UTF-16-LE
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

_CANDIDATES = (
    *("utf-8", "windows-1252", "windows-1251", "gb18030", "shift_jis", "cp932"),
    *("euc-kr", "cp949", "big5", "cp950", "windows-1250"),
)
"""Common encodings, in the order in which they are offered."""

_WIDER = {"cp932": "shift_jis", "cp949": "euc-kr", "cp950": "big5"}
"""What Windows has in place of others; offered if those do not fit."""

_MOST_CANDIDATES = 5
_CONTEXT = 24
"""Characters that are shown from the first odd one; half as many are shown before it."""

_ODD = re.compile(rb"[\x80-\xff]")
_KANA = re.compile("[\uff61-\uff9f]")
_BLOCK_BYTES = 2**20
_MOST_BYTES = 64 * 2**20
"""Of the file that a candidate has to decode."""


@contextmanager
def open_text(
    opener: Callable[[], AbstractContextManager[BinaryIO]],
    encoding: str,
    errors: str,
    named: str,
    setting: str,
    newline: str | None = "",
) -> Iterator[IO[str]]:
    """Open bytes as text, to be read a part at a time.

    Args:
        opener: opens the bytes, as a stream that has `peek`. It is called again to explain bytes
            of another encoding; where it returns the same stream, the line is not known.
        encoding: a name that Python knows; a mark of UTF-8, UTF-16 or UTF-32 goes before it.
        errors: "strict", or "replace" for U+FFFD in place of what is no text.
        named: the setting and the file, for errors.
        setting: the group of the settings that change this: data or task.
        newline: as for `open`.

    Raises:
        DataError: it has another encoding, which is found while it is read.
    """
    with opener() as stream:
        codec, marked = _choose_codec(stream, encoding)
        wide = None if marked else _find_wide(_peek(stream))
        if wide and wide != codec:
            raise DataError(
                f"{named} is {wide} without a mark, by its NUL characters: set"
                f" {setting}.encoding={wide}."
            )
        text = io.TextIOWrapper(stream, codec, errors, newline)
        try:
            yield text
        except UnicodeDecodeError as error:
            with opener() as again:
                _choose_codec(again, encoding)
                found = _find_readings(None if again is stream else again, codec, error)
            if found is None:
                raise  # it comes from another file that is read beside this one
            byte, readings = error.object[error.start], {} if marked else found[1]
            said = f"{named} is not {codec}{found[0]} (byte 0x{byte:02x})"
            raise DataError(said + _format_readings(readings, setting)) from None
        finally:
            if not text.closed:
                text.detach()  # to close the bytes is for who opened them


def _peek(stream: BinaryIO) -> bytes:
    return cast(io.BufferedReader, stream).peek(4096)[:4096]


def _choose_codec(stream: BinaryIO, encoding: str) -> tuple[str, bool]:
    """Read over a mark; return the encoding, and whether it is by a mark."""
    head, name = _peek(stream), codecs.lookup(encoding).name
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            stream.read(len(mark))
            return codec, True
    if name in ("utf-16", "utf-32"):  # which way round is for a mark to say
        found = _find_wide(head) or ""
        return found if found.startswith(name) else f"{name}-le", False
    return name, False


def _find_wide(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32 if a text without a mark has the NULs of one of them."""
    if len(head) < 8:
        return None
    zeros = [head[start::4].count(0) for start in range(4)]
    if zeros[0] == 0 < zeros[1] and min(zeros[2:]) >= len(head) // 4:
        return "utf-32-le"
    if zeros[3] == 0 < zeros[2] and min(zeros[:2]) >= len(head) // 4:
        return "utf-32-be"
    first, second = zeros[0] + zeros[2], zeros[1] + zeros[3]
    ends, paired = head.count(b"\n"), head.count(b"\n\0" if second else b"\0\n")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        stray = paired < ends if ends else max(first, second) < len(head) / 5
    except UnicodeDecodeError:
        stray = max(first, second) < max(2, len(head) / 200)
    if stray or min(first, second) or not max(first, second):
        return None
    return "utf-16-le" if second else "utf-16-be"


def _iterate_blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield block
    yield b""


def _find_readings(
    stream: BinaryIO | None, codec: str, error: UnicodeDecodeError
) -> tuple[str, dict[str, str]] | None:
    """Return where bytes are not of an encoding, and how they read in others; None if they are."""
    blocks = [error.object] if stream is None else _iterate_blocks(stream)
    samples = [] if stream else _find_samples(error.object, error.start)
    decoder, line, done, last = codecs.getincrementaldecoder(codec)(), 1, 0, b""
    decoders = {name: codecs.getincrementaldecoder(name)() for name in _CANDIDATES}
    for block in blocks:
        done += len(block)
        if not samples:
            near, last = last + block, block or last
            try:
                line += decoder.decode(block, not block).count("\n")
            except UnicodeDecodeError as found:
                line += found.object[: found.start].decode(codec, "ignore").count("\n")
                samples = _find_samples(near, len(near) - len(found.object) + found.start)
        elif done > _MOST_BYTES:
            break
        if done <= _MOST_BYTES:
            fits = [name for name in decoders if _can_decode(decoders[name], block)]
            decoders = {name: decoders[name] for name in fits}
    if not samples:
        return None  # it is another file that is not
    return f" in line {line}" if stream else "", {
        name: " / ".join(_make_reading(sample, name) for sample in samples)
        for name in decoders
        if _WIDER.get(name) not in decoders
        and codecs.lookup(name).name != codec
        and all(_can_decode(codecs.getincrementaldecoder(name)(), sample) for sample in samples)
    }


def _can_decode(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    try:
        decoder.decode(block, not block)
    except UnicodeDecodeError:
        return False
    return True


def _find_samples(block: bytes, place: int) -> list[bytes]:
    """Return what is around a byte in its line, and in the first other line with such bytes."""
    start, end = block.rfind(b"\n", 0, place) + 1, block.find(b"\n", place)
    odd = match.start() if (match := _ODD.search(block, start)) else place
    found = [odd if 0 <= place - odd < _CONTEXT else place]
    if other := _ODD.search(block, 0, start) or (end >= 0 and _ODD.search(block, end)):
        found.append(other.start())
    return [
        block[max(block.rfind(b"\n", 0, odd) + 1, odd - _CONTEXT) : odd + 4 * _CONTEXT].partition(
            b"\n"
        )[0]
        for odd in found
    ]


def _make_reading(sample: bytes, codec: str) -> str:
    """Return how bytes read in an encoding, shortened, with what cannot be seen as escapes."""
    text = sample.decode(codec, "replace").rstrip("\r\ufffd")
    odd = next((place for place, char in enumerate(text) if char > "\x7f"), 0)
    start, end = max(0, odd - _CONTEXT // 2), odd + _CONTEXT
    return "…" * (start > 0) + make_visible(text[start:end]) + "…" * (end < len(text))


def _format_readings(readings: dict[str, str], setting: str) -> str:
    """Return the end of the sentence, with the readings, equal ones together."""
    # Half-width kana is what Shift JIS makes of other encodings.
    names = sorted(readings, key=lambda name: len(_KANA.findall(readings[name])) > 2)
    groups: dict[str, list[str]] = {}
    for name in names[:_MOST_CANDIDATES]:
        groups.setdefault(readings[name], []).append(name)
    found = ", ".join(
        f'"{reading}" with {setting}.encoding={" or ".join(names)}'
        for reading, names in groups.items()
    )
    return (
        f", which would read {found}; if none is right, name another, or" if found else ";"
    ) + f" {setting}.encoding_errors=replace puts U+FFFD in place of what is no text."
