"""What the flow and footprint cards give for the six trades of docs/indicators.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from six_trades import SIX_TRADES, listed, six_places, whole

from orderflow.indicators import diagonal_imbalance, impact

Numbers = dict[str, str]


def of_diagonal_imbalance() -> Numbers:
    found = diagonal_imbalance.diagonal_imbalances(whole().rows)
    return {
        "buy_rows": listed([i.row for i in found if i.side == "buy"]),
        "sell_rows": listed([i.row for i in found if i.side == "sell"]),
        "zero_opponent": listed([i.row for i in found if i.zero_opponent]),
        "stacked": "none" if not diagonal_imbalance.stacked(found, "buy") else "some",
    }


def of_impact() -> Numbers:
    prices = [Decimal(price) for price, _, _ in SIX_TRADES]
    signed = [Decimal(lots if buy else -lots) for _, lots, buy in SIX_TRADES]
    return {
        "kyle_lambda": six_places(impact.kyle_lambda(prices, signed)),
        "roll_spread": six_places(impact.roll_spread(prices)),
        "tick_rule": " ".join(map(str, impact.tick_rule(prices))),
    }


COMPUTED: dict[str, Callable[[], Numbers]] = {
    "diagonal_imbalance": of_diagonal_imbalance,
    "impact": of_impact,
}
