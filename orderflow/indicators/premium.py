"""Premium: how much dearer one stream trades than another, in basis points."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, RuleCard

PLACES = Decimal("0.0001")

CARD = RuleCard(
    name="premium",
    version=1,
    family="flow",
    summary="How much dearer one stream trades than another.",
    formula="10^4 x (P_a - P_b) / P_b, with P the last price or the VWAP of the window",
    units="basis points to four places",
    parameters=(),
    ties="null where one of the two didn't trade; last prices may be of different moments",
    edges=(
        ("The last prices may be of different moments; last_gap_ms says by how much."),
        "A stream without trades has no premium.",
    ),
    merging="VWAP exact from merged sums; last price from the later part.",
    evidence="The price difference in the window.",
    not_evidence="Arbitrage: fees, size and time are not in it.",
    source="usual definition of basis and premium; last_gap_ms states the age difference",
    example=Example(
        "The first three trades over the last three.",
        (
            ("last_bps", "100.0000"),
            ("vwap_bps", "-132.2233"),
        ),
    ),
)


class Premium(msgspec.Struct, frozen=True):
    """Premium of a over b. `last_gap_ms`: last trade of a minus last trade of b."""

    last_bps: Decimal | None
    vwap_bps: Decimal | None
    last_gap_ms: int | None


def premium(a: FlowBar, b: FlowBar) -> Premium:
    """Premium of `a` over `b` in the same window and quote currency."""
    gap = None
    if a.last_ms is not None and b.last_ms is not None:
        gap = a.last_ms - b.last_ms
    return Premium(
        _bps(last_price(a), last_price(b)), _bps(average_price(a), average_price(b)), gap
    )


def last_price(bar: FlowBar) -> Decimal | None:
    """The close."""
    return None if bar.close_ticks is None else bar.close_ticks * bar.tick_size


def average_price(bar: FlowBar) -> Decimal | None:
    """The volume-weighted average price, to 28 digits."""
    if not bar.volume_lots:
        return None
    return Decimal(bar.buy_quote + bar.sell_quote) / bar.volume_lots * bar.tick_size


def _bps(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return ((a - b) / b * 10_000).quantize(PLACES) if a is not None and b else None
