"""Volume at price: bought and sold beside each other, POC, value area and nodes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from matplotlib.figure import Figure

from wadm.pictures.style import (
    BUY,
    INK,
    NODE,
    POC,
    SELL,
    SELL_HATCH,
    Heading,
    quiet_axes,
    sheet,
)

LINES = (("vah", "vah_high", "VAH", 1.0), ("poc", "poc", "POC", 0.5), ("val", "val", "VAL", 0.0))


def draw(answer: dict[str, Any], heading: Heading) -> Figure:
    """The picture of a full volume-profile answer with numbers as strings."""
    levels = answer["levels"]
    row = Decimal(answer["row_size"])
    figure = sheet(heading, 8.0, min(14.0, max(4.5, 1.6 + 0.11 * len(levels))))
    axes = figure.subplots()
    quiet_axes(axes)
    for level in levels:
        price = Decimal(level["price"])
        middle, height = float(price + row / 2), float(row) * 0.86
        bought, sold = float(level["buy_volume"]), float(level["sell_volume"])
        inside = _inside(price, answer)
        look: dict[str, Any] = {
            "height": height,
            "alpha": 1.0 if inside else 0.55,
            "edgecolor": "white",
        }
        (bar,) = axes.barh(middle, bought, color=BUY, linewidth=0, **look)
        bar.set_gid(f"buy-{level['price']}")
        (bar,) = axes.barh(
            middle, sold, left=bought, color=SELL, hatch=SELL_HATCH, linewidth=0, **look
        )
        bar.set_gid(f"sell-{level['price']}")
        if level["type"] is not None:
            mark = ">" if level["type"] == "HVN" else "<"
            (point,) = axes.plot([0], [middle], mark, color=NODE, markersize=5, clip_on=False)
            point.set_gid(f"{level['type'].lower()}-{level['price']}")
    _lines(axes, answer, float(row))
    for name, colour, hatch in (("bought", BUY, ""), ("sold", SELL, SELL_HATCH)):
        axes.barh([0], [0], color=colour, hatch=hatch, edgecolor="white", label=name, height=0)
    axes.plot([], [], ">", color=NODE, markersize=5, label="HVN")
    axes.plot([], [], "<", color=NODE, markersize=5, label="LVN")
    if levels:
        prices = [Decimal(level["price"]) for level in levels]
        axes.set_ylim(float(min(prices)), float(max(prices) + row))
    axes.set_xlim(left=0)
    axes.set_xlabel(f"volume, rows of {row:f}", color=INK)
    figure.legend(loc="outside lower right", frameon=False, ncols=4)
    return figure


def _inside(price: Decimal, answer: dict[str, Any]) -> bool:
    """Whether a row belongs to the value area."""
    if answer["val"] is None or answer["vah"] is None:
        return True
    return Decimal(answer["val"]) <= price <= Decimal(answer["vah"])


def _lines(axes: Any, answer: dict[str, Any], row: float) -> None:
    """The POC through the middle of its row, VAH and VAL along the edges of the value area."""
    named: dict[float, list[str]] = {}
    for name, shown, label, share in LINES:
        if answer[name] is None:
            continue
        at = float(answer[name]) + row * share
        style = "-" if name == "poc" else "--"
        line = axes.axhline(at, color=POC, linewidth=1.0 if name == "poc" else 0.8, linestyle=style)
        line.set_gid(name)
        near = next((other for other in named if abs(other - at) < row), at)
        named.setdefault(near, []).append(f"{label} {answer[shown]}")
    for at, labels in named.items():
        axes.annotate(
            "\n".join(labels),
            (1.0, at),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=8,
        )
