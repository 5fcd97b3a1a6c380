"""Binance spot and USD-M futures (docs: binance-spot-api-docs; futures as split on 2026-04-23:
aggTrade and kline come only from the /market route)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from collectors.venue import Codec, Host, Page, Request, exact_steps
from collectors.venues.binance_codec import BinanceCodec
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument, Market, Step
from orderflow.trade import KlineClosed, TradeBatch

INTERVALS = {60_000: "1m", 3_600_000: "1h"}


class RestTrade(msgspec.Struct, gc=False):
    """A row of aggTrades."""

    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 (the venue's name)
    T: int
    m: bool


class Filter(msgspec.Struct, gc=False):
    """One of a symbol's filters; only tick and lot are of interest."""

    filterType: str  # noqa: N815 (the venue's name)
    tickSize: str = ""  # noqa: N815 (the venue's name)
    stepSize: str = ""  # noqa: N815 (the venue's name)


class Symbol(msgspec.Struct, gc=False):
    """A row of exchangeInfo."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815 (the venue's name)
    quoteAsset: str  # noqa: N815 (the venue's name)
    filters: list[Filter]
    contractType: str = "PERPETUAL"  # noqa: N815 (the venue's name; absent on spot)


class Info(msgspec.Struct, gc=False):
    """exchangeInfo."""

    symbols: list[Symbol]


class Time(msgspec.Struct, gc=False):
    """The server's time."""

    serverTime: int  # noqa: N815 (the venue's name)


class Binance:
    """Implements the venue contract for both Binance hosts."""

    name = "binance"
    instruments_per_connection = 100
    hosts: Mapping[Market, Host] = {
        Market.SPOT: Host("binance_spot_ws_url", "binance_spot_rest_url", 6_000),
        Market.PERP: Host("binance_usdm_ws_url", "binance_usdm_rest_url", 2_400),
    }

    def connect_path(self, market: Market, instruments: Sequence[Instrument]) -> str:
        """Streams in the URL cost no message budget; futures need their route."""
        names = [i.symbol.lower() for i in instruments]
        streams = "/".join(f"{n}@aggTrade/{n}@kline_1m" for n in names)
        route = "" if market is Market.SPOT else "/market"
        return f"{route}/stream?streams={streams}"

    def subscriptions(self, market: Market, instruments: Sequence[Instrument]) -> list[list[str]]:
        """None: the URL says it all."""
        return []

    def subscribe_frame(self, topics: Sequence[str], number: str) -> str:
        """SUBSCRIBE by message."""
        request = {"method": "SUBSCRIBE", "params": list(topics), "id": number}
        return msgspec.json.encode(request).decode()

    def ping_frame(self) -> str | None:
        """The venue pings us."""
        return None

    def codec(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> Codec:
        """A decoder for one connection."""
        return BinanceCodec(instruments, scales)

    def _api(self, market: Market) -> str:
        return "/api/v3/" if market is Market.SPOT else "/fapi/v1/"

    def time_request(self, market: Market) -> Request:
        """Weight 1."""
        return Request(f"{self._api(market)}time")

    def parse_time(self, body: bytes) -> int:
        """serverTime."""
        time: Time = _decoded(body, Time)
        return time.serverTime

    def instruments_request(self, market: Market, cursor: str) -> Request:
        """Everything in one answer."""
        weight = 20 if market is Market.SPOT else 1
        return Request(f"{self._api(market)}exchangeInfo", weight=weight)

    def parse_instruments(self, market: Market, body: bytes) -> Page:
        """Trading pairs; ticks and lots from the filters, never from the precisions."""
        found = []
        for row in _decoded(body, Info).symbols:
            tick = next((f.tickSize for f in row.filters if f.tickSize), "")
            lot = next(
                (f.stepSize for f in row.filters if f.filterType == "LOT_SIZE" and f.stepSize), ""
            )
            if row.status != "TRADING" or row.contractType != "PERPETUAL" or not (tick and lot):
                continue
            found.append(
                Instrument(
                    venue=self.name,
                    market=market,
                    symbol=row.symbol,
                    base=row.baseAsset,
                    quote=row.quoteAsset,
                    tick_size=Step(Decimal(tick)).size.normalize(),
                    lot_size=Step(Decimal(lot)).size.normalize(),
                )
            )
        return Page(found)

    def klines_request(
        self, instrument: Instrument, interval_ms: int, start_ms: int, end_ms: int
    ) -> Request:
        """At most 1,000 candles."""
        params = {
            "symbol": instrument.symbol,
            "interval": INTERVALS[interval_ms],
            "startTime": str(start_ms),
            "endTime": str(end_ms),
            "limit": "1000",
        }
        return Request(f"{self._api(instrument.market)}klines", params, weight=5)

    def parse_klines(self, instrument: Instrument, body: bytes) -> list[KlineClosed]:
        """Rows of twelve columns."""
        return [
            KlineClosed(
                instrument=instrument.name,
                start_ms=int(row[0]),
                open_ticks=instrument.price_ticks(str(row[1])),
                high_ticks=instrument.price_ticks(str(row[2])),
                low_ticks=instrument.price_ticks(str(row[3])),
                close_ticks=instrument.price_ticks(str(row[4])),
                volume_lots=instrument.qty_lots(str(row[5])),
                quote_volume=Decimal(str(row[7])),
                trades=int(row[8]),
                taker_buy_lots=instrument.qty_lots(str(row[9])),
                taker_buy_quote=Decimal(str(row[10])),
            )
            for row in _decoded(body, list[list[str | int]])
        ]

    def trades_by_key_request(self, instrument: Instrument, first_key: int) -> Request | None:
        """1,000 aggregates from an id on."""
        return self._aggregates(instrument, {"fromId": str(first_key)})

    def trades_by_time_request(
        self, instrument: Instrument, start_ms: int, end_ms: int
    ) -> Request | None:
        """1,000 aggregates from a time on."""
        return self._aggregates(instrument, {"startTime": str(start_ms), "endTime": str(end_ms)})

    def recent_trades_request(self, instrument: Instrument) -> Request:
        """The newest 1,000 aggregates."""
        return self._aggregates(instrument, {})

    def _aggregates(self, instrument: Instrument, params: dict[str, str]) -> Request:
        weight = 4 if instrument.market is Market.SPOT else 20
        path = f"{self._api(instrument.market)}aggTrades"
        return Request(path, {"symbol": instrument.symbol, "limit": "1000", **params}, weight)

    def parse_trades(self, instrument: Instrument, body: bytes) -> TradeBatch:
        """Ascending by id."""
        batch = TradeBatch(instrument.name, [], [], [], [], [], source="rest")
        for row in sorted(_decoded(body, list[RestTrade]), key=lambda row: row.a):
            steps = exact_steps(instrument, row.p, row.q)
            if isinstance(steps, str):
                batch.rejected.append((row.a, steps))
                continue
            batch.key.append(row.a)
            batch.event_ms.append(row.T)
            batch.price_ticks.append(steps[0])
            batch.qty_lots.append(steps[1])
            batch.side.append(0 if row.m else 1)
            batch.n_trades.append(row.l - row.f + 1)
            batch.first_trade_id.append(row.f)
            batch.last_trade_id.append(row.l)
        return batch


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise MalformedFrameError(f"unexpected answer: {error}") from error
