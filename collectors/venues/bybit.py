"""Bybit v5: spot and linear perpetuals, one class with two sets of parameters. Pure.

REST has only the newest page of trades and candles do not split by taker: two connections side by
side are what really protects against loss.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Literal, TypeVar

import msgspec

from collectors.reading import (
    are_names,
    decoded,
    empty_batch,
    number_of,
    query,
    turnovers_of,
)
from collectors.venue import Candle, Codec, History, InstrumentPage, Request, RestCall, Venue
from collectors.venues.bybit_codec import BybitCodec
from collectors.venues.bybit_rows import CANDLES, TRADES, N, RestFill, fill_batch, judge_into
from orderflow.errors import DomainError, MalformedFrameError, VenueRefusedError
from orderflow.instrument import Instrument, Market, Status
from orderflow.instrument import Sequence as IdSequence
from orderflow.trade import TradeBatch

R = TypeVar("R")
TOO_MANY = 10006
PAUSE_S = 5.0
"""Bybit counts requests per five seconds."""
STATUSES: dict[str, Status] = {
    "Trading": "trading",
    "Delivering": "delisted",
    "Closed": "delisted",
}


class PriceFilter(msgspec.Struct):
    """Price rules."""

    tickSize: str  # noqa: N815


class LotFilter(msgspec.Struct):
    """Quantity rules; linear has qtyStep, spot basePrecision."""

    qtyStep: str = ""  # noqa: N815
    basePrecision: str = ""  # noqa: N815


class Listing(msgspec.Struct):
    """A symbol of instruments-info."""

    symbol: str
    status: str
    baseCoin: str  # noqa: N815
    quoteCoin: str  # noqa: N815
    priceFilter: PriceFilter  # noqa: N815
    lotSizeFilter: LotFilter  # noqa: N815
    contractType: str = "LinearPerpetual"  # noqa: N815


class Ticker(msgspec.Struct):
    """A row of tickers."""

    symbol: str
    turnover24h: str


class Page(msgspec.Struct, Generic[R], rename={"rows": "list"}):
    """A list answer."""

    rows: list[R]
    nextPageCursor: str = ""  # noqa: N815


class Time(msgspec.Struct):
    """The venue's time in nanoseconds."""

    timeNano: str  # noqa: N815


class Answer(msgspec.Struct):
    """The envelope of every answer: an error comes with HTTP 200."""

    retCode: int  # noqa: N815
    result: msgspec.Raw = msgspec.Raw(b"{}")


CandleRow = tuple[str, str, str, str, str, str, str]
decode_answer = msgspec.json.Decoder(Answer).decode
decode_listings = msgspec.json.Decoder(Page[Listing]).decode
decode_time = msgspec.json.Decoder(Time).decode
decode_tickers = msgspec.json.Decoder(Page[Ticker]).decode
decode_candles = msgspec.json.Decoder(Page[CandleRow]).decode
decode_fills = msgspec.json.Decoder(Page[RestFill[float]], strict=False).decode
decode_fills_text = msgspec.json.Decoder(Page[RestFill[str]], strict=False).decode


@dataclass(frozen=True, slots=True)
class BybitMarket:
    """One Bybit market."""

    market: Market
    category: str
    sequence: IdSequence
    args_per_request: int
    page_rows: int
    venue: str = "bybit"
    ws_setting: str = "bybit_ws_url"
    rest_setting: str = "bybit_rest_url"
    connections: int = 2
    symbols_per_connection: int = 100
    weight_per_minute: int = 7_200
    history: History = "newest"

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """The public socket of the category."""
        return f"/v5/public/{self.category}"

    def topics(self, instruments: Sequence[Instrument]) -> list[str]:
        """Trades and candles of these instruments."""
        return [kind + item.symbol for item in instruments for kind in (TRADES, CANDLES)]

    def requests(self, topics: Sequence[str], serial: int) -> list[Request]:
        """Subscriptions of at most `args_per_request` topics."""
        return self._messages("subscribe", topics, serial)

    def changes(
        self, instruments: Sequence[Instrument], serial: int, *, leave: bool
    ) -> list[Request]:
        """The same for some instruments more, or less."""
        op = "unsubscribe" if leave else "subscribe"
        return self._messages(op, self.topics(instruments), serial)

    def _messages(self, op: str, topics: Sequence[str], serial: int) -> list[Request]:
        size = self.args_per_request
        found = []
        for number, start in enumerate(range(0, len(topics), size), serial):
            part = tuple(topics[start : start + size])
            frame = json.dumps({"op": op, "req_id": str(number), "args": part})
            found.append(Request(str(number), part, frame))
        return found

    def ping(self) -> tuple[str, float] | None:
        """Bybit's ping and its interval in seconds."""
        return '{"op":"ping"}', 20.0

    def codec(self, instruments: Sequence[Instrument]) -> Codec:
        """A fresh reader."""
        return BybitCodec(instruments)

    def instruments_call(self, cursor: str = "") -> RestCall:
        """instruments-info in pages of 1000."""
        values = query(category=self.category, limit=1_000)
        if cursor:
            values += query(cursor=cursor)
        return RestCall("/v5/market/instruments-info", values, 1)

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """Symbols with their tick and lot; perpetuals only on linear."""
        page = decoded(decode_listings, _result(body))
        found = [self._instrument(listing) for listing in page.rows]
        return InstrumentPage([item for item in found if item is not None], page.nextPageCursor)

    def _instrument(self, listing: Listing) -> Instrument | None:
        lot = listing.lotSizeFilter
        names = (listing.symbol, listing.baseCoin, listing.quoteCoin)
        if listing.contractType != "LinearPerpetual" or not are_names(*names):
            return None
        try:
            return Instrument(
                venue=self.venue,
                market=self.market,
                symbol=listing.symbol,
                base=listing.baseCoin,
                quote=listing.quoteCoin,
                tick_size=number_of(listing.priceFilter.tickSize).normalize(),
                lot_size=number_of(lot.qtyStep or lot.basePrecision).normalize(),
                sequence=self.sequence,
                status=STATUSES.get(listing.status, "halted"),
            )
        except (DomainError, MalformedFrameError):
            return None

    def tickers_call(self) -> RestCall:
        """tickers of the whole category."""
        return RestCall("/v5/market/tickers", query(category=self.category), 1)

    def parse_tickers(self, body: bytes) -> dict[str, Decimal]:
        """Turnover of every symbol."""
        rows = decoded(decode_tickers, _result(body)).rows
        return turnovers_of((row.symbol, row.turnover24h) for row in rows)

    def time_call(self) -> RestCall:
        """Server time."""
        return RestCall("/v5/market/time", (), 1)

    def parse_time(self, body: bytes) -> int:
        """Exchange milliseconds."""
        text = decoded(decode_time, _result(body)).timeNano
        if not (text.isascii() and text.isdecimal() and len(text) == 19):
            raise MalformedFrameError("timeNano does not have the documented shape")
        return int(text) // 1_000_000

    def candles_call(
        self, instrument: Instrument, interval: Literal["1m", "1h"], start_ms: int, end_ms: int
    ) -> RestCall:
        """Klines that start in [start_ms, end_ms]."""
        values = query(
            category=self.category,
            symbol=instrument.symbol,
            interval={"1m": "1", "1h": "60"}[interval],
            start=start_ms,
            end=end_ms,
            limit=1_000,
        )
        return RestCall("/v5/market/kline", values, 1)

    def parse_candles(self, body: bytes) -> list[Candle]:
        """Klines, oldest first (the answer has the newest first)."""
        rows = decoded(decode_candles, _result(body)).rows
        return sorted(_candle(row) for row in rows)

    def trades_call(
        self, instrument: Instrument, first_key: int | None, start_ms: int, end_ms: int
    ) -> RestCall:
        """The newest page: Bybit has no other."""
        values = query(category=self.category, symbol=instrument.symbol, limit=self.page_rows)
        return RestCall("/v5/market/recent-trade", values, 1)

    def newest_call(self, instrument: Instrument) -> RestCall:
        """The newest trade."""
        values = query(category=self.category, symbol=instrument.symbol, limit=1)
        return RestCall("/v5/market/recent-trade", values, 1)

    def parse_trades(self, body: bytes, instrument: Instrument, scale: int) -> TradeBatch:
        """The newest page, oldest first."""
        result = _result(body)
        rows = decoded(decode_fills, result).rows
        batch = fill_batch(_ascending(rows), instrument, scale, "rest") if rows else None
        if batch is None:
            batch = empty_batch(instrument, scale, "rest")
            for row in _ascending(decoded(decode_fills_text, result).rows):
                if not judge_into(batch, row, instrument):
                    raise MalformedFrameError("an execId does not have the documented shape")
        return batch


def _ascending(rows: list[RestFill[N]]) -> list[RestFill[N]]:
    """Oldest first; rows of one millisecond keep the venue's order, which is newest first."""
    oldest_first = list(reversed(rows))
    return sorted(oldest_first, key=lambda row: (row.T, row.seq))


def _result(body: bytes) -> bytes:
    """The result of an answer; VenueRefusedError when it says no."""
    answer = decoded(decode_answer, body)
    if answer.retCode == TOO_MANY:
        raise VenueRefusedError("too many requests", retry_after_s=PAUSE_S)
    if answer.retCode != 0:
        raise VenueRefusedError(f"refused with code {answer.retCode}")
    return bytes(answer.result)


def _candle(row: CandleRow) -> Candle:
    start_ms, opened, high, low, close, volume, turnover = row
    return Candle(
        start_ms=int(number_of(start_ms)),
        open=number_of(opened),
        high=number_of(high),
        low=number_of(low),
        close=number_of(close),
        volume=number_of(volume),
        quote_volume=number_of(turnover),
    )


BYBIT: Venue = {
    Market.SPOT: BybitMarket(
        market=Market.SPOT,
        category="spot",
        sequence="consecutive",
        args_per_request=10,
        page_rows=60,
    ),
    Market.PERP: BybitMarket(
        market=Market.PERP,
        category="linear",
        sequence="unordered",
        args_per_request=50,
        page_rows=1_000,
    ),
}
