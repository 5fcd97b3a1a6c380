"""A made-up whole market: 1,500 instruments of both venues, heavy-tailed, with one burst.

`python -m bench.market_tape COUNT SECONDS BURST_AT` plays it in real time as both venues and prints
the settings that lead there. Rates follow a power of the rank: with 3,000 trades a second in all,
which is what performance notes of both venues' averages give for so many instruments, the largest
has 170 a second (97 were counted on BTCUSDT perpetual in a busy minute) and the smallest one in two
seconds. Trades come in clusters of two on average within some milliseconds, as taker orders do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.columns import BUYER, EMIT, EVENT, FIRST, KEY, LAST, PRICE, QTY, SEQ
from simulator.instrument import TapeInstrument
from simulator.limits import Limits
from simulator.service import Simulator
from simulator.tape import Tape, Track, empty_rows

TRADES_PER_S = 3_000.0
POWER = 0.8
BURST_TIMES = 10
BURST_S = 5
CLUSTER = 2.0
TICK_S = 0.02
LEAD_MS = 3_000
"""The first trades are this far in the future of a tape made now."""
MARKETS = (
    ("binance", "perp", 6),
    ("bybit", "perp", 5),
    ("binance", "spot", 5),
    ("bybit", "spot", 4),
)
"""Venues, markets, and how many of 20 instruments are there."""
Ints = NDArray[np.int64]


def instruments(count: int) -> list[TapeInstrument]:
    """The largest first, spread over the markets."""
    places = [place[:2] for place in MARKETS for _ in range(place[2])]
    found = []
    for number in range(count):
        venue, market = places[number * 7 % len(places)]
        symbol = f"C{number:04}USDT"
        found.append(
            TapeInstrument(venue, market, symbol, symbol[:-4], "USDT", "0.01", "0.001", 2, 3, 2, 3)
        )
    return found


def rates(count: int) -> NDArray[np.float64]:
    """Trades a second of each, largest first; per instrument the same for any count."""
    weights = np.arange(1, count + 1) ** -POWER
    whole = np.arange(1, 1_501) ** -POWER
    found: NDArray[np.float64] = weights * TRADES_PER_S / whole.sum()
    return found


def tape(count: int, start_ms: int, seconds: int, burst_at: int, seed: int = 5) -> Tape:
    """All tracks."""
    draw = np.random.default_rng(seed)
    tracks = []
    for item, rate in zip(instruments(count), rates(count), strict=True):
        times = _times(draw, rate, seconds, burst_at)
        tracks.append(_track(draw, item, start_ms + times))
    return Tape(tuple(tracks), "a whole market, made up")


def _times(draw: np.random.Generator, rate: float, seconds: int, burst_at: int) -> Ints:
    """Milliseconds of trades: clusters at random, ten times as many while the burst lasts."""
    parts = [np.array([0])]
    for begin, length, times in ((0, seconds, 1), (burst_at, BURST_S, BURST_TIMES - 1)):
        clusters = draw.poisson(rate * times / CLUSTER * length)
        begins = draw.uniform(begin, begin + length, clusters) * 1_000
        sizes = draw.geometric(1 / CLUSTER, clusters)
        spread = draw.exponential(4.0, int(sizes.sum()))
        parts.append((np.repeat(begins, sizes) + spread).astype(np.int64))
    found: Ints = np.sort(np.concatenate(parts))
    return found


def _track(draw: np.random.Generator, item: TapeInstrument, at: Ints) -> Track:
    count = len(at)
    data = empty_rows(count)
    data[EVENT], data[EMIT] = at, at + 1
    walk = draw.choice((-1, 0, 0, 0, 1), count).cumsum()
    data[PRICE] = np.maximum(100, draw.integers(1_000, 5_000_000) + walk)
    data[QTY] = draw.integers(1, 9_000, count)
    data[BUYER] = draw.integers(0, 2, count)
    first = {"bybit": 2_290_000_000_000_000_000}.get(item.venue, 10**9)
    keys = first + np.arange(count) if (item.venue, item.market) != ("bybit", "perp") else None
    data[KEY] = np.arange(1, count + 1) if keys is None else keys
    data[FIRST] = data[LAST] = data[KEY]
    data[SEQ] = 10**11 + np.arange(count)
    return Track(item, data, is_aggregated=item.venue == "binance")


async def play(count: int, seconds: int, burst_at: int) -> None:
    """Until stdin ends; one line of settings, then `now` for every line read."""
    began = time.monotonic()
    start_ms = time.time_ns() // 1_000_000 + LEAD_MS + count * 2
    made = tape(count, start_ms, seconds, burst_at)
    ready_ms = start_ms - time.time_ns() // 1_000_000
    limits = Limits(weight_per_minute=10**9 if "BENCH_FAST_START" in os.environ else None)
    simulator = Simulator([made], speed=1, start_after=0, limits=limits)
    simulator.player.tick_s = TICK_S
    await asyncio.sleep(max(0, ready_ms) / 1_000)
    async with simulator:
        await simulator.started.wait()
        said: dict[str, Any] = {
            "urls": simulator.urls,
            "tape_ms": simulator.clock_ms(),
            "monotonic_ms": time.monotonic_ns() / 1e6,
            "start_ms": start_ms,
            "made_s": time.monotonic() - began,
        }
        print(json.dumps(said), flush=True)
        loop = asyncio.get_running_loop()
        while (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            stats = simulator.stats
            found = {"cpu_s": time.process_time(), "kicks": dict(stats.kicks)}
            found |= {"refused": stats.refused_connects, "connects": dict(stats.connects)}
            found |= {"sent": sum(stats.trades.values())}
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(play(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
