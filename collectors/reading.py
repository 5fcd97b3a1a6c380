"""Reading venue text: exact numbers, a verdict per trade, typed bodies. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec

from orderflow.errors import MalformedFrameError, OffGridError
from orderflow.instrument import Instrument
from orderflow.trade import Source, TradeBatch

T = TypeVar("T")
Millis = Annotated[int, msgspec.Meta(ge=10**12, lt=10**13)]
"""Exchange time of our century in milliseconds: seconds and microseconds are malformed."""
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
"""At most 27 digits, so that decimal arithmetic with 28 digits is exact."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What text that is no JSON of the expected shape raises; deep nesting is one of the ways."""
NAME = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)
NOT_FINITE = frozenset({"nan", "inf", "infinity", "+inf", "+infinity", "-inf", "-infinity"})
EXACT_BELOW = 10**15
"""Doubles of decimals with at most 15 significant digits tell those decimals apart.

So a double is a whole number of steps exactly when `round(value * factor) / factor == value`
(`Step.steps_of_float` says why); the venues' loops have this rule inlined, and give anything else
to `judged`, which reads the text.
"""


def in_whole(column: list[int], units: int) -> bool:
    """Divide a column by the units of its step, in place; False when one is no multiple."""
    if units != 1:
        for place, number in enumerate(column):
            column[place], rest = divmod(number, units)
            if rest:
                return False
    return True


def number_of(text: str) -> Decimal:
    """A plain decimal number; MalformedFrameError for anything else, exponents included."""
    if not PLAIN_NUMBER.fullmatch(text):
        raise MalformedFrameError("not a plain decimal number")
    return Decimal(text)


def amount_of(text: str) -> Decimal:
    """A plain decimal number that is not negative."""
    value = number_of(text)
    if value < 0:
        raise MalformedFrameError("an amount is not negative")
    return value


def turnovers_of(rows: Iterable[tuple[str, str]]) -> dict[str, Decimal]:
    """Symbols and their turnovers; a row that is no amount of a plain symbol is left out."""
    found: dict[str, Decimal] = {}
    for symbol, turnover in rows:
        with suppress(MalformedFrameError):
            if are_names(symbol):
                found[symbol] = amount_of(turnover)
    return found


def moment_of(number: int) -> int | None:
    """Milliseconds of our century; 0 says that there is none."""
    if number and not 10**12 <= number < 10**13:
        raise MalformedFrameError("not a time in milliseconds")
    return number or None


def judged(price: str, quantity: str, instrument: Instrument) -> tuple[int, int] | str:
    """Ticks and lots of one trade from its text, or the reason why it must not be counted."""
    if price.lower() in NOT_FINITE or quantity.lower() in NOT_FINITE:
        return "not_finite"
    if not PLAIN_NUMBER.fullmatch(price) or not PLAIN_NUMBER.fullmatch(quantity):
        return "malformed"
    if Decimal(price) <= 0:
        return "zero_price"
    if Decimal(quantity) <= 0:
        return "zero_qty"
    try:
        ticks = instrument.tick.steps(price)
    except OffGridError:
        return "off_tick"
    try:
        return ticks, instrument.lot.steps(quantity)
    except OffGridError:
        return "off_lot"


def empty_batch(
    instrument: Instrument, scale: int, source: Source, received_ns: int = 0
) -> TradeBatch:
    """A batch to add single trades to."""
    return TradeBatch(
        instrument=instrument.name,
        key=[],
        event_ms=[],
        price_ticks=[],
        qty_lots=[],
        side=[],
        source=source,
        scale=scale,
        received_ns=received_ns,
    )


def decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """A REST body by its type; MalformedFrameError when it has another shape."""
    try:
        return decode(body)
    except UNREADABLE:
        raise MalformedFrameError("a REST answer does not have the documented shape") from None


def are_names(*names: str) -> bool:
    """True when every name is plain upper-case ASCII letters and digits."""
    return all(NAME.fullmatch(name) for name in names)


def query(**values: str | int) -> tuple[tuple[str, str], ...]:
    """Query parameters in the order they were given."""
    return tuple((name, str(value)) for name, value in values.items())


def shards(instruments: Sequence[Instrument], size: int) -> list[tuple[Instrument, ...]]:
    """The instruments in groups of at most `size`."""
    return [tuple(instruments[i : i + size]) for i in range(0, len(instruments), size)]
