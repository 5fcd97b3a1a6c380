"""Order flow over time: price, delta and cumulative delta, with a strip of completeness."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from orderflow.completeness import State
from wadm.pictures.style import (
    BUY,
    FAINT,
    INK,
    SELL,
    SELL_HATCH,
    STATE_SHADES,
    Heading,
    quiet_axes,
    sheet,
)

HEIGHTS = (3.0, 1.6, 1.3, 0.16)


def _number(moment: str) -> float:
    return float(date2num(datetime.fromisoformat(moment)))  # type: ignore[no-untyped-call]


def draw(answer: dict[str, Any], heading: Heading) -> Figure:
    """The picture of a history of order flow with numbers as strings."""
    items = answer["items"]
    figure = sheet(heading, 9.0, 6.2)
    prices, deltas, sums, strip = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": HEIGHTS}
    )
    for axes in (prices, deltas, sums):
        quiet_axes(axes)
    running = 0.0
    edges: list[float] = []
    totals: list[float] = []
    for item in items:
        start, end = _number(item["period_start"]), _number(item["period_end"])
        key, width, middle = item["period_start"], (end - start) * 0.8, (start + end) / 2
        _candle(prices, item, middle, width)
        delta = float(item["delta"])
        (bar,) = deltas.bar(
            middle,
            delta,
            width=width,
            color=BUY if delta >= 0 else SELL,
            hatch="" if delta >= 0 else SELL_HATCH,
            edgecolor="white",
            linewidth=0,
        )
        bar.set_gid(f"delta-{key}")
        running += delta
        edges += [start, end]
        totals += [running, running]
        shade, hatch = STATE_SHADES[_state(item)]
        (cell,) = strip.bar(
            middle, 1, width=end - start, color=shade, hatch=hatch, edgecolor=FAINT, linewidth=0.4
        )
        cell.set_gid(f"state-{key}")
    (line,) = sums.plot(edges, totals, color=INK, linewidth=1.4)
    line.set_gid("sums")
    for axes in (deltas, sums):
        axes.axhline(0, color=FAINT, linewidth=0.8)
    _labels(figure, (prices, deltas, sums, strip), items)
    return figure


def _state(item: dict[str, Any]) -> State:
    quality = item["quality"]
    text = quality["completeness"]["state"] if "completeness" in quality else quality["state"]
    return State(text) if text in set(State) else State.UNKNOWN


def _candle(axes: Axes, item: dict[str, Any], middle: float, width: float) -> None:
    """Open to close as a body, high to low as a wick; nothing where nothing traded."""
    if item["close"] is None:
        return
    opened, high, low, close = (float(item[name]) for name in ("open", "high", "low", "close"))
    rising = close >= opened
    axes.plot([middle, middle], [low, high], color=INK, linewidth=0.8, zorder=1)
    (body,) = axes.bar(
        middle,
        abs(close - opened),
        bottom=min(opened, close),
        width=width,
        color=BUY if rising else SELL,
        hatch="" if rising else SELL_HATCH,
        edgecolor=INK,
        linewidth=0.5,
        zorder=2,
    )
    body.set_gid(f"candle-{item['period_start']}")


def _labels(figure: Figure, every: tuple[Axes, ...], items: list[dict[str, Any]]) -> None:
    for axes, label in zip(every, ("price", "delta", "sum of delta", ""), strict=True):
        axes.set_ylabel(label, color=INK)
    strip = every[-1]
    strip.set_ylim(0, 1)
    strip.set_yticks([])
    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    strip.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    strip.xaxis.set_major_formatter(formatter)
    strip.set_xlabel("UTC", color=INK)
    strip.set_ylabel("proof", color=INK, rotation=0, ha="right", va="center")
    present = {_state(item) for item in items}
    handles = []
    for state in (state for state in State if state in present):
        shade, hatch = STATE_SHADES[state]
        label = str(state).replace("_", " ")
        handles.append(Patch(facecolor=shade, hatch=hatch, edgecolor=FAINT, label=label))
    figure.legend(handles=handles, loc="outside lower right", frameon=False, ncols=5)
    figure.align_ylabels(list(every))
