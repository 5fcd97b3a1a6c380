"""Candles of a tape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import real_day

from simulator.candles import INTERVALS_MS, candle_at, candles_between, product_sum
from simulator.columns import BUYER, EMIT, EVENT, FIRST, LAST, PRICE, QTY
from simulator.decimals import text_of
from simulator.tape import Tape


@pytest.fixture(scope="module")
def golden_day() -> Callable[[Path], Tape]:
    """The real day, read once."""
    return real_day


def test_the_real_day_has_the_venues_own_24_candles(
    shared: Path, golden_day: Callable[[Path], Tape]
) -> None:
    """Hourly candles of the tape equal Binance's in every number, quote volumes included."""
    track = golden_day(shared).tracks[0]
    candles = candles_between(
        track.counted, INTERVALS_MS["1h"], track.start_ms, track.end_ms, track.end_ms
    )
    file = shared / "data" / "binance_vision_20240101" / "btcusdt_spot_1h_2024w01.parquet"
    venue = pd.read_parquet(file).head(24)
    assert len(candles) == 24
    for candle, row in zip(candles, venue.to_dict("records"), strict=True):
        ours = [
            float(text_of(value, 2))
            for value in (candle.open, candle.high, candle.low, candle.close)
        ]
        assert ours == [row["open"], row["high"], row["low"], row["close"]]
        assert candle.trades == row["count"]
        assert float(text_of(candle.volume, 5)) == row["volume"]
        assert float(text_of(candle.buy_volume, 5)) == row["taker_buy_volume"]
        assert float(text_of(candle.quote, 7)) == pytest.approx(row["quote_asset_volume"], abs=1e-6)


def test_the_real_day_read_whole(shared: Path, golden_day: Callable[[Path], Tape]) -> None:
    """Counts and sums of the archive file are the known ones; ids have no break."""
    track = golden_day(shared).tracks[0]
    data = track.given.matrix()
    assert data.shape[1] == 863_403
    assert int((data[LAST] - data[FIRST] + 1).sum()) == len(track.trades) == 1_114_623
    assert text_of(int(data[QTY].sum()), 5) == "27174.29903"
    assert text_of(int(data[QTY, data[BUYER] == 1].sum()), 5) == "14331.7318"
    assert (data[FIRST, 1:] == data[LAST, :-1] + 1).all()
    assert (track.instrument.tick_size, track.instrument.lot_size) == ("0.01", "0.00001")
    assert int(track.trades.column(QTY).sum()) == int(data[QTY].sum())


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=30))
def test_products_sum_exactly(pairs: list[tuple[int, int]]) -> None:
    """Sums beyond 64 bits are exact as well."""
    prices = np.array([p * 10**6 for p, _ in pairs], np.int64)
    sizes = np.array([q * 10**6 for _, q in pairs], np.int64)
    assert product_sum(prices, sizes) == sum(p * q * 10**12 for p, q in pairs)


def test_candles_show_only_what_was_sent(make_tape: Callable[..., Tape], start_ms: int) -> None:
    """An open candle grows with time, a quiet minute repeats the close, the future is not there."""
    tape = make_tape(
        "binance:spot:BTCUSDT",
        [(0, "10.0", "1", True), (500, "12.0", "2", False), (130_000, "11.0", "1", True)],
    )
    columns = tape.tracks[0].counted
    early = candle_at(columns, start_ms, 60_000, start_ms + 100)
    assert early is not None
    assert (early.high, early.trades, early.buy_volume) == (early.open, 1, early.volume)
    found = candles_between(columns, 60_000, 0, start_ms + 10**7, start_ms + 130_000)
    assert [candle.trades for candle in found] == [2, 0, 1]
    assert found[1].open == found[1].close == found[0].close
    assert (found[1].first_id, found[1].last_id) == (-1, -1)
    assert candles_between(columns, 60_000, 0, start_ms, start_ms - 1) == []


def test_longer_candles_are_sums_of_minutes(make_tape: Callable[..., Tape], start_ms: int) -> None:
    """Five minutes have the volume, quote and trades of their minutes."""
    trades = [(n * 7_000, f"{10 + n % 5}.25", f"{1 + n % 3}", n % 2 == 0) for n in range(100)]
    columns = make_tape("binance:spot:BTCUSDT", trades).tracks[0].counted
    now_ms = start_ms + 10**6
    minutes = candles_between(columns, 60_000, 0, now_ms, now_ms)
    fives = candles_between(columns, 300_000, 0, now_ms, now_ms)
    for field in ("volume", "quote", "trades", "buy_volume", "buy_quote"):
        assert sum(getattr(c, field) for c in minutes) == sum(getattr(c, field) for c in fives)
    assert int(columns.column(PRICE).max()) == max(c.high for c in fives)
    assert (columns.column(EMIT) >= columns.column(EVENT)).all()
