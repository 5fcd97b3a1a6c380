"""What the profile cards give for the six trades of docs/indicators.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from six_trades import SIX_TRADES, listed, six_places, whole

from orderflow.indicators import market_profile, vwap

Numbers = dict[str, str]


def of_vwap() -> Numbers:
    bar = whole().flow
    squares = sum(price * price * lots for price, lots, _ in SIX_TRADES)
    amounts = (bar.volume_lots, bar.buy_quote + bar.sell_quote, squares)
    found = vwap.vwap(*map(Decimal, amounts))
    assert found is not None
    return {"vwap": six_places(found[0]), "sigma": six_places(found[1])}


def of_market_profile() -> Numbers:
    brackets = [(price, price) for price, _, _ in SIX_TRADES]
    counts = market_profile.tpo(brackets)
    return {
        "tpo": " ".join(f"{row}:{count}" for row, count in counts.items()),
        "single_prints": listed(market_profile.single_prints(brackets)),
    }


COMPUTED: dict[str, Callable[[], Numbers]] = {
    "vwap": of_vwap,
    "market_profile": of_market_profile,
}
