"""The sans-I/O contract of a venue: what to ask, and what the answers mean. Pure.

A venue is a mapping of markets. A market says which socket to open, what to send, how to read the
frames, which REST calls exist and how to read their bodies; it never touches a socket or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

import msgspec

from orderflow.instrument import Instrument, Market
from orderflow.mixed import MixedTrades
from orderflow.trade import KlineClosed, TradeBatch

FUTURE_TOLERANCE_MS = 5_000
"""A trade later than its own frame's exchange time by more than this is quarantined."""

History = Literal["by_id", "newest"]
"""How past trades can be fetched: any page by id, or only the newest page."""


class Acked(NamedTuple):
    """The venue accepted a request; `request_id` may be empty when the venue leaves it out."""

    request_id: str


class Refused(NamedTuple):
    """The venue refused a request; `already` is the topic that was subscribed before."""

    request_id: str
    already: str = ""


class Pong(NamedTuple):
    """An answer to the venue's own kind of ping."""


class Shutdown(NamedTuple):
    """The venue announced that it will close this connection."""


class Lost(NamedTuple):
    """Trades of these instruments were in a frame that can't be read (all of them if empty)."""

    instruments: tuple[str, ...] = ()


Notice = Acked | Refused | Pong | Shutdown | Lost


class Decoded(NamedTuple):
    """What a list of frames held: stream events in order, and words about the connection."""

    events: list[TradeBatch | MixedTrades | KlineClosed]
    notices: list[Notice]


class CodecCounts(msgspec.Struct):
    """Everything a codec read; `rejected` counts trades by reason."""

    frames: int = 0
    trades: int = 0
    malformed: int = 0
    ignored: int = 0
    rejected: dict[str, int] = {}

    def reject(self, reason: str) -> None:
        """Count one trade that must not enter a bar."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


class Codec(Protocol):
    """Reader of one connection's frames.

    `seen_ms`: highest exchange time of any frame, 0 before the first.
    """

    counts: CodecCounts
    seen_ms: int

    def decode(self, frames: Sequence[bytes], received_ns: int) -> Decoded:
        """Read frames in order; an instrument in at most one event. Never raises on content."""
        ...

    def redefine(self, instrument: Instrument, scale: int) -> None:
        """Count this instrument in new steps from now on; it may be a new one."""
        ...

    def forget(self, symbol: str) -> None:
        """Read nothing of this instrument from now on."""
        ...


class Request(NamedTuple):
    """A subscription message and the topics it names."""

    request_id: str
    topics: tuple[str, ...]
    frame: str


class RestCall(NamedTuple):
    """A GET: path and query behind the market's REST address, and its documented weight."""

    path: str
    query: tuple[tuple[str, str], ...]
    weight: int


class Candle(NamedTuple):
    """A venue candle as it was sent; None where the venue does not say."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int | None = None
    taker_buy: Decimal | None = None
    taker_buy_quote: Decimal | None = None
    first_trade_id: int | None = None
    last_trade_id: int | None = None

    def counted(self, instrument: Instrument) -> KlineClosed:
        """The same in whole ticks and lots; OffGridError when it does not fit."""
        ticks, lots = instrument.tick.steps, instrument.lot.steps
        return KlineClosed(
            instrument=instrument.name,
            start_ms=self.start_ms,
            open_ticks=ticks(self.open),
            high_ticks=ticks(self.high),
            low_ticks=ticks(self.low),
            close_ticks=ticks(self.close),
            volume_lots=lots(self.volume),
            quote_volume=self.quote_volume,
            trades=self.trades,
            taker_buy_lots=None if self.taker_buy is None else lots(self.taker_buy),
            taker_buy_quote=self.taker_buy_quote,
            first_trade_id=self.first_trade_id,
            last_trade_id=self.last_trade_id,
        )


class InstrumentPage(NamedTuple):
    """Listed instruments, and the cursor of the next page ("" when this was the last)."""

    instruments: list[Instrument]
    cursor: str


class VenueMarket(Protocol):
    """One market of one venue. Parsers raise MalformedFrameError or VenueRefusedError.

    `connections`: sockets kept open side by side, 2 where nothing else repairs a loss.
    `weight_per_minute`: documented REST budget of one address. `page_rows`: most trades per page.
    """

    @property
    def venue(self) -> str: ...
    @property
    def market(self) -> Market: ...
    @property
    def ws_setting(self) -> str: ...
    @property
    def rest_setting(self) -> str: ...
    @property
    def connections(self) -> int: ...
    @property
    def symbols_per_connection(self) -> int: ...
    @property
    def weight_per_minute(self) -> int: ...
    @property
    def history(self) -> History: ...
    @property
    def page_rows(self) -> int: ...

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """Path and query of the socket for these instruments."""
        ...

    def topics(self, instruments: Sequence[Instrument]) -> list[str]:
        """Topics to subscribe by message; empty where the path subscribes."""
        ...

    def requests(self, topics: Sequence[str], serial: int) -> list[Request]:
        """Subscription messages within the venue's limits, numbered from `serial`."""
        ...

    def changes(
        self, instruments: Sequence[Instrument], serial: int, *, leave: bool
    ) -> list[Request]:
        """Messages that begin (or end) these instruments on an open connection, within limits."""
        ...

    def ping(self) -> tuple[str, float] | None:
        """The venue's own ping message and its interval in seconds; None without one."""
        ...

    def codec(self, instruments: Sequence[Instrument]) -> Codec:
        """A fresh reader for one connection."""
        ...

    def instruments_call(self, cursor: str = "") -> RestCall:
        """Ask for the listed instruments."""
        ...

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """Instruments this project can count; others are left out."""
        ...

    def tickers_call(self) -> RestCall:
        """Ask for the last 24 hours of every instrument."""
        ...

    def parse_tickers(self, body: bytes) -> dict[str, Decimal]:
        """Quote turnover of the last 24 hours by symbol; rows that can't be read are left out."""
        ...

    def time_call(self) -> RestCall:
        """Ask for the venue's time."""
        ...

    def parse_time(self, body: bytes) -> int:
        """Exchange milliseconds."""
        ...

    def candles_call(
        self, instrument: Instrument, interval: Literal["1m", "1h"], start_ms: int, end_ms: int
    ) -> RestCall:
        """Ask for candles that start in [start_ms, end_ms], at most 1000."""
        ...

    def parse_candles(self, body: bytes) -> list[Candle]:
        """Candles in ascending order; the last one may still be open."""
        ...

    def trades_call(
        self, instrument: Instrument, first_key: int | None, start_ms: int, end_ms: int
    ) -> RestCall:
        """Ask for a page of trades from an id on, or of a time range, or the newest."""
        ...

    def newest_call(self, instrument: Instrument) -> RestCall:
        """Ask for the newest trade alone."""
        ...

    def parse_trades(self, body: bytes, instrument: Instrument, scale: int) -> TradeBatch:
        """Trades of a page, oldest first, `source="rest"`."""
        ...


Venue = Mapping[Market, VenueMarket]
