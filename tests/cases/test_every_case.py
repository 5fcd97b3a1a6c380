"""No reference case is forgotten."""

from __future__ import annotations

import json
from pathlib import Path


def test_every_case_is_used(shared: Path, root: Path) -> None:
    """Each case of the index is named, as a whole string, by a test of this folder."""
    index = json.loads((shared / "cases" / "index.json").read_text())
    names = [case["case_id"] for case in index["cases"]]
    assert len(names) == index["count"]
    here = Path(__file__)
    text = "".join(
        path.read_text() for path in (root / "tests" / "cases").glob("*.py") if path != here
    )
    assert [name for name in names if f'"{name}"' not in text] == []
