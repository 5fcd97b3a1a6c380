"""From the evidence of an indicator to the claim of an event."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from orderflow import evidence as facts
from orderflow.detectors.rule import Finding, Look
from orderflow.event import Direction


def claim(
    look: Look, found: facts.Evidence, price: Decimal | None, side: Direction | None = None
) -> Finding:
    """The checks with their numbers and thresholds; ticks and lots next to their sizes."""
    body: dict[str, Any] = {
        "checks": [
            {
                "name": check.name,
                "value": _text(check.value),
                "relation": check.relation,
                "threshold": _text(check.threshold),
                "held": check.held,
            }
            for check in found.checks
        ],
        "numbers": {name: _text(value) for name, value in found.numbers},
        "context_bars": found.context_bars,
    } | steps(look)
    compared = len(look.before) if found.context_bars else 0
    return Finding(side or found.side, price, body, compared=compared)


def steps(look: Look) -> dict[str, str]:
    """What ticks, lots and rows are worth."""
    flow = look.bar.flow
    return {
        "tick_size": f"{flow.tick_size:f}",
        "lot_size": f"{flow.lot_size:f}",
        "row_size": f"{look.bar.row_size:f}",
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
