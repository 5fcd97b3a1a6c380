"""One market's trades replayed as another market's frames, for load tests. Labelled so."""

from __future__ import annotations

from dataclasses import replace

from simulator.columns import FIRST, KEY, LAST, SEQ
from simulator.tape import Tape, Track
from simulator.tapes.build import number_bybit


def as_instrument(tape: Tape, name: str) -> Tape:
    """The single track of a tape under another canonical name.

    As Bybit, every record becomes one fill with a new id and its taker order's `seq`.
    """
    if len(tape.tracks) != 1:
        raise ValueError(f"a tape with {len(tape.tracks)} instruments cannot become {name}")
    track = tape.tracks[0]
    instrument = track.instrument.renamed(name)
    data = track.given.matrix().copy()
    label = f"{tape.label} replayed as {name}"
    if instrument.venue == "bybit":
        data[KEY] = data[SEQ] = 0
        number_bybit(data, instrument.market)
        instrument = replace(
            instrument,
            price_places=max(1, instrument.price_digits),
            qty_places=instrument.qty_digits,
        )
        return Tape((Track(instrument, data),), label)
    if track.instrument.venue == "bybit":
        data[KEY] = data[FIRST] = data[LAST] = range(1, data.shape[1] + 1)
    return Tape((Track(instrument, data, is_aggregated=track.is_aggregated),), label)


def numbered_anew(tape: Tape, at_id: int, first_id: int = 1) -> Tape:
    """The single track of a tape whose venue resets its ids: `at_id` and all after it start again.

    A Binance tape becomes one of aggregates. ValueError for Bybit linear, which has no numbers.
    """
    (track,) = tape.tracks
    item = track.instrument
    if (item.venue, item.market) == ("bybit", "perp"):
        raise ValueError(f"{item.name} has no numbers to reset")
    is_binance = item.venue == "binance"
    data = (track.aggregates if is_binance else track.given).matrix().copy()
    place = int(data[KEY].searchsorted(at_id))
    data[KEY, place:] += first_id - data[KEY, place]
    shift = first_id - data[FIRST, place]
    data[[FIRST, LAST], place:] += shift
    fresh = Track(item, data, is_aggregated=is_binance)
    return Tape((fresh,), f"{tape.label} numbered anew")
