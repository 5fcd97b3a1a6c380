"""Binance spot and USD-M: streams, envelopes, routes and the frames of trades and candles."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection

from simulator.clock import PlayClock
from simulator.faults import FaultPlan
from simulator.hosts.binance_rest import BinanceRest
from simulator.hosts.host import Answer, Client, Host, Market
from simulator.klines import Kline
from simulator.tape import Print, Tape

MARKET_KINDS = frozenset({"aggTrade", "kline_1m"})
PUBLIC_KINDS = frozenset({"trade"})


class BinanceHost(Host):
    """One of Binance's two hosts. `spot` has plain paths, USD-M one route per kind of stream."""

    def __init__(self, tapes: list[Tape], clock: PlayClock, faults: FaultPlan, market: str) -> None:
        super().__init__(tapes, clock, faults)
        self.name = f"binance_{'spot' if market == 'spot' else 'usdm'}"
        self.spot = market == "spot"
        self.messages_per_s = 5 if self.spot else 10
        self.by_symbol = {m.tape.listing.symbol: m for m in self.markets.values()}
        self.api = BinanceRest(self.by_symbol, clock, spot=self.spot)

    def rest(self, path: str, query: dict[str, str]) -> Answer:
        """Binance's REST paths."""
        return self.api.answer(path, query)

    def trade_streams(self) -> set[str]:
        """One aggregate stream per tape."""
        return {f"{symbol.lower()}@aggTrade" for symbol in self.by_symbol}

    def connected(self, connection: ServerConnection, path: str) -> Client | None:
        """`[/route]/ws[/stream]` or `[/route]/stream?streams=a/b`."""
        parts = urlsplit(path)
        route, _, rest = parts.path.lstrip("/").partition("/")
        if self.spot or route in {"ws", "stream"}:
            route, rest = "legacy" if not self.spot else "spot", parts.path.lstrip("/")
        elif route not in {"market", "public", "private"}:
            return None
        kind, _, stream = rest.partition("/")
        if kind not in {"ws", "stream"}:
            return None
        client = Client(connection, combined=kind == "stream", route=route)
        listed = parse_qs(parts.query).get("streams", [""])[0].split("/")
        for name in [*stream.split("/"), *listed]:
            if name:
                client.streams[name] = None
        return client

    def _delivers(self, client: Client, stream: str) -> bool:
        """An acknowledged subscription on the wrong route stays silent."""
        kind = stream.partition("@")[2]
        if client.route == "spot":
            return True
        allowed = MARKET_KINDS if client.route == "market" else PUBLIC_KINDS
        return client.route != "private" and kind in allowed

    def send(self, stream: str, texts: list[str], wrap: Any) -> None:
        """Only to clients whose route carries this kind of stream."""
        if self.spot:
            super().send(stream, texts, wrap)
            return
        silent = [c for c in self.clients if not self._delivers(c, stream)]
        self.clients.difference_update(silent)
        super().send(stream, texts, wrap)
        self.clients.update(silent)

    def message(self, client: Client, message: str | bytes) -> None:
        """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY."""
        try:
            request = msgspec.json.decode(message)
            method, number = request["method"], request.get("id")
        except (msgspec.DecodeError, KeyError, TypeError):
            client.write(['{"error":{"code":3,"msg":"Invalid JSON"}}'])
            return
        params = request.get("params", [])
        result: Any = None
        if method == "SUBSCRIBE":
            client.streams.update(dict.fromkeys(params))
        elif method == "UNSUBSCRIBE":
            for name in params:
                client.streams.pop(name, None)
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(client.streams)
        elif method == "SET_PROPERTY":
            client.combined = bool(params[1])
        elif method == "GET_PROPERTY":
            result = client.combined
        else:
            text = msgspec.json.encode(
                {"error": {"code": 2, "msg": "Invalid request: unknown variant"}, "id": number}
            )
            client.write([text.decode()])
            return
        client.write([msgspec.json.encode({"result": result, "id": number}).decode()])
        self.on_subscribe()

    def shutdown_notice(self) -> None:
        """Announce the end of every connection, in the form it asked for."""
        event = f'{{"e":"serverShutdown","E":{self.clock.now_ms()}}}'
        for client in self.clients:
            wrapped = f'{{"stream":"!serverShutdown","data":{event}}}'
            client.write([wrapped if client.combined else event])

    # Frames

    def deliver(
        self, market: Market, prints: list[Print], raws: list[Print], klines: list[Kline]
    ) -> None:
        """aggTrade, trade and closed kline frames; a minute's candle follows its trades."""
        symbol = market.tape.listing.symbol
        wanted = self.subscribed()
        name = f"{symbol.lower()}@aggTrade"
        if name in wanted:
            self._trades(name, [(p.key, self._aggregate(symbol, p)) for p in prints])
        name = f"{symbol.lower()}@trade"
        if name in wanted:
            self._trades(name, [(p.key, self._trade(symbol, p)) for p in raws])
        name = f"{symbol.lower()}@kline_1m"
        if name in wanted:
            self._send_wrapped(name, [self._kline(market, k, closed=True) for k in klines])

    def heartbeat(self, market: Market) -> None:
        """The open candle."""
        name = f"{market.tape.listing.symbol.lower()}@kline_1m"
        if market.book.open is not None:
            self._send_wrapped(name, [self._kline(market, market.book.open, closed=False)])

    def _trades(self, stream: str, keyed: list[tuple[int, str]]) -> None:
        frames = self.faults.apply(keyed)
        if self.faults.zero_qty or self.faults.odd_kind:
            frames = self._with_injected(keyed, frames)
        self._send_wrapped(stream, frames)

    def _with_injected(self, keyed: list[tuple[int, str]], frames: list[str]) -> list[str]:
        """Trades that must never count, before the chosen ones, with ids of their own."""
        extra = []
        for key, frame in keyed:
            if key in self.faults.zero_qty:
                extra.append(_replaced(frame, q="0.00000000", a=key - 10**6, t=key - 10**6))
            if key in self.faults.odd_kind and '"X"' in frame:
                extra.append(_replaced(frame, X="ADL", a=key - 2 * 10**6, t=key - 2 * 10**6))
        return [*extra, *frames]

    def _send_wrapped(self, stream: str, texts: list[str]) -> None:
        self.send(stream, texts, lambda text: f'{{"stream":"{stream}","data":{text}}}')

    def _stamp(self, p: Print) -> int:
        return p.event_ms + 1 + self.clock.offset_ms

    def _aggregate(self, symbol: str, p: Print) -> str:
        tail = ',"M":true}' if self.spot else f',"nq":"{p.qty}","st":1}}'
        return (
            f'{{"e":"aggTrade","E":{self._stamp(p)},"s":"{symbol}","a":{p.key},"p":"{p.price}",'
            f'"q":"{p.qty}","f":{p.first_id},"l":{p.last_id},"T":{p.event_ms},'
            f'"m":{"false" if p.buy else "true"}{tail}'
        )

    def _trade(self, symbol: str, p: Print) -> str:
        maker = "false" if p.buy else "true"
        if self.spot:
            return (
                f'{{"e":"trade","E":{self._stamp(p)},"s":"{symbol}","t":{p.first_id},'
                f'"p":"{p.price}","q":"{p.qty}","T":{p.event_ms},"m":{maker},"M":true}}'
            )
        return (
            f'{{"e":"trade","E":{self._stamp(p)},"T":{p.event_ms},"s":"{symbol}",'
            f'"t":{p.first_id},"p":"{p.price}","q":"{p.qty}","X":"MARKET","m":{maker}}}'
        )

    def _kline(self, market: Market, k: Kline, *, closed: bool) -> str:
        book, symbol = market.book, market.tape.listing.symbol
        stamp = max(self.clock.now_ms(), k.end_ms + 1 if closed else 0)
        return (
            f'{{"e":"kline","E":{stamp},"s":"{symbol}","k":{{"t":{k.start_ms},'
            f'"T":{k.end_ms},"s":"{symbol}","i":"1m","f":{k.first_id},"L":{k.last_id},'
            f'"o":"{book.price(k.open_ticks)}","c":"{book.price(k.close_ticks)}",'
            f'"h":"{book.price(k.high_ticks)}","l":"{book.price(k.low_ticks)}",'
            f'"v":"{book.qty(k.lots)}","n":{k.trades},"x":{"true" if closed else "false"},'
            f'"q":"{book.amount(k.quote)}","V":"{book.qty(k.buy_lots)}",'
            f'"Q":"{book.amount(k.buy_quote)}","B":"0"}}}}'
        )


def _replaced(frame: str, **changes: object) -> str:
    """The same frame with other values; keys it does not have are not added."""
    data = msgspec.json.decode(frame)
    data |= {key: value for key, value in changes.items() if key in data}
    return msgspec.json.encode(data).decode()
