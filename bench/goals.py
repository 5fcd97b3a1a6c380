"""What a benchmark promises: figures beside their baselines, judged and written down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

FOLDER = Path("build")
console = Console(width=118)


class Goal(msgspec.Struct, frozen=True):
    """A figure and its goal. `ratio`: the figure against its baseline of the same run.

    What is judged is the ratio where there is a baseline, else the figure.
    `figure` is None when it could not be measured, which is a missed goal.
    """

    name: str
    unit: str
    figure: float | None
    goal: float
    at: Literal["least", "most"] = "most"
    baseline: float | None = None
    ratio: float | None = None

    @property
    def met(self) -> bool:
        """True when the figure was measured and keeps the goal."""
        judged = self.figure if self.ratio is None else self.ratio
        if judged is None:
            return False
        return judged >= self.goal if self.at == "least" else judged <= self.goal


def times(name: str, unit: str, figure: float | None, baseline: float | None, goal: float) -> Goal:
    """At least `goal` times a baseline; both are rates."""
    known = figure is not None and baseline is not None
    ratio = figure / baseline if known and baseline else None  # type: ignore[operator]
    return Goal(name, unit, figure if known else None, goal, "least", baseline, ratio)


def show(goals: list[Goal]) -> None:
    """A table of goals."""
    table = Table("goal", "figure", "baseline", "ratio", "wanted", "")
    for one in goals:
        wanted = f"{'>=' if one.at == 'least' else '<='} {one.goal:g}"
        word = "[green]met[/]" if one.met else "[red]MISSED[/]"
        numbers = (
            _said(one.figure, one.unit),
            _said(one.baseline, one.unit),
            _said(one.ratio, "x"),
        )
        table.add_row(one.name, *numbers, wanted, word)
    console.print(table)


def _said(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.2f} {unit}"


def write(name: str, goals: list[Goal], **more: object) -> None:
    """build/NAME.json with every goal, and whatever else was measured."""
    FOLDER.mkdir(exist_ok=True)
    rows = [msgspec.structs.asdict(one) | {"met": one.met} for one in goals]
    body = msgspec.json.encode({"goals": rows, **more})
    (FOLDER / f"{name}.json").write_bytes(msgspec.json.format(body, indent=1))
