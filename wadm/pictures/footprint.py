"""Footprint: what was sold and bought at every price of every bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wadm.pictures.style import BUY, FAINT, INK, SELL, Heading, quiet_axes, sheet

MOST_WRITTEN_ROWS = 90
"""Beyond this many rows numbers would run into each other: only colours are drawn."""


def draw(answer: dict[str, Any], heading: Heading) -> Figure:
    """The picture of footprint bars with rows and numbers as strings."""
    bars = answer["bars"]
    rows = [(Decimal(b["row_size"]), Decimal(p[0])) for b in bars for p in b["rows"] or ()]
    low = min((price for _, price in rows), default=Decimal(0))
    high = max((price + size for size, price in rows), default=Decimal(1))
    step = min((size for size, _ in rows), default=Decimal(1))
    count = int((high - low) / step)
    figure = sheet(
        heading, max(7.5, 1.6 + 1.05 * len(bars)), min(16.0, max(4.0, 1.8 + 0.17 * count))
    )
    axes = figure.subplots()
    quiet_axes(axes)
    axes.set_ylim(float(low), float(high))
    axes.set_xlim(-0.5, max(len(bars), 1) - 0.5)
    for place, bar in enumerate(bars):
        _bar(axes, place, bar, written=count <= MOST_WRITTEN_ROWS)
    axes.set_xticks(range(len(bars)), [_foot(bar) for bar in bars], fontsize=7.5)
    axes.set_xlabel(
        f"{'sold | bought per row; ' if count <= MOST_WRITTEN_ROWS else ''}"
        "outlined: POC; blue: more bought, orange: more sold (UTC)",
        color=INK,
    )
    return figure


def _foot(bar: dict[str, Any]) -> str:
    """Time, delta and state below a bar."""
    state = bar["state"].replace("_", " ")
    return f"{bar['period_start'][11:16]}\nΔ {bar['delta']}\n{state}{'' if bar['final'] else ' …'}"


def _bar(axes: Axes, place: int, bar: dict[str, Any], *, written: bool) -> None:
    """Cells coloured by the share of the row's delta in the bar's largest row."""
    size = float(bar["row_size"])
    rows = bar["rows"] or ()
    most = max((Decimal(row[1]) + Decimal(row[2]) for row in rows), default=Decimal(0))
    for price, bought, sold, _ in rows:
        delta = Decimal(bought) - Decimal(sold)
        share = float(abs(delta) / most) if most else 0.0
        is_poc = bar["poc"] is not None and Decimal(price) == Decimal(bar["poc"])
        cell = Rectangle(
            (place - 0.46, float(price)),
            0.92,
            size,
            facecolor=BUY if delta >= 0 else SELL,
            alpha=0.08 + 0.6 * share,
            linewidth=0,
        )
        cell.set_gid(f"cell-{bar['period_start']}-{price}")
        axes.add_patch(cell)
        outline = Rectangle(
            (place - 0.46, float(price)),
            0.92,
            size,
            fill=False,
            edgecolor=INK if is_poc else FAINT,
            linewidth=1.4 if is_poc else 0.3,
            zorder=3 if is_poc else 2,
        )
        if is_poc:
            outline.set_gid(f"poc-{bar['period_start']}")
        axes.add_patch(outline)
        if written:
            axes.text(
                place,
                float(price) + size / 2,
                f"{_short(sold)} | {_short(bought)}",
                ha="center",
                va="center",
                fontsize=6.5,
                color=INK,
                clip_on=True,
            )


def _short(text: str) -> str:
    """A volume in at most about five characters; exact ones are in the answer itself."""
    value = Decimal(text)
    if value == 0:
        return "0"
    for edge, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= edge:
            return f"{(value / edge):.4g}{unit}"
    return f"{value:.3g}" if value < 1 else f"{value:.4g}"
