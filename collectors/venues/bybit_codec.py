"""Frames of Bybit's public streams: publicTrade and kline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from collectors.venue import EXACT_DIGITS, FUTURE_MS, Ack, Columns, Decoded, exact_steps
from orderflow.errors import OffGridError
from orderflow.instrument import Instrument
from orderflow.trade import KlineClosed


class Row(msgspec.Struct, gc=False):
    """A trade; S is the taker's side, BT a block trade."""

    T: int
    s: str
    S: str
    v: float
    p: float
    i: str
    BT: bool = False
    seq: int = 0


class Trades(msgspec.Struct, gc=False):
    """A publicTrade frame."""

    topic: str
    ts: int
    data: list[Row]


class ExactRow(msgspec.Struct, gc=False):
    """Price and quantity as written, for numbers a double can't decide."""

    v: str
    p: str


class ExactTrades(msgspec.Struct, gc=False):
    """A publicTrade frame read exactly."""

    data: list[ExactRow]


class Candle(msgspec.Struct, gc=False):
    """A row of a kline frame."""

    start: int
    open: str
    close: str
    high: str
    low: str
    volume: str
    turnover: str
    confirm: bool


class Klines(msgspec.Struct, gc=False):
    """A kline frame."""

    topic: str
    ts: int
    data: list[Candle]


class Reply(msgspec.Struct, gc=False):
    """The answer to a request of ours; pong among them."""

    op: str = ""
    req_id: str = ""
    success: bool | None = None
    ret_msg: str = ""


TRADES = msgspec.json.Decoder(Trades, strict=False)
EXACT = msgspec.json.Decoder(ExactTrades)
KLINES = msgspec.json.Decoder(Klines)
REPLY = msgspec.json.Decoder(Reply)


class BybitCodec:
    """Reads frames of one connection."""

    def __init__(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> None:
        self.columns = {i.symbol: Columns(i, scales.get(i.name, 0)) for i in instruments}

    def decode(self, frames: Sequence[bytes | str], received_ns: int) -> Decoded:
        """One batch per instrument, whatever the number of frames."""
        result = Decoded()
        touched: list[Columns] = []
        for raw in frames:
            data = raw.encode() if isinstance(raw, str) else raw
            if b'"publicTrade.' not in data:
                self._other(data, result)
                continue
            try:
                frame = TRADES.decode(data)
            except msgspec.DecodeError:
                result.malformed += 1
                continue
            self._trades(data, frame, result, touched, received_ns)
        for columns in touched:
            if columns.batch is not None:
                result.batches.append(columns.batch)
                columns.batch = None
        return result

    def _trades(
        self,
        raw: bytes,
        frame: Trades,
        result: Decoded,
        touched: list[Columns],
        received_ns: int,
    ) -> None:
        columns = self.columns.get(frame.topic[12:])
        if columns is None:
            result.rejected["unknown_symbol"] += len(frame.data)
            return
        result.newest_ms = max(result.newest_ms, frame.ts)
        batch = columns.batch
        if batch is None:
            batch = columns.fresh(received_ns)
            touched.append(columns)
        unordered = columns.instrument.sequence == "unordered"
        latest_ms = frame.ts + FUTURE_MS
        tick_factor, lot_factor = columns.tick_factor, columns.lot_factor
        plain = columns.tick_units == 1 and columns.lot_units == 1
        exact: list[ExactRow] | None = None
        for place, row in enumerate(frame.data):
            try:
                key = int(row.i.replace("-", ""), 16) if unordered else int(row.i)
            except ValueError:
                result.malformed += 1
                continue
            ticks, lots = round(row.p * tick_factor), round(row.v * lot_factor)
            if (
                not plain
                or not 0 < ticks < EXACT_DIGITS
                or not 0 < lots < EXACT_DIGITS
                or ticks / tick_factor != row.p
                or lots / lot_factor != row.v
                or row.BT
                or latest_ms < row.T
                or row.S not in SIDES
            ):
                exact = EXACT.decode(raw).data if exact is None else exact
                found = _exact(columns.instrument, row, exact[place], latest_ms)
                if isinstance(found, str):
                    batch.rejected.append((key, found))
                    result.rejected[found] += 1
                    continue
                ticks, lots = found
            batch.key.append(key)
            batch.event_ms.append(row.T)
            batch.price_ticks.append(ticks)
            batch.qty_lots.append(lots)
            batch.side.append(1 if row.S == "Buy" else 0)
            batch.seq.append(row.seq)
            if not unordered:
                batch.first_trade_id.append(key)
                batch.last_trade_id.append(key)

    def _other(self, raw: bytes, result: Decoded) -> None:
        """Candles, replies and pongs; anything else did not follow the documentation."""
        try:
            if b'"kline.' in raw:
                self._klines(KLINES.decode(raw), result)
                return
            reply = REPLY.decode(raw)
        except msgspec.DecodeError:
            result.malformed += 1
            return
        if reply.success is not None and reply.op != "ping" and reply.ret_msg != "pong":
            known = "already subscribed" in reply.ret_msg
            result.acks.append(Ack(reply.req_id, reply.success or known))
        elif not reply.op and reply.success is None:
            result.malformed += 1

    def _klines(self, frame: Klines, result: Decoded) -> None:
        columns = self.columns.get(frame.topic.rpartition(".")[2])
        result.newest_ms = max(result.newest_ms, frame.ts)
        if columns is None:
            return
        for k in frame.data:
            if not k.confirm:
                continue
            row = [str(k.start), k.open, k.high, k.low, k.close, k.volume, k.turnover]
            try:
                result.klines.append(kline_of(columns.instrument, row))
            except OffGridError:
                result.rejected["kline_off_grid"] += 1


SIDES = frozenset({"Buy", "Sell"})


def _exact(
    instrument: Instrument, row: Row, texts: ExactRow, latest_ms: int
) -> tuple[int, int] | str:
    """Whole (ticks, lots) from the digits as written, or why the trade must not count."""
    if row.BT:
        return "block_trade"
    if row.S not in SIDES:
        return "no_side"
    if latest_ms < row.T:
        return "from_future"
    return exact_steps(instrument, texts.p, texts.v)


def kline_of(instrument: Instrument, row: Sequence[str]) -> KlineClosed:
    """A candle from start, open, high, low, close, volume and turnover."""
    return KlineClosed(
        instrument=instrument.name,
        start_ms=int(row[0]),
        open_ticks=instrument.price_ticks(row[1]),
        high_ticks=instrument.price_ticks(row[2]),
        low_ticks=instrument.price_ticks(row[3]),
        close_ticks=instrument.price_ticks(row[4]),
        volume_lots=instrument.qty_lots(row[5]),
        quote_volume=Decimal(row[6]),
    )
