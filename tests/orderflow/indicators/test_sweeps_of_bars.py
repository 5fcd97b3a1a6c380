"""Sweeps of a bar, counted while its trades are applied."""

from __future__ import annotations

from decimal import Decimal

from six_trades import INSTRUMENT, bar_of

from orderflow.footprint import FootprintBar
from orderflow.indicators.sweeps import Sweeps, sweeps
from orderflow.trade import TradeBatch
from processor.minute import fresh_minute

Timed = tuple[int, int, int, bool]


def bar_at(trades: list[Timed]) -> FootprintBar:
    """Trades of (ms, price, lots, buy) in one minute."""
    minute = fresh_minute(INSTRUMENT, 0, 1)
    ms, prices, lots, buys = (list(column) for column in zip(*trades, strict=True))
    ids = list(range(1, len(trades) + 1))
    batch = TradeBatch(INSTRUMENT.name, ids, ms, prices, lots, [int(buy) for buy in buys])
    minute.add_run(batch, 0, len(trades))
    return minute.bar(INSTRUMENT)


def test_three_prices_in_a_millisecond() -> None:
    """Three prices make a sweep; two, another millisecond or another side don't."""
    up = [(5, 10 + k, 2, True) for k in range(3)]
    assert sweeps(bar_at(up).flow) == Sweeps(1, 6, 0, 6, Decimal(100))
    assert sweeps(bar_at(up[:2]).flow).count == 0
    assert sweeps(bar_at([*up[:2], (6, 12, 2, True)]).flow).count == 0
    assert sweeps(bar_at([*up[:2], (5, 12, 2, False)]).flow).count == 0
    down = [(9, 12 - k, 3, False) for k in range(3)]
    assert sweeps(bar_at([*up, *down]).flow) == Sweeps(2, 6, 9, -3, Decimal(100))
    single = sweeps(bar_at([*up, (7, 5, 6, True)]).flow)
    assert (single.count, single.share_pct) == (1, 50)


def test_nothing_traded() -> None:
    """Without volume there is no share."""
    assert sweeps(bar_of([]).flow) == Sweeps(0, 0, 0, 0, None)
