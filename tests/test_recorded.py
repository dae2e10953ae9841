from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tagifai import recorded
from tagifai.errors import BundleError

DATA = {"name": "sample", "digest": "0"}


@pytest.mark.parametrize(
    "splits",
    [
        *([], {}, {"data": DATA}, {"data": DATA, "policy": {}}, {"data": 3}),
        *(
            {"data": {"name": name, "digest": "0"}, "policy": {}, "test": []}
            for name in ("../data", "/etc", "a\\b", "", None)
        ),
    ],
)
def test_a_bundle_that_does_not_say_which_rows_is_refused(tmp_path: Path, splits: Any) -> None:
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(BundleError, match=r"splits\.json does not say which rows \("):
        recorded.rows(tmp_path, tmp_path)
