"""Bybit linear: tickers (funding, open interest, mark price) and every liquidation. Pure.

A ticker comes as a snapshot, then as changes that name only what changed. In `allLiquidation` the
side is that of the position: Buy means that a long was liquidated; the price is the bankruptcy
price.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import msgspec

from collectors.derivatives import DerivativeMarket
from collectors.reading import Millis, amount_of, decoded, moment_of, number_of
from collectors.venue import RestCall
from orderflow.derivatives import DerivativeEvent, Funding, Liquidation, OpenInterest
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument

TICKERS = "tickers."
LIQUIDATIONS = "allLiquidation."
ARGS_PER_REQUEST = 50


class Ticker(msgspec.Struct):
    """What a ticker may name; empty text is what the venue sends for nothing."""

    symbol: str
    fundingRate: str = ""  # noqa: N815
    nextFundingTime: str = ""  # noqa: N815
    markPrice: str = ""  # noqa: N815
    indexPrice: str = ""  # noqa: N815
    openInterest: str = ""  # noqa: N815


class TickerFrame(msgspec.Struct):
    """A frame of `tickers.<symbol>`."""

    topic: str
    ts: Millis
    data: Ticker


class Closed(msgspec.Struct):
    """One liquidation: time, symbol, side of the position, size, bankruptcy price."""

    T: Millis
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str


class LiquidationFrame(msgspec.Struct):
    """A frame of `allLiquidation.<symbol>`."""

    topic: str
    ts: Millis
    data: list[Closed]


class Other(msgspec.Struct):
    """Any other frame: an answer or a pong has no topic."""

    topic: str = ""


decode_ticker = msgspec.json.Decoder(TickerFrame).decode
decode_liquidations = msgspec.json.Decoder(LiquidationFrame).decode
decode_other = msgspec.json.Decoder(Other).decode


@dataclass(frozen=True, slots=True)
class BybitDerivatives:
    """Linear perpetuals."""

    sampled: bool = False
    ws_setting: str = "bybit_ws_url"
    rest_setting: str = "bybit_rest_url"

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """The public socket of linear contracts."""
        return "/v5/public/linear"

    def messages(self, instruments: Sequence[Instrument]) -> list[str]:
        """Tickers and liquidations, at most ARGS_PER_REQUEST topics a message."""
        topics = [TICKERS + item.symbol for item in instruments]
        topics += [LIQUIDATIONS + item.symbol for item in instruments]
        parts = [topics[k : k + ARGS_PER_REQUEST] for k in range(0, len(topics), ARGS_PER_REQUEST)]
        return [
            json.dumps({"op": "subscribe", "req_id": str(number), "args": part})
            for number, part in enumerate(parts, 1)
        ]

    def ping(self) -> tuple[str, float] | None:
        """Bybit's ping and its interval in seconds."""
        return '{"op":"ping"}', 20.0

    def read(self, frame: bytes, instruments: dict[str, Instrument]) -> list[DerivativeEvent]:
        """Events of a ticker or of liquidations; answers and pongs hold none."""
        topic = decoded(decode_other, frame).topic
        instrument = instruments.get(topic.partition(".")[2])
        if instrument is None:
            return []
        if topic.startswith(TICKERS):
            return _ticker(decoded(decode_ticker, frame), instrument)
        if topic.startswith(LIQUIDATIONS):
            return [
                _liquidation(closed, instrument)
                for closed in decoded(decode_liquidations, frame).data
            ]
        return []

    def open_interest_call(self, instrument: Instrument) -> RestCall | None:
        """None: the ticker tells it."""
        return None

    def parse_open_interest(self, body: bytes, instrument: Instrument) -> DerivativeEvent:
        """Never asked for, so never answered."""
        raise MalformedFrameError("open interest comes with the ticker")


def _ticker(frame: TickerFrame, instrument: Instrument) -> list[DerivativeEvent]:
    data, events = frame.data, list[DerivativeEvent]()
    rate = None if data.fundingRate == "" else number_of(data.fundingRate)
    next_ms = None if data.nextFundingTime == "" else moment_of(int(_whole(data.nextFundingTime)))
    said = (rate, next_ms, _maybe(data.markPrice), _maybe(data.indexPrice))
    if any(value is not None for value in said):
        events.append(Funding(instrument.name, frame.ts, *said))
    quantity = _maybe(data.openInterest)
    if quantity is not None:
        events.append(OpenInterest(instrument.name, frame.ts, quantity))
    return events


def _liquidation(closed: Closed, instrument: Instrument) -> Liquidation:
    if closed.s != instrument.symbol:
        raise MalformedFrameError("a liquidation of another symbol")
    quantity, price = number_of(closed.v), number_of(closed.p)
    if quantity <= 0 or price <= 0:
        raise MalformedFrameError("a liquidation has a price and a quantity above zero")
    position: Literal["long", "short"] = "long" if closed.S == "Buy" else "short"
    return Liquidation(instrument.name, closed.T, position, quantity, price)


def _whole(text: str) -> Decimal:
    """A number without a fraction."""
    value = number_of(text)
    if value != value.to_integral_value():
        raise MalformedFrameError("a time is a whole number of milliseconds")
    return value


def _maybe(text: str) -> Decimal | None:
    return None if text == "" else amount_of(text)


BYBIT_DERIVATIVES: DerivativeMarket = BybitDerivatives()
