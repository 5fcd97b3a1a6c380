"""Frames of Binance's combined streams: aggTrade, trade and kline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from collectors.venue import EXACT_DIGITS, FUTURE_MS, Columns, Decoded, exact_steps
from orderflow.errors import OffGridError
from orderflow.instrument import Instrument
from orderflow.trade import KlineClosed

COUNTED_KINDS = frozenset({"", "MARKET", "RPI"})
"""Values of X that are trades; ADL, INSURANCE_FUND and NA are not (futures `trade` only)."""


class AggTrade(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """An aggregate: fills of one taker order at one price. m: the buyer was the maker."""

    E: int
    s: str
    a: int
    p: float
    q: float
    f: int
    l: int  # noqa: E741 (the venue's name)
    T: int
    m: bool


class Trade(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """A single trade; X only on futures."""

    E: int
    s: str
    t: int
    p: float
    q: float
    T: int
    m: bool
    X: str = ""


class Candle(msgspec.Struct, gc=False):
    """The k of a kline frame."""

    t: int
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741 (the venue's name)
    v: str
    n: int
    x: bool
    q: str
    V: str
    Q: str


class Kline(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    """A candle, open or closed."""

    E: int
    s: str
    k: Candle


class Shutdown(msgspec.Struct, tag_field="e", tag="serverShutdown", gc=False):
    """The venue is about to close this connection."""

    E: int = 0


class Frame(msgspec.Struct, gc=False):
    """The combined-stream envelope."""

    data: AggTrade | Trade | Kline | Shutdown


class ExactTrade(msgspec.Struct, gc=False):
    """Price and quantity as written, for numbers a double can't decide."""

    p: str
    q: str


class ExactFrame(msgspec.Struct, gc=False):
    """The envelope of an exact reading."""

    data: ExactTrade


class Reply(msgspec.Struct, gc=False):
    """The answer to a request of ours."""

    id: str | int | None = None
    result: Any = None


FRAME = msgspec.json.Decoder(Frame, strict=False)
EXACT = msgspec.json.Decoder(ExactFrame)
REPLY = msgspec.json.Decoder(Reply)


class BinanceCodec:
    """Reads combined-stream frames of one connection."""

    def __init__(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> None:
        self.columns = {i.symbol: Columns(i, scales.get(i.name, 0)) for i in instruments}

    def decode(  # noqa: C901, PLR0912, PLR0915 (one loop without calls: it runs once per trade)
        self, frames: Sequence[bytes | str], received_ns: int
    ) -> Decoded:
        """One batch per instrument, whatever the number of frames."""
        result = Decoded()
        touched: list[Columns] = []
        newest_ms = 0
        read = FRAME.decode
        columns_of = self.columns
        for raw in frames:
            try:
                data: Any = read(raw).data
            except msgspec.DecodeError:
                self._other(raw, result)
                continue
            kind = type(data)
            if kind is AggTrade:
                key = data.a
            elif kind is Trade:
                key = data.t
            else:
                self._event(data, result)
                continue
            columns = columns_of.get(data.s)
            if columns is None:
                result.rejected["unknown_symbol"] += 1
                continue
            if newest_ms < data.E:
                newest_ms = data.E
            batch = columns.batch
            if batch is None:
                batch = columns.fresh(received_ns)
                touched.append(columns)
            price, quantity = data.p, data.q
            ticks = round(price * columns.tick_factor)
            lots = round(quantity * columns.lot_factor)
            if (
                ticks <= 0
                or lots <= 0
                or ticks >= EXACT_DIGITS
                or lots >= EXACT_DIGITS
                or ticks / columns.tick_factor != price
                or lots / columns.lot_factor != quantity
                or data.T > data.E + FUTURE_MS
                or (kind is Trade and data.X not in COUNTED_KINDS)
                or columns.tick_units != 1
                or columns.lot_units != 1
            ):
                exact = self._exact(raw, data, columns)
                if isinstance(exact, str):
                    batch.rejected.append((key, exact))
                    result.rejected[exact] += 1
                    continue
                ticks, lots = exact
            batch.key.append(key)
            batch.event_ms.append(data.T)
            batch.price_ticks.append(ticks)
            batch.qty_lots.append(lots)
            batch.side.append(0 if data.m else 1)
            if kind is AggTrade:
                batch.n_trades.append(data.l - data.f + 1)
                batch.first_trade_id.append(data.f)
                batch.last_trade_id.append(data.l)
            else:
                batch.n_trades.append(1)
                batch.first_trade_id.append(key)
                batch.last_trade_id.append(key)
        for columns in touched:
            if columns.batch is not None:
                result.batches.append(columns.batch)
                columns.batch = None
        result.newest_ms = max(result.newest_ms, newest_ms)
        return result

    def _exact(
        self, raw: bytes | str, data: AggTrade | Trade, columns: Columns
    ) -> tuple[int, int] | str:
        """Whole (ticks, lots) from the digits as written, or why the trade must not count."""
        if isinstance(data, Trade) and data.X not in COUNTED_KINDS:
            return "not_market"
        if data.T > data.E + FUTURE_MS:
            return "from_future"
        try:
            texts = EXACT.decode(raw).data
        except msgspec.DecodeError:
            return "not_text"
        return exact_steps(columns.instrument, texts.p, texts.q)

    def _event(self, data: Kline | Shutdown, result: Decoded) -> None:
        if isinstance(data, Shutdown):
            result.shutdown = True
            return
        result.newest_ms = max(result.newest_ms, data.E)
        columns = self.columns.get(data.s)
        if columns is None or not data.k.x:
            return
        try:
            result.klines.append(_closed(columns.instrument, data.k))
        except OffGridError:
            result.rejected["kline_off_grid"] += 1

    def _other(self, raw: bytes | str, result: Decoded) -> None:
        """Replies to requests are expected; anything else did not follow the documentation."""
        try:
            reply = REPLY.decode(raw)
        except msgspec.DecodeError:
            result.malformed += 1
            return
        if reply.id is None and reply.result is None:
            result.malformed += 1


def _closed(instrument: Instrument, k: Candle) -> KlineClosed:
    return KlineClosed(
        instrument=instrument.name,
        start_ms=k.t,
        open_ticks=instrument.price_ticks(k.o),
        high_ticks=instrument.price_ticks(k.h),
        low_ticks=instrument.price_ticks(k.l),
        close_ticks=instrument.price_ticks(k.c),
        volume_lots=instrument.qty_lots(k.v),
        quote_volume=Decimal(k.q),
        trades=k.n,
        taker_buy_lots=instrument.qty_lots(k.V),
        taker_buy_quote=Decimal(k.Q),
        first_trade_id=k.f if k.f >= 0 else None,
        last_trade_id=k.L if k.L >= 0 else None,
    )
