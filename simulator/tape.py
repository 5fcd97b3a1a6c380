"""Tapes: recorded or invented trades of one or more markets, in time order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from operator import attrgetter

import numpy as np

from simulator.columns import (
    BUYER,
    COUNTED,
    EMIT,
    EVENT,
    FIRST,
    KEY,
    KIND,
    LAST,
    PRICE,
    QTY,
    SEQ,
    WIDTH,
    Columns,
    Ints,
    aggregated,
    joined,
    split,
)
from simulator.decimals import text_of
from simulator.instrument import TapeInstrument

UUID_STRIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number, so that different places give different UUIDs."""


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """One record of a tape for people and tests; price and quantity are exact decimal strings.

    `key` is the venue's id (aggregate id, trade id, Bybit spot id, or the place of a Bybit linear
    trade, whose UUID is `uuid`).
    """

    instrument: str
    event_ms: int
    emit_ms: int
    price: str
    qty: str
    taker_is_buyer: bool
    key: int
    first_id: int
    last_id: int
    seq: int
    kind: int
    uuid: str | None = None


class Track:
    """The trades of one instrument, in the two forms the venues serve.

    `data` holds raw trades, or Binance aggregates when `is_aggregated`; the other form is derived
    when it is first asked for. `uuids` are the recorded ids of Bybit linear trades by `KEY`.
    """

    endless = False

    def __init__(
        self,
        instrument: TapeInstrument,
        data: Ints,
        *,
        is_aggregated: bool = False,
        uuids: dict[int, str] | None = None,
    ) -> None:
        self.instrument = instrument
        self.is_aggregated = is_aggregated
        self.uuids = uuids or {}
        self._given = Columns(data)
        self._derived: Columns | None = None
        self._counted: Columns | None = None

    @property
    def given(self) -> Columns:
        """The rows as the tape has them."""
        return self._given

    @property
    def trades(self) -> Columns:
        """Raw trades: one row per fill."""
        return self._derive() if self.is_aggregated else self._given

    @property
    def aggregates(self) -> Columns:
        """Binance aggregates: one row per price, side and millisecond of a run of fills."""
        return self._given if self.is_aggregated else self._derive()

    @property
    def counted(self) -> Columns:
        """The rows candles are made of: no block trades, ADL or insurance fund fills."""
        if self.instrument.venue == "binance":
            return self.aggregates
        if self._counted is None:
            data = self._given.matrix()
            kept = np.isin(data[KIND], COUNTED)
            self._counted = self._given if kept.all() else Columns(data[:, kept])
        return self._counted

    def _derive(self) -> Columns:
        if self._derived is None:
            data = self._given.matrix()
            if self.is_aggregated:
                self._derived = Columns(split(data, self.lot_units))
            else:
                first = int(data[FIRST, 0]) // 2 if data.shape[1] else 0
                self._derived = Columns(aggregated(data, first))
        return self._derived

    @property
    def tick_units(self) -> int:
        """The tick size in the integers of the PRICE column."""
        return int(self.instrument.tick_size.replace(".", ""))

    @property
    def lot_units(self) -> int:
        """The lot size in the integers of the QTY column."""
        return int(self.instrument.lot_size.replace(".", ""))

    @property
    def start_ms(self) -> int:
        """When the first record is sent."""
        return int(self._given.column(EMIT)[0]) if len(self._given) else 0

    @property
    def end_ms(self) -> int:
        """When the last record is sent."""
        return int(self._given.column(EMIT)[-1]) if len(self._given) else 0

    def ensure(self, until_ms: int) -> None:
        """Have every record up to `until_ms`; a recorded track has them all."""

    def uuid_of(self, key: int) -> str:
        """The UUID of a Bybit linear trade: the recorded one, else one made from its place."""
        known = self.uuids.get(key)
        if known is not None:
            return known
        mixed = (key * UUID_STRIDE + _salt(self.instrument.name)) % (1 << 128)
        text = f"{mixed ^ (mixed >> 67):032x}"
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def __iter__(self) -> Iterator[TapeTrade]:
        item = self.instrument
        linear = (item.venue, item.market) == ("bybit", "perp")
        for row in self._given.rows(self._given.dropped, len(self._given)):
            yield TapeTrade(
                item.name,
                row[EVENT],
                row[EMIT],
                text_of(row[PRICE], item.price_digits, item.price_places),
                text_of(row[QTY], item.qty_digits, item.qty_places),
                row[BUYER] == 1,
                row[KEY],
                row[FIRST],
                row[LAST],
                row[SEQ],
                row[KIND],
                self.uuid_of(row[KEY]) if linear else None,
            )

    def __len__(self) -> int:
        return len(self._given)


@cache
def _salt(name: str) -> int:
    return int.from_bytes(name.encode().ljust(16, b"#")[-16:], "big")


@dataclass(frozen=True, slots=True)
class Tape:
    """One or more tracks played together; `label` says where they come from."""

    tracks: tuple[Track, ...]
    label: str = ""

    @property
    def instruments(self) -> list[str]:
        """Canonical names."""
        return [track.instrument.name for track in self.tracks]

    def __iter__(self) -> Iterator[TapeTrade]:
        trades = [trade for track in self.tracks for trade in track]
        return iter(sorted(trades, key=attrgetter("emit_ms")))

    def __len__(self) -> int:
        return sum(map(len, self.tracks))


def merge_tracks(tapes: Iterable[Tape]) -> list[Track]:
    """The tracks of several tapes; stretches of one instrument become one track."""
    tracks = sorted(
        (track for tape in tapes for track in tape.tracks), key=lambda t: t.instrument.name
    )
    groups = groupby(tracks, key=lambda track: track.instrument.name)
    return [_merged(list(group)) for _, group in groups]


def _merged(tracks: Sequence[Track]) -> Track:
    if len(tracks) == 1:
        return tracks[0]
    first = tracks[0]
    if any(track.endless or track.is_aggregated != first.is_aggregated for track in tracks):
        raise ValueError(
            f"{first.instrument.name}: only recorded tapes of one kind join; give the market once"
        )
    digits = {(t.instrument.price_digits, t.instrument.qty_digits) for t in tracks}
    price_digits, qty_digits = max(d[0] for d in digits), max(d[1] for d in digits)
    parts: list[Ints] = []
    uuids: dict[int, str] = {}
    numbered = first.instrument.host == "bybit" and first.instrument.market == "perp"
    for track in sorted(tracks, key=lambda track: track.start_ms):
        data = track.given.matrix().copy()
        # Places of linear trades start at 1 in every file, so later files count on.
        shift = int(parts[-1][KEY, -1]) if numbered and parts else 0
        data[[KEY, FIRST, LAST]] += shift
        uuids.update({key + shift: text for key, text in track.uuids.items()})
        data[PRICE] *= 10 ** (price_digits - track.instrument.price_digits)
        data[QTY] *= 10 ** (qty_digits - track.instrument.qty_digits)
        parts.append(data)
    instrument = _finest([track.instrument for track in tracks], price_digits, qty_digits)
    return Track(instrument, joined(parts), is_aggregated=first.is_aggregated, uuids=uuids)


def _finest(
    instruments: Sequence[TapeInstrument], price_digits: int, qty_digits: int
) -> TapeInstrument:
    return replace(
        instruments[0],
        tick_size=min((item.tick_size for item in instruments), key=float),
        lot_size=min((item.lot_size for item in instruments), key=float),
        price_places=max(item.price_places for item in instruments),
        qty_places=max(item.qty_places for item in instruments),
        price_digits=price_digits,
        qty_digits=qty_digits,
    )


def empty_rows(count: int) -> Ints:
    """A matrix for `count` rows."""
    return np.zeros((WIDTH, count), np.int64)
