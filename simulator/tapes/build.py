"""From text columns of any source to a track with exact integers and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simulator.columns import (
    BUYER,
    EMIT,
    EVENT,
    FIRST,
    KEY,
    KIND,
    LAST,
    PRICE,
    QTY,
    SEQ,
    Ints,
    in_order,
)
from simulator.decimals import decimals, scaled, step_digits, text_of
from simulator.instrument import TapeInstrument, parse_name, split_symbol
from simulator.tape import Track, empty_rows

BYBIT_SPOT_FIRST_ID = 2_290_000_000_000_000_001
BYBIT_FIRST_SEQ = 549_792_210_006


@dataclass(frozen=True, slots=True)
class Steps:
    """What is known of an instrument beforehand; what is None is inferred from the records."""

    tick_size: str | None = None
    lot_size: str | None = None
    base: str | None = None
    quote: str | None = None


@dataclass(slots=True)
class Part:
    """A stretch of records as a reader finds them. `emit_ms` None: sent when matched."""

    event_ms: Sequence[int]
    price: Sequence[str]
    qty: Sequence[str]
    buyer: Sequence[bool]
    key: Sequence[int]
    first_id: Sequence[int] | None = None
    last_id: Sequence[int] | None = None
    emit_ms: Sequence[int] | None = None
    seq: Sequence[int] | None = None
    kind: Sequence[int] | None = None


@dataclass(slots=True)
class TrackBuilder:
    """Collects parts of one instrument; `build` makes the track."""

    name: str
    steps: Steps = field(default_factory=Steps)
    is_aggregated: bool = False
    uuids: dict[int, str] = field(default_factory=dict)
    _parts: list[tuple[Ints, int, int]] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Add a stretch of records; ValueError where a number is none or does not fit."""
        rows = empty_rows(len(part.event_ms))
        prices, price_digits = scaled(part.price)
        quantities, qty_digits = scaled(part.qty)
        rows[EVENT] = part.event_ms
        rows[EMIT] = part.event_ms if part.emit_ms is None else part.emit_ms
        try:
            rows[PRICE] = prices
            rows[QTY] = quantities
        except OverflowError as error:
            raise ValueError(f"{self.name}: a price or quantity is beyond 63 bits") from error
        rows[BUYER] = part.buyer
        rows[KEY] = part.key
        rows[FIRST] = part.key if part.first_id is None else part.first_id
        rows[LAST] = part.key if part.last_id is None else part.last_id
        rows[SEQ] = 0 if part.seq is None else part.seq
        rows[KIND] = 0 if part.kind is None else part.kind
        self._parts.append((rows, price_digits, qty_digits))

    def build(self) -> Track:
        """The track; ValueError if it is empty or off the given steps."""
        if not any(rows.shape[1] for rows, _, _ in self._parts):
            raise ValueError(f"{self.name}: the tape has no trades")
        price_places = max(part[1] for part in self._parts)
        qty_places = max(part[2] for part in self._parts)
        for rows, price_digits, qty_digits in self._parts:
            rows[PRICE] *= 10 ** (price_places - price_digits)
            rows[QTY] *= 10 ** (qty_places - qty_digits)
        data = np.concatenate([rows for rows, _, _ in self._parts], axis=1)
        self._parts.clear()
        tick, price_digits = self._step(data, PRICE, price_places, self.steps.tick_size)
        lot, qty_digits = self._step(data, QTY, qty_places, self.steps.lot_size)
        venue, market, symbol = parse_name(self.name)
        base, quote = split_symbol(symbol)
        instrument = TapeInstrument(
            venue,
            market,
            symbol,
            self.steps.base or base,
            self.steps.quote or quote,
            tick,
            lot,
            price_digits,
            qty_digits,
            price_places,
            qty_places,
        )
        data = in_order(data)
        if venue == "bybit":
            number_bybit(data, market)
        return Track(instrument, data, is_aggregated=self.is_aggregated, uuids=self.uuids)

    def _step(self, data: Ints, index: int, digits: int, given: str | None) -> tuple[str, int]:
        """The step as text and the decimals kept; scales the column to those decimals."""
        values = data[index]
        kept = decimals(given) if given is not None else step_digits(values, digits)
        if kept >= digits:
            values *= 10 ** (kept - digits)
        else:
            whole, rest = np.divmod(values, 10 ** (digits - kept))
            if rest.any():
                raise ValueError(f"{self.name}: the tape has values finer than the step {given}")
            data[index] = whole
        step = 1 if given is None else scaled([given])[0][0]
        if given is not None:
            step = step * 10**kept // 10 ** len(given.partition(".")[2])
            if np.any(data[index] % step):
                raise ValueError(f"{self.name}: the tape has values off the step {given}")
        return text_of(step, kept, kept), kept


def number_bybit(data: Ints, market: str) -> None:
    """Give Bybit rows the ids and cross sequences they lack, in place.

    Spot ids are consecutive numbers; all fills of one taker order (same ms and side) share a `seq`.
    """
    if not data[KEY].any():
        first = BYBIT_SPOT_FIRST_ID if market == "spot" else 1
        data[KEY] = data[FIRST] = data[LAST] = first + np.arange(data.shape[1])
    if not data[SEQ].any():
        fresh = (np.diff(data[EVENT]) != 0) | (np.diff(data[BUYER]) != 0)
        data[SEQ] = BYBIT_FIRST_SEQ + 3 * np.concatenate(([0], np.cumsum(fresh)))
