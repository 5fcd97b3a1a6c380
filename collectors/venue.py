"""The sans-I/O contract of a venue: what to connect to, what to ask, how to read the answers.

Pure: bytes and values in, events and requests out. Sockets live in `feed.py`, REST in
`backfill.py`; tests/collectors/test_venue_contract.py runs on every registered venue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from orderflow.errors import OffGridError
from orderflow.instrument import Instrument, Market
from orderflow.trade import KlineClosed, TradeBatch

FUTURE_MS = 5_000
"""A trade stamped this much after its own frame is refused."""
EXACT_DIGITS = 10**15
"""Below this many steps a double and its decimal string say the same (instrument.Step)."""


class Request(msgspec.Struct, frozen=True):
    """One REST question: path, query and its documented weight."""

    path: str
    params: Mapping[str, str] = {}
    weight: int = 1


class Host(msgspec.Struct, frozen=True):
    """Where a market is reached: names of the settings, and the REST budget per minute."""

    ws_setting: str
    rest_setting: str
    weight_per_minute: int


class Ack(msgspec.Struct, frozen=True):
    """The venue's answer to a subscription."""

    number: str
    ok: bool


class Decoded(msgspec.Struct):
    """What a burst of frames said.

    `newest_ms`: the highest exchange time in it. `shutdown`: the venue will close the connection.
    """

    batches: list[TradeBatch] = []
    klines: list[KlineClosed] = []
    acks: list[Ack] = []
    newest_ms: int = 0
    malformed: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    shutdown: bool = False


class Codec(Protocol):
    """Decoder of one connection."""

    def decode(self, frames: Sequence[bytes | str], received_ns: int) -> Decoded:
        """Read frames; a malformed one is counted and costs its neighbours nothing."""
        ...


class Page(msgspec.Struct, frozen=True):
    """Instruments of one REST answer, and the cursor of the next page, if any."""

    instruments: list[Instrument]
    cursor: str = ""


class Venue(Protocol):
    """One exchange."""

    @property
    def name(self) -> str:
        """Lower-case name, the first part of canonical names."""
        ...

    @property
    def hosts(self) -> Mapping[Market, Host]:
        """Its markets and where they are reached."""
        ...

    @property
    def instruments_per_connection(self) -> int:
        """How many instruments share a connection."""
        ...

    def connect_path(self, market: Market, instruments: Sequence[Instrument]) -> str:
        """Path of the socket; it carries the subscriptions where the venue allows it."""
        ...

    def subscriptions(self, market: Market, instruments: Sequence[Instrument]) -> list[list[str]]:
        """Topics to subscribe by message, in batches the venue accepts; [] when none."""
        ...

    def subscribe_frame(self, topics: Sequence[str], number: str) -> str:
        """The message that subscribes to topics."""
        ...

    def ping_frame(self) -> str | None:
        """The venue's own keep-alive message, if it has one."""
        ...

    def codec(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> Codec:
        """A decoder for a connection; `scales` by canonical name, 0 where not given."""
        ...

    def time_request(self, market: Market) -> Request:
        """Ask for the venue's time."""
        ...

    def parse_time(self, body: bytes) -> int:
        """Exchange milliseconds."""
        ...

    def instruments_request(self, market: Market, cursor: str) -> Request:
        """Ask for what is listed."""
        ...

    def parse_instruments(self, market: Market, body: bytes) -> Page:
        """What is listed and trading."""
        ...

    def klines_request(
        self, instrument: Instrument, interval_ms: int, start_ms: int, end_ms: int
    ) -> Request:
        """Ask for candles that start in [start_ms, end_ms]."""
        ...

    def parse_klines(self, instrument: Instrument, body: bytes) -> list[KlineClosed]:
        """Candles, oldest first; the newest may still be open."""
        ...

    def trades_by_key_request(self, instrument: Instrument, first_key: int) -> Request | None:
        """Ask for trades from an id on; None where the venue can't."""
        ...

    def trades_by_time_request(
        self, instrument: Instrument, start_ms: int, end_ms: int
    ) -> Request | None:
        """Ask for trades of [start_ms, end_ms]; None where the venue can't."""
        ...

    def recent_trades_request(self, instrument: Instrument) -> Request:
        """Ask for the newest trades, as many as the venue gives."""
        ...

    def parse_trades(self, instrument: Instrument, body: bytes) -> TradeBatch:
        """Trades in natural order, oldest first."""
        ...


class Columns:
    """The columns of one instrument while frames are being read."""

    __slots__ = (
        "batch",
        "instrument",
        "lot_factor",
        "lot_units",
        "name",
        "scale",
        "tick_factor",
        "tick_units",
    )

    def __init__(self, instrument: Instrument, scale: int) -> None:
        self.instrument = instrument
        self.name = instrument.name
        self.scale = scale
        self.tick_factor = instrument.tick.factor
        self.tick_units = instrument.tick.units
        self.lot_factor = instrument.lot.factor
        self.lot_units = instrument.lot.units
        self.batch: TradeBatch | None = None

    def fresh(self, received_ns: int) -> TradeBatch:
        """Start a batch."""
        self.batch = TradeBatch(
            self.name, [], [], [], [], [], [], [], [], [], [], "live", 0, self.scale, received_ns
        )
        return self.batch


def exact_steps(instrument: Instrument, price: str, quantity: str) -> tuple[int, int] | str:
    """(ticks, lots) of two decimal strings, or the reason why they must not count."""
    try:
        ticks = instrument.price_ticks(price)
    except OffGridError:
        return "off_tick"
    try:
        lots = instrument.qty_lots(quantity)
    except OffGridError:
        return "off_lot"
    if ticks <= 0:
        return "zero_price"
    return (ticks, lots) if lots > 0 else "zero_qty"
