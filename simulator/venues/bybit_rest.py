"""Bybit v5's public REST: errors are HTTP 200 with a `retCode`, lists come newest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.candles import DAY_MS, MINUTE_MS, candles_between
from simulator.clock import loop_s
from simulator.columns import BLOCK, BUYER, EMIT, EVENT, KEY, KIND, PRICE, QTY, RPI, SEQ, Row
from simulator.decimals import text_of
from simulator.limits import Budget
from simulator.tape import Track
from simulator.venues.bybit_frames import candle_row
from simulator.venues.tickers import bybit_ticker
from simulator.wire.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from simulator.venues.bybit import BybitHost

REQUESTS_PER_WINDOW = 600
WINDOW_S = 5.0
BAN_S = 600.0
RECENT_LIMITS = {"spot": (60, 60), "linear": (500, 1000), "inverse": (500, 1000)}
"""Default and most rows of recent-trade."""
KLINE_LIMITS = (200, 1000)
LISTING_LIMITS = (500, 1000)
FILLS_KEPT = 4_096
Query = dict[str, str]


class BybitError(Exception):
    """An error with Bybit's own code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class BybitRest:
    """The REST side of the Bybit host."""

    def __init__(self, host: BybitHost) -> None:
        self.host = host
        self._budgets: dict[str, Budget] = {}
        self._fills: dict[tuple[str, int], tuple[Row, dict[str, Any]]] = {}
        self._routes: dict[str, Callable[[Query], dict[str, Any]]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._listing,
            "/v5/market/recent-trade": self._recent,
            "/v5/market/kline": self._candles,
            "/v5/market/tickers": self._tickers,
        }

    def answer(self, request: HttpRequest, peer: str) -> HttpResponse:
        """The answer to a GET."""
        route = self._routes.get(request.path)
        if route is None:
            return HttpResponse({"retCode": 404, "retMsg": "not found"}, 404)
        limit = self.host.limits.weight_per_minute or REQUESTS_PER_WINDOW
        budget = self._budgets.setdefault(
            peer, Budget(limit, WINDOW_S, self.host.limits.refused_before_ban, BAN_S)
        )
        status, _ = budget.spend(1, loop_s())
        if status == 418:
            return HttpResponse({"retMsg": "access too frequent"}, 403)
        headers = {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(max(0, limit - budget.used)),
            "X-Bapi-Limit-Reset-Timestamp": str(self.host.venue_ms() + int(WINDOW_S * 1000)),
        }
        code, text = 10006, "Too many visits. Exceeded the API Rate Limit."
        result: dict[str, Any] = {}
        if status == 200:
            code, text, result = _outcome(route, request.query)
        body = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}}
        return HttpResponse(body | {"time": self.host.venue_ms()}, 200, headers)

    # Parameters

    @staticmethod
    def _category(query: Query) -> str:
        category = query.get("category", "linear")
        if category not in RECENT_LIMITS:
            raise BybitError(10001, "params error: Category is invalid")
        return category

    def _track(self, query: Query) -> Track:
        track = self.host.track_of(self._category(query), query.get("symbol", ""))
        if track is None:
            raise BybitError(10001, "Not supported symbols")
        return track

    @staticmethod
    def _number(query: Query, name: str) -> int | None:
        text = query.get(name)
        if text is None or text == "":
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            raise BybitError(10001, f"params error: {name} is invalid")
        return int(text)

    def _limit(self, query: Query, limits: tuple[int, int]) -> int:
        limit = self._number(query, "limit")
        return limits[0] if not limit else min(limit, limits[1])

    # Answers

    def _time(self, query: Query) -> dict[str, Any]:
        now_ms = self.host.venue_ms()
        return {"timeSecond": str(now_ms // 1000), "timeNano": f"{now_ms}000000"}

    def _recent(self, query: Query) -> dict[str, Any]:
        category = self._category(query)
        track = self._track(query)
        limit = self._limit(query, RECENT_LIMITS[category])
        columns = track.trades
        sent = columns.find(EMIT, self.host.clock.now_ms() + 1)
        rows = columns.rows(max(columns.dropped, sent - limit), sent)
        return {"category": category, "list": [self._said(track, row) for row in reversed(rows)]}

    def _said(self, track: Track, row: Row) -> dict[str, Any]:
        """A fill as it is said; pages overlap, so the newest ones are kept."""
        key = track.instrument.name, row[KEY]
        kept = self._fills.get(key)
        if kept is None or kept[0] != row:
            if len(self._fills) > FILLS_KEPT:
                self._fills.clear()
            kept = self._fills[key] = row, self._fill(track, row)
        return kept[1]

    def _fill(self, track: Track, row: Row) -> dict[str, Any]:
        text = self.host.texts[track.instrument.name]
        is_spot = track.instrument.market == "spot"
        return {
            "execId": str(row[KEY]) if is_spot else track.uuid_of(row[KEY]),
            "symbol": track.instrument.symbol,
            "price": text.price[row[PRICE]],
            "size": text.qty[row[QTY]],
            "side": "Buy" if row[BUYER] else "Sell",
            "time": str(row[EVENT]),
            "isBlockTrade": row[KIND] == BLOCK,
            "isRPITrade": row[KIND] == RPI,
            "seq": str(row[SEQ]),
        }

    def _candles(self, query: Query) -> dict[str, Any]:
        track = self._track(query)
        name = query.get("interval", "")
        length_ms = DAY_MS if name == "D" else MINUTE_MS * int(name) if name in _MINUTES else 0
        if not length_ms:
            raise BybitError(10001, "Invalid period!")
        limit = self._limit(query, KLINE_LIMITS)
        now_ms = self.host.clock.now_ms()
        start_ms, end_ms = self._number(query, "start"), self._number(query, "end")
        last_ms = min(now_ms, now_ms if end_ms is None else end_ms)
        first_ms = last_ms - last_ms % length_ms - (limit - 1) * length_ms
        if start_ms is not None:
            if end_ms is None:
                start = start_ms + -start_ms % length_ms
                last_ms = min(last_ms, start + (limit - 1) * length_ms)
                first_ms = start
            first_ms = max(first_ms, start_ms)
        text = self.host.texts[track.instrument.name]
        found = candles_between(track.counted, length_ms, first_ms, last_ms, now_ms)
        return {
            "symbol": track.instrument.symbol,
            "category": self._category(query),
            "list": [candle_row(text, candle) for candle in reversed(found)],
        }

    def _tracks(self, category: str) -> list[Track]:
        """What is listed of a category."""
        market = "spot" if category == "spot" else "perp"
        return [
            track
            for track in self.host.tracks
            if track.instrument.market == market
            and self.host.lists(track)
            and (category != "inverse" or track.instrument.quote == "USD")
        ]

    def _tickers(self, query: Query) -> dict[str, Any]:
        category = self._category(query)
        tracks = [self._track(query)] if query.get("symbol") else self._tracks(category)
        now_ms = self.host.clock.now_ms()
        rows = [bybit_ticker(t, self.host.texts[t.instrument.name], now_ms) for t in tracks]
        return {"category": category, "list": rows}

    def _listing(self, query: Query) -> dict[str, Any]:
        category = self._category(query)
        tracks = self._tracks(category)
        if symbol := query.get("symbol"):
            tracks = [track for track in tracks if track.instrument.symbol == symbol]
            if not tracks:
                raise BybitError(10001, "params error: Symbol Invalid")
        if category == "spot":
            return {"category": category, "list": [_listed_spot(track) for track in tracks]}
        limit = self._limit(query, LISTING_LIMITS)
        start = self._number(query, "cursor") or 0
        is_inverse = category == "inverse"
        page = [
            _listed_linear(track, is_inverse=is_inverse) for track in tracks[start : start + limit]
        ]
        more = str(start + limit) if start + limit < len(tracks) else ""
        return {"category": category, "list": page, "nextPageCursor": more}


def _outcome(
    route: Callable[[Query], dict[str, Any]], query: Query
) -> tuple[int, str, dict[str, Any]]:
    try:
        return 0, "OK", route(query)
    except BybitError as error:
        return error.code, str(error), {}


_MINUTES = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720")


def _listed_spot(track: Track) -> dict[str, Any]:
    item = track.instrument
    return {
        "symbol": item.symbol,
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": item.lot_size,
            "quotePrecision": text_of(1, item.price_digits + item.qty_digits),
            "minOrderQty": item.lot_size,
            "maxOrderQty": "1000000",
            "minOrderAmt": "1",
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": item.tick_size},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.01"},
    }


def _listed_linear(track: Track, *, is_inverse: bool) -> dict[str, Any]:
    """As the category asked for: inverse markets are played as linear ones, too."""
    item = track.instrument
    tick = text_of(int(item.tick_size.replace(".", "")), item.price_digits, item.price_places)
    return {
        "symbol": item.symbol,
        "contractType": "InversePerpetual" if is_inverse else "LinearPerpetual",
        "status": "Trading",
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(item.price_places),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1000000",
            "minOrderQty": item.lot_size,
            "qtyStep": item.lot_size,
            "maxMktOrderQty": "1000000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": item.base if is_inverse else item.quote,
        "copyTrading": "none",
        "isPreListing": False,
        "preListingInfo": None,
        "symbolType": "",
    }
