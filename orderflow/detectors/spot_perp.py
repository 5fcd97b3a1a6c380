"""Spot against perpetual: their aggressors took opposite sides over one bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import Finding, Look, Rule
from orderflow.indicators.spot_perp import Leg, spot_perp

LEAST_PCT = 10


def find(look: Look) -> list[Finding]:
    """Minutes of both markets of the venue; silent while one is unknown or undecided."""
    flow = look.bar.flow
    minutes = look.markets(flow.start_ms, flow.end_ms)
    if minutes is None:
        return []
    found = spot_perp(minutes.spot, minutes.perp, minimum_pct=LEAST_PCT)
    if found.diverges is not True:
        return []
    body = {
        "state": found.state,
        "spot": minutes.spot_name,
        "spot_cvd_quote": _text(found.spot.cvd_quote),
        "spot_volume_quote": _text(found.spot.volume_quote),
        "spot_cvd_pct": _text(found.spot.cvd_pct),
        "perp_cvd_quote": _text(found.perp.cvd_quote),
        "perp_volume_quote": _text(found.perp.volume_quote),
        "perp_cvd_pct": _text(found.perp.cvd_pct),
        "minimum_pct": LEAST_PCT,
        "correlation": _text(found.correlation),
        "minutes": found.steps,
    }
    side = _side(found.perp)
    return [Finding(side, look.price(flow.close_ticks), body | steps(look))]


def _side(leg: Leg) -> Literal["buy", "sell"]:
    return "buy" if leg.direction > 0 else "sell"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


RULE = Rule(
    kind="spot_perp_divergence",
    version=1,
    timeframes=("5m", "1h"),
    find=find,
    meaning=(
        "Spot and perpetual of one venue have opposite signs of delta in quote currency, each at "
        "least 10 % of its volume; an event of the perpetual; side = the perpetual's aggressors."
    ),
    across=True,
)
