"""The codecs on recorded and documented frames of the venues."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from collectors.venue import Acked, Codec, Pong, Shutdown
from collectors.venues import VENUES
from orderflow.instrument import Instrument, Market
from orderflow.trade import TradeBatch


def build(venue: str, market: Market, tick: str, lot: str, symbol: str = "BTCUSDT") -> Instrument:
    unordered = venue == "bybit" and market is Market.PERP
    return Instrument(
        venue,
        market,
        symbol,
        symbol.removesuffix("USDT"),
        "USDT",
        Decimal(tick),
        Decimal(lot),
        sequence="unordered" if unordered else "consecutive",
    )


def codec_of(instrument: Instrument) -> Codec:
    return VENUES[instrument.venue][instrument.market].codec([instrument])


def read(codec: Codec, *frames: dict[str, Any] | bytes) -> tuple[list[Any], list[Any]]:
    raw = [f if isinstance(f, bytes) else json.dumps(f).encode() for f in frames]
    decoded = codec.decode(raw, 7)
    return decoded.events, decoded.notices


LINEAR = build("bybit", Market.PERP, "0.10", "0.001")
BYBIT_SPOT = build("bybit", Market.SPOT, "0.01", "0.000001")
BYBIT_FRAMES_OF = {
    "229": BYBIT_SPOT,
    "224": build("bybit", Market.SPOT, "0.01", "0.000001", "BTCUSDC"),
    "210": BYBIT_SPOT,
}


def test_every_real_bybit_frame(shared: Path) -> None:
    """Recorded frames of spot and linear parse into exactly their trades; acks into notices."""
    lines = (shared / "data/bybit_frames/frames.jsonl").read_text().splitlines()
    seen = {"trades": 0, "notices": 0, "other": 0}
    for line in lines:
        frame = json.loads(line)["frame"]
        rows = frame.get("data") if frame.get("topic", "").startswith("publicTrade") else None
        if "retCode" in frame or ("local_ns" in frame and rows is None):
            seen["other"] += 1
            continue
        instrument = _instrument_of(frame, rows)
        codec = codec_of(instrument)
        events, notices = read(codec, frame)
        seen["notices"] += len(notices)
        assert codec.counts.malformed == 0
        assert codec.counts.rejected == {}
        if rows:
            (batch,) = events
            seen["trades"] += len(batch)
            _same_rows(batch, rows, instrument)
    assert seen == {"trades": 32, "notices": 3, "other": 1}


def _instrument_of(frame: dict[str, Any], rows: list[dict[str, Any]] | None) -> Instrument:
    if rows and not rows[0]["i"].isdecimal():
        symbol = rows[0]["s"]
        tick, lot = {"BTCUSD": ("0.50", "1"), "LTCUSDT": ("0.01", "0.1")}.get(
            symbol, ("0.1", "0.001")
        )
        return build("bybit", Market.PERP, tick, lot, symbol)
    return BYBIT_FRAMES_OF[rows[0]["i"][:3]] if rows else BYBIT_SPOT


def _same_rows(batch: TradeBatch, rows: list[dict[str, Any]], instrument: Instrument) -> None:
    for place, row in enumerate(rows):
        number = int(row["i"]) if row["i"].isdecimal() else uuid.UUID(row["i"]).int
        assert batch.key[place] == number
        assert instrument.price(batch.price_ticks[place]) == Decimal(row["p"])
        assert instrument.qty(batch.qty_lots[place]) == Decimal(row["v"])
        assert batch.side[place] == (1 if row["S"] == "Buy" else 0)
        assert batch.event_ms[place] == row["T"]
        assert batch.seq[place] == row.get("seq", 0)


def test_odd_binance_futures_frames(shared: Path) -> None:
    """The deleveraging fill is rejected, the old trade without X counts, shutdowns are noticed."""
    lines = (shared / "data/binance_futures_odd/frames.jsonl").read_text().splitlines()
    frames = [json.loads(line)["frame"] for line in lines]
    etc = build("binance", Market.PERP, "0.001", "0.01", "ETCUSDT")
    btc = build("binance", Market.PERP, "0.10", "0.001")
    codec = VENUES["binance"][Market.PERP].codec([etc, btc])
    events, notices = read(codec, *frames)
    batches = {event.instrument: event for event in events}
    assert batches["binance:perp:ETCUSDT"].rejected == [(84_242_137, "not_market")]
    assert batches["binance:perp:ETCUSDT"].key == []
    assert batches["binance:perp:BTCUSDT"].key == [10_934_580]
    assert batches["binance:perp:BTCUSDT"].price_ticks == [76_276]
    assert notices == [Shutdown(), Shutdown()]


def test_documented_bybit_messages(shared: Path) -> None:
    """The official examples of trade, candle and answers are read."""
    folder = shared / "data/bybit_docs"
    (trade,) = json.loads((folder / "websocket_public_trade.json").read_text())
    (batch,), _ = read(codec_of(LINEAR), trade)
    assert (batch.price_ticks, batch.qty_lots, batch.seq) == ([165_785], [1], [1_783_284_617])
    (candle,) = json.loads((folder / "websocket_public_kline.json").read_text())
    codec = codec_of(LINEAR)
    read(codec, candle)
    assert codec.counts.ignored == 1
    answers = json.loads((folder / "websocket_wss-authentication.json").read_text())
    codec = codec_of(LINEAR)
    _, notices = read(codec, *answers)
    assert codec.counts.malformed == 0
    assert notices.count(Pong()) == 4
    assert sum(isinstance(notice, Acked) for notice in notices) >= 4


def test_a_recorded_minute_of_many_symbols(shared: Path) -> None:
    """A recording with depth, tickers, candles and aggregates: ids without holes, all counted."""
    lines = (shared / "data/cryptofeed/BINANCE_FUTURES.ws.1.0").read_text().splitlines()[1:]
    symbols = {
        "CTKUSDT": "0.0010",
        "AKROUSDT": "0.00001",
        "SUSHIUSDT": "0.0010",
        "KEEPUSDT": "0.0001",
    }
    instruments = [
        build("binance", Market.PERP, tick, "1", symbol) for symbol, tick in symbols.items()
    ]
    codec = VENUES["binance"][Market.PERP].codec(instruments)
    events, _ = codec.decode([line.partition(": ")[2].encode() for line in lines], 0)
    counts = {e.instrument.split(":")[2]: len(e) for e in events if isinstance(e, TradeBatch)}
    assert counts == {"CTKUSDT": 38, "AKROUSDT": 8, "SUSHIUSDT": 40, "KEEPUSDT": 5}
    for event in events:
        if isinstance(event, TradeBatch):
            assert event.key == list(range(event.key[0], event.key[0] + len(event)))
    assert codec.counts.malformed == 0
    assert codec.counts.rejected == {}
