"""Bybit v5 frames as types, and rows of trades as columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from collectors.reading import EXACT_BELOW, Millis, empty_batch, in_whole, judged
from orderflow.instrument import Instrument
from orderflow.trade import Side, Source, TradeBatch

WORTHWHILE = 12
"""Fewer rows are faster one by one."""
UUID_CHARS, UUID_BYTES, UUID_DASHES = 36, 16, (8, 13, 18, 23)
HEX_DIGITS = b"0123456789abcdef"
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


def uuid_keys(texts: Sequence[str]) -> list[int]:
    """UUIDs as 128-bit numbers, all checked and read in one go; ValueError where one is none."""
    joined, count = "".join(texts), len(texts)
    dashes = "-" * count
    if any(joined[place::UUID_CHARS] != dashes for place in UUID_DASHES):
        raise ValueError("not UUIDs")
    digits = joined.replace("-", "")
    if set(map(len, texts)) != {UUID_CHARS} or len(digits) != 2 * UUID_BYTES * count:
        raise ValueError("not UUIDs")
    raw = digits.encode("ascii")
    if raw.translate(None, HEX_DIGITS):
        raise ValueError("not UUIDs")
    read, body = int.from_bytes, bytes.fromhex(digits)
    return [read(body[at : at + UUID_BYTES], "big") for at in range(0, len(body), UUID_BYTES)]


def fill_batch(
    rows: Sequence[Row],
    instrument: Instrument,
    scale: int,
    source: Source,
    received_ns: int = 0,
    until_ms: int = 10**13,
) -> TradeBatch | None:
    """Rows (at least one) as columns, or None when any row needs a judgement of its own."""
    batch = empty_batch(instrument, scale, source, received_ns)
    fill = _fill_columns if len(rows) >= WORTHWHILE else _fill_each
    try:
        if not fill(batch, rows, instrument, until_ms):
            return None
    except (ValueError, OverflowError):
        return None
    if max(batch.price_ticks) >= EXACT_BELOW or max(batch.qty_lots) >= EXACT_BELOW:
        return None
    if not in_whole(batch.price_ticks, instrument.tick.units):
        return None
    return batch if in_whole(batch.qty_lots, instrument.lot.units) else None


def _fill_each(
    batch: TradeBatch, rows: Sequence[Row], instrument: Instrument, until_ms: int
) -> bool:
    """Row by row; False when one needs a judgement."""
    price_factor, quantity_factor = instrument.tick.factor, instrument.lot.factor
    read_key = key_of(instrument)
    key, times, sides, seqs = (
        batch.key.append,
        batch.event_ms.append,
        batch.side.append,
        batch.seq.append,
    )
    prices, quantities = batch.price_ticks.append, batch.qty_lots.append
    for row in rows:
        price, quantity, event_ms = row.p, row.v, row.T
        ticks, lots = int(price * price_factor + 0.5), int(quantity * quantity_factor + 0.5)
        if ticks / price_factor != price or lots / quantity_factor != quantity:
            return False
        if ticks <= 0 or lots <= 0 or row.BT or event_ms > until_ms:
            return False
        key(read_key(row.i))
        times(event_ms)
        prices(ticks)
        quantities(lots)
        sides(1 if row.S == "Buy" else 0)
        seqs(row.seq)
    return True


def _fill_columns(
    batch: TradeBatch, rows: Sequence[Row], instrument: Instrument, until_ms: int
) -> bool:
    """The same a column at a time."""
    batch.event_ms = [row.T for row in rows]
    if max(batch.event_ms) > until_ms or True in [row.BT for row in rows]:
        return False
    batch.price_ticks = _steps([row.p for row in rows], instrument.tick.factor)
    batch.qty_lots = _steps([row.v for row in rows], instrument.lot.factor)
    if not batch.price_ticks or not batch.qty_lots:
        return False
    texts = [row.i for row in rows]
    numbered = instrument.sequence == "consecutive"
    batch.key = list(map(number_key, texts)) if numbered else uuid_keys(texts)
    batch.side = [1 if row.S == "Buy" else 0 for row in rows]
    batch.seq = [row.seq for row in rows]
    return True


def _steps(values: list[float], factor: float) -> list[int]:
    """`EXACT_BELOW`'s rule for a column: whole multiples of 1/factor above zero, or nothing."""
    steps = [int(value * factor + 0.5) for value in values]
    exact = min(steps) > 0 and [step / factor for step in steps] == values
    return steps if exact else []


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
