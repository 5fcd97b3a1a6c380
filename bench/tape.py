"""Frames of a made-up market: trades of 100 symbols or more, Zipf distributed; prices walk.

Binance: a trade a frame, ids consecutive, and candles from the trades, as the venue's are. Bybit:
the five fills of one taker order a frame, and no candles.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

NAMES = [f"C{number:03d}USDT" for number in range(1_000)]
"""Every symbol there can be; a tape of fewer has the first of them."""
SYMBOLS = NAMES[:100]
MINUTE_MS = 60_000
START_MS = 29_916_667 * MINUTE_MS - 30_000
"""Half a minute before a full one: a run of 300,000 trades and more has a minute to close, and no
run has to revise one that the clock closed, unless it is slower than the tape itself."""
TRADES_PER_MS = 10
TICK, LOT = Decimal("0.01"), Decimal("0.001")


BEFORE_FIRST_KEY = 1_000


class Drawn:
    """One trade."""

    __slots__ = ("at", "buy", "key", "lots", "place", "ticks")

    def __init__(self, place: int, at: int, key: int, ticks: int, lots: int, *, buy: bool) -> None:
        self.place, self.at, self.key = place, at, key
        self.ticks, self.lots, self.buy = ticks, lots, buy


def drawn(count: int, symbols: int = len(SYMBOLS)) -> Iterator[Drawn]:
    """The same trades every time."""
    draw = random.Random(7)
    weights = [1 / (place + 1) for place in range(symbols)]
    chosen = draw.choices(range(symbols), weights, k=count)
    ticks = [draw.randrange(10_000, 6_000_000) for _ in range(symbols)]
    keys = [BEFORE_FIRST_KEY] * symbols
    at = START_MS
    for place in chosen:
        ticks[place] = max(100, ticks[place] + draw.choice((-1, 0, 0, 0, 1)))
        keys[place] += 1
        at += draw.random() * TRADES_PER_MS < 1
        lots = draw.randrange(1, 9) * 1_000 + draw.randrange(1_000)
        yield Drawn(place, at, keys[place], ticks[place], lots, buy=draw.random() < 0.5)


def template(trade: Drawn) -> str:
    """The frame of a trade with %s for the time it is sent, its id (three times) and its time."""
    symbol, price = NAMES[trade.place], trade.ticks * TICK
    return (
        f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":%s'
        f',"s":"{symbol}","a":%s,"p":"{price:.8f}","q":"{trade.lots * LOT:.8f}",'
        f'"f":%s,"l":%s,"T":%s,"m":{str(not trade.buy).lower()},"M":true}}}}'
    )


def halves(trade: Drawn) -> tuple[str, str]:
    """The frame of a trade around its two times, the second as %s."""
    head, tail = template(trade).split("%s", 1)
    return head, tail % (trade.key, trade.key, trade.key, "%s")


class Minute:
    """The candle of one symbol, as its trades make it."""

    __slots__ = ("all", "bought", "first", "high", "key", "last", "low", "opened")

    def __init__(self, key: int, ticks: int) -> None:
        self.key, self.opened, self.high, self.low = key, ticks, ticks, ticks
        self.first, self.last = key, ticks
        self.all, self.bought = [0, 0], [0, 0]

    def add(self, key: int, trade: Drawn) -> None:
        """The next trade."""
        ticks, lots = trade.ticks, trade.lots
        self.key, self.last = key, ticks
        if ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks
        self.all[0] += lots
        self.all[1] += lots * ticks
        if trade.buy:
            self.bought[0] += lots
            self.bought[1] += lots * ticks

    def frame(self, place: int, end_ms: int) -> str:
        """The closed candle."""
        symbol = NAMES[place]
        body: dict[str, Any] = {
            "t": end_ms - MINUTE_MS,
            "T": end_ms - 1,
            "s": symbol,
            "i": "1m",
            "x": True,
            "f": self.first,
            "L": self.key,
            "n": self.key - self.first + 1,
            "o": str(self.opened * TICK),
            "c": str(self.last * TICK),
            "h": str(self.high * TICK),
            "l": str(self.low * TICK),
            "v": str(self.all[0] * LOT),
            "V": str(self.bought[0] * LOT),
            "q": str(self.all[1] * TICK * LOT),
            "Q": str(self.bought[1] * TICK * LOT),
        }
        event = {"e": "kline", "E": end_ms + 1, "s": symbol, "k": body}
        whole = {"stream": f"{symbol.lower()}@kline_1m", "data": event}
        return msgspec.json.encode(whole).decode()


def noted(minute: dict[int, Minute], key: int, trade: Drawn) -> None:
    """A trade in the candle of its symbol."""
    known = minute.get(trade.place)
    if known is None:
        known = minute[trade.place] = Minute(key, trade.ticks)
    known.add(key, trade)


def frames(count: int) -> Iterator[str]:
    """Frames of `count` trades, and the candles of the minutes that close between them."""
    minute: dict[int, Minute] = {}
    end_ms = START_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS
    for trade in drawn(count):
        if trade.at >= end_ms:
            for place, candle in sorted(minute.items()):
                yield candle.frame(place, end_ms)
            minute, end_ms = {}, end_ms + MINUTE_MS
        noted(minute, trade.key, trade)
        head, tail = halves(trade)
        yield f"{head}{trade.at + 1}{tail % trade.at}"


FILLS = 5
"""Trades of a Bybit frame."""


def bybit_frames(count: int) -> Iterator[str]:
    """Frames of `count` trades of linear perpetuals, each frame of one symbol and moment."""
    at = START_MS
    for number, trade in enumerate(drawn(count // FILLS)):
        at += number % (TRADES_PER_MS // FILLS) == 0
        symbol, side = SYMBOLS[trade.place], "Buy" if trade.buy else "Sell"
        fills = ",".join(
            f'{{"T":{at},"s":"{symbol}","S":"{side}","v":"{(trade.lots + fill) * LOT:.3f}",'
            f'"p":"{(trade.ticks + fill) * TICK:.2f}","L":"PlusTick",'
            f'"i":"{number:08x}-0000-5000-8000-{fill:012x}","BT":false,"RPI":false,"seq":{number}}}'
            for fill in range(FILLS)
        )
        yield (
            f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{at + 1},"data":[{fills}]}}'
        )
