"""A tape: one market's trades in time order, and how far they have been played."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from orderflow.errors import OffGridError

BYBIT_SPOT_BASE = 2_290_000_000_000_000_000
UUID_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


class Listing(msgspec.Struct, frozen=True):
    """What a venue lists: names and steps."""

    venue: str
    market: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal

    @property
    def name(self) -> str:
        """Canonical name, for example `binance:spot:BTCUSDT`."""
        return f"{self.venue}:{self.market}:{self.symbol}"


class Print(msgspec.Struct, gc=False):
    """One trade, or several of one price, side and millisecond as an aggregate.

    `price` and `qty` as the venue wrote them; `ticks` and `lots` the same as whole steps.
    `key`: aggregate id; `first_id`, `last_id`: the trades in it. `tag`: the venue's own id text
    where it is no number, `seq` its cross sequence.
    """

    event_ms: int
    price: str
    qty: str
    ticks: int
    lots: int
    buy: bool
    key: int
    first_id: int
    last_id: int
    tag: str = ""
    seq: int = 0


class Tape:
    """Prints of one market. `prints[:played]` have happened; nothing else is ever shown."""

    def __init__(
        self, listing: Listing, prints: list[Print], raws: list[Print] | None = None
    ) -> None:
        self.listing = listing
        self.prints = prints
        self.raws = raws
        self.played = 0
        self.raws_played = 0

    @property
    def start_ms(self) -> int:
        """Time of the first print."""
        return self.prints[0].event_ms

    @property
    def end_ms(self) -> int | None:
        """Time of the last print; None for a tape without end."""
        return self.prints[-1].event_ms

    def next_ms(self) -> int | None:
        """Time of the next print to play; None at the end."""
        return self.prints[self.played].event_ms if self.played < len(self.prints) else None

    def play(self, until_ms: int) -> tuple[list[Print], list[Print]]:
        """Prints and raw trades up to and including `until_ms` that were not played yet."""
        first, first_raw = self.played, self.raws_played
        while self.played < len(self.prints) and self.prints[self.played].event_ms <= until_ms:
            self.played += 1
        if self.raws is not None:
            while (
                self.raws_played < len(self.raws)
                and self.raws[self.raws_played].event_ms <= until_ms
            ):
                self.raws_played += 1
            return self.prints[first : self.played], self.raws[first_raw : self.raws_played]
        return self.prints[first : self.played], []

    def from_key(self, key: int, limit: int) -> list[Print]:
        """Played prints from an aggregate id on."""
        place = bisect_left(self.prints, key, 0, self.played, key=lambda p: p.key)
        return self.prints[place : min(place + limit, self.played)]

    def between(self, start_ms: int, end_ms: int, limit: int) -> list[Print]:
        """Played prints of [start_ms, end_ms], the oldest `limit` of them."""
        place = bisect_left(self.prints, start_ms, 0, self.played, key=lambda p: p.event_ms)
        found = self.prints[place : min(place + limit, self.played)]
        return [p for p in found if p.event_ms <= end_ms]

    def newest(self, limit: int) -> list[Print]:
        """The newest played prints, oldest first."""
        return self.prints[max(0, self.played - limit) : self.played]


def aggregated(raws: Sequence[Print], step: Decimal, first_key: int = 1) -> list[Print]:
    """Consecutive raw trades of one price, side and millisecond as one print each."""
    prints: list[Print] = []
    for raw in raws:
        last = prints[-1] if prints else None
        if (
            last is not None
            and last.event_ms == raw.event_ms
            and last.ticks == raw.ticks
            and last.buy == raw.buy
            and last.last_id + 1 == raw.first_id
        ):
            last.lots += raw.lots
            last.qty = f"{last.lots * step:f}"
            last.last_id = raw.last_id
        else:
            fresh = msgspec.structs.replace(raw, key=first_key + len(prints))
            prints.append(fresh)
    return prints


def decimals_of(texts: Iterable[str]) -> int:
    """The most decimals any of these numbers uses, trailing zeros not counted."""
    fractions = {text.partition(".")[2] for text in texts}
    return max((len(fraction.rstrip("0")) for fraction in fractions), default=0)


def step_of(texts: Iterable[str]) -> Decimal:
    """The power of ten of which all these numbers are whole multiples."""
    return Decimal(1).scaleb(-decimals_of(texts))


def whole_steps(text: str, step: Decimal) -> int:
    """A decimal string in whole steps of a power of ten."""
    whole = int(Decimal(text) / step)
    if whole * step != Decimal(text):
        raise OffGridError(f"{text} is no multiple of {step}")
    return whole


def as_bybit(tape: Tape, market: str) -> Tape:
    """The same trades as Bybit would number them: fills with their own ids and one sequence."""
    listing = msgspec.structs.replace(tape.listing, venue="bybit", market=market)
    prints = [
        msgspec.structs.replace(
            p,
            tag=(
                str(BYBIT_SPOT_BASE + p.key)
                if market == "spot"
                else str(uuid.uuid5(UUID_SPACE, f"{listing.name}/{p.key}"))
            ),
            seq=p.key,
        )
        for p in tape.prints
    ]
    return Tape(listing, prints)
