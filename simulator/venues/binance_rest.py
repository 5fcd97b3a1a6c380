"""Binance's public REST: time, listings, trades, aggregates, candles; weights and bans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from simulator.candles import INTERVALS_MS, candles_between
from simulator.clock import loop_s
from simulator.columns import BUYER, EMIT, EVENT, FIRST, KEY, LAST, PRICE, QTY, Columns, Row
from simulator.limits import Budget
from simulator.tape import Track
from simulator.venues.binance_derivatives import interest, premium
from simulator.venues.binance_frames import BinanceText, candle_row
from simulator.venues.binance_listing import listed
from simulator.venues.tickers import binance_ticker
from simulator.wire.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from simulator.venues.binance import BinanceHost

HOUR_MS = 3_600_000
ROWS_LIMIT = 1000
Query = dict[str, str]


class BinanceError(Exception):
    """An error with Binance's own code."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.response = HttpResponse({"code": code, "msg": text}, status)


class BinanceRest:
    """The REST side of one Binance host."""

    def __init__(self, host: BinanceHost) -> None:
        self.host = host
        self.is_spot = host.name == "binance_spot"
        self.tracks = {track.instrument.symbol: track for track in host.tracks}
        self._budgets: dict[str, Budget] = {}
        api = host.api
        self._routes: dict[str, tuple[Callable[[Query], int], Callable[[HttpRequest], Any]]] = {
            f"{api}/ping": (lambda query: 1, lambda request: {}),
            f"{api}/time": (lambda query: 1, lambda request: {"serverTime": host.venue_ms()}),
            f"{api}/exchangeInfo": (lambda query: 20 if self.is_spot else 1, self._listing),
            f"{api}/aggTrades": (lambda query: 4 if self.is_spot else 20, self._aggregates),
            f"{api}/trades": (lambda query: 25 if self.is_spot else 5, self._newest_trades),
            f"{api}/historicalTrades": (lambda query: 25 if self.is_spot else 200, self._trades),
            f"{api}/klines": (self._candle_weight, self._candles),
            f"{api}/ticker/24hr": (self._ticker_weight, self._tickers),
        }
        if not self.is_spot:
            self._routes[f"{api}/openInterest"] = (lambda query: 1, self._interest)
            self._routes[f"{api}/premiumIndex"] = (
                lambda query: 1 if "symbol" in query else 10,
                self._premium,
            )

    def answer(self, request: HttpRequest, peer: str) -> HttpResponse:
        """The answer to a GET, with the weight used so far in its headers."""
        route = self._routes.get(request.path)
        if route is None:
            return HttpResponse(b"<html><body><h2>404 Not found</h2></body></html>", 404)
        budget = self._budget(peer)
        status, wait_s = budget.spend(route[0](request.query), loop_s())
        used = {"X-MBX-USED-WEIGHT": str(budget.used), "X-MBX-USED-WEIGHT-1M": str(budget.used)}
        if status != 200:
            text = "Too many requests." if status == 429 else "Way too many requests; IP banned."
            headers = {**used, "Retry-After": str(wait_s)}
            return HttpResponse({"code": -1003, "msg": text}, status, headers)
        try:
            return HttpResponse(route[1](request), 200, used)
        except BinanceError as error:
            error.response.headers.update(used)
            return error.response

    def _budget(self, peer: str) -> Budget:
        limits = self.host.limits
        if peer not in self._budgets:
            weight = limits.weight_per_minute or (6000 if self.is_spot else 2400)
            self._budgets[peer] = Budget(weight, 60.0, limits.refused_before_ban, limits.ban_s)
        return self._budgets[peer]

    # Parameters

    def _track(self, query: Query) -> Track:
        symbol = query.get("symbol", "")
        if not symbol:
            raise BinanceError(
                -1102,
                "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
            )
        track = self.tracks.get(symbol)
        if track is None or not self.host.lists(track):
            raise BinanceError(-1121, "Invalid symbol.")
        return track

    @staticmethod
    def _number(query: Query, name: str) -> int | None:
        text = query.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'.")
        return int(text)

    def _limit(self, query: Query, most: int = ROWS_LIMIT) -> int:
        limit = self._number(query, "limit")
        if limit == 0:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit or 500, most)

    # Answers

    def _aggregates(self, request: HttpRequest) -> list[dict[str, Any]]:
        query = request.query
        track = self._track(query)
        columns = track.aggregates
        start, stop = self._range(columns, query, self._limit(query))
        text = self.host.texts[track.instrument.symbol]
        return [self._aggregate(row, text) for row in columns.rows(start, stop)]

    def _range(self, columns: Columns, query: Query, limit: int) -> tuple[int, int]:
        first = self._number(query, "fromId")
        start_ms, end_ms = self._number(query, "startTime"), self._number(query, "endTime")
        if first is not None and (start_ms is not None or end_ms is not None):
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        sent = columns.find(EMIT, self.host.clock.now_ms() + 1)
        if first is None and start_ms is None and end_ms is None:
            return max(columns.dropped, sent - limit), sent
        if first is not None:
            start, stop = columns.find_id(first, sent), sent
        else:
            self._check_window(start_ms, end_ms)
            start = columns.find(EVENT, start_ms or 0)
            stop = sent if end_ms is None else min(sent, columns.find(EVENT, end_ms + 1))
            if start_ms is None:
                return max(columns.dropped, stop - limit), stop
        self._check_age(columns, start)
        return start, min(stop, start + limit)

    def _check_window(self, start_ms: int | None, end_ms: int | None) -> None:
        if self.is_spot or start_ms is None or end_ms is None:
            return
        if end_ms - start_ms > HOUR_MS:
            raise BinanceError(-1127, "Lookup interval is too big.")

    def _check_age(self, columns: Columns, start: int) -> None:
        """USD-M answers only about the past 48 hours."""
        if self.is_spot or start >= len(columns):
            return
        oldest_ms = self.host.clock.now_ms() - self.host.limits.usdm_history_ms
        if int(columns.column(EVENT, start, start + 1)[0]) < oldest_ms:
            raise BinanceError(-4166, "Search window is restricted to recent 48 hours.")

    def _aggregate(self, row: Row, text: BinanceText) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "a": row[KEY],
            "p": text.price[row[PRICE]],
            "q": text.qty[row[QTY]],
            "f": row[FIRST],
            "l": row[LAST],
            "T": row[EVENT],
            "m": row[BUYER] == 0,
        }
        if self.is_spot:
            answer["M"] = True
        else:
            answer["nq"] = answer["q"]
        return answer

    def _newest_trades(self, request: HttpRequest) -> list[dict[str, Any]]:
        query = {k: v for k, v in request.query.items() if k in ("symbol", "limit")}
        return self._raw_rows(query)

    def _trades(self, request: HttpRequest) -> list[dict[str, Any]]:
        if not self.is_spot and not request.headers.get("x-mbx-apikey"):
            raise BinanceError(-2014, "API-key format invalid.", 401)
        query = {k: v for k, v in request.query.items() if k in ("symbol", "limit", "fromId")}
        return self._raw_rows(query)

    def _raw_rows(self, query: Query) -> list[dict[str, Any]]:
        track = self._track(query)
        columns = track.trades
        start, stop = self._range(columns, query, self._limit(query))
        text = self.host.texts[track.instrument.symbol]
        return [self._raw(row, text) for row in columns.rows(start, stop)]

    def _raw(self, row: Row, text: BinanceText) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "id": row[KEY],
            "price": text.price[row[PRICE]],
            "qty": text.qty[row[QTY]],
            "quoteQty": text.quote(row[PRICE] * row[QTY]),
            "time": row[EVENT],
            "isBuyerMaker": row[BUYER] == 0,
        }
        if self.is_spot:
            answer["isBestMatch"] = True
        return answer

    def _interest(self, request: HttpRequest) -> dict[str, Any]:
        symbol = self._track(request.query).instrument.symbol
        now_ms = self.host.clock.now_ms()
        return interest(self.host.texts[symbol], self.host.sources[symbol], now_ms)

    def _premium(self, request: HttpRequest) -> Any:
        now_ms = self.host.clock.now_ms()
        wanted = [self._track(request.query).instrument.symbol] if request.query else self.tracks
        rows = [premium(self.host.texts[s], self.host.sources[s], now_ms) for s in wanted]
        return rows[0] if request.query else rows

    def _candle_weight(self, query: Query) -> int:
        if self.is_spot:
            return 2
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else 500
        return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10

    def _candles(self, request: HttpRequest) -> list[list[int | str]]:
        query = request.query
        track = self._track(query)
        length_ms = INTERVALS_MS.get(query.get("interval", ""))
        if length_ms is None:
            raise BinanceError(-1120, "Invalid interval.")
        limit = self._limit(query, ROWS_LIMIT if self.is_spot else 1500)
        now_ms = self.host.clock.now_ms()
        start_ms, end_ms = self._number(query, "startTime"), self._number(query, "endTime")
        last_ms = min(now_ms, now_ms if end_ms is None else end_ms)
        if start_ms is None:
            first_ms = last_ms - last_ms % length_ms - (limit - 1) * length_ms
        else:
            first_ms = start_ms + -start_ms % length_ms
            last_ms = min(last_ms, first_ms + (limit - 1) * length_ms)
        text = self.host.texts[track.instrument.symbol]
        found = candles_between(track.counted, length_ms, first_ms, last_ms, now_ms)
        return [candle_row(text, candle) for candle in found]

    def _symbols(self, wanted: list[str] | None) -> list[str]:
        """The symbols asked for, or all that are listed."""
        listed = [symbol for symbol, track in self.tracks.items() if self.host.lists(track)]
        if wanted is not None and not set(listed).issuperset(wanted):
            raise BinanceError(-1121, "Invalid symbol.")
        return listed if wanted is None else wanted

    def _ticker_weight(self, query: Query) -> int:
        wanted = _wanted(query)
        if not self.is_spot:
            return 40 if wanted is None else 1
        return 80 if wanted is None or len(wanted) > 100 else 2 if len(wanted) <= 20 else 40

    def _tickers(self, request: HttpRequest) -> Any:
        """The last 24 hours of one symbol, or of many."""
        rows = [
            binance_ticker(self.tracks[symbol], self.host.texts[symbol], self.host.clock.now_ms())
            for symbol in self._symbols(_wanted(request.query))
        ]
        return rows[0] if "symbol" in request.query else rows

    def _listing(self, request: HttpRequest) -> dict[str, Any]:
        symbols = self._symbols(_wanted(request.query))
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
            | {"limit": 6000 if self.is_spot else 2400}
        ]
        return {
            "timezone": "UTC",
            "serverTime": self.host.venue_ms(),
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [
                listed(self.tracks[symbol].instrument, self.host.texts[symbol])
                for symbol in symbols
            ],
        }


def _wanted(query: Query) -> list[str] | None:
    if "symbol" in query:
        return [query["symbol"]]
    if "symbols" not in query:
        return None
    try:
        return msgspec.json.decode(query["symbols"], type=list[str])
    except msgspec.DecodeError as error:
        raise BinanceError(-1100, "Illegal characters found in parameter 'symbols'.") from error
