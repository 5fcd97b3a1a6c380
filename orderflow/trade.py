"""Trades as columns, and everything else that can happen on a stream.

All of these cross the bus, so they are msgspec structs: plain data, cheap to encode.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from itertools import chain
from operator import attrgetter
from typing import Literal

import msgspec

from orderflow.instrument import Instrument, Market

CANDLE_MISSING = "candle missing"
"""Reason of a question for the venue's candle of a minute; its trades are not missed."""

OUT_OF_REACH = "out_of_reach"
"""Reason of a repair that can't be completed: the venue keeps no trades that old."""

IDS_SKIP = "ids_skip"
"""Reason of a repair that found a venue's own whole page to skip ids: they are no count."""

Source = Literal["live", "polling", "rest", "archive"]
"""`polling`: REST in place of sockets that are down; `rest`: a repair; `archive`: a past day."""


class Side(IntEnum):
    """The aggressor: who crossed the spread."""

    SELL = 0
    BUY = 1


class TradeBatch(msgspec.Struct, tag="trades", gc=False):
    """Trades of one instrument as parallel columns, in the venue's order.

    `key`: what makes a trade unique and, where the venue numbers consecutively, orders it
    (Binance aggregate id, Bybit spot id; Bybit linear: the UUID as a 128-bit int).
    `seq`, `n_trades`, `first_trade_id`, `last_trade_id` may be empty: then 0, 1, none, none.
    `rejected`: (key, reason) of trades that must never enter a bar; they count as seen.
    `scale`: number of the instrument's tick and lot definition, from 0.
    """

    instrument: str
    key: list[int]
    event_ms: list[int]
    price_ticks: list[int]
    qty_lots: list[int]
    side: list[int]
    seq: list[int] = []
    n_trades: list[int] = []
    first_trade_id: list[int] = []
    last_trade_id: list[int] = []
    rejected: list[tuple[int, str]] = []
    source: Source = "live"
    epoch: int = 0
    scale: int = 0
    received_ns: int = 0

    def __len__(self) -> int:
        return len(self.key)

    def picked(self, places: Sequence[int]) -> TradeBatch:
        """The same batch with only the trades at these places."""
        columns = {
            name: [values[place] for place in places] if (values := getattr(self, name)) else []
            for name in COLUMNS
        }
        return msgspec.structs.replace(self, **columns)

    def rescaled(self, ticks: int, lots: int) -> TradeBatch:
        """The same batch in finer steps: one tick becomes `ticks`, one lot becomes `lots`."""
        return msgspec.structs.replace(
            self,
            price_ticks=[price * ticks for price in self.price_ticks],
            qty_lots=[quantity * lots for quantity in self.qty_lots],
        )


def joinable(a: TradeBatch, b: TradeBatch) -> bool:
    """True when two batches of one instrument differ in nothing but their trades."""
    return (
        a.scale == b.scale
        and a.source == b.source
        and a.epoch == b.epoch
        and (not a.n_trades) == (not b.n_trades)
        and (not a.seq) == (not b.seq)
        and (not a.first_trade_id) == (not b.first_trade_id)
    )


def joined(batches: Sequence[TradeBatch]) -> TradeBatch:
    """Joinable batches as one, in the order given."""
    if len(batches) == 1:
        return batches[0]
    rejected = [row for batch in batches if batch.rejected for row in batch.rejected]
    columns = {
        name: list(chain.from_iterable(map(column, batches))) for name, column in GETTERS.items()
    }
    return msgspec.structs.replace(batches[0], rejected=rejected, **columns)


COLUMNS = (
    "key",
    "event_ms",
    "price_ticks",
    "qty_lots",
    "side",
    "seq",
    "n_trades",
    "first_trade_id",
    "last_trade_id",
)
"""The parallel columns of a batch."""

GETTERS = {name: attrgetter(name) for name in COLUMNS}


class Watermark(msgspec.Struct, tag="watermark", gc=False):
    """Everything up to `event_ms` (exchange time) has been delivered on these streams."""

    instruments: list[str]
    event_ms: int
    connection: str = ""


class KlineClosed(msgspec.Struct, tag="kline", gc=False):
    """The venue's own closed 1-minute candle; None where the venue does not say."""

    instrument: str
    start_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    quote_volume: Decimal
    trades: int | None = None
    taker_buy_lots: int | None = None
    taker_buy_quote: Decimal | None = None
    first_trade_id: int | None = None
    last_trade_id: int | None = None


class Connected(msgspec.Struct, tag="connected", gc=False):
    """These streams began to deliver; trades before `event_ms` may be missing.

    `again`: the connection has been delivering and says so because somebody asked.
    """

    instruments: list[str]
    connection: str
    event_ms: int
    again: bool = False


class Disconnect(msgspec.Struct, tag="disconnect", gc=False):
    """Delivery stopped: what came after `event_ms` may be lost unless another connection has it."""

    instruments: list[str]
    connection: str
    event_ms: int
    reason: str


EVERY_CONNECTION = "*"
"""As the end of a Disconnect's connection: every connection of these streams whose name begins
with what stands before it is gone; alone, all of them."""


class GapLost(msgspec.Struct, tag="gap_lost", gc=False):
    """The collector can't repair this hole (any more); ids where known, exchange times always."""

    instrument: str
    start_ms: int
    end_ms: int
    reason: str
    first_key: int | None = None
    last_key: int | None = None


class RepairDone(msgspec.Struct, tag="repair_done", gc=False):
    """The answer to one repair request: all rows the venue had were published before this."""

    instrument: str
    repair_id: int
    complete: bool
    reason: str = ""


class InstrumentChanged(msgspec.Struct, tag="instrument", gc=False):
    """A new or changed instrument; `hour_ranges` are the newest hourly high-low ranges.

    `scale` grows by one with every change of tick or lot; batches name the scale they count in.
    """

    venue: str
    market: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    sequence: Literal["consecutive", "unordered"] = "consecutive"
    status: Literal["trading", "halted", "delisted", "renamed"] = "trading"
    scale: int = 0
    hour_ranges: list[Decimal] = []
    last_price: Decimal | None = None


def instrument_of(event: InstrumentChanged) -> Instrument:
    """The instrument an announcement describes."""
    return Instrument(
        venue=event.venue,
        market=Market(event.market),
        symbol=event.symbol,
        base=event.base,
        quote=event.quote,
        tick_size=event.tick_size,
        lot_size=event.lot_size,
        sequence=event.sequence,
        status=event.status,
    )


class RepairRequest(msgspec.Struct, tag="repair", gc=False):
    """Please fetch: an id range (consecutive streams) or a time range, and its klines."""

    instrument: str
    repair_id: int
    start_ms: int
    end_ms: int
    reason: str
    first_key: int | None = None
    last_key: int | None = None


class AnnounceRequest(msgspec.Struct, tag="announce", gc=False):
    """Please say again which instruments there are and which connections deliver them."""

    reason: str


StreamEvent = (
    TradeBatch
    | Watermark
    | KlineClosed
    | Connected
    | Disconnect
    | GapLost
    | RepairDone
    | InstrumentChanged
)
