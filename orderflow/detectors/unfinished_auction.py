"""Unfinished auction: both sides traded well at the bar's extreme row."""

from __future__ import annotations

from orderflow.detectors.claims import steps
from orderflow.detectors.rule import Finding, Look, Rule
from orderflow.indicators.diagonal_imbalance import minimum_of
from orderflow.indicators.unfinished_auction import unfinished_auctions

LEAST_ROWS = 3


def find(look: Look) -> list[Finding]:
    """The high as `buy`, the low as `sell`; bars of fewer rows have no extreme to speak of."""
    rows = look.bar.rows
    if len(rows) < LEAST_ROWS:
        return []
    minimum = minimum_of(rows)
    return [
        Finding(
            "buy" if auction.at == "high" else "sell",
            look.row_price(auction.row),
            {
                "at": auction.at,
                "buy_volume": look.size(auction.buy_lots),
                "sell_volume": look.size(auction.sell_lots),
                "minimum_volume": look.size(minimum),
            }
            | steps(look),
        )
        for auction in unfinished_auctions(look.bar, minimum_lots=minimum)
    ]


RULE = Rule(
    kind="unfinished_auction",
    version=1,
    timeframes=("15m", "1h"),
    find=find,
    meaning=(
        "Each side traded at least the bar's median row volume in its extreme row, so the auction "
        "there was not finished when the bar ended; buy = at the high, sell = at the low."
    ),
)
