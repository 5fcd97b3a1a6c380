"""Bybit v5 frames as types, and rows of trades as columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from collectors.reading import EXACT_BELOW, Millis, empty_batch, in_whole, judged
from orderflow.instrument import Instrument
from orderflow.trade import Side, Source, TradeBatch

N = TypeVar("N", float, str)
TRADES = "publicTrade."
CANDLES = "kline.1."
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Fill(msgspec.Struct, Generic[N], gc=False):
    """One fill; `S` is the taker's side, `BT` marks a block trade."""

    T: Millis
    s: str
    S: Literal["Buy", "Sell"]
    v: N
    p: N
    i: str
    BT: bool = False
    seq: int = 0


class TradeFrame(msgspec.Struct, Generic[N], gc=False):
    """Fills of one topic."""

    topic: str
    ts: Millis
    data: list[Fill[N]]


class CandleBody(msgspec.Struct, gc=False):
    """Bybit's own candle."""

    start: Millis
    interval: str
    open: str
    close: str
    high: str
    low: str
    volume: str
    turnover: str
    confirm: bool


class CandleFrame(msgspec.Struct, gc=False):
    """Changes of the newest candle."""

    topic: str
    ts: Millis
    data: list[CandleBody]


class Control(msgspec.Struct):
    """An answer to a message of ours, or a topic we do not read."""

    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""
    topic: str = ""
    type: str = ""


class RestFill(
    msgspec.Struct,
    Generic[N],
    gc=False,
    rename={
        "T": "time",
        "s": "symbol",
        "S": "side",
        "v": "size",
        "p": "price",
        "i": "execId",
        "BT": "isBlockTrade",
    },
):
    """A row of REST recent-trade; `seq` is a string there."""

    T: Millis
    s: str
    S: Literal["Buy", "Sell"]
    v: N
    p: N
    i: str
    BT: bool = False
    seq: int = 0


decode_trades = msgspec.json.Decoder(TradeFrame[float], strict=False).decode
decode_trades_text = msgspec.json.Decoder(TradeFrame[str], strict=False).decode
decode_candle = msgspec.json.Decoder(CandleFrame).decode
decode_control = msgspec.json.Decoder(Control).decode
Row = Fill[float] | RestFill[float]
RowText = Fill[str] | RestFill[str]
KeyOf = Callable[[str], int]


def uuid_key(text: str) -> int:
    """A UUID as a 128-bit number; ValueError otherwise."""
    if not UUID.fullmatch(text):
        raise ValueError
    return int(text.replace("-", ""), 16)


def number_key(text: str) -> int:
    """A decimal id; ValueError otherwise."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError
    return int(text)


def key_of(instrument: Instrument) -> KeyOf:
    """How ids of this instrument are read."""
    return number_key if instrument.sequence == "consecutive" else uuid_key


def fill_batch(
    rows: Sequence[Row],
    instrument: Instrument,
    scale: int,
    source: Source,
    received_ns: int = 0,
    until_ms: int = 10**13,
) -> TradeBatch | None:
    """Rows as columns, or None when any row needs a judgement of its own."""
    tick, lot = instrument.tick, instrument.lot
    price_factor, quantity_factor = tick.factor, lot.factor
    numbered = instrument.sequence == "consecutive"
    batch = empty_batch(instrument, scale, source, received_ns)
    key, times, sides, seqs = (
        batch.key.append,
        batch.event_ms.append,
        batch.side.append,
        batch.seq.append,
    )
    prices, quantities = batch.price_ticks.append, batch.qty_lots.append
    try:
        for row in rows:
            price, quantity, event_ms, text = row.p, row.v, row.T, row.i
            ticks, lots = int(price * price_factor + 0.5), int(quantity * quantity_factor + 0.5)
            if ticks / price_factor != price or lots / quantity_factor != quantity:
                return None
            if ticks <= 0 or lots <= 0 or row.BT or event_ms > until_ms:
                return None
            key(number_key(text) if numbered else uuid_key(text))
            times(event_ms)
            prices(ticks)
            quantities(lots)
            sides(1 if row.S == "Buy" else 0)
            seqs(row.seq)
    except (ValueError, OverflowError):
        return None
    if max(batch.price_ticks) >= EXACT_BELOW or max(batch.qty_lots) >= EXACT_BELOW:
        return None
    if not (in_whole(batch.price_ticks, tick.units) and in_whole(batch.qty_lots, lot.units)):
        return None
    return batch


def judge_into(batch: TradeBatch, row: RowText, instrument: Instrument, reason: str = "") -> bool:
    """Add one row from its exact text; False when not even its id can be read."""
    try:
        key = key_of(instrument)(row.i)
    except ValueError:
        return False
    verdict = judged(row.p, row.v, instrument)
    if row.BT:
        reason = "block_trade"
    if reason or isinstance(verdict, str):
        batch.rejected.append((key, reason or str(verdict)))
        return True
    batch.key.append(key)
    batch.event_ms.append(row.T)
    batch.price_ticks.append(verdict[0])
    batch.qty_lots.append(verdict[1])
    batch.side.append(Side.BUY if row.S == "Buy" else Side.SELL)
    batch.seq.append(row.seq)
    return True
