from __future__ import annotations

import codecs
import io
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, BinaryIO, cast

import pytest

from tagifai.data.tables.decoding import open_text
from tagifai.exceptions import DataError

TEXT = "text,label\nGood one,1\nSchön und “teuer”,2\nÄrger,3\n"

Opener = Callable[[], AbstractContextManager[BinaryIO]]


def opener(content: bytes) -> Opener:
    return lambda: cast(AbstractContextManager[BinaryIO], io.BufferedReader(io.BytesIO(content)))


def read(
    content: bytes | Opener, encoding: str = "utf-8", errors: str = "strict", setting: str = "data"
) -> str:
    source = opener(content) if isinstance(content, bytes) else content
    with open_text(source, encoding, errors, "It", setting) as text:
        return text.read()


def refused(content: bytes | Opener, encoding: str = "utf-8", setting: str = "data") -> str:
    with pytest.raises(DataError) as caught:
        read(content, encoding, setting=setting)
    return str(caught.value)


# --- marks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-le", "ascii"])
def test_a_mark_goes_before_the_setting(mark: str, encoding: str) -> None:
    begin = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}.get(mark, b"")
    assert read(begin + TEXT.encode(mark), encoding) == TEXT


@pytest.mark.parametrize("width", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize(
    "text", [TEXT, "имя,тип\n1,привет, привет\n", "文本,标签\n这个产品很好,好\n非常差,差\n"]
)
def test_without_a_mark_utf_16_is_named_and_then_read(width: str, order: str, text: str) -> None:
    name = f"{width}-{order}"
    content = text.encode(name)
    assert refused(content, setting="task") == (
        f"It is {name} without a mark, by its NUL characters: set task.encoding={name}."
    )
    for known in (name, name.upper().replace("-", "_"), width):
        assert read(content, known) == text


@pytest.mark.parametrize(
    "content", [b"a\0b\nc\0d\n", b"\0" * 100, b"text\0,label\nb,c\n", b"", b"\n"]
)
def test_a_stray_nul_is_not_taken_for_utf_16(content: bytes) -> None:
    assert read(content) == content.decode()


def test_a_mark_is_honoured_where_nothing_can_be_read_twice() -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode("utf-16"))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert read(lambda: nullcontext(cast(BinaryIO, stream))) == TEXT
        assert not stream.closed


def test_lines_end_as_they_are_asked_to() -> None:
    with open_text(opener(b"a\r\nb\n"), "utf-8", "strict", "It", "data", None) as text:
        assert list(text) == ["a\n", "b\n"]
    assert read(b"a\r\nb\n") == "a\r\nb\n"


# --- another encoding --------------------------------------------------------------------------


def test_another_encoding_is_said_with_its_line_and_readings() -> None:
    assert refused(TEXT.encode("cp1252")) == (
        'It is not utf-8 in line 3 (byte 0xf6), which would read "Schön und “teuer”,2 / Ärger,3"'
        ' with data.encoding=windows-1252 or windows-1250, "Schцn und “teuer”,2 / Дrger,3" with'
        " data.encoding=windows-1251; if none is right, name another, or"
        " data.encoding_errors=replace puts U+FFFD in"
        " place of what is no text."
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("windows-1252", "Le café où il était"),
        ("windows-1251", "Привет мир"),
        ("windows-1250", "Żółta łódź"),
        ("gb18030", "这个产品很好"),
        ("shift_jis", "これは良い製品です"),
        ("euc-kr", "이 제품은 좋습니다"),
        ("big5", "這個產品很好質量不錯"),
    ],
)
def test_the_right_reading_is_among_at_most_five(name: str, line: str) -> None:
    content = f"text,label\nplain,1\n{line},2\n".encode(name)
    message = refused(content, setting="task")
    assert "in line 3" in message
    assert f'"{line},2" with task.encoding={name}' in message or (
        f'"{line},2" with task.encoding=windows-1252 or {name}' in message
    )
    readings = message.partition("; if none")[0].count(" or ") + message.count("task.encoding=")
    assert 2 <= readings <= 5
    assert line in read(content, name)


def test_each_encoding_that_is_named_reads_the_whole_file() -> None:
    content = b"text\n\x82\xb1\x82\xea\x87\x40,1\n"  # with a circled one, which Windows alone has
    message = refused(content)
    assert "data.encoding=cp932" in message
    assert "shift_jis" not in message
    for name in [part.split(";")[0].split(",")[0] for part in message.split("data.encoding=")[1:]]:
        assert read(content, name).startswith("text\n")


def test_utf_8_is_offered_where_another_one_was_asked_for() -> None:
    message = refused(TEXT.encode(), "ascii")
    assert message.startswith('It is not ascii in line 3 (byte 0xc3), which would read "Schön')
    assert 'Ärger,3" with data.encoding=utf-8, "SchГ¶n' in message


def test_a_few_other_bytes_in_utf_8_show_what_would_become_of_the_rest() -> None:
    message = refused("Grüße,1\n".encode() + "Café,2\n".encode("cp1252"))
    assert 'in line 2 (byte 0xe9), which would read "Café,2 / GrÃ¼ÃŸe,1" with' in message


def test_a_long_line_is_shortened_around_what_is_odd() -> None:
    message = refused(b"x" * 3_000_000 + b" Caf\xe9 " + b"y" * 3_000_000)
    assert '"…xxxxxxxx Café yyyyyyyyyyyyyyyyyyyyyy…" with data.encoding=windows-1252' in message
    assert len(message) < 900


def test_control_characters_are_visible() -> None:
    assert '"\\x1b[2J Café" with' in refused(b"\x1b[2J Caf\xe9")


def test_where_nothing_fits_replacing_is_the_way_out() -> None:
    content = b"ok\n\x81 \x98 \xff\n"
    assert refused(content, setting="task") == (
        "It is not utf-8 in line 2 (byte 0x81); task.encoding_errors=replace puts U+FFFD in place"
        " of what is no text."
    )
    assert read(content, errors="replace") == "ok\n\ufffd \ufffd \ufffd\n"


def test_a_damaged_file_with_a_mark_is_not_sent_to_other_encodings() -> None:
    message = refused(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1])
    assert message.startswith("It is not utf-16-le in line 4 (byte 0x0a); data.encoding_errors=")
    assert "data.encoding=" not in message


def test_a_stream_that_is_there_once_is_explained_without_the_line() -> None:
    stream = cast(BinaryIO, io.BufferedReader(io.BytesIO(TEXT.encode("cp1252"))))
    message = refused(lambda: nullcontext(stream))
    assert message.startswith("It is not utf-8 (byte 0xf6), which would read")
    assert '"Schön und “teuer”,2 / Ärger,3" with data.encoding=windows-1252' in message


def test_a_large_file_is_explained_in_little_memory() -> None:
    class Lines(io.RawIOBase):
        """A hundred million bytes, and an odd one."""

        left = 1_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            count = min(self.left, len(buffer) // 100)
            found = (b"x" * 99 + b"\n") * count if count else b"Caf\xe9\n" * (self.left == 0)
            self.left -= count or 1
            buffer[: len(found)] = found
            return len(found)

    @contextmanager
    def open_lines() -> Iterator[BinaryIO]:
        yield cast(BinaryIO, io.BufferedReader(Lines(), 2**18))

    tracemalloc.start()
    try:
        with (
            pytest.raises(DataError, match=r"line 1000001 .*\"Café\" with data.encoding=windows"),
            open_text(open_lines, "utf-8", "strict", "It", "data") as text,
        ):
            for _ in text:
                pass
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
