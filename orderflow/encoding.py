"""Bars to plain data and back: what stores keep. Rows are arrays, never maps keyed by price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orderflow.completeness import Gap, Quality, State
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.prints import Print

INT64_MAX = 2**63 - 1
FLOW_FIELDS = tuple(
    name for name in FlowBar.__struct_fields__ if name not in {"tick_size", "lot_size"}
)
QUALITY_FIELDS = tuple(name for name in Quality.__struct_fields__ if name not in {"state", "gaps"})


def flow_to_body(bar: FlowBar, quality: Quality) -> dict[str, Any]:
    """A flow bar and its evidence as plain data."""
    return {
        "tick_size": str(bar.tick_size),
        "lot_size": str(bar.lot_size),
        "flow": [_small(getattr(bar, name)) for name in FLOW_FIELDS],
        "quality": _quality_to_body(quality),
    }


def flow_from_body(body: Mapping[str, Any]) -> tuple[FlowBar, Quality]:
    """The inverse of `flow_to_body`."""
    values = dict(zip(FLOW_FIELDS, body["flow"], strict=True))
    for name in ("buy_quote", "sell_quote", "square_quote"):
        values[name] = int(values[name])
    bar = FlowBar(
        tick_size=Decimal(body["tick_size"]), lot_size=Decimal(body["lot_size"]), **values
    )
    return bar, _quality_from_body(body["quality"])


def bar_to_body(bar: FootprintBar, quality: Quality) -> dict[str, Any]:
    """A footprint bar and its evidence as plain data; rows as distances and three columns."""
    body = flow_to_body(bar.flow, quality)
    rows = sorted(bar.rows)
    steps = [row - before for row, before in zip(rows, [0, *rows], strict=False)]
    body["row_size"] = str(bar.row_size)
    body["rows"] = [steps, *([bar.rows[row][column] for row in rows] for column in range(3))]
    body["sizes"] = [[number, *cell] for number, cell in sorted(bar.sizes.items())]
    body["largest"] = [[item.event_ms - bar.flow.start_ms, *item[1:]] for item in bar.largest]
    return body


def bar_from_body(body: Mapping[str, Any]) -> tuple[FootprintBar, Quality]:
    """The inverse of `bar_to_body`."""
    flow, quality = flow_from_body(body)
    rows: dict[int, tuple[int, int, int]] = {}
    row = 0
    for step, buy, sell, trades in zip(*body["rows"], strict=True):
        row += step
        rows[row] = (buy, sell, trades)
    sizes = {number: (b, s, n, m) for number, b, s, n, m in body["sizes"]}
    largest = tuple(Print(flow.start_ms + after, *rest) for after, *rest in body["largest"])
    return FootprintBar(flow, Decimal(body["row_size"]), rows, sizes, largest), quality


def _small(value: Any) -> Any:
    """Integers beyond 64 bits become strings, which every store can hold."""
    return str(value) if isinstance(value, int) and abs(value) > INT64_MAX else value


def _quality_to_body(quality: Quality) -> dict[str, Any]:
    body: dict[str, Any] = {
        "state": str(quality.state),
        "is": [getattr(quality, name) for name in QUALITY_FIELDS],
    }
    if quality.gaps:
        body["gaps"] = [
            [gap.start_ms, gap.end_ms, gap.reason, gap.first_key, gap.last_key]
            for gap in quality.gaps
        ]
    return body


def _quality_from_body(body: Mapping[str, Any]) -> Quality:
    return Quality(
        state=State(body["state"]),
        gaps=tuple(Gap(*gap) for gap in body.get("gaps", ())),
        **dict(zip(QUALITY_FIELDS, body["is"], strict=True)),
    )
