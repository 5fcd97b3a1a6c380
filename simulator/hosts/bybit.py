"""Bybit v5 spot and linear: topics, limits, keep-alive and REST."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection

from simulator.hosts.bybit_rest import BybitRest
from simulator.hosts.host import Answer, Client, Host, Market
from simulator.klines import Kline
from simulator.tape import Print

CATEGORIES = {"spot": "spot", "linear": "perp"}
SPOT_ARGS = 10
ARGS_CHARACTERS = 21_000
FRAME_TRADES = 1_024


class BybitHost(Host):
    """The public stream host; a client's route is its category."""

    name = "bybit"
    messages_per_s = 50

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.api = BybitRest(self.markets, self.clock)

    def rest(self, path: str, query: dict[str, str]) -> Answer:
        """Bybit's REST paths."""
        return self.api.answer(path, query)

    def trade_streams(self) -> set[str]:
        """One trade topic per tape."""
        return {self._topic(market, "publicTrade") for market in self.markets.values()}

    def _topic(self, market: Market, kind: str) -> str:
        """Topics are told apart by category inside; the wire never shows it."""
        listing = market.tape.listing
        category = "spot" if listing.market == "spot" else "linear"
        return f"{category}|{kind}.{listing.symbol}"

    def connected(self, connection: ServerConnection, path: str) -> Client | None:
        """`/v5/public/spot` or `/v5/public/linear`."""
        category = urlsplit(path).path.removeprefix("/v5/public/")
        if category not in CATEGORIES:
            return None
        return Client(connection, combined=False, route=category)

    def message(self, client: Client, message: str | bytes) -> None:
        """ping, subscribe, unsubscribe."""
        try:
            request = msgspec.json.decode(message)
            op = request["op"]
        except (msgspec.DecodeError, KeyError, TypeError):
            client.write(['{"success":false,"ret_msg":"error:invalid json"}'])
            return
        number = request.get("req_id", "")
        if op == "ping":
            self._reply(client, number, op, ok=True, text="pong")
            return
        args = [str(arg) for arg in request.get("args", [])]
        if op == "unsubscribe":
            for arg in args:
                client.streams.pop(f"{client.route}|{arg}", None)
            self._reply(client, number, op, ok=True, text="")
            return
        problem = self._refusal(client, args)
        if problem is None:
            client.streams.update(dict.fromkeys(f"{client.route}|{arg}" for arg in args))
            text = "subscribe" if client.route == "spot" else ""
            self._reply(client, number, op, ok=True, text=text)
            self.on_subscribe()
        else:
            self._reply(client, number, op, ok=False, text=problem)

    def _refusal(self, client: Client, args: list[str]) -> str | None:
        """Why a whole batch is refused; None accepts it."""
        if client.route == "spot" and len(args) > SPOT_ARGS:
            return "error:args size >10"
        if sum(map(len, [*client.streams, *args])) > ARGS_CHARACTERS:
            return "error:args length exceeded"
        known = {self._topic(m, kind) for m in self.markets.values() for kind in KINDS}
        for arg in args:
            if f"{client.route}|{arg}" in client.streams:
                return f"error:already subscribed,topic:{arg}"
            if f"{client.route}|{arg}" not in known:
                return f"error:handler not found,topic:{arg}"
        return None

    def _reply(self, client: Client, number: str, op: str, *, ok: bool, text: str) -> None:
        body: dict[str, Any] = {"success": ok, "ret_msg": text}
        if ok:
            body |= {"conn_id": "simulated", "op": op}
        client.write([msgspec.json.encode(body | {"req_id": number}).decode()])

    # Frames

    def deliver(
        self, market: Market, prints: list[Print], raws: list[Print], klines: list[Kline]
    ) -> None:
        """publicTrade frames (fills of one sequence together) and closed klines."""
        topic = self._topic(market, "publicTrade")
        wanted = self.subscribed()
        if topic in wanted:
            keyed = [(group[0].key, self._trades(market, group)) for group in _grouped(prints)]
            frames = self.faults.apply(keyed)
            if self.faults.odd_kind or self.faults.zero_qty:
                frames = self._injected(market, prints) + frames
            self.send(topic, frames, None)
        topic = self._topic(market, "kline.1")
        if topic in wanted:
            self.send(topic, [self._kline(market, k, closed=True) for k in klines], None)

    def heartbeat(self, market: Market) -> None:
        """The open candle."""
        if market.book.open is not None:
            frame = self._kline(market, market.book.open, closed=False)
            self.send(self._topic(market, "kline.1"), [frame], None)

    def _injected(self, market: Market, prints: list[Print]) -> list[str]:
        """Block trades and empty fills, with ids of their own."""
        frames = []
        for p in prints:
            odd = p.key in self.faults.odd_kind
            if not odd and p.key not in self.faults.zero_qty:
                continue
            tag = f"00000000-0000-5000-8000-{p.key:012d}"
            fake = msgspec.structs.replace(p, tag=tag, qty=p.qty if odd else "0")
            text = self._trades(market, [fake])
            frames.append(text.replace('"BT":false', '"BT":true') if odd else text)
        return frames

    def _trades(self, market: Market, prints: list[Print]) -> str:
        symbol = market.tape.listing.symbol
        spot = market.tape.listing.market == "spot"
        rows = ",".join(
            (
                f'{{"i":"{p.tag}","T":{p.event_ms},"p":"{p.price}","v":"{p.qty}",'
                f'"S":"{"Buy" if p.buy else "Sell"}","seq":{p.seq},"s":"{symbol}",'
                f'"BT":false,"RPI":false}}'
            )
            if spot
            else (
                f'{{"T":{p.event_ms},"s":"{symbol}","S":"{"Buy" if p.buy else "Sell"}",'
                f'"v":"{p.qty}","p":"{p.price}","L":"PlusTick","i":"{p.tag}","BT":false,'
                f'"RPI":false,"seq":{p.seq}}}'
            )
            for p in prints
        )
        stamp = prints[-1].event_ms + 1 + self.clock.offset_ms
        return f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{stamp},"data":[{rows}]}}'

    def _kline(self, market: Market, k: Kline, *, closed: bool) -> str:
        book, symbol = market.book, market.tape.listing.symbol
        stamp = max(self.clock.now_ms(), k.end_ms + 1 if closed else 0)
        return (
            f'{{"topic":"kline.1.{symbol}","data":[{{"start":{k.start_ms},"end":{k.end_ms},'
            f'"interval":"1","open":"{book.price(k.open_ticks)}",'
            f'"close":"{book.price(k.close_ticks)}","high":"{book.price(k.high_ticks)}",'
            f'"low":"{book.price(k.low_ticks)}","volume":"{book.qty(k.lots)}",'
            f'"turnover":"{book.amount(k.quote)}","confirm":{"true" if closed else "false"},'
            f'"timestamp":{stamp}}}],"ts":{stamp},"type":"snapshot"}}'
        )


KINDS = ("publicTrade", "kline.1")


def _grouped(prints: list[Print]) -> list[list[Print]]:
    """Fills of one millisecond and side in one frame, at most 1024 of them."""
    groups: list[list[Print]] = []
    for p in prints:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and last.event_ms == p.event_ms
            and last.buy == p.buy
            and len(groups[-1]) < FRAME_TRADES
        ):
            groups[-1].append(p)
        else:
            groups.append([p])
    return groups
