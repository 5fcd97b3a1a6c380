"""Binance frames as types, and rows of trades as columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from collectors.reading import EXACT_BELOW, UNREADABLE, Id, Millis, in_whole, judged
from collectors.venue import FUTURE_TOLERANCE_MS
from orderflow.instrument import Instrument
from orderflow.trade import Side, Source, TradeBatch

N = TypeVar("N", float, str)
MARKET_FILLS = frozenset({"MARKET", "RPI"})


class Aggregate(msgspec.Struct, Generic[N], tag_field="e", tag="aggTrade", gc=False):
    """All fills of one taker order at one price; `m`: the buyer was the maker."""

    s: str
    a: Id
    p: N
    q: N
    f: int
    l: int  # noqa: E741
    T: Millis
    m: bool
    E: Millis


class RawTrade(msgspec.Struct, Generic[N], tag_field="e", tag="trade", gc=False):
    """One fill; `X` tells market fills from insurance and deleveraging."""

    s: str
    t: Id
    p: N
    q: N
    T: Millis
    m: bool
    E: Millis
    X: str = "MARKET"


class KlineBody(msgspec.Struct, gc=False):
    """Binance's own one-minute candle."""

    t: Millis
    i: str
    o: str
    h: str
    l: str  # noqa: E741
    c: str
    v: str
    q: str
    n: int
    V: str
    Q: str
    f: int
    L: int
    x: bool


class Kline(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    """A change of the newest candle."""

    s: str
    E: Millis
    k: KlineBody


class ServerShutdown(msgspec.Struct, tag_field="e", tag="serverShutdown", gc=False):
    """The connection will be closed."""

    E: Millis


class Combined(msgspec.Struct, Generic[N], gc=False):
    """A frame of /stream."""

    data: Aggregate[N] | RawTrade[N] | Kline | ServerShutdown


class Control(msgspec.Struct):
    """An answer to a message of ours, or an event of a kind we do not read."""

    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    e: str = ""
    stream: str = ""


class RestAggregate(msgspec.Struct, Generic[N], gc=False):
    """A row of REST aggTrades; it has no time of its own frame, so `E` is far ahead."""

    a: Id
    p: N
    q: N
    f: int
    l: int  # noqa: E741
    T: Millis
    m: bool
    E: int = 10**13


Row = Aggregate[float] | RestAggregate[float]
COMBINED = msgspec.json.Decoder(Combined[float], strict=False)
decode_combined = COMBINED.decode
Event = Aggregate[float] | RawTrade[float] | Kline | ServerShutdown
EventText = Aggregate[str] | RawTrade[str] | Kline | ServerShutdown
decode_single: Callable[[bytes], Event] = msgspec.json.Decoder(Event, strict=False).decode
decode_combined_text = msgspec.json.Decoder(Combined[str], strict=False).decode
decode_single_text: Callable[[bytes], EventText] = msgspec.json.Decoder(
    EventText, strict=False
).decode
decode_control = msgspec.json.Decoder(Control).decode
decode_page = msgspec.json.Decoder(list[RestAggregate[float]], strict=False).decode
decode_page_text = msgspec.json.Decoder(list[RestAggregate[str]], strict=False).decode


def decode_together(frames: Sequence[bytes]) -> list[Event] | None:
    """Frames of the combined envelope in one call; None where each needs a look of its own."""
    lines = b"\n".join(frames)
    if lines.count(b"\n") != len(frames) - 1:
        return None
    try:
        found = [frame.data for frame in COMBINED.decode_lines(lines)]
    except UNREADABLE:
        return None
    return found if len(found) == len(frames) else None


def aggregate_batch(
    rows: Sequence[Row], instrument: Instrument, scale: int, source: Source, received_ns: int = 0
) -> TradeBatch | None:
    """Rows as columns, or None when any row needs a judgement of its own.

    Appends beat comprehensions here: a live batch has about ten rows.
    """
    tick, lot = instrument.tick, instrument.lot
    price_factor, quantity_factor = tick.factor, lot.factor
    batch = TradeBatch(instrument.name, [], [], [], [], [], [], [], [], [], [], source, 0, scale)
    batch.received_ns = received_ns
    key, times, sides = batch.key.append, batch.event_ms.append, batch.side.append
    prices, quantities = batch.price_ticks.append, batch.qty_lots.append
    counts, firsts, lasts = (
        batch.n_trades.append,
        batch.first_trade_id.append,
        batch.last_trade_id.append,
    )
    try:
        for row in rows:
            price, quantity, event_ms, first, last = row.p, row.q, row.T, row.f, row.l
            ticks, lots = int(price * price_factor + 0.5), int(quantity * quantity_factor + 0.5)
            if ticks / price_factor != price or lots / quantity_factor != quantity:
                return None
            if ticks <= 0 or lots <= 0 or last < first or event_ms > row.E + FUTURE_TOLERANCE_MS:
                return None
            key(row.a)
            times(event_ms)
            prices(ticks)
            quantities(lots)
            sides(0 if row.m else 1)
            counts(last - first + 1)
            firsts(first)
            lasts(last)
    except (ValueError, OverflowError):
        return None
    if max(batch.price_ticks) >= EXACT_BELOW or max(batch.qty_lots) >= EXACT_BELOW:
        return None
    if not (in_whole(batch.price_ticks, tick.units) and in_whole(batch.qty_lots, lot.units)):
        return None
    return batch


def judge_into(
    batch: TradeBatch,
    row: Aggregate[str] | RawTrade[str] | RestAggregate[str],
    instrument: Instrument,
    reason: str = "",
) -> None:
    """Add one row from its exact text, as a trade or as a rejection with its reason."""
    raw = isinstance(row, RawTrade)
    key, first, last = (row.t, row.t, row.t) if isinstance(row, RawTrade) else (row.a, row.f, row.l)
    verdict = judged(row.p, row.q, instrument)
    if not reason and not raw and last < first:
        reason = "malformed"
    if reason or isinstance(verdict, str):
        batch.rejected.append((key, reason or str(verdict)))
        return
    batch.key.append(key)
    batch.event_ms.append(row.T)
    batch.price_ticks.append(verdict[0])
    batch.qty_lots.append(verdict[1])
    batch.side.append(Side.SELL if row.m else Side.BUY)
    batch.n_trades.append(last - first + 1)
    batch.first_trade_id.append(first)
    batch.last_trade_id.append(last)
