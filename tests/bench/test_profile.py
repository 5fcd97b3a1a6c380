"""The table of a profile: shares of functions, whatever line was seen."""

from __future__ import annotations

from bench.profile import samples, shares

RAW = """run (a.py:1);work (b.py:10);add (c.py:3) 6
run (a.py:1);work (b.py:11) 2
run (a.py:2);work (b.py:10);work (b.py:12);add (c.py:4) 2
"""


def test_functions_by_their_own_share() -> None:
    """Lines of one function are one function; one that calls itself is counted once a stack."""
    found = shares(samples(RAW))
    assert found == [("add (c.py)", 0.8, 0.8), ("work (b.py)", 0.2, 1.0)]
