"""100,000 mutated frames through every codec: nothing but counted rejections."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from collectors.venues import DERIVATIVES, VENUES
from orderflow.derivatives import (
    DerivativeEvent,
    Funding,
    Interruption,
    Liquidation,
    OpenInterest,
)
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument, Market

FRAMES = 100_000
PER_TURN = 50
NOW = 1_700_000_000_000
POISON = (
    b"", b"\x00", b"\xff\xfe", b"null", b"NaN", b"1e999", b"-1", b"[" * 600, b'"', b"}", b"{",
    b"9" * 400, b"\xed\xa0\x80", b"true", b"0.000000000000000000001", b'"' + b"A" * 3_000 + b'"',
)  # fmt: skip


def binance_frames() -> list[bytes]:
    trade = {"e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": 5, "p": "42000.01", "q": "0.001",
             "f": 5, "l": 6, "T": NOW, "m": True, "M": True}  # fmt: skip
    kline = {"e": "kline", "E": NOW, "s": "BTCUSDT", "k": {
        "t": NOW // 60_000 * 60_000, "T": NOW, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 5,
        "o": "1.00", "c": "1.00", "h": "1.00", "l": "1.00", "v": "1.000", "n": 5, "x": True,
        "q": "1.0", "V": "0.5", "Q": "0.5"}}  # fmt: skip
    bodies: list[Any] = [
        {"stream": "btcusdt@aggTrade", "data": trade},
        {"stream": "btcusdt@kline_1m", "data": kline},
        trade,
        {"result": None, "id": 1},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": NOW}},
    ]
    return [json.dumps(body).encode() for body in bodies]


def bybit_frames(ident: str) -> list[bytes]:
    trade = {"T": NOW, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "42000.0", "i": ident,
             "BT": False, "RPI": False, "seq": 9}  # fmt: skip
    candle = {"start": NOW // 60_000 * 60_000, "end": NOW, "interval": "1", "open": "1.0",
              "close": "1.0", "high": "1.0", "low": "1.0", "volume": "1", "turnover": "1",
              "confirm": True, "timestamp": NOW}  # fmt: skip
    bodies: list[Any] = [
        {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": NOW, "data": [trade, trade]},
        {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": NOW, "data": [candle]},
        {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "1", "op": "subscribe"},
        {"success": False, "ret_msg": "error:already subscribed,topic:kline.1.BTCUSDT",
         "req_id": "2", "op": "subscribe"},
        {"success": True, "ret_msg": "pong", "op": "ping"},
    ]  # fmt: skip
    return [json.dumps(body).encode() for body in bodies]


def mutated(frame: bytes, draw: random.Random) -> bytes:
    """One to three changes: a cut, a flipped byte, poison, a doubled or removed piece."""
    data = bytearray(frame)
    for _ in range(draw.randrange(1, 4)):
        at, kind = draw.randrange(len(data) + 1), draw.randrange(6)
        if kind == 0:
            del data[at:]
        elif kind == 1 and at < len(data):
            data[at] = draw.randrange(256)
        elif kind == 2:
            data[at:at] = draw.choice(POISON)
        elif kind == 3:
            data[at : at + draw.randrange(1, 12)] = draw.choice(POISON)
        elif kind == 4:
            data[at:at] = data[at : at + draw.randrange(1, 60)]
        else:
            del data[at : at + draw.randrange(1, 20)]
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("venue", "market"), [(v, m) for v, markets in sorted(VENUES.items()) for m in sorted(markets)]
)
def test_nothing_but_counted_rejections(
    venue: str, market: Market, make_instrument: Callable[..., Instrument]
) -> None:
    """A codec never raises; every trade that gets through is a positive whole number of ticks and
    lots of a known symbol with a time of our century, and every frame is accounted for."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    item = make_instrument(venue, market, "0.01", "0.001")
    ident = "8c931d9a-b703-5c34-9aeb-860867cf1f66" if item.sequence == "unordered" else "229"
    frames = binance_frames() if venue == "binance" else bybit_frames(ident)
    codec = VENUES[venue][market].codec([item])
    through = 0
    for _ in range(FRAMES // PER_TURN):
        turn = [mutated(draw.choice(frames), draw) for _ in range(PER_TURN)]
        for event in codec.decode(turn, 1).events:
            assert event.instrument == item.name
            if hasattr(event, "key"):
                through += len(event.key)
                columns = (event.event_ms, event.price_ticks, event.qty_lots, event.side)
                assert {len(column) for column in columns} == {len(event.key)}
                assert min(event.price_ticks, default=1) > 0
                assert min(event.qty_lots, default=1) > 0
                assert all(10**12 <= at < 10**13 for at in event.event_ms)
                assert set(event.side) <= {0, 1}
    counts = codec.counts
    assert counts.frames == FRAMES
    assert counts.trades == through
    assert counts.malformed > FRAMES // 10
    assert sum(counts.rejected.values()) > 0


def derivative_frames(venue: str) -> list[bytes]:
    mark = {"e": "markPriceUpdate", "E": NOW, "s": "BTCUSDT", "p": "42000.5", "i": "42001.1",
            "P": "42000.0", "r": "-0.000125", "T": NOW + 3_600_000}  # fmt: skip
    force = {"e": "forceOrder", "E": NOW, "o": {"s": "BTCUSDT", "S": "SELL", "q": "0.014",
             "p": "41900.1", "ap": "41950.2", "l": "0.014", "z": "0.014", "T": NOW}}  # fmt: skip
    ticker = {"symbol": "BTCUSDT", "fundingRate": "-0.0001",
              "nextFundingTime": str(NOW + 3_600_000), "markPrice": "42000.5",
              "indexPrice": "42001.1", "openInterest": "52345.678"}  # fmt: skip
    closed = {"T": NOW, "s": "BTCUSDT", "S": "Buy", "v": "0.2", "p": "41000.5"}
    binance: list[Any] = [{"stream": "btcusdt@x", "data": data} for data in (mark, force)]
    bybit: list[Any] = [
        {"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": NOW, "data": ticker},
        {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": NOW, "data": [closed] * 2},
    ]
    return [json.dumps(body).encode() for body in (binance if venue == "binance" else bybit)]


def times(event: DerivativeEvent) -> list[int]:
    """Every time an event states."""
    next_ms = event.next_ms if isinstance(event, Funding) else None
    return [event.event_ms] if next_ms is None else [event.event_ms, next_ms]


def amounts(event: DerivativeEvent) -> list[Decimal | None]:
    """Every number of an event that can't be negative."""
    if isinstance(event, Funding):
        return [event.mark_price, event.index_price]
    if isinstance(event, Liquidation):
        return [event.quantity, event.price]
    return [event.quantity] if isinstance(event, OpenInterest) else []


@pytest.mark.slow
@pytest.mark.parametrize("venue", sorted(DERIVATIVES))
def test_nothing_but_counted_rejections_of_derivatives(
    venue: str, make_instrument: Callable[..., Instrument]
) -> None:
    """The codecs of funding, open interest and liquidations refuse a frame or give values that can
    be: amounts that are not negative, times of our century, the symbol that was asked for."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    item = make_instrument(venue, Market.PERP, "0.1", "0.001")
    market, frames, seen = DERIVATIVES[venue], derivative_frames(venue), Counter[str]()
    for _ in range(FRAMES):
        try:
            events = market.read(mutated(draw.choice(frames), draw), {item.symbol: item})
        except MalformedFrameError:
            seen["malformed"] += 1
            continue
        seen["read"] += 1
        for event in events:
            seen[type(event).__name__] += 1
            assert not isinstance(event, Interruption)
            assert event.instrument == item.name
            assert all(10**12 <= at < 10**13 for at in times(event))
            assert all(value is None or value >= 0 for value in amounts(event))
    assert seen["malformed"] + seen["read"] == FRAMES
    assert min(seen["malformed"], seen["Funding"], seen["Liquidation"]) > FRAMES // 100
