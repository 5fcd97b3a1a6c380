"""Tests of a level, absorption in a range, and causes: what a range of many bars shows.

A state that lasts is claimed once, by the bar with which it began to hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from orderflow import past as earlier
from orderflow.detectors.claims import claim
from orderflow.detectors.rule import DEPTH, Finding, Look, Rule
from orderflow.evidence import Evidence
from orderflow.flow import whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.indicators.wyckoff_absorption import range_absorption
from orderflow.indicators.wyckoff_cause import cause, tail_of
from orderflow.indicators.wyckoff_retest import DELTA_PCT, retest
from orderflow.past import LEAST_BARS, WINDOW, past

Kind = Literal["support", "resistance"]
Judge = Callable[[Look], Evidence | None]


def tester(kind: Kind) -> Callable[[Look], list[Finding]]:
    """The detector of a test from one side of the level."""

    def find(look: Look) -> list[Finding]:
        """The POC of the 50 bars before, reached from its other side; delta is looked at first."""
        lean = earlier.abs_delta_pct(look.bar.flow)
        if lean is None or lean > DELTA_PCT or len(look.before) < LEAST_BARS:
            return []
        before = look.range_before(WINDOW)
        if before is None:
            return []
        found = retest(look.bar, before, kind)
        limits = {one.name: one.threshold for one in found.checks}
        edge = limits["low_ticks" if kind == "support" else "high_ticks"]
        came = look.before[-1].flow.close_ticks
        if found.held is not True or edge is None or came is None:
            return []
        fine = past(before, look.bar)[1].flow
        from_ticks = came * whole_ratio(look.before[-1].flow.tick_size, fine.tick_size)
        if from_ticks <= edge if kind == "support" else from_ticks >= edge:
            return []
        low = limits["high_ticks"]
        return [claim(look, found, None if low is None else earlier.price_of(low, fine.tick_size))]

    return find


def begun(judge: Judge) -> Callable[[Look], list[Finding]]:
    """The detector of a state: it holds now and did not one bar ago; silent where unknown."""

    def find(look: Look) -> list[Finding]:
        """Rows are fetched only where the flows alone allow the claim."""
        found = judge(look)
        if found is None or found.held is not True:
            return []
        before = look.one_before()
        if before is None:
            return []
        was = judge(before)
        if was is not None and was.held is True:
            return []
        return [claim(look, found, look.price(look.bar.flow.close_ticks))]

    return find


def absorbed(look: Look) -> Evidence | None:
    """Absorption over the 50 bars before and this one; None where it can't hold or be known."""
    flows = [bar.flow for bar in (*look.before[-WINDOW:], look.bar) if not bar.flow.empty]
    if len(flows) <= LEAST_BARS or look.bar.flow.empty or not _flat(look):
        return None
    before = look.range_before(WINDOW, halves=True)
    return None if before is None else range_absorption(look.bar, before)


def _flat(look: Look) -> bool:
    """Price went nowhere although one side hit more: what flows alone say."""
    bare = FootprintBar(look.bar.flow, look.bar.row_size, {})
    found = range_absorption(bare, look.before[-WINDOW:])
    held = {one.name: one.held for one in found.checks}
    return held["net_move_pct"] is True and held["abs_cvd_pct"] is True


def caused(look: Look) -> Evidence | None:
    """A cause within the bars that are kept; None where it can't hold or be known."""
    if look.bar.flow.empty:
        return None
    held, bar = past(look.before, look.bar, window=DEPTH)
    tail = tail_of([*held.bars, bar])
    if len(tail) < LEAST_BARS:
        return None
    context = look.with_rows(held.bars, [len(held.bars) + 1 - len(tail)])
    return None if context is None else cause(look.bar, context)


def _rule(kind: str, find: Callable[[Look], list[Finding]], meaning: str) -> Rule:
    return Rule(kind, 1, ("15m",), find, meaning, DEPTH)


SUPPORT = _rule(
    "test_of_support",
    tester("support"),
    "Price came down to the POC of the 50 bars before on volume at or below p30 and delta of at "
    "most 10 %, and closed at it or above; side = the sellers that did not come.",
)
RESISTANCE = _rule(
    "test_of_resistance",
    tester("resistance"),
    "Price came up to the POC of the 50 bars before on volume at or below p30 and delta of at "
    "most 10 %, and closed at it or below; side = the buyers that did not come.",
)
RANGE_ABSORPTION = _rule(
    "range_absorption",
    begun(absorbed),
    "Over 50 bars and this one delta is at least 5 % of the volume, while POC and price stayed "
    "where they were; claimed when it begins; side = the aggressors that were absorbed.",
)
CAUSE = _rule(
    "cause",
    begun(caused),
    "At least 20 bars within 6 median bar ranges, 60 % of their closes inside the value of the "
    "range and little net move; claimed when it begins; no side.",
)
