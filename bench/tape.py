"""Frames of a made-up market: trades of 100 symbols, Zipf distributed; prices walk.

Binance: a trade a frame, ids consecutive, and candles from the trades, as the venue's are. Bybit:
the five fills of one taker order a frame, and no candles.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

SYMBOLS = [f"C{number:03d}USDT" for number in range(100)]
MINUTE_MS = 60_000
START_MS = 29_916_667 * MINUTE_MS - 30_000
"""Half a minute before a full one: a run of 300,000 trades and more has a minute to close, and no
run has to revise one that the clock closed, unless it is slower than the tape itself."""
TRADES_PER_MS = 10
TICK, LOT = Decimal("0.01"), Decimal("0.001")


class Drawn:
    """One trade."""

    __slots__ = ("at", "buy", "key", "lots", "place", "ticks")

    def __init__(self, place: int, at: int, key: int, ticks: int, lots: int, *, buy: bool) -> None:
        self.place, self.at, self.key = place, at, key
        self.ticks, self.lots, self.buy = ticks, lots, buy


def drawn(count: int) -> Iterator[Drawn]:
    """The same trades every time."""
    draw = random.Random(7)
    weights = [1 / (place + 1) for place in range(len(SYMBOLS))]
    chosen = draw.choices(range(len(SYMBOLS)), weights, k=count)
    ticks = [draw.randrange(10_000, 6_000_000) for _ in SYMBOLS]
    keys = [1_000] * len(SYMBOLS)
    at = START_MS
    for place in chosen:
        ticks[place] = max(100, ticks[place] + draw.choice((-1, 0, 0, 0, 1)))
        keys[place] += 1
        at += draw.random() * TRADES_PER_MS < 1
        lots = draw.randrange(1, 9) * 1_000 + draw.randrange(1_000)
        yield Drawn(place, at, keys[place], ticks[place], lots, buy=draw.random() < 0.5)


def halves(trade: Drawn) -> tuple[str, str]:
    """The frame of a trade around its two times, the second as %s."""
    symbol, price = SYMBOLS[trade.place], trade.ticks * TICK
    head = f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":'
    tail = (
        f',"s":"{symbol}","a":{trade.key},"p":"{price:.8f}","q":"{trade.lots * LOT:.8f}",'
        f'"f":{trade.key},"l":{trade.key},"T":%s,"m":{str(not trade.buy).lower()},"M":true}}}}'
    )
    return head, tail


def frames(count: int) -> Iterator[str]:
    """Frames of `count` trades, and the candles of the minutes that close between them."""
    minute: dict[int, list[Drawn]] = {}
    end_ms = START_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS
    for trade in drawn(count):
        if trade.at >= end_ms:
            for place, trades in sorted(minute.items()):
                yield candle(place, end_ms, trades)
            minute, end_ms = {}, end_ms + MINUTE_MS
        minute.setdefault(trade.place, []).append(trade)
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


def candle(place: int, end_ms: int, trades: list[Drawn]) -> str:
    """The closed candle of one symbol."""
    symbol, ticks = SYMBOLS[place], [trade.ticks for trade in trades]
    bought = [trade for trade in trades if trade.buy]
    body: dict[str, Any] = {
        "t": end_ms - MINUTE_MS,
        "T": end_ms - 1,
        "s": symbol,
        "i": "1m",
        "x": True,
        "f": trades[0].key,
        "L": trades[-1].key,
        "n": len(trades),
        "o": str(ticks[0] * TICK),
        "c": str(ticks[-1] * TICK),
        "h": str(max(ticks) * TICK),
        "l": str(min(ticks) * TICK),
        "v": str(_lots(trades) * LOT),
        "V": str(_lots(bought) * LOT),
        "q": str(_quote(trades) * TICK * LOT),
        "Q": str(_quote(bought) * TICK * LOT),
    }
    event = {"e": "kline", "E": end_ms + 1, "s": symbol, "k": body}
    whole = {"stream": f"{symbol.lower()}@kline_1m", "data": event}
    return msgspec.json.encode(whole).decode()


def _lots(trades: list[Drawn]) -> int:
    return sum(trade.lots for trade in trades)


def _quote(trades: list[Drawn]) -> int:
    return sum(trade.lots * trade.ticks for trade in trades)
