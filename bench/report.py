"""docs/benchmarks.md and its picture, written by a whole run: what was measured beside what.

A goal's bar is its ratio (or figure) beside what was wanted: to the right of the line it is met.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.goals import Goal

PAGE = Path("docs/benchmarks.md")
PICTURE = Path("docs/pictures/benchmarks.svg")
WIDTH, ROW, LABEL = 1_100, 20, 620
SPAN = 2.0
"""Decades that the picture shows, half of them on each side of the line."""
MET, MISSED = "#3a8f5c", "#c5533d"
HEAD = (
    "# Benchmarks\n\n"
    "Written by `make bench`{quick}, which also writes `build/bench.json`; what the figures mean, "
    "what was tried and where the limits are is in [performance.md](performance.md).\n"
    "A ratio is against the baseline of the same run; a figure without one is judged by itself.\n"
    "A goal that is missed stays here until a run meets it.\n\n"
    "This run: {machine}, load average {load:.1f} at its end, {met} of {all} goals met.\n"
    "{missing}\n"
    "![Each goal beside what was wanted](pictures/benchmarks.svg)\n"
)


def written(
    parts: Mapping[str, Sequence[Goal]], missing: Sequence[str] = (), *, quick: bool
) -> None:
    """The page and its picture; `missing`: parts that this run left out."""
    goals = [goal for found in parts.values() for goal in found]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = HEAD.format(
        quick=" with `QUICK=1`" if quick else "",
        machine=machine,
        load=os.getloadavg()[0],
        met=sum(goal.met for goal in goals),
        all=len(goals),
        missing=f"Left out of it: {', '.join(missing)}.\n" if missing else "",
    )
    tables = [f"## {name}\n\n{table(found)}" for name, found in parts.items()]
    PAGE.write_text("\n".join([head, *tables]))
    PICTURE.write_text(picture(goals))


def table(goals: Sequence[Goal]) -> str:
    """Markdown rows of one part."""
    rows = [
        "| goal | figure | baseline | ratio | wanted | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for goal in goals:
        wanted = f"{'at least' if goal.at == 'least' else 'at most'} {goal.goal:g}"
        cells = (
            goal.name.replace("|", "/"),
            _said(goal.figure, goal.unit),
            _said(goal.baseline, goal.unit),
            _said(goal.ratio, ""),
            wanted,
            "met" if goal.met else "**missed**",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def reach(goal: Goal) -> float | None:
    """How far a goal is met: 1 is just so, 2 is twice as good; None when nothing was measured."""
    judged = goal.figure if goal.ratio is None else goal.ratio
    if judged is None:
        return None
    if goal.at == "least":
        return judged / goal.goal if goal.goal else math.inf
    return goal.goal / judged if judged > 0 else math.inf


def picture(goals: Sequence[Goal]) -> str:
    """Bars on a logarithmic scale around the line where a goal is just met."""
    height = (len(goals) + 1) * ROW
    middle, half = LABEL + (WIDTH - LABEL) / 2, (WIDTH - LABEL) / 2
    rows = []
    for place, goal in enumerate(goals):
        top = place * ROW + 4
        found = reach(goal)
        decades = 0.0 if not found else math.log10(min(max(found, 1e-9), 1e9))
        length = min(1.0, abs(decades) / (SPAN / 2)) * (half - 60)
        left = middle if decades >= 0 else middle - length
        colour = MET if goal.met else MISSED
        said = "-" if found is None else f"{found:.2g} x" if found < 100 else "> 100 x"
        rows.append(
            f'<text x="4" y="{top + 12}">{escape(goal.name[:95])}</text>'
            f'<rect x="{left:.1f}" y="{top}" width="{max(length, 1):.1f}" height="{ROW - 6}" '
            f'fill="{colour}"/>'
            f'<text x="{WIDTH - 56}" y="{top + 12}">{said}</text>'
        )
    line = f'<line x1="{middle}" y1="0" x2="{middle}" y2="{height}" stroke="#444"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
    paper = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join(
        [head + 'font-family="sans-serif" font-size="11">', paper, *rows, line, "</svg>", ""]
    )


def _said(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    text = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    return f"{text} {unit}".strip()
