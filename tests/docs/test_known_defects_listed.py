"""The list of known defects names tests that exist, and leaves none of them out."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = "docs/decisions/0013-known-defects.md"
HOME = "tests/orderflow/test_known_defects.py"
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")
BARE = re.compile(r"`(test_[a-z0-9_]+)`")


def test_every_named_test_exists(root: Path) -> None:
    """Every `file::test` and every bare name of the list is a test in that file."""
    text = (root / PAGE).read_text()
    wanted = NAMED.findall(text) + [(HOME, name) for name in BARE.findall(text)]
    assert len(wanted) > 40
    missing = [
        f"{file}::{name}"
        for file, name in wanted
        if f"def {name}(" not in (root / file).read_text()
    ]
    assert missing == []


def test_all_thirteen_are_there(root: Path) -> None:
    """Each defect of the predecessors has a line, in order."""
    lines = (root / PAGE).read_text().splitlines()
    numbers = [int(found[1]) for line in lines if (found := re.match(r"\| (\d+) \|", line))]
    assert numbers == list(range(1, 14))


def test_each_prevention_says_what_it_prevents(root: Path) -> None:
    """Every test of the defects' own file is named in the list and has a docstring."""
    source = (root / HOME).read_text()
    text = (root / PAGE).read_text()
    names = re.findall(r"^def (test_[a-z0-9_]+)\(", source, re.MULTILINE)
    assert [name for name in names if name not in text] == []
    assert source.count('"""') // 2 == len(names) + 1
