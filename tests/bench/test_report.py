"""The page of benchmarks says what was measured, and a goal that is missed is seen to be."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Tree

import pytest

from bench import report
from bench.goals import Goal, times

GOALS = [
    times("ours / theirs", "trades/s", 300.0, 100.0, 2.0),
    Goal("late <p99>", "ms", 12.5, 10.0),
    Goal("unmeasured", "ms", None, 10.0),
    Goal("zero", "MB", 0.0, 10.0),
]


def test_report_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table per part with figure, baseline, ratio and verdict; the picture is well-formed."""
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(report, "PICTURE", tmp_path / "benchmarks.svg")
    report.written({"one": GOALS[:1], "two": GOALS[1:]}, quick=True)
    page = report.PAGE.read_text()
    assert "## one" in page
    assert "| ours / theirs | 300 trades/s | 100 trades/s | 3 | at least 2 | met |" in page
    assert "| late <p99> | 12.5 ms | - | - | at most 10 | **missed** |" in page
    assert "2 of 4 goals met" in page
    drawn = Tree.fromstring(report.PICTURE.read_text())
    assert len(drawn.findall("{*}rect")) == len(GOALS) + 1


def test_report_reach() -> None:
    """Above 1 is met, whichever way a goal goes."""
    found = [report.reach(goal) for goal in GOALS]
    assert found[:3] == [1.5, 0.8, None]
    assert all((value or 0) >= 1 for value, goal in zip(found, GOALS, strict=True) if goal.met)
