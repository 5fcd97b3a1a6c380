"""Binance's WebSocket hosts: spot, and USD-M with its routes."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from simulator.candles import INTERVALS_MS, Candle
from simulator.derivatives import DerivativeSource
from simulator.tape import Track
from simulator.venues.binance_derivatives import (
    FORCE_ORDER_MS,
    MARK_PACES_MS,
    force_event,
    mark_event,
)
from simulator.venues.binance_frames import BinanceText, aggregates, candle_event, trades
from simulator.venues.binance_rest import BinanceRest
from simulator.venues.host import VenueHost
from simulator.venues.streams import CandleStream, PacedStream, Stream, TradeStream
from simulator.wire.http import HttpRequest, HttpResponse
from simulator.wire.session import Session

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
ID_CHARACTERS = 36
IDLE_CANDLE_MS = 2_000


class BinanceHost(VenueHost):
    """What spot and USD-M have in common: URLs, messages, stream names."""

    candle_ms = 2_000
    api = ""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.texts = {
            track.instrument.symbol: BinanceText(track.instrument) for track in self.tracks
        }
        self.sources = {t.instrument.symbol: DerivativeSource(t) for t in self.tracks}
        self._by_stream_symbol = {track.instrument.symbol.lower(): track for track in self.tracks}
        self.api_side = BinanceRest(self)

    def rest(self, request: HttpRequest, peer: str) -> HttpResponse:
        return self.api_side.answer(request, peer)

    # Connecting

    def opened(self, session: Session) -> HttpResponse | None:
        parts = [part for part in session.request.path.split("/") if part]
        place = next((n for n, part in enumerate(parts) if part in ("ws", "stream")), None)
        if place is None:
            return HttpResponse(b"", 404)
        session.route = self.route_of(parts[:place])
        session.combined = parts[place] == "stream"
        session.microseconds = session.request.query.get("timeUnit", "").upper() == "MICROSECOND"
        listed = session.request.query.get("streams", "") if session.combined else ""
        for name in listed.split("/") if session.combined else parts[place + 1 :]:
            # Libraries number their sockets in the path (`/ws/0`); that is no stream.
            if "@" in name and self.faults.refused_topic([name]) is None:
                self.subscribe(session, name)
        return None

    def route_of(self, prefix: list[str]) -> str:
        """The part of the venue a path leads to."""
        return ""

    def carries(self, route: str, kind: str) -> bool:
        """Whether a route delivers a kind of stream."""
        return True

    # Messages

    def said(self, session: Session, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self._fail(session, 3, "Invalid JSON: expected value at line 1 column 1", None)
            return
        if not isinstance(message, dict):
            self._fail(session, 2, "Invalid request: missing field `method`", None)
            return
        ident = message.get("id")
        if not _is_id(ident):
            self._fail(session, 2, "Invalid request: request ID must be an unsigned integer", None)
            return
        method, params = message.get("method"), message.get("params", [])
        if method not in METHODS:
            shown = ", ".join(f"`{name}`" for name in METHODS)
            self._fail(session, 2, f"Invalid request: unknown variant, expected {shown}", ident)
        elif not isinstance(params, list):
            self._fail(session, 2, "Invalid request: params must be an array", ident)
        elif method.endswith("SUBSCRIBE"):
            self._change(session, method, params, ident)
        else:
            self._ask(session, method, params, ident)

    def _change(self, session: Session, method: str, names: list[Any], ident: Any) -> None:
        if not names or not all(isinstance(name, str) for name in names):
            self._fail(session, 2, "Invalid request: params must be stream names", ident)
            return
        if method == "UNSUBSCRIBE":
            for name in names:
                self.unsubscribe(session, name)
        elif len(session.streams.keys() | set(names)) > self.limits.streams_per_connection:
            self._fail(session, 2, "Invalid request: too many streams", ident)
            return
        elif (topic := self.faults.refused_topic(names)) is not None:
            self._fail(session, 2, f"Invalid request: {topic} is refused", ident)
            return
        self._reply(session, {"result": None, "id": ident})
        if method == "SUBSCRIBE":
            for name in names:
                self.subscribe(session, name)
            self.on_subscribe()

    def _ask(self, session: Session, method: str, params: list[Any], ident: Any) -> None:
        if method == "LIST_SUBSCRIPTIONS":
            self._reply(session, {"result": list(session.streams), "id": ident})
        elif not params or params[0] != "combined":
            self._fail(session, 0, "Unknown property", ident)
        elif method == "GET_PROPERTY":
            self._reply(session, {"result": session.combined, "id": ident})
        elif len(params) != 2 or not isinstance(params[1], bool):
            self._fail(session, 1, "Invalid value type: expected Boolean", ident)
        else:
            session.combined = params[1]
            self._reply(session, {"result": None, "id": ident})

    def _reply(self, session: Session, body: dict[str, Any]) -> None:
        session.say(msgspec.json.encode(body).decode())

    def _fail(self, session: Session, code: int, text: str, ident: Any) -> None:
        self._reply(session, {"error": {"code": code, "msg": text}, "id": ident})

    # Streams

    def make_stream(self, session: Session, name: str) -> Stream | None:
        symbol, _, kind = name.partition("@")
        track = self._by_stream_symbol.get(symbol)
        if track is None or not self.carries(session.route, kind) or not self.lists(track):
            return None
        text = self.texts[track.instrument.symbol]
        if kind == "aggTrade":
            render = aggregates(track.instrument, text)
            return TradeStream(name, track, track.aggregates, render)
        if kind == "trade":
            return TradeStream(name, track, track.trades, trades(track.instrument, text))
        return self._candle_stream(name, track, kind) or self.other_stream(name, track, kind)

    def other_stream(self, name: str, track: Track, kind: str) -> Stream | None:
        """A kind that only one of the hosts has."""
        return None

    def _candle_stream(self, name: str, track: Track, kind: str) -> Stream | None:
        interval = kind.removeprefix("kline_")
        interval_ms = INTERVALS_MS.get(interval)
        if not kind.startswith("kline_") or interval_ms is None:
            return None
        render: partial[str] = partial(candle_event, self.texts[track.instrument.symbol], interval)

        def event(candle: Candle, at_ms: int, final: bool) -> str:
            return render(candle, at_ms, final)

        return CandleStream(name, track, interval_ms, (self.candle_ms, IDLE_CANDLE_MS), event)

    def stream_key(self, session: Session, name: str) -> str:
        # A stream asked for on a route without it must not find one made on the right route.
        kind = name.partition("@")[2]
        return name if self.carries(session.route, kind) else f"silent {name}"


class BinanceSpotHost(BinanceHost):
    """`stream.binance.com` and `api.binance.com` on one port."""

    name = "binance_spot"
    api = "/api/v3"
    messages_per_s = 5

    def farewell(self, session: Session) -> None:
        self.faults.fired["shutdown_notice"] += 1
        event = f'{{"e":"serverShutdown","E":{self.venue_ms()}}}'
        if session.combined:
            event = f'{{"stream":"!serverShutdown","data":{event}}}'
        session.say(event)


class BinanceUsdmHost(BinanceHost):
    """`fstream.binance.com` and `fapi.binance.com` on one port.

    Only `/market` has aggTrade, kline, markPrice and forceOrder; `/public` and the old path without
    a route have `trade`. The others acknowledge everything and stay silent.
    """

    name = "binance_usdm"
    api = "/fapi/v1"
    messages_per_s = 10
    ping_interval_s = 180.0
    pong_timeout_s = 600.0
    candle_ms = 250

    def route_of(self, prefix: list[str]) -> str:
        known = [part for part in prefix if part in ("market", "public", "private")]
        return known[-1] if known else "legacy"

    def carries(self, route: str, kind: str) -> bool:
        if route in self.faults.silent_routes:
            return False
        if kind == "trade":
            return route in ("public", "legacy")
        return route == "market"

    def other_stream(self, name: str, track: Track, kind: str) -> Stream | None:
        symbol = track.instrument.symbol
        text, source = self.texts[symbol], self.sources[symbol]
        if kind in MARK_PACES_MS:
            pace_ms = MARK_PACES_MS[kind]
            return PacedStream(name, track, pace_ms, partial(mark_event, text, source))
        if kind == "forceOrder":
            return PacedStream(name, track, FORCE_ORDER_MS, partial(force_event, text, source))
        return None


def _is_id(ident: object) -> bool:
    if ident is None:
        return True
    if isinstance(ident, str):
        return len(ident) <= ID_CHARACTERS
    return isinstance(ident, int) and not isinstance(ident, bool) and -(2**63) <= ident < 2**63
