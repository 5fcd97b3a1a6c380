"""What perpetuals say beside their trades: funding, open interest, liquidations. Pure.

Streams of their own, never mixed into trade numbers. Amounts are exact decimals as the venue sent
them. Binance shows at most one liquidation per symbol and second, so its sums are lower bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from orderflow.timeframe import MINUTE_MS, floor_ms

Position = Literal["long", "short"]


class Funding(msgspec.Struct, tag="funding", gc=False, frozen=True):
    """Funding of the running period; None where this message does not say."""

    instrument: str
    event_ms: int
    rate: Decimal | None = None
    next_ms: int | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None


class OpenInterest(msgspec.Struct, tag="open_interest", gc=False, frozen=True):
    """Contracts open at that time, in base units."""

    instrument: str
    event_ms: int
    quantity: Decimal


class Liquidation(msgspec.Struct, tag="liquidation", gc=False, frozen=True):
    """A position that was closed by force; `price` is what the venue states (see docs)."""

    instrument: str
    event_ms: int
    position: Position
    quantity: Decimal
    price: Decimal


class Interruption(msgspec.Struct, tag="interruption", gc=False, frozen=True):
    """These streams begin to deliver, or have `ended`: what lies between may be missing.

    `sampled`: the venue leaves liquidations out.
    """

    instruments: list[str]
    event_ms: int
    sampled: bool
    ended: bool = False


DerivativeEvent = Funding | OpenInterest | Liquidation | Interruption


class Liquidated(msgspec.Struct, gc=False, frozen=True):
    """Liquidations of one kind of position: how many, and their volume in base units."""

    count: int = 0
    quantity: Decimal = Decimal(0)

    def and_(self, other: Liquidated) -> Liquidated:
        """Both together."""
        return Liquidated(self.count + other.count, self.quantity + other.quantity)


class DerivativeMinute(msgspec.Struct, gc=False, frozen=True):
    """One minute [start_ms, start_ms + 60 s): the newest values and the liquidations in it.

    `whole`: the streams delivered during all of it. `sampled`: the venue leaves liquidations out,
    so their sums are lower bounds.
    """

    start_ms: int
    whole: bool
    sampled: bool
    funding_rate: Decimal | None = None
    next_funding_ms: int | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    open_interest: Decimal | None = None
    open_interest_ms: int | None = None
    longs: Liquidated = Liquidated()
    shorts: Liquidated = Liquidated()


def after(
    minute: DerivativeMinute, event: Funding | OpenInterest | Liquidation
) -> DerivativeMinute:
    """The minute with one more event."""
    if isinstance(event, Funding):
        said = {
            "funding_rate": event.rate,
            "next_funding_ms": event.next_ms,
            "mark_price": event.mark_price,
            "index_price": event.index_price,
        }
        known = {name: value for name, value in said.items() if value is not None}
        return msgspec.structs.replace(minute, **known)
    if isinstance(event, OpenInterest):
        return msgspec.structs.replace(
            minute, open_interest=event.quantity, open_interest_ms=event.event_ms
        )
    one = Liquidated(1, event.quantity)
    if event.position == "long":
        return msgspec.structs.replace(minute, longs=minute.longs.and_(one))
    return msgspec.structs.replace(minute, shorts=minute.shorts.and_(one))


def following(minute: DerivativeMinute, start_ms: int, *, whole: bool) -> DerivativeMinute:
    """An empty minute that goes on with the values of an earlier one."""
    return msgspec.structs.replace(
        minute, start_ms=start_ms, whole=whole, longs=Liquidated(), shorts=Liquidated()
    )


def liquidated(minutes: Iterable[DerivativeMinute]) -> tuple[Liquidated, Liquidated]:
    """Liquidated longs and shorts of several minutes."""
    longs, shorts = Liquidated(), Liquidated()
    for minute in minutes:
        longs, shorts = longs.and_(minute.longs), shorts.and_(minute.shorts)
    return longs, shorts


def minute_of(event_ms: int) -> int:
    """Start of the minute of a time."""
    return floor_ms(event_ms, MINUTE_MS)


FIELDS = tuple(
    name for name in DerivativeMinute.__struct_fields__ if name not in {"longs", "shorts"}
)


def minute_to_body(minute: DerivativeMinute) -> dict[str, object]:
    """A minute as plain data."""
    body: dict[str, object] = {
        name: str(value) if isinstance(value, Decimal) else value
        for name in FIELDS
        if (value := getattr(minute, name)) is not None
    }
    for name in ("longs", "shorts"):
        found: Liquidated = getattr(minute, name)
        body[name] = {"count": found.count, "quantity": str(found.quantity)}
    return body


def minute_from_body(body: Mapping[str, object]) -> DerivativeMinute:
    """The inverse of `minute_to_body`."""
    return msgspec.convert(dict(body), DerivativeMinute)
