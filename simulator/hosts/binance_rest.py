"""Binance's public REST: weights, limits and answers made from what was played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.clock import PlayClock
from simulator.hosts.budget import WeightBudget
from simulator.hosts.host import Answer, Market
from simulator.klines import Kline
from simulator.tape import Listing, Print

INTERVALS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}
HOURS_48_MS = 48 * 3_600_000
HOUR_MS = 3_600_000


class BinanceRest:
    """Answers of one host. Spot paths begin with /api/v3, USD-M paths with /fapi/v1."""

    def __init__(self, markets: dict[str, Market], clock: PlayClock, *, spot: bool) -> None:
        self.markets = markets
        self.clock = clock
        self.spot = spot
        self.budget = WeightBudget(6_000 if spot else 2_400)
        self.prefix = "/api/v3/" if spot else "/fapi/v1/"
        self.paths: dict[str, tuple[int, Callable[[dict[str, str]], Any]]] = {
            "ping": (1, lambda query: {}),
            "time": (1, lambda query: {"serverTime": clock.now_ms()}),
            "exchangeInfo": (20 if spot else 1, self._info),
            "aggTrades": (4 if spot else 20, self._aggregates),
            "trades": (25 if spot else 5, self._trades),
            "klines": (2, self._klines),
        }

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """The answer, its weight counted and named in the header."""
        name = path.removeprefix(self.prefix)
        if not path.startswith(self.prefix) or name not in self.paths:
            return Answer({"code": -1, "msg": "Not found"}, 404)
        weight, make = self.paths[name]
        status, retry_after = self.budget.spend(weight)
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.budget.used)}
        if status != 200:
            headers["Retry-After"] = str(retry_after)
            return Answer({"code": -1003, "msg": "Too many requests."}, status, headers)
        body = make(query)
        return Answer(body, 400 if isinstance(body, dict) and "code" in body else 200, headers)

    def _info(self, query: dict[str, str]) -> Any:
        listings = [market.tape.listing for market in self.markets.values()]
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return {
            "timezone": "UTC",
            "serverTime": self.clock.now_ms(),
            "rateLimits": [{**limit, "limit": self.budget.limit}],
            "exchangeFilters": [],
            "assets": [],
            "symbols": [self._symbol(listing) for listing in listings],
        }

    def _symbol(self, listing: Listing) -> dict[str, Any]:
        tick, lot = f"{listing.tick_size:f}", f"{listing.lot_size:f}"
        symbol: dict[str, Any] = {
            "symbol": listing.symbol,
            "status": "TRADING",
            "baseAsset": listing.base,
            "quoteAsset": listing.quote,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": tick,
                    "maxPrice": "10000000",
                    "tickSize": tick,
                },
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000", "stepSize": lot},
            ],
        }
        if self.spot:
            return symbol | {"isSpotTradingAllowed": True, "permissions": ["SPOT"]}
        return symbol | {
            "pair": listing.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1_569_398_400_000,
            "marginAsset": listing.quote,
            "pricePrecision": 8,
            "quantityPrecision": 8,
            "underlyingType": "COIN",
        }

    def _market(self, query: dict[str, str]) -> Market | None:
        return self.markets.get(query.get("symbol", ""))

    def _aggregates(self, query: dict[str, str]) -> Any:
        market = self._market(query)
        if market is None:
            return {"code": -1121, "msg": "Invalid symbol."}
        limit = min(1_000, int(query.get("limit", 500)))
        start, end = query.get("startTime"), query.get("endTime")
        if "fromId" in query:
            if not self.spot and (start or end):
                return {"code": -1128, "msg": "Combination of optional parameters invalid."}
            prints = market.tape.from_key(int(query["fromId"]), limit)
        elif start or end:
            first = int(start or 0)
            last = int(end) if end else first + HOUR_MS
            if not self.spot and last - first > HOUR_MS:
                return {"code": -4166, "msg": "Search window is restricted to recent 1 hour."}
            prints = market.tape.between(first, last, limit)
        else:
            prints = market.tape.newest(limit)
        if not self.spot:
            oldest = self.clock.now_ms() - HOURS_48_MS
            prints = [p for p in prints if p.event_ms >= oldest]
        return [self._aggregate(p) for p in prints]

    def _aggregate(self, p: Print) -> dict[str, Any]:
        row: dict[str, Any] = {
            "a": p.key,
            "p": p.price,
            "q": p.qty,
            "f": p.first_id,
            "l": p.last_id,
            "T": p.event_ms,
            "m": not p.buy,
        }
        return row | ({"M": True} if self.spot else {"nq": p.qty})

    def _trades(self, query: dict[str, str]) -> Any:
        market = self._market(query)
        if market is None or market.tape.raws is None:
            return {"code": -1121, "msg": "Invalid symbol."}
        tape = market.tape
        raws = tape.raws or []
        limit = min(1_000, int(query.get("limit", 500)))
        return [
            {
                "id": p.first_id,
                "price": p.price,
                "qty": p.qty,
                "quoteQty": market.book.amount(p.ticks * p.lots),
                "time": p.event_ms,
                "isBuyerMaker": not p.buy,
                "isBestMatch": True,
            }
            for p in raws[max(0, tape.raws_played - limit) : tape.raws_played]
        ]

    def _klines(self, query: dict[str, str]) -> Any:
        market, length = self._market(query), INTERVALS.get(query.get("interval", ""))
        if market is None or length is None:
            return {"code": -1121, "msg": "Invalid symbol or interval."}
        limit = min(1_000, int(query.get("limit", 500)))
        start = int(query.get("startTime", 0))
        end = int(query.get("endTime", 2**62))
        most = 2**62 if "startTime" not in query else limit
        found = market.book.candles(length, start, end, most)
        return [self._row(market, k) for k in found[-limit:]]

    def _row(self, market: Market, k: Kline) -> list[Any]:
        book = market.book
        return [
            k.start_ms,
            book.price(k.open_ticks),
            book.price(k.high_ticks),
            book.price(k.low_ticks),
            book.price(k.close_ticks),
            book.qty(k.lots),
            k.end_ms,
            book.amount(k.quote),
            k.trades,
            book.qty(k.buy_lots),
            book.amount(k.buy_quote),
            "0",
        ]
