"""Binance: spot and USD-M perpetuals, one class with two sets of parameters. Pure.

`aggTrade` numbers its aggregates without holes on both markets, and REST gives any page by id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

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
from collectors.venues.binance_codec import BinanceCodec
from collectors.venues.binance_rows import (
    aggregate_batch,
    decode_page,
    decode_page_text,
    judge_into,
)
from orderflow.errors import DomainError, MalformedFrameError
from orderflow.instrument import Instrument, Market, Status
from orderflow.timeframe import HOUR_MS, MINUTE_MS
from orderflow.trade import TradeBatch

MOST_CANDLES = 1_000
LENGTHS_MS = {"1m": MINUTE_MS, "1h": HOUR_MS}
STREAMS_PER_MESSAGE = 100
HALTED = frozenset({"BREAK", "HALT", "AUCTION_MATCH", "PENDING_TRADING", "CANCEL_ONLY"})


class Filter(msgspec.Struct):
    """A trading rule of a symbol."""

    filterType: str  # noqa: N815
    tickSize: str = ""  # noqa: N815
    stepSize: str = ""  # noqa: N815


class Listing(msgspec.Struct):
    """A symbol of exchangeInfo."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[Filter]
    contractType: str = "PERPETUAL"  # noqa: N815


class ExchangeInfo(msgspec.Struct):
    """The answer of exchangeInfo."""

    symbols: list[Listing]


class ServerTime(msgspec.Struct):
    """The answer of /time."""

    serverTime: int  # noqa: N815


class Ticker(msgspec.Struct):
    """A row of ticker/24hr."""

    symbol: str
    quoteVolume: str  # noqa: N815


CandleRow = tuple[int, str, str, str, str, str, int, str, int, str, str, msgspec.Raw]
decode_info = msgspec.json.Decoder(ExchangeInfo).decode
decode_time = msgspec.json.Decoder(ServerTime).decode
decode_tickers = msgspec.json.Decoder(list[Ticker]).decode
decode_candles = msgspec.json.Decoder(list[CandleRow]).decode


@dataclass(frozen=True, slots=True)
class BinanceMarket:
    """One Binance market. `candle_weights`: weight of a question for so many rows at most."""

    market: Market
    ws_setting: str
    rest_setting: str
    route: str
    api: str
    weight_per_minute: int
    info_weight: int
    trades_weight: int
    candle_weights: tuple[tuple[int, int], ...]
    tickers_weight: int
    venue: str = "binance"
    connections: int = 1
    symbols_per_connection: int = 100
    history: History = "by_id"
    page_rows: int = 1_000

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """Path that subscribes trades and candles of these instruments."""
        streams = [topic for item in instruments for topic in _topics(item)]
        return f"{self.route}/stream?streams={'/'.join(streams)}"

    def topics(self, instruments: Sequence[Instrument]) -> list[str]:
        """None: the path subscribes."""
        return []

    def requests(self, topics: Sequence[str], serial: int) -> list[Request]:
        """None: the path subscribes."""
        return []

    def changes(
        self, instruments: Sequence[Instrument], serial: int, *, leave: bool
    ) -> list[Request]:
        """SUBSCRIBE or UNSUBSCRIBE of at most STREAMS_PER_MESSAGE streams."""
        method = "UNSUBSCRIBE" if leave else "SUBSCRIBE"
        topics = [topic for item in instruments for topic in _topics(item)]
        found = []
        starts = range(0, len(topics), STREAMS_PER_MESSAGE)
        for number, start in enumerate(starts, serial):
            part = tuple(topics[start : start + STREAMS_PER_MESSAGE])
            frame = json.dumps({"method": method, "params": part, "id": number})
            found.append(Request(str(number), part, frame))
        return found

    def ping(self) -> tuple[str, float] | None:
        """None: Binance speaks WebSocket pings only."""
        return None

    def codec(self, instruments: Sequence[Instrument]) -> Codec:
        """A fresh reader."""
        return BinanceCodec(instruments)

    def instruments_call(self, cursor: str = "") -> RestCall:
        """exchangeInfo, in one page."""
        return RestCall(f"{self.api}/exchangeInfo", (), self.info_weight)

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """Symbols with tick and lot from their filters; perpetuals only on USD-M."""
        found = [self._instrument(listing) for listing in decoded(decode_info, body).symbols]
        return InstrumentPage([item for item in found if item is not None], "")

    def _instrument(self, listing: Listing) -> Instrument | None:
        wanted = self.market is Market.SPOT or listing.contractType == "PERPETUAL"
        names = (listing.symbol, listing.baseAsset, listing.quoteAsset)
        if not wanted or not are_names(*names):
            return None
        steps = {rule.filterType: rule.tickSize or rule.stepSize for rule in listing.filters}
        try:
            tick, lot = (number_of(steps.get(kind, "")) for kind in ("PRICE_FILTER", "LOT_SIZE"))
            return Instrument(
                venue=self.venue,
                market=self.market,
                symbol=listing.symbol,
                base=listing.baseAsset,
                quote=listing.quoteAsset,
                tick_size=tick.normalize(),
                lot_size=lot.normalize(),
                status=_status(listing.status),
            )
        except (DomainError, MalformedFrameError):
            return None

    def tickers_call(self) -> RestCall:
        """ticker/24hr of all symbols."""
        return RestCall(f"{self.api}/ticker/24hr", (), self.tickers_weight)

    def parse_tickers(self, body: bytes) -> dict[str, Decimal]:
        """Quote volume of every symbol."""
        return turnovers_of((row.symbol, row.quoteVolume) for row in decoded(decode_tickers, body))

    def time_call(self) -> RestCall:
        """Server time."""
        return RestCall(f"{self.api}/time", (), 1)

    def parse_time(self, body: bytes) -> int:
        """Exchange milliseconds."""
        return decoded(decode_time, body).serverTime

    def candles_call(
        self, instrument: Instrument, interval: Literal["1m", "1h"], start_ms: int, end_ms: int
    ) -> RestCall:
        """Klines that start in [start_ms, end_ms]."""
        rows = min(MOST_CANDLES, (end_ms - start_ms) // LENGTHS_MS[interval] + 1)
        values = query(
            symbol=instrument.symbol,
            interval=interval,
            startTime=start_ms,
            endTime=end_ms,
            limit=max(1, rows),
        )
        weight = next(weight for most, weight in self.candle_weights if rows <= most)
        return RestCall(f"{self.api}/klines", values, weight)

    def parse_candles(self, body: bytes) -> list[Candle]:
        """Klines with counts and the taker's share."""
        return [_candle(row) for row in decoded(decode_candles, body)]

    def trades_call(
        self, instrument: Instrument, first_key: int | None, start_ms: int, end_ms: int
    ) -> RestCall:
        """Aggregates from an id on, or of less than an hour: never both in one question."""
        if first_key is not None:
            values = query(symbol=instrument.symbol, fromId=first_key, limit=self.page_rows)
        else:
            end_ms = min(end_ms, start_ms + HOUR_MS - 1)
            values = query(
                symbol=instrument.symbol, startTime=start_ms, endTime=end_ms, limit=self.page_rows
            )
        return RestCall(f"{self.api}/aggTrades", values, self.trades_weight)

    def newest_call(self, instrument: Instrument) -> RestCall:
        """The newest aggregate."""
        values = query(symbol=instrument.symbol, limit=1)
        return RestCall(f"{self.api}/aggTrades", values, self.trades_weight)

    def parse_trades(self, body: bytes, instrument: Instrument, scale: int) -> TradeBatch:
        """A page of aggregates, oldest first."""
        rows = sorted(decoded(decode_page, body), key=lambda row: row.a)
        batch = aggregate_batch(rows, instrument, scale, "rest") if rows else None
        if batch is None:
            batch = empty_batch(instrument, scale, "rest")
            for row in sorted(decoded(decode_page_text, body), key=lambda row: row.a):
                judge_into(batch, row, instrument)
        return batch


def _topics(item: Instrument) -> tuple[str, str]:
    """The streams of an instrument."""
    name = item.symbol.lower()
    return f"{name}@aggTrade", f"{name}@kline_1m"


def _status(text: str) -> Status:
    if text == "TRADING":
        return "trading"
    return "halted" if text in HALTED else "delisted"


def _candle(row: CandleRow) -> Candle:
    start_ms, opened, high, low, close, volume, _, quote, count, buy, buy_quote, _ = row
    return Candle(
        start_ms=start_ms,
        open=number_of(opened),
        high=number_of(high),
        low=number_of(low),
        close=number_of(close),
        volume=number_of(volume),
        quote_volume=number_of(quote),
        trades=count,
        taker_buy=number_of(buy),
        taker_buy_quote=number_of(buy_quote),
    )


BINANCE: Venue = {
    Market.SPOT: BinanceMarket(
        market=Market.SPOT,
        ws_setting="binance_spot_ws_url",
        rest_setting="binance_spot_rest_url",
        route="",
        api="/api/v3",
        weight_per_minute=6_000,
        info_weight=20,
        trades_weight=4,
        candle_weights=((MOST_CANDLES, 2),),
        tickers_weight=80,
    ),
    Market.PERP: BinanceMarket(
        market=Market.PERP,
        ws_setting="binance_usdm_ws_url",
        rest_setting="binance_usdm_rest_url",
        route="/market",
        api="/fapi/v1",
        weight_per_minute=2_400,
        info_weight=1,
        trades_weight=20,
        candle_weights=((99, 1), (499, 2), (MOST_CANDLES, 5)),
        tickers_weight=40,
    ),
}
