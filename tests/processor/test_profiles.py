"""All rolling windows of a refresh at once are what each of them is alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.completeness import Quality, State
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.grid import served_row
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import HOUR_MS, MINUTE_MS, TIMEFRAMES, floor_ms, rolling
from processor import windows
from processor.grids import Grid, Grids
from processor.stream import Stream

TICK, LOT, ROW = Decimal("0.01"), Decimal("0.001"), Decimal("0.1")
HOUR_RANGE = Decimal(20)
FIRST_MS = 1_735_689_600_000
QUALITY = Quality(State.VERIFIED, MINUTE_MS, MINUTE_MS, True, True, 0, 0)
COIN = Instrument("somewhere", Market.SPOT, "XUSDT", "X", "USDT", TICK, LOT)


def minute(place: int) -> FootprintBar:
    """A minute of three rows that wander; every seventh is empty."""
    start = FIRST_MS + place * MINUTE_MS
    flow = FlowBar(start, start + MINUTE_MS, TICK, LOT)
    if place % 7 == 6:
        return FootprintBar(flow, ROW, {})
    row = 500 + place * 37 % 101
    rows = {row + k: (place % 5 + k, 2, 3) for k in range(3)}
    buy = sum(cell[0] for cell in rows.values())
    values = {"buy_lots": buy, "sell_lots": 6, "buy_trades": 4, "sell_trades": 5, "records": 9}
    at = {"open_ticks": row * 10, "close_ticks": row * 10 + 20, "first_ms": start, "last_ms": start}
    ends = {"low_ticks": row * 10, "high_ticks": row * 10 + 29, "first_name": COIN.name}
    deltas = {"min_delta_lots": -6, "max_delta_lots": buy, "cot_high_lots": 1, "cot_low_lots": -1}
    fields = {**values, **at, **ends, **deltas, "last_name": COIN.name}
    return FootprintBar(FlowBar(start, start + MINUTE_MS, TICK, LOT, **fields), ROW, rows)


def kept(minutes: int) -> Stream:
    """A stream that closed so many minutes; hours that windows begin in are filled again."""
    stream = Stream(COIN, Grids(Grid(ROW, HOUR_RANGE), fixed=True))
    bars = [minute(place) for place in range(minutes)]
    for bar in bars:
        stream.history.put(bar, QUALITY)
        stream.history.tidy(bar.flow.start_ms)
    for hour in list(stream.history.wanted):
        found = [bar for bar in bars if floor_ms(bar.flow.start_ms, HOUR_MS) == hour]
        stream.history.fill(hour, [(bar, QUALITY) for bar in found])
    stream.next_close_ms = bars[-1].flow.end_ms
    return stream


@given(st.integers(1, 1_700))
@settings(max_examples=6, deadline=None)
def test_windows_of_a_refresh_are_those_asked_alone(minutes: int) -> None:
    """The rows, on its served ones, of every timeframe, however long the history; no flow."""
    stream = kept(minutes)
    end = FIRST_MS + minutes * MINUTE_MS
    found = windows.profiles(stream, end)
    assert set(found) == set(TIMEFRAMES)
    for name, length in TIMEFRAMES.items():
        row = served_row(ROW, HOUR_RANGE, name)
        window = rolling(end - 1, length)
        alone = windows.footprint_of(stream, window, end, depth="rows", row_size=row)
        assert alone is not None
        assert found[name].row_size == row
        assert found[name].rows == alone[0].coarsened(row).rows
        assert found[name].flow.empty
        assert found[name].flow.lot_size == LOT
        assert (found[name].flow.start_ms, found[name].flow.end_ms) == (
            window.start_ms,
            window.end_ms,
        )
