"""Bybit's public REST: errors come as HTTP 200 with a retCode."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from simulator.clock import PlayClock
from simulator.hosts.host import Answer, Market
from simulator.klines import Kline
from simulator.tape import Print

INTERVALS = {"1": 60_000, "5": 300_000, "15": 900_000, "60": 3_600_000, "D": 86_400_000}
RECENT = {"spot": 60, "linear": 1_000}
REQUESTS = 600
WINDOW_S = 5.0


class BybitRest:
    """Answers of the Bybit host."""

    def __init__(self, markets: dict[str, Market], clock: PlayClock) -> None:
        self.markets = markets
        self.clock = clock
        self.requests: deque[float] = deque()
        self.paths: dict[str, Callable[[dict[str, str]], dict[str, Any] | None]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/recent-trade": self._recent,
            "/v5/market/kline": self._klines,
        }

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """The answer in Bybit's envelope."""
        now = time.monotonic()
        self.requests.append(now)
        while now - self.requests[0] > WINDOW_S:
            self.requests.popleft()
        if len(self.requests) > REQUESTS:
            return Answer({"retCode": 10_006, "retMsg": "Too many visits!", "result": {}}, 403)
        make = self.paths.get(path)
        if make is None:
            return Answer({"retCode": 404, "retMsg": "not found", "result": {}}, 404)
        result = make(query)
        code, text = (0, "OK") if result is not None else (10_001, "params error")
        envelope = {"retCode": code, "retMsg": text, "result": result or {}}
        return Answer({**envelope, "retExtInfo": {}, "time": self.clock.now_ms()})

    def _time(self, query: dict[str, str]) -> dict[str, Any]:
        now = self.clock.now_ms()
        return {"timeSecond": str(now // 1_000), "timeNano": str(now * 1_000_000)}

    def _of(self, query: dict[str, str]) -> list[Market] | None:
        category = query.get("category")
        if category not in RECENT:
            return None
        market = "spot" if category == "spot" else "perp"
        found = [m for m in self.markets.values() if m.tape.listing.market == market]
        symbol = query.get("symbol")
        return [m for m in found if symbol in (None, m.tape.listing.symbol)]

    def _instruments(self, query: dict[str, str]) -> dict[str, Any] | None:
        markets = self._of(query)
        if markets is None:
            return None
        limit = min(1_000, int(query.get("limit", 500)))
        first = int(query.get("cursor") or 0)
        page = markets[first : first + limit]
        more = str(first + limit) if first + limit < len(markets) else ""
        return {
            "category": query["category"],
            "list": [self._instrument(market) for market in page],
            "nextPageCursor": more if query["category"] == "linear" else "",
        }

    def _instrument(self, market: Market) -> dict[str, Any]:
        listing = market.tape.listing
        lot = f"{listing.lot_size:f}"
        row: dict[str, Any] = {
            "symbol": listing.symbol,
            "baseCoin": listing.base,
            "quoteCoin": listing.quote,
            "status": "Trading",
            "priceFilter": {"tickSize": f"{listing.tick_size:f}"},
        }
        if listing.market == "spot":
            sizes = {"basePrecision": lot, "quotePrecision": "0.0000001", "minOrderQty": lot}
            return row | {"innovation": "0", "marginTrading": "both", "lotSizeFilter": sizes}
        sizes = {"qtyStep": lot, "minOrderQty": lot, "maxOrderQty": "100000"}
        return row | {
            "contractType": "LinearPerpetual",
            "launchTime": "1585526400000",
            "deliveryTime": "0",
            "priceScale": "2",
            "settleCoin": listing.quote,
            "lotSizeFilter": sizes,
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
            "fundingInterval": 480,
        }

    def _recent(self, query: dict[str, str]) -> dict[str, Any] | None:
        markets = self._of(query)
        if not markets or "symbol" not in query:
            return None
        most = RECENT[query["category"]]
        limit = min(most, int(query.get("limit", 60 if most == 60 else 500)))
        rows = [self._trade(markets[0], p) for p in reversed(markets[0].tape.newest(limit))]
        return {"category": query["category"], "list": rows}

    def _trade(self, market: Market, p: Print) -> dict[str, Any]:
        return {
            "execId": p.tag,
            "symbol": market.tape.listing.symbol,
            "price": p.price,
            "size": p.qty,
            "side": "Buy" if p.buy else "Sell",
            "time": str(p.event_ms),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(p.seq),
        }

    def _klines(self, query: dict[str, str]) -> dict[str, Any] | None:
        markets, length = self._of(query), INTERVALS.get(query.get("interval", ""))
        if not markets or length is None:
            return None
        limit = min(1_000, int(query.get("limit", 200)))
        start, end = int(query.get("start", 0)), int(query.get("end", 2**62))
        found = markets[0].book.candles(length, start, end, 2**62)[-limit:]
        rows = [self._row(markets[0], k) for k in reversed(found)]
        return {"category": query["category"], "symbol": query["symbol"], "list": rows}

    def _row(self, market: Market, k: Kline) -> list[str]:
        book = market.book
        return [
            str(k.start_ms),
            book.price(k.open_ticks),
            book.price(k.high_ticks),
            book.price(k.low_ticks),
            book.price(k.close_ticks),
            book.qty(k.lots),
            book.amount(k.quote),
        ]
