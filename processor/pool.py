"""Bursts of many instruments that wait to be applied together. Pure.

Applying costs by the instrument as well as by the trade, so a thousand trades of a thousand
instruments are dear and a hundred thousand are not. What has waited long enough is sorted by
instrument once, and handed out a few instruments at a time: no step holds up the process. Those
with few trades go first, so that the burst of one delays no other. What waits of one instrument can
be taken out at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

import numpy as np

from orderflow.mixed import MIXED_COLUMNS, Column, MixedTrades
from orderflow.trade import GETTERS, TradeBatch

Place = tuple[str, int]
"""An instrument and its scale."""
PER_INSTRUMENT = 64
"""An instrument costs as much as so many of its trades."""
TAKEN = 0
"""The number of trades that were taken out of their burst."""


class Pile:
    """Bursts of one source sorted by number: what is not handed out yet, in this order."""

    def __init__(
        self, bursts: Sequence[MixedTrades], numbers: Sequence[Column], places: Sequence[Place]
    ) -> None:
        number = np.concatenate(numbers)
        counts = np.bincount(number)
        narrow = number.astype(np.uint16) if len(counts) <= 2**16 else number
        self._order = narrow.argsort(kind="stable")
        self._columns = {
            name: np.concatenate([getattr(burst, name) for burst in bursts])
            for name in MIXED_COLUMNS
        }
        self._source, self._received_ns = bursts[0].source, bursts[0].received_ns
        ends = counts.cumsum().tolist()
        used = [k for k in counts.argsort(kind="stable").tolist() if counts[k] and k != TAKEN]
        self._groups: dict[Place, tuple[int, int]] = {
            places[k]: (ends[k - 1], ends[k]) for k in used
        }
        self.names = {name for name, _ in self._groups}

    def sizes(self) -> Iterator[tuple[str, int]]:
        """(instrument, trades) of every group."""
        return ((name, end - start) for (name, _), (start, end) in self._groups.items())

    def next(self, least: int) -> MixedTrades | None:
        """The next instruments, that cost at least as so many trades where there are as many."""
        chosen: list[Place] = []
        count = 0
        for place, (start, end) in self._groups.items():
            chosen.append(place)
            count += end - start + PER_INSTRUMENT
            if count >= least:
                break
        return self._take(chosen) if chosen else None

    def heavy(self, most: int) -> dict[str, list[MixedTrades]]:
        """Take out the instruments with more trades than so many, in pieces of at most as many."""
        found: dict[str, list[MixedTrades]] = {}
        for place, (start, end) in list(self._groups.items()):
            if end - start > most:
                pieces = found.setdefault(place[0], [])
                for at in range(start, end, most):
                    self._groups[place] = (at, min(at + most, end))
                    pieces.append(self._take([place]))
        return found

    def pick(self, name: str) -> list[TradeBatch]:
        """All trades of one instrument, a batch per scale."""
        chosen = [place for place in self._groups if place[0] == name]
        return self._take(chosen).batches() if chosen else []

    def _take(self, chosen: Sequence[Place]) -> MixedTrades:
        spans = [self._groups.pop(place) for place in chosen]
        self.names = {name for name, _ in self._groups}
        order = np.concatenate([self._order[start:end] for start, end in spans])
        edges = np.cumsum([0, *(end - start for start, end in spans)]).tolist()
        return MixedTrades(
            [name for name, _ in chosen],
            [scale for _, scale in chosen],
            edges,
            source=self._source,
            received_ns=self._received_ns,
            **{name: column[order] for name, column in self._columns.items()},
        )


class Pool:
    """Bursts in the order of their arrival, and a pile of older ones."""

    def __init__(self) -> None:
        self._places: list[Place] = [("", TAKEN)]
        self._numbers_of: dict[Place, int] = {}
        self._first_scale: dict[str, int] = {}
        self._bursts: list[MixedTrades] = []
        self._numbers: list[Column] = []
        self._names: set[str] = set()
        self._pile: Pile | None = None
        self._count = 0

    def __len__(self) -> int:
        """Trades that were added since the last pile was made."""
        return self._count

    def __contains__(self, name: str) -> bool:
        return name in self._names or (self._pile is not None and name in self._pile.names)

    @property
    def empty(self) -> bool:
        """Nothing waits."""
        return not self._bursts and self._pile is None

    @property
    def source(self) -> str | None:
        """Where the bursts that are no pile yet come from; None without any."""
        return self._bursts[0].source if self._bursts else None

    def names(self) -> set[str]:
        """Instruments of which trades wait."""
        return self._names if self._pile is None else self._names | self._pile.names

    def add(self, burst: MixedTrades) -> None:
        """Keep a burst of the same source as those that wait."""
        numbers = self._numbered(burst)
        self._numbers.append(np.repeat(np.array(numbers, dtype=np.int64), np.diff(burst.edges)))
        self._bursts.append(burst)
        self._names.update(burst.instruments)
        self._count += len(burst)

    def _numbered(self, burst: MixedTrades) -> list[int]:
        """The number of every place of a burst; those that are on the first scale by name alone."""
        if not any(burst.scales):
            try:
                return list(map(self._first_scale.__getitem__, burst.instruments))
            except KeyError:
                pass
        return [
            self._number_of(place) for place in zip(burst.instruments, burst.scales, strict=True)
        ]

    def _number_of(self, place: Place) -> int:
        found = self._numbers_of.get(place)
        if found is None:
            found = self._numbers_of[place] = len(self._places)
            self._places.append(place)
            if not place[1]:
                self._first_scale[place[0]] = found
        return found

    def size(self, name: str) -> int:
        """Trades that wait of one instrument."""
        if name not in self:
            return 0
        piled = () if self._pile is None else self._pile.sizes()
        found = sum(count for owner, count in piled if owner == name)
        for burst, numbers in zip(self._bursts, self._numbers, strict=True):
            for k in _places_of(burst, name):
                start, end = burst.edges[k], burst.edges[k + 1]
                found += (end - start) * bool(numbers[start] != TAKEN)
        return found

    def pick(self, name: str) -> list[TradeBatch]:
        """Take out the trades of one instrument, a batch per burst."""
        if name not in self:
            return []
        found = [] if self._pile is None else self._pile.pick(name)
        for burst, numbers in zip(self._bursts, self._numbers, strict=True):
            for k in _places_of(burst, name):
                start, end = burst.edges[k], burst.edges[k + 1]
                if numbers[start] != TAKEN:
                    found.append(burst.batch(k))
                    numbers[start:end] = TAKEN
        self._names.discard(name)
        return found

    def pile(self, most: int) -> dict[str, list[MixedTrades]]:
        """Sort what waits; what is left of an older pile must have been handed out.

        Returns what has more than `most` trades of one instrument, which is no part of the pile.
        """
        if not self._bursts:
            return {}
        self._pile = Pile(self._bursts, self._numbers, self._places)
        self._bursts, self._numbers, self._count = [], [], 0
        self._names = set()
        return self._pile.heavy(most)

    def next(self, least: int) -> MixedTrades | None:
        """Some more of the pile; None when there is no more."""
        burst = None if self._pile is None else self._pile.next(least)
        if burst is None:
            self._pile = None
        return burst


def _places_of(burst: MixedTrades, name: str) -> list[int]:
    """Where an instrument is in a burst; with two scales it is there twice."""
    if burst.instruments.count(name) == 1:
        return [burst.instruments.index(name)]
    return [k for k, owner in enumerate(burst.instruments) if owner == name]


def burst_of(batches: Sequence[TradeBatch]) -> MixedTrades | None:
    """Batches as one burst, those of an instrument beside each other and in steps of one scale;
    None where a burst can't say the same."""
    if not all(map(_can_burst, batches)) or len({batch.source for batch in batches}) != 1:
        return None
    sizes: dict[Place, int] = {}
    for batch in batches:
        place = (batch.instrument, batch.scale)
        sizes[place] = sizes.get(place, 0) + len(batch)
    total = sum(sizes.values())
    rows = chain.from_iterable
    try:
        columns = {
            name: np.fromiter(rows(map(GETTERS[name], batches)), np.int64, total)
            for name in MIXED_COLUMNS
        }
    except OverflowError:
        return None
    return MixedTrades(
        [name for name, _ in sizes],
        [scale for _, scale in sizes],
        [0, *accumulate(sizes.values())],
        source=batches[0].source,
        received_ns=batches[0].received_ns,
        **columns,
    )


def _can_burst(batch: TradeBatch) -> bool:
    said = batch.n_trades and batch.first_trade_id and batch.last_trade_id
    return bool(said) and not (batch.seq or batch.rejected or batch.epoch)
