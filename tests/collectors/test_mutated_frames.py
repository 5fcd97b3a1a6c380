"""100,000 mutated frames through every codec: nothing but counted rejections."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from collectors.venues import VENUES
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
