"""Trades of a made-up market for a house with a past: the day behind it, and what comes next.

Instruments are those of `bench.market_tape`, with a trade every second or so in the median and most
of the trades in a few of them. A model lives the day for all instruments of its venue and market,
at their middle rate; its prices walk, so a minute has as many rows as its grid gives such a walk.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.market_tape import instruments
from orderflow.timeframe import HOUR_MS, MINUTE_MS
from orderflow.trade import InstrumentChanged, KlineClosed, TradeBatch
from simulator.columns import BUYER, EMIT, EVENT, FIRST, KEY, LAST, PRICE, QTY, SEQ
from simulator.instrument import TapeInstrument
from simulator.tape import Tape, Track, empty_rows

TICK, LOT = Decimal("0.01"), Decimal("0.001")
TRADES_PER_S = 1_000.0
"""Of a thousand instruments; the last has one in four seconds, the first 58 a second."""
POWER = 0.8
STEP_TICKS = 3
PRICE_TICKS = (200_000, 4_000_000)
FIRST_KEYS = {"binance": 10**9, "bybit": 2_290_000_000_000_000_000}
"""Ids of the first trades after the past."""
Ints = NDArray[np.int64]


def rates(count: int) -> NDArray[np.float64]:
    """Trades a second of each, largest first."""
    weights = np.arange(1, count + 1) ** -POWER
    found: NDArray[np.float64] = weights * TRADES_PER_S * count / 1_000 / weights.sum()
    return found


class Model(msgspec.Struct):
    """One instrument that lives the past, and the symbols that are like it."""

    item: TapeInstrument
    others: list[str]
    start_ms: int
    at: Ints
    ticks: Ints
    lots: Ints
    buys: Ints
    ends: Ints

    @property
    def name(self) -> str:
        """As streams are called."""
        return self.item.name

    @property
    def key(self) -> str:
        """The same for all that are like it."""
        return self.item.symbol

    @property
    def numbered(self) -> bool:
        """False where the venue's ids have no order."""
        return (self.item.venue, self.item.market) != ("bybit", "perp")

    def last(self) -> int:
        """The price behind which the market goes on."""
        return int(self.ticks[-1])

    def announced(self) -> InstrumentChanged:
        """With the ranges of its hours, from which the processor makes its grid."""
        hours = np.searchsorted(self.at, np.arange(self.start_ms, int(self.at[-1]), HOUR_MS))
        parts = [part for part in np.split(self.ticks, hours[1:]) if len(part)]
        return InstrumentChanged(
            venue=self.item.venue,
            market=self.item.market,
            symbol=self.item.symbol,
            base=self.item.symbol[:-4],
            quote="USDT",
            tick_size=TICK,
            lot_size=LOT,
            sequence="consecutive" if self.numbered else "unordered",
            hour_ranges=[int(part.max() - part.min()) * TICK for part in parts],
            last_price=int(self.ticks[0]) * TICK,
        )

    def _span(self, minute: int) -> slice:
        return slice(int(self.ends[minute]), int(self.ends[minute + 1]))

    def batch(self, minute: int) -> TradeBatch | None:
        """The trades of a minute."""
        span = self._span(minute)
        count = span.stop - span.start
        if not count:
            return None
        first = FIRST_KEYS[self.item.venue] - len(self.at) + span.start
        keys = list(range(first, first + count))
        if not self.numbered:
            keys = [key * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128 for key in keys]
        return TradeBatch(
            self.name,
            keys,
            self.at[span].tolist(),
            self.ticks[span].tolist(),
            self.lots[span].tolist(),
            self.buys[span].tolist(),
            seq=[] if self.numbered else list(range(first, first + count)),
        )

    def candle(self, minute: int) -> KlineClosed:
        """The venue's own word for the same minute."""
        span = self._span(minute)
        ticks, lots, buys = self.ticks[span], self.lots[span], self.buys[span]
        before = int(self.ticks[max(0, span.start - 1)])
        edges = (ticks[0], ticks.max(), ticks.min(), ticks[-1]) if len(ticks) else [before] * 4
        bought = self.item.venue == "binance"
        return KlineClosed(
            self.name,
            self.start_ms + minute * MINUTE_MS,
            *(int(edge) for edge in edges),
            volume_lots=int(lots.sum()),
            quote_volume=int((ticks * lots).sum()) * TICK * LOT,
            trades=len(ticks) if bought else None,
            taker_buy_lots=int((lots * buys).sum()) if bought else None,
            taker_buy_quote=int((ticks * lots * buys).sum()) * TICK * LOT if bought else None,
        )


def models(count: int, start_ms: int, minutes: int) -> list[Model]:
    """The first instrument of every venue and market, with the middle rate of all of them."""
    groups: dict[tuple[str, str], list[int]] = {}
    items, each = instruments(count), rates(count)
    for place, item in enumerate(items):
        groups.setdefault((item.venue, item.market), []).append(place)
    draw = np.random.default_rng(11)
    found = []
    for places in groups.values():
        rate = float(np.median(each[places]))
        others = [items[place].symbol for place in places[1:]]
        found.append(_model(draw, items[places[0]], others, rate, (start_ms, minutes)))
    return found


def _model(
    draw: np.random.Generator,
    item: TapeInstrument,
    others: list[str],
    rate: float,
    span: tuple[int, int],
) -> Model:
    start_ms, minutes = span
    count = max(2, int(draw.poisson(rate * minutes * 60)))
    at = np.sort(draw.integers(start_ms, start_ms + minutes * MINUTE_MS, count))
    steps = np.rint(draw.normal(0, STEP_TICKS / rate**0.5, count)).astype(np.int64)
    ticks = np.maximum(1_000, draw.integers(*PRICE_TICKS) + steps.cumsum())
    lots, buys = draw.integers(1, 9_000, count), draw.integers(0, 2, count)
    ends = np.searchsorted(at, start_ms + np.arange(minutes + 1) * MINUTE_MS)
    return Model(item, others, start_ms, at, ticks, lots, buys, ends)


def tape(count: int, last: dict[str, int], start_ms: int, seconds: int) -> Tape:
    """What comes next: ids and prices go on where the past ended, rates are each one's own."""
    draw = np.random.default_rng(12)
    items, each = instruments(count), rates(count)
    prices: dict[tuple[str, str], int] = {}
    tracks = []
    for item, rate in zip(items, each, strict=True):
        price = prices.setdefault((item.venue, item.market), last.get(item.symbol, 0))
        found = max(1, int(draw.poisson(rate * seconds)))
        at = np.sort(draw.integers(start_ms, start_ms + seconds * 1_000, found))
        tracks.append(_track(draw, item, at, price))
    return Tape(tuple(tracks), "a market with a past, made up")


def _track(draw: np.random.Generator, item: TapeInstrument, at: Ints, price: int) -> Track:
    count = len(at)
    data = empty_rows(count)
    data[EVENT], data[EMIT] = at, at + 1
    data[PRICE] = np.maximum(
        1_000, price + draw.integers(-STEP_TICKS, STEP_TICKS + 1, count).cumsum()
    )
    data[QTY] = draw.integers(1, 9_000, count)
    data[BUYER] = draw.integers(0, 2, count)
    numbered = (item.venue, item.market) != ("bybit", "perp")
    data[KEY] = np.arange(count) + (FIRST_KEYS[item.venue] if numbered else 1)
    data[FIRST] = data[LAST] = data[KEY]
    data[SEQ] = FIRST_KEYS["bybit"] + np.arange(count)
    return Track(item, data, is_aggregated=item.venue == "binance")
