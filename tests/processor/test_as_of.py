"""Percentiles and base rates as of a time: only from what was complete by then."""

from __future__ import annotations

from decimal import Decimal

from closed_minutes import NAME, START_MS, market, quality
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.base_rates import base_rates
from orderflow.completeness import State
from orderflow.detectors import RULES
from orderflow.detectors.rule import Finding, Rule
from orderflow.distribution import Page, buckets, measures, over_before, page_of, ranks
from orderflow.event import Event, Source
from orderflow.timeframe import HOUR_MS, MINUTE_MS
from processor.eventmaker import EventMaker, Seen
from processor.hours import HourPages

BARS = market(61, 9)
BUCKETS = [buckets(bar.flow, MINUTE_MS) for bar in BARS]
steps = st.lists(st.tuples(st.integers(0, 59), st.booleans()), min_size=1, max_size=12)
"""(minute, whether it is complete from then on)."""


@given(steps)
@settings(max_examples=15, deadline=None)
def test_percentiles_as_of(found: list[tuple[int, bool]]) -> None:
    """At every moment the newest page published by then holds exactly the bars that were complete
    by then: what became complete, or stopped being so, later is not in it."""
    pages = HourPages(NAME)
    complete: dict[int, bool] = {}
    published: list[tuple[int, Page]] = []
    expected: list[tuple[int, Page]] = []
    wall = 0

    def close(number: int, *, good: bool) -> None:
        nonlocal wall
        wall += 1
        bar = BARS[number]
        state = State.VERIFIED if good else State.PARTIAL
        pages.put("1m", bar.flow, quality(bar, state))
        complete[number] = good
        published.extend((wall, due.page) for due in pages.due())
        good_ones = [k for k in sorted(complete) if complete[k] and k < 60]
        if wall > len(BARS):
            expected.append((wall, page_of(START_MS, [BUCKETS[k] for k in good_ones])))

    for number in range(61):
        close(number, good=number % 5 != 0)
    for number, good in found:
        close(number, good=good)
    asked = measures(BARS[60].flow, MINUTE_MS)
    for at, wanted in expected:
        known = [page for said, page in published if said <= at]
        assert known[-1].counts == wanted.counts
        assert ranks(known[-1:], asked) == ranks([wanted], asked)
    assert all(said >= 60 for said, _ in published)


def test_an_open_hour_is_nobodys_past() -> None:
    """The page of the window's own hour, and any later one, is left out of its percentile."""
    pages = [page_of(START_MS + k * HOUR_MS, []) for k in range(4)]
    at = START_MS + 2 * HOUR_MS + 30 * MINUTE_MS
    assert over_before(pages, "1m", at) == pages[:2]


@given(st.lists(st.integers(1, 90), min_size=1, max_size=8, unique=True), st.integers(0, 120))
@settings(max_examples=15, deadline=None)
def test_base_rates_as_of(completed: list[int], as_of: int) -> None:
    """An event counts from the wall time at which its bar was complete, never from its own."""
    maker = EventMaker(NAME)
    maker.from_ms = -1
    events: list[Event] = []
    for number, wall in enumerate(sorted(completed)):
        flow = BARS[number].flow
        claims = [_claim()]
        maker.look(Seen("1m", flow, "partial", False), claims, 0, None)
        maker.look(Seen("1m", flow, "verified", True), claims, wall, None)
        events += maker.events(flow.end_ms)
    rates = base_rates(events, as_of)
    assert rates.count == sum(wall <= as_of for wall in completed)
    assert base_rates(events, -1).count == 0


def _claim() -> tuple[Rule, Finding, list[Source]]:
    finding = Finding("buy", Decimal(100), {"a": "1"})
    return RULES[0], finding, []
