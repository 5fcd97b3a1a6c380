"""Large trades: prints of a size that was rare in the bars before, never in the bar itself."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.size_distribution import bounds
from orderflow.series import with_current
from orderflow.tail import Tail, most_dropped, prints_of, tail

WINDOW = 60
PCT = 99
LEAST_PRINTS = 1_000

CARD = RuleCard(
    name="large_trades",
    version=1,
    family="flow",
    summary="Prints of a size that was rare in the bars before.",
    formula=(
        "threshold = p99 of the notional of the prints of the 60 bars before; large: notional >= "
        "threshold; or a fixed threshold in quote units"
    ),
    units="quote units; prints with time, price in ticks, quantity in lots and aggressor",
    parameters=(
        Parameter("pct", "99", "percent", "percentile of the earlier prints by notional"),
        Parameter(
            "least_prints", "1000", "prints", "earlier prints without which there is no threshold"
        ),
        Parameter("fixed_quote", "none", "quote units", "a fixed threshold instead"),
    ),
    ties=(
        "equality is large; under 1,000 earlier prints there is no threshold; where the kept "
        "prints don't reach down to p99, the least number p99 can't exceed counts (exact: false)"
    ),
    edges=(
        "The bar itself never sets its own threshold.",
        "A minute keeps its largest prints, one in a hundred, at most 32; complete says that no "
        "other was large.",
        "Give minutes of one stream: of longer or merged bars nobody knows what was dropped.",
    ),
    merging="Classes add exactly; large prints are found minute by minute and stream by stream.",
    evidence="Where and when unusually large prints hit the tape.",
    not_evidence="Whales: an aggregate of the venue may bundle several orders.",
    source="tradetropy 0.3.1 detect_large_trades (causal trailing percentile)",
    example=Example(
        "The first five trades a bar each, the sixth current, p50, least 1.",
        (
            ("threshold", "400 (exact)"),
            ("large", "none"),
            ("complete", "true"),
        ),
    ),
)


class Large(msgspec.Struct, frozen=True):
    """One large print."""

    event_ms: int
    price_ticks: int
    qty_lots: int
    side: Literal["buy", "sell"]
    quote: Decimal


class LargeTrades(msgspec.Struct, frozen=True):
    """Large prints of a bar in time order, largest first within a millisecond.

    `threshold` is None when too little is known. `complete`: no other print of the bar was large.
    """

    threshold: Tail | None
    trades: tuple[Large, ...]
    buy_lots: int
    sell_lots: int
    complete: bool


def large_trades(
    current: FootprintBar,
    earlier: Sequence[FootprintBar],
    *,
    pct: int = PCT,
    least_prints: int = LEAST_PRINTS,
    fixed_quote: Decimal | None = None,
) -> LargeTrades:
    """Large prints of `current`, a minute; MergeError when a bar of `earlier` isn't earlier."""
    before, bar = with_current(earlier, current)
    if fixed_quote is None:
        limit = tail(before, pct)
        if limit is not None and limit.prints < least_prints:
            limit = None
    else:
        limit = Tail(fixed_quote, exact=True, prints=0)
    if limit is None:
        return LargeTrades(None, (), 0, 0, complete=False)
    found = [trade for trade in _kept(bar) if trade.quote >= limit.quote]
    possible = sum(count for k, count in prints_of(bar).items() if bounds(k)[1] > limit.quote)
    dropped = most_dropped(bar)
    below = dropped is not None and bar.flow.quote(dropped) < limit.quote
    return LargeTrades(
        limit,
        tuple(sorted(found, key=lambda t: (t.event_ms, -t.quote, t.price_ticks, t.side))),
        sum(trade.qty_lots for trade in found if trade.side == "buy"),
        sum(trade.qty_lots for trade in found if trade.side == "sell"),
        complete=possible == len(found) or below,
    )


def _kept(bar: FootprintBar) -> list[Large]:
    return [
        Large(
            trade.event_ms,
            trade.price_ticks,
            trade.qty_lots,
            "buy" if trade.side == 1 else "sell",
            bar.flow.quote(trade.price_ticks * trade.qty_lots),
        )
        for trade in bar.largest
    ]
