"""Funding, open interest and liquidations: the venues' frames, and the feed on real sockets."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from backbone.bus.memory import MemoryBus
from collectors.derivative_feed import DerivativeFeed
from collectors.derivatives import DerivativeMarket
from collectors.pacing import Backoff
from collectors.sockets import library
from collectors.venues import DERIVATIVES
from orderflow.derivatives import Funding, Interruption, Liquidation, OpenInterest
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument, Market

BINANCE, BYBIT = DERIVATIVES["binance"], DERIVATIVES["bybit"]


def perp(venue: str) -> Instrument:
    """BTCUSDT perpetual."""
    return Instrument(
        venue, Market.PERP, "BTCUSDT", "BTC", "USDT", Decimal("0.1"), Decimal("0.001")
    )


MARK = {
    "e": "markPriceUpdate",
    "E": 1_795_000_000_123,
    "s": "BTCUSDT",
    "p": "64123.45000000",
    "i": "64120.11",
    "P": "64121.0",
    "r": "-0.00012500",
    "T": 1_795_003_200_000,
}
FORCE = {
    "e": "forceOrder",
    "E": 1_795_000_000_500,
    "o": {
        "s": "BTCUSDT",
        "S": "SELL",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.014",
        "p": "63900.1",
        "ap": "63950.2",
        "X": "FILLED",
        "l": "0.014",
        "z": "0.014",
        "T": 1_795_000_000_499,
    },
}
TICKER = {
    "topic": "tickers.BTCUSDT",
    "type": "snapshot",
    "ts": 1_795_000_000_200,
    "cs": 1,
    "data": {
        "symbol": "BTCUSDT",
        "tickDirection": "PlusTick",
        "fundingRate": "0.0001",
        "nextFundingTime": "1795003200000",
        "markPrice": "64123.4",
        "indexPrice": "64120",
        "openInterest": "52345.678",
        "openInterestValue": "3356549321.1",
    },
}
CLOSED = {
    "topic": "allLiquidation.BTCUSDT",
    "type": "snapshot",
    "ts": 1_795_000_000_700,
    "data": [
        {"T": 1_795_000_000_600, "s": "BTCUSDT", "S": "Buy", "v": "0.2", "p": "63000.5"},
        {"T": 1_795_000_000_650, "s": "BTCUSDT", "S": "Sell", "v": "1.5", "p": "65000"},
    ],
}


def combined(data: Any) -> bytes:
    """Binance's envelope."""
    return json.dumps({"stream": "btcusdt@x", "data": data}).encode()


def read(market: DerivativeMarket, frame: bytes, venue: str) -> list[Any]:
    """Events of one frame."""
    return list(market.read(frame, {"BTCUSDT": perp(venue)}))


def test_binance_frames() -> None:
    """A mark price is funding; a SELL order closed a long; numbers are the venue's digits."""
    name = "binance:perp:BTCUSDT"
    assert read(BINANCE, combined(MARK), "binance") == [
        Funding(
            name,
            1_795_000_000_123,
            Decimal("-0.00012500"),
            1_795_003_200_000,
            Decimal("64123.45000000"),
            Decimal("64120.11"),
        )
    ]
    assert read(BINANCE, combined(FORCE), "binance") == [
        Liquidation(name, 1_795_000_000_499, "long", Decimal("0.014"), Decimal("63950.2"))
    ]
    call = BINANCE.open_interest_call(perp("binance"))
    assert call is not None
    assert (call.path, call.query) == ("/fapi/v1/openInterest", (("symbol", "BTCUSDT"),))
    body = b'{"openInterest":"91234.567","symbol":"BTCUSDT","time":1795000000321}'
    assert BINANCE.parse_open_interest(body, perp("binance")) == OpenInterest(
        name, 1_795_000_000_321, Decimal("91234.567")
    )


def test_bybit_frames() -> None:
    """A ticker tells funding and open interest, a change only what changed; Buy was a long."""
    name = "bybit:perp:BTCUSDT"
    funding, interest = read(BYBIT, json.dumps(TICKER).encode(), "bybit")
    assert funding.rate == Decimal("0.0001")
    assert funding.next_ms == 1_795_003_200_000
    assert interest == OpenInterest(name, 1_795_000_000_200, Decimal("52345.678"))
    change = TICKER | {"type": "delta", "data": {"symbol": "BTCUSDT", "markPrice": "64000"}}
    (only,) = read(BYBIT, json.dumps(change).encode(), "bybit")
    assert only == Funding(name, 1_795_000_000_200, mark_price=Decimal(64000))
    longs, shorts = read(BYBIT, json.dumps(CLOSED).encode(), "bybit")
    assert (longs.position, longs.quantity, longs.price) == (
        "long",
        Decimal("0.2"),
        Decimal("63000.5"),
    )
    assert (shorts.position, shorts.event_ms) == ("short", 1_795_000_000_650)
    assert read(BYBIT, b'{"success":true,"ret_msg":"pong","op":"ping"}', "bybit") == []
    assert BYBIT.open_interest_call(perp("bybit")) is None
    messages = [json.loads(m) for m in BYBIT.messages([perp("bybit")])]
    assert messages[0]["args"] == ["tickers.BTCUSDT", "allLiquidation.BTCUSDT"]


@pytest.mark.parametrize(
    ("venue", "frame"),
    [
        ("binance", b"[]"),
        ("binance", combined(MARK | {"p": "1e5"})),
        ("binance", combined(MARK | {"E": 1})),
        ("binance", combined(FORCE | {"o": FORCE["o"] | {"S": "HOLD"}})),  # type: ignore[operator]
        ("binance", combined(FORCE | {"o": FORCE["o"] | {"z": "0"}})),  # type: ignore[operator]
        ("bybit", b"\xff"),
        (
            "bybit",
            json.dumps(TICKER | {"data": {"symbol": "BTCUSDT", "openInterest": "x"}}).encode(),
        ),
        ("bybit", json.dumps(CLOSED | {"data": [{"T": 1}]}).encode()),
        (
            "bybit",
            json.dumps(
                CLOSED
                | {"data": [{"T": 1_795_000_000_600, "s": "X", "S": "Buy", "v": "1", "p": "1"}]}
            ).encode(),
        ),
    ],
)
def test_what_cannot_be_read_is_said(venue: str, frame: bytes) -> None:
    """A frame of another shape raises one error, whatever is wrong with it."""
    with pytest.raises(MalformedFrameError):
        read(DERIVATIVES[venue], frame, venue)


def test_symbols_nobody_asked_for_are_left_out() -> None:
    """A frame of another symbol holds nothing for us."""
    assert read(BINANCE, combined(MARK | {"s": "ETHUSDT"}), "binance") == []
    assert read(BYBIT, json.dumps(TICKER | {"topic": "tickers.ETHUSDT"}).encode(), "bybit") == []


@pytest.mark.parametrize("name", ["websockets", "picows"])
async def test_a_feed_says_where_it_was_interrupted(
    name: str, bus: MemoryBus, context: Any
) -> None:
    """Every connection begins with an interruption; unreadable frames are counted and survived."""
    paths: list[str] = []

    async def play(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.send("nonsense")
        await connection.send(combined(MARK).decode())
        if len(paths) == 1:
            await connection.close()
        await connection.wait_closed()

    async with serve(play, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        feed = DerivativeFeed(
            BINANCE,
            f"ws://127.0.0.1:{port}",
            [perp("binance")],
            library(name),
            bus,
            Backoff(lambda: 0.01),
        )
        running = asyncio.create_task(feed.run())
        await context.until(lambda: len(context.of(Funding)) >= 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    said = [(event.event_ms, event.ended) for event in context.of(Interruption)[:3]]
    at = 1_795_000_000_123
    assert said == [(at, False), (at, True), (at, False)]
    assert context.of(Interruption)[0].instruments == ["binance:perp:BTCUSDT"]
    assert feed.connects >= 2
    assert feed.malformed >= 2
    assert paths[0] == "/market/stream?streams=btcusdt@markPrice@1s/btcusdt@forceOrder"
