"""Binance USD-M: mark price and funding, liquidation orders, open interest over REST. Pure.

`forceOrder` shows only the newest liquidation order of a symbol per second. Its side is that of the
order: a SELL closes a long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import msgspec

from collectors.derivatives import DerivativeMarket
from collectors.reading import Millis, amount_of, decoded, moment_of, number_of, query
from collectors.venue import RestCall
from orderflow.derivatives import DerivativeEvent, Funding, Liquidation, OpenInterest, Position
from orderflow.errors import MalformedFrameError
from orderflow.instrument import Instrument


class MarkPrice(msgspec.Struct, tag_field="e", tag="markPriceUpdate"):
    """Mark price `p`, index price `i`, funding rate `r` until `T`."""

    E: Millis
    s: str
    p: str
    i: str
    r: str
    T: int


class Order(msgspec.Struct):
    """The liquidation order: side, executed quantity `z`, average price `ap`, trade time."""

    s: str
    S: Literal["BUY", "SELL"]
    z: str
    ap: str
    T: Millis


class ForceOrder(msgspec.Struct, tag_field="e", tag="forceOrder"):
    """A liquidation order that was executed."""

    E: Millis
    o: Order


class Combined(msgspec.Struct):
    """A frame of /stream."""

    data: MarkPrice | ForceOrder


class OpenAnswer(msgspec.Struct):
    """The answer of /openInterest."""

    openInterest: str  # noqa: N815
    symbol: str
    time: Millis


decode_frame = msgspec.json.Decoder(Combined).decode
decode_open = msgspec.json.Decoder(OpenAnswer).decode


@dataclass(frozen=True, slots=True)
class BinanceDerivatives:
    """USD-M perpetuals."""

    sampled: bool = True
    ws_setting: str = "binance_usdm_ws_url"
    rest_setting: str = "binance_usdm_rest_url"

    def socket_path(self, instruments: Sequence[Instrument]) -> str:
        """Path that subscribes mark price and liquidations."""
        names = [item.symbol.lower() for item in instruments]
        streams = [f"{n}@markPrice@1s" for n in names] + [f"{n}@forceOrder" for n in names]
        return f"/market/stream?streams={'/'.join(streams)}"

    def messages(self, instruments: Sequence[Instrument]) -> list[str]:
        """None: the path subscribes."""
        return []

    def ping(self) -> tuple[str, float] | None:
        """None: Binance speaks WebSocket pings only."""
        return None

    def read(self, frame: bytes, instruments: dict[str, Instrument]) -> list[DerivativeEvent]:
        """One event, or none for a symbol that was not asked for."""
        data = decoded(decode_frame, frame).data
        symbol = data.s if isinstance(data, MarkPrice) else data.o.s
        instrument = instruments.get(symbol)
        if instrument is None:
            return []
        if isinstance(data, MarkPrice):
            rate = None if data.r == "" else number_of(data.r)
            mark, index = amount_of(data.p), amount_of(data.i)
            return [Funding(instrument.name, data.E, rate, moment_of(data.T), mark, index)]
        order = data.o
        position: Position = "long" if order.S == "SELL" else "short"
        quantity, price = _positive(order.z), _positive(order.ap)
        return [Liquidation(instrument.name, order.T, position, quantity, price)]

    def open_interest_call(self, instrument: Instrument) -> RestCall | None:
        """REST is the only place that tells it."""
        return RestCall("/fapi/v1/openInterest", query(symbol=instrument.symbol), 1)

    def parse_open_interest(self, body: bytes, instrument: Instrument) -> DerivativeEvent:
        """Open interest in base units."""
        answer = decoded(decode_open, body)
        if answer.symbol != instrument.symbol:
            raise MalformedFrameError("open interest of another symbol")
        return OpenInterest(instrument.name, answer.time, amount_of(answer.openInterest))


def _positive(text: str) -> Decimal:
    value = number_of(text)
    if value <= 0:
        raise MalformedFrameError("a liquidation has a price and a quantity above zero")
    return value


BINANCE_DERIVATIVES: DerivativeMarket = BinanceDerivatives()
