"""Tests of a level, absorption in a range and causes as events: claimed once, from rows as one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from closed_minutes import market, quality
from flow_tape import minutes
from six_trades import Trade, bar_of
from wyckoff_tape import BARS, CONTEXT, next_bar

from orderflow.detectors import DETECTORS
from orderflow.detectors.phases import absorbed, caused
from orderflow.detectors.rule import DEPTH, Finding, Look
from orderflow.footprint import FootprintBar
from orderflow.indicators.wyckoff_absorption import range_absorption
from orderflow.indicators.wyckoff_cause import cause
from orderflow.timeframe import MINUTE_MS
from processor.history import MinuteHistory
from processor.recent import RowsOf

RETEST: list[Trade] = [(101, 2, True), (100, 2, False)]
LEANING: list[Trade] = [(100, 10, True), (101, 5, True), (100, 4, False)]


def looking(before: Sequence[FootprintBar], bar: FootprintBar) -> Look:
    """As the chronicle looks: earlier bars without rows, their rows by time."""
    history = MinuteHistory()
    for one in (*before, bar):
        history.put(one, quality(one))
    slim = [msgspec.structs.replace(one, rows={}) for one in before[-DEPTH:]]
    return Look("15m", bar, slim, RowsOf(history.minutes))


def claims(kind: str, before: Sequence[FootprintBar], bar: FootprintBar) -> list[Finding]:
    return DETECTORS[kind].find(looking(before, bar))


def test_a_test_of_support() -> None:
    """Back from above to the POC on little of everything; not when it came from below, not loud."""
    (found,) = claims("test_of_support", CONTEXT, next_bar(RETEST))
    assert (found.side, found.price) == ("sell", 100)
    assert found.compared == BARS
    assert all(check["held"] for check in found.evidence["checks"])
    assert claims("test_of_resistance", CONTEXT, next_bar(RETEST)) == []
    loud = [(101, 2, True), (100, 90, False), (100, 90, True)]
    assert claims("test_of_support", CONTEXT, next_bar(loud)) == []


def test_a_test_of_resistance() -> None:
    """The same from below: the side is that of the buyers who did not come."""
    below = [*CONTEXT[:-1], bar_of([(99, 5, False)], (BARS - 1) * MINUTE_MS, 5_000)]
    quiet: list[Trade] = [(99, 2, False), (100, 2, True)]
    (found,) = claims("test_of_resistance", below, next_bar(quiet))
    assert (found.side, found.price) == ("buy", 100)
    assert claims("test_of_support", below, next_bar(quiet)) == []


def test_absorption_is_claimed_when_it_begins() -> None:
    """The first bar on which it holds says it; while it lasts nothing is said again."""
    bars = minutes([LEANING] * 30)
    said = [
        place
        for place in range(1, 30)
        if claims("range_absorption", bars[:place], bars[place]) != []
    ]
    assert said == [20]
    (found,) = claims("range_absorption", bars[:20], bars[20])
    assert (found.side, found.compared) == ("buy", 20)
    assert found.evidence["numbers"]["cvd_lots"] == str(21 * 11)


def test_a_cause_is_claimed_when_it_begins() -> None:
    """Twenty bars of range are a cause, said once, with duration and volume, without a side."""
    said = [
        place for place in range(1, BARS) if claims("cause", CONTEXT[:place], CONTEXT[place]) != []
    ]
    assert len(said) == 1
    (place,) = said
    (found,) = claims("cause", CONTEXT[:place], CONTEXT[place])
    assert found.side is None
    assert found.evidence["numbers"]["duration_ms"] == str((place + 1) * MINUTE_MS)
    volume = sum(bar.flow.volume_lots for bar in CONTEXT[: place + 1])
    assert found.evidence["numbers"]["volume_lots"] == str(volume)


def test_rows_as_one_change_nothing() -> None:
    """Evidence from the rows of spans is that of the single bars with their rows."""
    seen = {"absorbed": 0, "caused": 0}
    quiet = minutes([[(100 + k % 2, 9, True), (100, 7 - k % 3, False)] for k in range(70)])
    for bars in (market(90, 4), quiet):
        for place in range(30, len(bars)):
            before, bar = bars[max(0, place - DEPTH) : place], bars[place]
            look = looking(before, bar)
            if (found := absorbed(look)) is not None:
                assert found == range_absorption(bar, before)
                seen["absorbed"] += 1
            if (found := caused(look)) is not None:
                assert found.checks == cause(bar, before, window=DEPTH).checks
                seen["caused"] += 1
    assert min(seen.values()) > 10


def test_silent_where_rows_are_missing() -> None:
    """A minute that was not collected says nothing, rather than something else."""
    bars = minutes([LEANING] * 21)
    slim = [msgspec.structs.replace(one, rows={}) for one in bars[:20]]
    nothing = Look("15m", bars[20], slim)
    for kind in ("range_absorption", "cause", "test_of_support", "test_of_resistance"):
        assert DETECTORS[kind].find(nothing) == []
