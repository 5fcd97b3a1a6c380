"""DerivativeKeeper: derivative events from the bus into minutes, minutes to the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backbone.bus.base import CONTEXT, Bus
from backbone.clock import wall_ms
from backbone.store.base import Record
from orderflow.derivatives import (
    DerivativeMinute,
    Funding,
    Interruption,
    Liquidation,
    OpenInterest,
)
from processor.derivatives import DerivativeBook
from processor.records import derivative_record
from processor.share import Share

CURSOR = "derivatives"


class DerivativeKeeper:
    """Books by instrument; `emit` takes the records of closed minutes."""

    def __init__(
        self,
        emit: Callable[[list[Record]], None],
        share: Share = Share(),  # noqa: B008 (immutable)
    ) -> None:
        self.share = share
        self.books: dict[str, DerivativeBook] = {}
        self.emit = emit

    async def run(self, bus: Bus) -> None:
        """Read the topic until the bus closes."""
        part = self.share.partition
        name = CURSOR if part.count == 1 else f"{CURSOR}-{part.number}"
        subscription = await bus.subscribe(CONTEXT, name, partition=part)
        try:
            while True:
                for delivery in await subscription.next():
                    self.take(self.share.own(delivery.messages))
                    await subscription.ack(delivery.position)
        finally:
            await subscription.close()

    def take(self, messages: Sequence[object]) -> None:
        """Apply events."""
        for event in messages:
            if isinstance(event, Interruption):
                for name in event.instruments:
                    self._put(name, self._book(name).on_event(event))
            elif isinstance(event, Funding | OpenInterest | Liquidation):
                name = event.instrument
                self._put(name, self._book(name).on_event(event))

    def advance(self, instrument: str, now_ms: int) -> None:
        """Close what is over on the venue's clock."""
        book = self.books.get(instrument)
        if book is not None:
            self._put(instrument, book.due(now_ms))

    def _book(self, instrument: str) -> DerivativeBook:
        return self.books.setdefault(instrument, DerivativeBook())

    def _put(self, instrument: str, minutes: list[DerivativeMinute]) -> None:
        if minutes:
            wall = wall_ms()
            self.emit([derivative_record(instrument, minute, wall) for minute in minutes])
