"""Flow ladder: the pace of delta over nested periods that end together, and its shape."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import msgspec

from orderflow.errors import DomainError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.order_flow import ratio
from orderflow.series import series
from orderflow.timeframe import MINUTE_MS

Shape = Literal["accelerating", "steady", "fading", "flipping", "quiet"]
RUNGS_MS = (MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS)
FASTER_PCT = 150
SLOWER_PCT = 50

CARD = RuleCard(
    name="flow_ladder",
    version=1,
    family="flow",
    summary=(
        "The pace of delta over nested periods that end together, and whether it grows, "
        "fades or turns."
    ),
    formula=(
        "pace = delta / period over 1, 5 and 15 minutes that end together. flipping: newest pace "
        "against the longest one; accelerating: newest >= 150 % of the longest; fading: newest "
        "<= 50 % of it; steady: between; quiet: the longest period nets to 0"
    ),
    units="lots, lots per second to six places",
    parameters=(
        Parameter("rungs_ms", "1, 5 and 15 minutes", "ms", "nested periods, growing"),
        Parameter(
            "faster_pct", "150", "percent", "newest pace against the longest that is accelerating"
        ),
        Parameter("slower_pct", "50", "percent", "newest pace against the longest that is fading"),
    ),
    ties="both thresholds count as reached; a newest pace of 0 is fading",
    edges=(
        ("covered_ms states how much of a period had bars; an empty stretch nets to 0."),
        "Bars that end after end_ms are left out.",
    ),
    merging="Exact: sums of bars; venues add.",
    evidence="How the pace of net aggression changed up to now.",
    not_evidence=(
        "A standard: no public definition is agreed on, the thresholds are this project's own."
    ),
    source="own thresholds; idea and labels: datapuller MCP server (flow at 1, 5, 15 minutes)",
    example=Example(
        "The six trades, one a minute, periods of 1, 2 and 6 minutes.",
        (
            ("shape", "accelerating"),
            ("side", "sell"),
            ("deltas", "-1, -4, -2"),
        ),
    ),
)


class Rung(msgspec.Struct, frozen=True):
    """One period [start_ms, end_ms) of the ladder; `covered_ms` of it had bars."""

    start_ms: int
    end_ms: int
    delta_lots: int
    volume_lots: int
    pace_lots_per_s: Decimal | None
    delta_pct: Decimal | None
    covered_ms: int


class Ladder(msgspec.Struct, frozen=True):
    """Rungs from the shortest period to the longest, and their shape."""

    shape: Shape
    side: Literal["buy", "sell"] | None
    rungs: tuple[Rung, ...]


def flow_ladder(
    bars: Sequence[FlowBar],
    end_ms: int,
    rungs_ms: Sequence[int] = RUNGS_MS,
    *,
    faster_pct: int = FASTER_PCT,
    slower_pct: int = SLOWER_PCT,
) -> Ladder:
    """The ladder of periods that end at `end_ms`, from bars that divide every period.

    `side` is that of the newest period. DomainError when periods aren't growing.
    """
    if not rungs_ms or any(b <= a for a, b in pairwise(rungs_ms)):
        raise DomainError("the periods of a ladder grow")
    checked = [bar for bar in series(bars) if bar.end_ms <= end_ms]
    rungs = tuple(_rung(checked, end_ms - length, end_ms) for length in rungs_ms)
    newest, longest = rungs[0], rungs[-1]
    side: Literal["buy", "sell"] | None = None
    if newest.delta_lots:
        side = "buy" if newest.delta_lots > 0 else "sell"
    return Ladder(_shape(newest, longest, faster_pct, slower_pct), side, rungs)


def _rung(bars: Sequence[FlowBar], start_ms: int, end_ms: int) -> Rung:
    inside = [bar for bar in bars if bar.start_ms >= start_ms]
    total = sum(bar.delta_lots for bar in inside)
    volume = sum(bar.volume_lots for bar in inside)
    return Rung(
        start_ms,
        end_ms,
        total,
        volume,
        ratio(1_000 * total, end_ms - start_ms),
        ratio(100 * total, volume),
        sum(bar.end_ms - bar.start_ms for bar in inside),
    )


def _shape(newest: Rung, longest: Rung, faster_pct: int, slower_pct: int) -> Shape:
    """Paces are compared as cross products, so nothing is rounded."""
    if longest.delta_lots == 0:
        return "quiet" if newest.delta_lots == 0 else "flipping"
    if newest.delta_lots * longest.delta_lots < 0:
        return "flipping"
    new = 100 * abs(newest.delta_lots) * (longest.end_ms - longest.start_ms)
    old = abs(longest.delta_lots) * (newest.end_ms - newest.start_ms)
    if new >= faster_pct * old:
        return "accelerating"
    return "fading" if new <= slower_pct * old else "steady"
