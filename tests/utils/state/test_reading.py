from __future__ import annotations

from pathlib import Path

from tagifai.utils.state.reading import read_text


def test_no_more_room_is_made_than_a_file_has_bytes(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text("{}", encoding="utf-8")
    assert read_text(path, most=2**60) == "{}"
