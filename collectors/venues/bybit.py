"""Bybit v5 spot and linear (docs: bybit-exchange/docs v5, websocket/public and market)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from collectors.venue import Codec, Host, Page, Request, exact_steps
from collectors.venues.bybit_codec import BybitCodec, kline_of
from orderflow.errors import MalformedFrameError, VenueRefusedError
from orderflow.instrument import Instrument, Market
from orderflow.trade import KlineClosed, TradeBatch

CATEGORY = {Market.SPOT: "spot", Market.PERP: "linear"}
INTERVALS = {60_000: "1", 3_600_000: "60"}
TOPICS_PER_REQUEST = {Market.SPOT: 10, Market.PERP: 50}
RECENT = {Market.SPOT: 60, Market.PERP: 1_000}
TOO_MANY = 10_006


class Answer(msgspec.Struct, gc=False):
    """The envelope of every REST answer."""

    retCode: int  # noqa: N815 (the venue's name)
    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: int = 0


class PriceFilter(msgspec.Struct, gc=False):
    """Tick of an instrument."""

    tickSize: str  # noqa: N815 (the venue's name)


class SizeFilter(msgspec.Struct, gc=False):
    """Lot of an instrument: qtyStep on linear, basePrecision on spot."""

    qtyStep: str = ""  # noqa: N815 (the venue's name)
    basePrecision: str = ""  # noqa: N815 (the venue's name)


class Listed(msgspec.Struct, gc=False):
    """A row of instruments-info."""

    symbol: str
    status: str
    baseCoin: str  # noqa: N815 (the venue's name)
    quoteCoin: str  # noqa: N815 (the venue's name)
    priceFilter: PriceFilter  # noqa: N815 (the venue's name)
    lotSizeFilter: SizeFilter  # noqa: N815 (the venue's name)
    contractType: str = "LinearPerpetual"  # noqa: N815 (the venue's name; absent on spot)


class Instruments(msgspec.Struct, gc=False):
    """instruments-info."""

    rows: list[Listed] = msgspec.field(name="list")
    nextPageCursor: str = ""  # noqa: N815 (the venue's name)


class RecentTrade(msgspec.Struct, gc=False):
    """A row of recent-trade."""

    execId: str  # noqa: N815 (the venue's name)
    price: str
    size: str
    side: str
    time: str
    isBlockTrade: bool = False  # noqa: N815 (the venue's name)
    seq: str = "0"


class Recent(msgspec.Struct, gc=False):
    """recent-trade."""

    rows: list[RecentTrade] = msgspec.field(name="list")


class Rows(msgspec.Struct, gc=False):
    """kline."""

    rows: list[list[str]] = msgspec.field(name="list")


class Bybit:
    """Implements the venue contract; one host serves both markets."""

    name = "bybit"
    instruments_per_connection = 100
    hosts: Mapping[Market, Host] = {
        market: Host("bybit_ws_url", "bybit_rest_url", 7_200) for market in CATEGORY
    }

    def connect_path(self, market: Market, instruments: Sequence[Instrument]) -> str:
        """The category is the path."""
        return f"/v5/public/{CATEGORY[market]}"

    def subscriptions(self, market: Market, instruments: Sequence[Instrument]) -> list[list[str]]:
        """Trades first, then candles, in batches the venue accepts."""
        topics = [
            *(f"publicTrade.{i.symbol}" for i in instruments),
            *(f"kline.1.{i.symbol}" for i in instruments),
        ]
        size = TOPICS_PER_REQUEST[market]
        return [topics[k : k + size] for k in range(0, len(topics), size)]

    def subscribe_frame(self, topics: Sequence[str], number: str) -> str:
        """One request with its own id."""
        request = {"op": "subscribe", "req_id": number, "args": list(topics)}
        return msgspec.json.encode(request).decode()

    def ping_frame(self) -> str | None:
        """Sent every 20 s; the venue cuts a connection that is silent for ten minutes."""
        return '{"op":"ping"}'

    def codec(self, instruments: Sequence[Instrument], scales: Mapping[str, int]) -> Codec:
        """A decoder for one connection."""
        return BybitCodec(instruments, scales)

    def time_request(self, market: Market) -> Request:
        """Nanoseconds."""
        return Request("/v5/market/time")

    def parse_time(self, body: bytes) -> int:
        """The envelope's own time."""
        return self._answer(body).time

    def instruments_request(self, market: Market, cursor: str) -> Request:
        """Pages of 1,000; spot comes in one."""
        params = {"category": CATEGORY[market], "limit": "1000"}
        return Request(
            "/v5/market/instruments-info", params | ({"cursor": cursor} if cursor else {})
        )

    def parse_instruments(self, market: Market, body: bytes) -> Page:
        """Trading pairs, perpetual ones on linear."""
        page: Instruments = self._result(body, Instruments)
        found = []
        for row in page.rows:
            lot = row.lotSizeFilter.qtyStep or row.lotSizeFilter.basePrecision
            if row.status != "Trading" or row.contractType != "LinearPerpetual" or not lot:
                continue
            found.append(
                Instrument(
                    venue=self.name,
                    market=market,
                    symbol=row.symbol,
                    base=row.baseCoin,
                    quote=row.quoteCoin,
                    tick_size=Decimal(row.priceFilter.tickSize).normalize(),
                    lot_size=Decimal(lot).normalize(),
                    sequence="consecutive" if market is Market.SPOT else "unordered",
                )
            )
        return Page(found, page.nextPageCursor)

    def klines_request(
        self, instrument: Instrument, interval_ms: int, start_ms: int, end_ms: int
    ) -> Request:
        """At most 1,000 candles."""
        params = {
            "category": CATEGORY[instrument.market],
            "symbol": instrument.symbol,
            "interval": INTERVALS[interval_ms],
            "start": str(start_ms),
            "end": str(end_ms),
            "limit": "1000",
        }
        return Request("/v5/market/kline", params)

    def parse_klines(self, instrument: Instrument, body: bytes) -> list[KlineClosed]:
        """The venue lists the newest first."""
        rows: Rows = self._result(body, Rows)
        return [kline_of(instrument, row) for row in reversed(rows.rows)]

    def trades_by_key_request(self, instrument: Instrument, first_key: int) -> Request | None:
        """Bybit can't."""
        return None

    def trades_by_time_request(
        self, instrument: Instrument, start_ms: int, end_ms: int
    ) -> Request | None:
        """Bybit can't."""
        return None

    def recent_trades_request(self, instrument: Instrument) -> Request:
        """The newest 60 (spot) or 1,000 (linear)."""
        params = {
            "category": CATEGORY[instrument.market],
            "symbol": instrument.symbol,
            "limit": str(RECENT[instrument.market]),
        }
        return Request("/v5/market/recent-trade", params)

    def parse_trades(self, instrument: Instrument, body: bytes) -> TradeBatch:
        """The venue lists the newest first."""
        recent: Recent = self._result(body, Recent)
        unordered = instrument.sequence == "unordered"
        batch = TradeBatch(instrument.name, [], [], [], [], [], source="rest")
        for row in reversed(recent.rows):
            key = int(row.execId.replace("-", ""), 16) if unordered else int(row.execId)
            steps = exact_steps(instrument, row.price, row.size)
            if row.isBlockTrade or isinstance(steps, str):
                batch.rejected.append((key, steps if isinstance(steps, str) else "block_trade"))
                continue
            batch.key.append(key)
            batch.event_ms.append(int(row.time))
            batch.price_ticks.append(steps[0])
            batch.qty_lots.append(steps[1])
            batch.side.append(1 if row.side == "Buy" else 0)
            batch.seq.append(int(row.seq or 0))
            if not unordered:
                batch.first_trade_id.append(key)
                batch.last_trade_id.append(key)
        return batch

    def _answer(self, body: bytes) -> Answer:
        try:
            answer = msgspec.json.decode(body, type=Answer)
        except msgspec.DecodeError as error:
            raise MalformedFrameError(f"unexpected answer: {error}") from error
        if answer.retCode == TOO_MANY:
            raise VenueRefusedError("too many requests", retry_after_s=5.0)
        if answer.retCode != 0:
            raise VenueRefusedError(f"retCode {answer.retCode}")
        return answer

    def _result(self, body: bytes, kind: Any) -> Any:
        answer = self._answer(body)
        try:
            return msgspec.json.decode(answer.result, type=kind)
        except msgspec.DecodeError as error:
            raise MalformedFrameError(f"unexpected answer: {error}") from error
