"""The invented market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simulator.columns import EMIT, EVENT, FIRST, KEY, LAST, PRICE, QTY
from simulator.service import Simulator
from simulator.tapes.synthetic import KEEP_ROWS, Market, default_markets, synthetic_tape

START_MS = 1_800_000_000_000
MINUTES_10 = 600_000


def test_the_same_seed_is_the_same_market() -> None:
    """Rows depend on seed and market, not on when or in what pieces they are asked for."""
    whole = synthetic_tape(START_MS, seed=7, end_ms=START_MS + MINUTES_10)
    pieces = synthetic_tape(START_MS, seed=7)
    for until in range(START_MS, START_MS + MINUTES_10 + 1, 7_777):
        for track in pieces.tracks:
            track.ensure(until)
    for one, other in zip(whole.tracks, pieces.tracks, strict=True):
        rows = len(one.given)
        assert np.array_equal(one.given.matrix(), other.given.matrix(0, rows))
    another = synthetic_tape(START_MS, seed=8, end_ms=START_MS + MINUTES_10)
    assert len(another) != len(whole)


def test_it_looks_like_a_market() -> None:
    """Forty markets with bursts, both sides, consecutive ids, many sizes and moving prices."""
    tape = synthetic_tape(START_MS, end_ms=START_MS + MINUTES_10)
    assert len(tape.instruments) == len(set(tape.instruments)) == 40
    for track in tape.tracks[:8]:
        data = track.given.matrix()
        assert (np.diff(data[KEY]) == 1).all()
        assert (np.diff(data[EMIT]) >= 0).all()
        assert (data[EMIT] >= data[EVENT]).all()
        assert data[PRICE].min() > 0
        assert data[QTY].min() > 0
        per_second = np.bincount((data[EVENT] - START_MS) // 1000)
        assert per_second.max() > 5 * per_second.mean()
        assert len(set(data[QTY].tolist())) > 50
        if track.instrument.venue == "binance":
            assert (data[FIRST, 1:] == data[LAST, :-1] + 1).all()
            assert int(track.trades.column(QTY).sum()) == int(data[QTY].sum())
    busy = tape.tracks[0].given.matrix()
    assert 1e-4 < busy[PRICE].std() / busy[PRICE].mean() < 0.05


@pytest.mark.slow
@pytest.mark.unmeasured
def test_an_endless_market_forgets_its_oldest_trades() -> None:
    """Memory is bounded; row numbers and both forms stay consistent."""
    market = Market("binance:spot:BTCUSDT", "0.01", "0.00001", 60_000.0, 2_000.0, 0.01)
    (track,) = synthetic_tape(START_MS, markets=[market]).tracks
    assert track.endless
    track.ensure(START_MS + 1_000)
    assert len(track.trades) >= len(track.given)
    until = START_MS
    while track.given.dropped == 0:
        until += 20_000
        track.ensure(until)
    assert track.given.matrix().shape[1] <= 3 * KEEP_ROWS
    last = track.given.rows(len(track.given) - 1, len(track.given))[0]
    assert last[LAST] == int(track.trades.column(KEY)[-1])
    with pytest.raises(ValueError, match="at least one market"):
        synthetic_tape(START_MS, markets=[])


async def test_it_plays_live_at_once_on_all_markets(listen: Callable[..., Any]) -> None:
    """Without waiting for anybody, at real speed, from the time it was given."""
    tape = synthetic_tape(START_MS, markets=default_markets(["BTCUSDT"]), rate=5.0)
    async with Simulator([tape], speed=1.0) as sim:
        subscribe = {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}
        async with (
            listen(f"{sim.urls['binance_spot_ws_url']}/ws/btcusdt@aggTrade") as spot,
            listen(f"{sim.urls['binance_usdm_ws_url']}/market/ws/btcusdt@aggTrade") as usdm,
            listen(f"{sim.urls['bybit_ws_url']}/v5/public/linear", subscribe) as bybit,
        ):
            for reader, kind in ((spot, "aggTrade"), (usdm, "aggTrade"), (bybit, "publicTrade")):
                await reader.until(lambda r=reader, k=kind: len(r.events(k)) > 2)
        assert 0 < sim.clock_ms() - START_MS < 20_000
        assert not sim.finished.is_set()
