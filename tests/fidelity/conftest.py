"""A small invented market on all four venues for the exchanges' own client libraries."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from simulator.tape import Tape, Track
from simulator.tapes.synthetic import default_markets, synthetic_tape

START_MS = 1_800_000_000_000
WAIT_S = 120.0


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What these libraries leave open is collected where its warnings are ignored: here."""
    yield
    gc.collect()


@pytest.fixture
def market() -> Tape:
    """Two minutes of BTCUSDT and ETHUSDT on Binance and Bybit, spot and perpetual."""
    return synthetic_tape(
        START_MS, markets=default_markets(["BTCUSDT", "ETHUSDT"]), end_ms=START_MS + 120_000
    )


@pytest.fixture
def track_of(market: Tape) -> Callable[[str], Track]:
    """A track of the market by canonical name."""
    tracks = {track.instrument.name: track for track in market.tracks}
    return tracks.__getitem__


@pytest.fixture
def expected(track_of: Callable[[str], Track]) -> Callable[..., list[Any]]:
    """What a client should have received of a market: `(id, price, qty, taker buys)`."""

    def build(name: str, *, raw: bool = False) -> list[Any]:
        track = track_of(name)
        item = track.instrument
        columns = track.trades if raw else track.given
        is_linear = name.startswith("bybit:perp")
        return [
            (
                track.uuid_of(row[5]) if is_linear else str(row[5]),
                Decimal(row[2]).scaleb(-item.price_digits),
                Decimal(row[3]).scaleb(-item.qty_digits),
                row[4] == 1,
            )
            for row in columns.rows(0, len(columns))
        ]

    return build


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait, bounded, until a library has delivered what a test expects."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            # Libraries deliver on threads of their own and offer no event.
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    return wait
