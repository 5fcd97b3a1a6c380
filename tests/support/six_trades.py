"""The six trades of docs/indicators.md, for the tests that compute each card's example."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orderflow import footprint
from orderflow.footprint import FootprintBar
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import TradeBatch
from processor.minute import fresh_minute

Trade = tuple[int, int, bool]
"""(price in ticks, quantity in lots, buyer is the aggressor)."""

SIX_TRADES: tuple[Trade, ...] = (
    (100, 4, True),
    (101, 10, False),
    (101, 2, True),
    (102, 6, True),
    (103, 3, False),
    (100, 1, False),
)
INSTRUMENT = Instrument("v", Market.SPOT, "ABC", "A", "BC", Decimal(1), Decimal(1))


def bar_of(
    trades: Sequence[Trade], start_ms: int = 0, first_id: int = 1, row_ticks: int = 1
) -> FootprintBar:
    """One minute whose trades are a millisecond apart; empty without trades."""
    minute = fresh_minute(INSTRUMENT, start_ms, row_ticks)
    count = len(trades)
    if count:
        ids = list(range(first_id, first_id + count))
        batch = TradeBatch(
            INSTRUMENT.name,
            ids,
            [start_ms + k for k in range(count)],
            [trade[0] for trade in trades],
            [trade[1] for trade in trades],
            [int(trade[2]) for trade in trades],
            first_trade_id=ids,
            last_trade_id=ids,
        )
        minute.add_run(batch, 0, count)
    return minute.bar(INSTRUMENT)


def one_a_bar(step_ms: int = MINUTE_MS) -> list[FootprintBar]:
    """The six trades in six bars, one every `step_ms`."""
    return [bar_of([trade], k * step_ms, k + 1) for k, trade in enumerate(SIX_TRADES)]


def whole() -> FootprintBar:
    """The six trades in one minute, on rows of 1."""
    return footprint.then([bar_of(SIX_TRADES)])


def six_places(value: Decimal | None) -> str:
    """A number as the cards write it."""
    assert value is not None
    return f"{value.quantize(Decimal('0.000001'))}"


def listed(values: Sequence[object]) -> str:
    """Values as the cards write them."""
    return ", ".join(map(str, values)) or "none"
