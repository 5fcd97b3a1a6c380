"""Bybit's WebSocket host: v5 public spot and linear."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import msgspec

from simulator.candles import DAY_MS, MINUTE_MS
from simulator.derivatives import DerivativeSource
from simulator.tape import Track
from simulator.venues.bybit_derivatives import (
    LIQUIDATION_MS,
    TICKER_MS,
    Ticker,
    liquidation_message,
)
from simulator.venues.bybit_frames import BybitText, candle_message, trades
from simulator.venues.bybit_rest import BybitRest
from simulator.venues.host import VenueHost
from simulator.venues.streams import CandleStream, PacedStream, Stream, TradeStream
from simulator.wire.http import HttpRequest, HttpResponse
from simulator.wire.session import Session

MARKETS = {"spot": "spot", "linear": "perp", "inverse": "perp"}
INTERVALS_MS = {
    **{str(n): n * MINUTE_MS for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    "D": DAY_MS,
}
"""Bybit's names of the fixed intervals."""
SPOT_ARGS = 10
ARG_CHARACTERS = 21_000
CANDLE_PACES_MS = (1_000, 5_000)
CHANNELS = ("publicTrade", "kline", "tickers", "orderbook", "allLiquidation")


class BybitHost(VenueHost):
    """`stream.bybit.com` and `api.bybit.com` on one port; clients send it JSON pings."""

    name = "bybit"
    ping_interval_s = None
    connects_per_window = 500

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.texts = {track.instrument.name: BybitText(track) for track in self.tracks}
        self.by_name = {track.instrument.name: track for track in self.tracks}
        self.api_side = BybitRest(self)

    def rest(self, request: HttpRequest, peer: str) -> HttpResponse:
        return self.api_side.answer(request, peer)

    def opened(self, session: Session) -> HttpResponse | None:
        prefix, _, category = session.request.path.rstrip("/").rpartition("/")
        if not prefix.endswith("/v5/public") or category not in MARKETS:
            return HttpResponse(b"", 404)
        session.route = category
        return None

    def track_of(self, category: str, symbol: str) -> Track | None:
        """The track of a category's symbol."""
        track = self.by_name.get(f"bybit:{MARKETS[category]}:{symbol}")
        return track if track is not None and self.lists(track) else None

    # Messages

    def said(self, session: Session, text: str) -> None:
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = None
        if not isinstance(message, dict):
            self._answer(session, "", {}, failure="error:invalid request")
            return
        op = message.get("op")
        if op == "ping":
            self._pong(session, message)
        elif op in ("subscribe", "unsubscribe"):
            args = message.get("args")
            if isinstance(args, list) and args and all(isinstance(arg, str) for arg in args):
                failure = self._change(session, op, args)
            else:
                failure = "error:request args not correct"
            self._answer(session, op, message, failure=failure)
            if op == "subscribe" and not failure:
                self.on_subscribe()
        else:
            self._answer(session, "", message, failure=f"error:unknown op {str(op)[:20]}")

    def _pong(self, session: Session, message: dict[str, Any]) -> None:
        body = {"success": True, "ret_msg": "pong", "conn_id": self._conn_id(session)}
        body |= {"req_id": str(message.get("req_id", "")), "op": "ping"}
        session.say(msgspec.json.encode(body).decode())

    def _answer(self, session: Session, op: str, message: dict[str, Any], *, failure: str) -> None:
        said = failure or (op if session.route == "spot" else "")
        body = {"success": not failure, "ret_msg": said, "conn_id": self._conn_id(session)}
        body |= {"req_id": str(message.get("req_id", "")), "op": op}
        session.say(msgspec.json.encode(body).decode())

    @staticmethod
    def _conn_id(session: Session) -> str:
        return str(uuid.UUID(int=session.ordinal))

    def _change(self, session: Session, op: str, topics: list[str]) -> str:
        """Do a whole batch or nothing; the venue's refusal, or an empty text."""
        if session.route == "spot" and len(topics) > SPOT_ARGS:
            return f"args size >{SPOT_ARGS}"
        if op == "unsubscribe":
            for topic in topics:
                self.unsubscribe(session, topic)
            return ""
        if sum(map(len, [*session.streams, *topics])) > ARG_CHARACTERS:
            return f"error:args characters >{ARG_CHARACTERS}"
        for place, topic in enumerate(topics):
            if topic in session.streams or topic in topics[:place]:
                self.faults.fired["batch_poisoned"] += len(topics) > 1
                return f"error:already subscribed,topic:{topic}"
            if not self._is_known(session, topic):
                return f"error:handler not found,topic:{topic}"
        if (refused := self.faults.refused_topic(topics)) is not None:
            return f"error:handler not found,topic:{refused}"
        for topic in topics:
            self.subscribe(session, topic)
        return ""

    def _is_known(self, session: Session, topic: str) -> bool:
        channel, _, rest = topic.partition(".")
        symbol = rest.rpartition(".")[2]
        return channel in CHANNELS and self.track_of(session.route, symbol) is not None

    # Streams

    def stream_key(self, session: Session, name: str) -> str:
        return f"{MARKETS[session.route]} {name}"

    def make_stream(self, session: Session, name: str) -> Stream | None:
        channel, _, rest = name.partition(".")
        interval, _, symbol = rest.rpartition(".")
        track = self.track_of(session.route, symbol)
        if track is None:
            return None
        text = self.texts[track.instrument.name]
        if channel == "publicTrade":
            return TradeStream(name, track, track.trades, trades(track, text))
        if channel == "kline" and interval in INTERVALS_MS:
            render = partial(candle_message, text, interval)
            return CandleStream(name, track, INTERVALS_MS[interval], CANDLE_PACES_MS, render)
        if track.instrument.market != "perp":
            return None
        source = DerivativeSource(track)
        if channel == "tickers":
            ticker = Ticker(text, source)
            return PacedStream(name, track, TICKER_MS, ticker.delta, ticker.snapshot)
        if channel == "allLiquidation":
            said = partial(liquidation_message, text, source)
            return PacedStream(name, track, LIQUIDATION_MS, said)
        return None
