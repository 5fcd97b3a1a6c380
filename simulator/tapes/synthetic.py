"""An invented market without end, from a seed: usable where there is no file and no network.

Taker orders come in bursts (a self-exciting rate), sweep a few price levels and have heavy-tailed
sizes; all markets of one base coin follow one price path with their own small deviations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from simulator.candles import MINUTE_MS
from simulator.columns import (
    BUYER,
    EMIT,
    EVENT,
    FIRST,
    KEY,
    LAST,
    PRICE,
    QTY,
    SEQ,
    Columns,
    Ints,
    split,
)
from simulator.decimals import decimals, scaled
from simulator.instrument import TapeInstrument, parse_name, split_symbol
from simulator.tape import Tape, Track, empty_rows
from simulator.tapes.build import BYBIT_FIRST_SEQ, BYBIT_SPOT_FIRST_ID

CHUNK_MS = 20_000
KEEP_ROWS = 200_000
PATH_STEP_MS = 250
BURST_SHARE = 0.45
"""Share of orders that another order provoked within the same second."""
STORM_SHARE = 0.000_6
"""Share of orders that start a storm: a hundred or more orders within a fraction of a second."""
STORM_ORDERS = 120
SECOND_VOLATILITY = 0.000_09


@dataclass(frozen=True, slots=True)
class Market:
    """One invented market: its steps, first price, mean taker orders a second and mean size."""

    name: str
    tick_size: str
    lot_size: str
    price: float
    orders_per_s: float
    mean_qty: float


_COINS = (
    # symbol, price, perp tick, perp lot, spot tick, spot lot, mean quantity
    ("BTCUSDT", 64_000.0, "0.1", "0.001", "0.01", "0.00001", 0.05),
    ("ETHUSDT", 3_100.0, "0.01", "0.001", "0.01", "0.0001", 0.6),
    ("SOLUSDT", 150.0, "0.01", "0.1", "0.01", "0.001", 9.0),
    ("XRPUSDT", 0.62, "0.0001", "0.1", "0.0001", "0.1", 1_500.0),
    ("BNBUSDT", 590.0, "0.01", "0.01", "0.01", "0.001", 1.2),
    ("DOGEUSDT", 0.145, "0.00001", "1", "0.00001", "1", 6_000.0),
    ("ADAUSDT", 0.45, "0.0001", "1", "0.0001", "0.1", 1_800.0),
    ("LINKUSDT", 14.2, "0.001", "0.01", "0.01", "0.01", 60.0),
    ("SUIUSDT", 1.8, "0.0001", "0.1", "0.0001", "0.1", 450.0),
    ("LTCUSDT", 82.0, "0.01", "0.001", "0.01", "0.001", 9.0),
)
_BUSY = {"binance:perp": 6.0, "binance:spot": 4.0, "bybit:perp": 3.0, "bybit:spot": 1.0}


def default_markets(symbols: Iterable[str] | None = None) -> list[Market]:
    """Ten coins on all four markets (or those of the given symbols), the first ones busiest."""
    wanted = None if symbols is None else set(symbols)
    markets = []
    for rank, (symbol, price, perp_tick, perp_lot, spot_tick, spot_lot, qty) in enumerate(_COINS):
        if wanted is not None and symbol not in wanted:
            continue
        for place, busy in _BUSY.items():
            tick, lot = (perp_tick, perp_lot) if place.endswith("perp") else (spot_tick, spot_lot)
            rate = busy / (1 + rank)
            markets.append(Market(f"{place}:{symbol}", tick, lot, price, rate, qty))
    return markets


def synthetic_tape(
    start_ms: int,
    *,
    seed: int = 1,
    markets: Sequence[Market] | None = None,
    rate: float = 1.0,
    end_ms: int | None = None,
) -> Tape:
    """An invented market from `start_ms` on, the same for the same seed and markets.

    `rate` multiplies the number of orders. Without `end_ms` it never ends.
    """
    chosen = default_markets() if markets is None else markets
    if not chosen:
        raise ValueError("give at least one market")
    tracks = tuple(SyntheticTrack(market, start_ms, seed, rate, end_ms) for market in chosen)
    return Tape(tracks, f"synthetic market, seed {seed}")


class SyntheticTrack(Track):
    """A track that invents its rows as they are needed and forgets the oldest."""

    def __init__(
        self, market: Market, start_ms: int, seed: int, rate: float, end_ms: int | None
    ) -> None:
        instrument = _instrument(market)
        super().__init__(instrument, empty_rows(0), is_aggregated=instrument.venue == "binance")
        self.endless = end_ms is None
        self._source = _OrderSource(market, instrument, start_ms, seed, rate)
        self._first_ms = start_ms
        self._last_ms = end_ms
        if end_ms is not None:
            self.ensure(end_ms)

    @property
    def start_ms(self) -> int:
        return self._first_ms

    @property
    def end_ms(self) -> int:
        return self._first_ms if self._last_ms is None else self._last_ms

    def ensure(self, until_ms: int) -> None:
        if self._last_ms is not None:
            until_ms = min(until_ms, self._last_ms)
        while self._source.now_ms < until_ms:
            rows = self._source.chunk(self._last_ms)
            if rows.shape[1]:
                keep = None if self._last_ms is not None else KEEP_ROWS
                self._given.append(rows, keep)
                if self._derived is not None:
                    self._derived.append(split(rows, self.lot_units), keep and 2 * keep)

    @property
    def counted(self) -> Columns:
        # Nothing invented is a block trade or an ADL fill.
        return self._given


class _OrderSource:
    """The orders of one market, chunk by chunk."""

    def __init__(
        self, market: Market, instrument: TapeInstrument, start_ms: int, seed: int, rate: float
    ) -> None:
        self.now_ms = start_ms
        self._market = market
        self._rate = market.orders_per_s * rate
        self._seed = f"{seed} {instrument.name}"
        self._path = _PricePath(f"{seed} {instrument.base}", start_ms)
        self._tick = float(market.tick_size)
        self._lot = float(market.lot_size)
        self._tick_units = scaled([market.tick_size])[0][0]
        self._lot_units = scaled([market.lot_size])[0][0]
        self._is_bybit = instrument.venue == "bybit"
        # Ids grow with the start, so that a market started again goes on behind the one before.
        self._trade = 10 * start_ms
        self._key = start_ms
        if self._is_bybit and instrument.market == "spot":
            self._key += BYBIT_SPOT_FIRST_ID
        self._seq = BYBIT_FIRST_SEQ
        self._storm = 0

    def chunk(self, end_ms: int | None) -> Ints:
        """Rows of the next CHUNK_MS; the same whoever asks and when."""
        random = Random(f"{self._seed} {self.now_ms}")
        stop_ms = self.now_ms + CHUNK_MS
        rows: list[tuple[int, ...]] = []
        at = float(self.now_ms)
        while True:
            at = self._next_order(random, at)
            if at >= stop_ms or (end_ms is not None and at > end_ms):
                break
            rows += self._order(random, int(at))
        self.now_ms = stop_ms
        if not rows:
            return empty_rows(0)
        data = np.array(rows, np.int64).T.copy()
        data[EMIT] = np.maximum.accumulate(data[EMIT])
        return data

    def _next_order(self, random: Random, at: float) -> float:
        if self._storm > 0:
            self._storm -= 1
            return at + random.expovariate(1 / 1.5)
        if random.random() < STORM_SHARE:
            self._storm = int(random.expovariate(1 / STORM_ORDERS))
        if random.random() < BURST_SHARE:
            return at + random.expovariate(1 / 12)
        base_per_ms = self._rate * (1 - BURST_SHARE) / 1000
        swing = 1 + 0.5 * math.sin(at / MINUTE_MS * 0.7)
        return at + random.expovariate(max(base_per_ms * swing, 1e-9))

    def _order(self, random: Random, at_ms: int) -> list[tuple[int, ...]]:
        fair = self._market.price * self._path.factor(at_ms)
        buy = random.random() < 0.5 + self._path.lean()
        levels = 1 + (random.random() < 0.18) * int(random.expovariate(0.35))
        ticks = max(1, round(fair * (1 + random.gauss(0, 0.000_02)) / self._tick))
        lag = int(random.expovariate(0.4))
        self._seq += 1 + int(random.expovariate(0.3))
        rows = []
        for level in range(levels):
            price = max(1, ticks + (level if buy else -level)) * self._tick_units
            size = math.exp(random.gauss(-1.1, 1.5)) * self._market.mean_qty
            lots = max(1, round(size / self._lot))
            fills = 1 if self._is_bybit else min(lots, 1 + int(random.expovariate(0.9)))
            rows.append(self._row(at_ms, lag, price, lots, fills, buy))
        return rows

    def _row(
        self, at_ms: int, lag: int, price: int, lots: int, fills: int, buy: bool
    ) -> tuple[int, ...]:
        key = self._key
        self._key += 1
        first, last = key, key
        if not self._is_bybit:
            first, last = self._trade, self._trade + fills - 1
            self._trade += fills
        cells = {
            EMIT: at_ms + lag,
            EVENT: at_ms,
            PRICE: price,
            QTY: lots * self._lot_units,
            BUYER: int(buy),
            KEY: key,
            FIRST: first,
            LAST: last,
            SEQ: self._seq,
        }
        return tuple(cells.get(index, 0) for index in range(10))


class _PricePath:
    """A slow common path of a coin: mean-reverting steps seeded by their minute."""

    def __init__(self, seed: str, start_ms: int) -> None:
        self._seed = seed
        self._minute = start_ms // MINUTE_MS
        self._level = 0.0
        self._steps: list[float] = []
        self._drift = 0.0
        self._draw()

    def _draw(self) -> None:
        random = Random(f"{self._seed} {self._minute}")
        count = MINUTE_MS // PATH_STEP_MS
        spread = SECOND_VOLATILITY * math.sqrt(PATH_STEP_MS / 1000)
        spread *= math.exp(random.gauss(0, 0.5))
        self._drift = random.gauss(0, spread * 0.15)
        self._steps = [self._level]
        for _ in range(count):
            pull = -self._level * 0.000_02
            self._steps.append(self._steps[-1] + self._drift + pull + random.gauss(0, spread))

    def factor(self, at_ms: int) -> float:
        """Price over first price at a time that never runs back over a minute."""
        minute = at_ms // MINUTE_MS
        while self._minute < minute:
            self._level = self._steps[-1]
            self._minute += 1
            self._draw()
        return math.exp(self._steps[(at_ms % MINUTE_MS) // PATH_STEP_MS])

    def lean(self) -> float:
        """How much takers prefer to buy in this minute, -0.2 to 0.2."""
        return max(-0.2, min(0.2, self._drift * 20_000))


def _instrument(market: Market) -> TapeInstrument:
    venue, kind, symbol = parse_name(market.name)
    base, quote = split_symbol(symbol)
    price_digits, qty_digits = decimals(market.tick_size), decimals(market.lot_size)
    return TapeInstrument(
        venue,
        kind,
        symbol,
        base,
        quote,
        market.tick_size,
        market.lot_size,
        price_digits,
        qty_digits,
        max(1, price_digits),
        qty_digits,
    )
