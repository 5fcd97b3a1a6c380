"""Base rates: known outcomes of standing events only, as they were known at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.base_rates import base_rates, quantile, wilson
from orderflow.event import (
    Change,
    Event,
    Outcome,
    event_id,
    events_from_body,
    events_to_body,
    questioned,
    revised,
    with_outcome,
    withdrawn,
)


def event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": "a" * 32,
        "kind": "k",
        "rule": "k/1",
        "instrument": "v:spot:ABC",
        "timeframe": "5m",
        "start_ms": 0,
        "end_ms": 300_000,
        "since_ms": 0,
        "side": "buy",
        "price": Decimal("1.5"),
        "close": Decimal("100"),
        "state": "verified",
        "evidence": {"n": 1},
        "sources": [],
        "changes": [Change(10, "stands", True)],
    }
    return Event(**(values | changes))


def outcome(change: str, known: int = 50, minutes: int = 5) -> Outcome:
    return Outcome(minutes, Decimal(100) * (1 + Decimal(change)), Decimal(change), known)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, "0.0000", "0.2775"), (5, 10, "0.2366", "0.7634"), (81, 263, "0.2553", "0.3662")],
)
def test_wilson(hits: int, n: int, low: str, high: str) -> None:
    """Published values of the interval (Newcombe 1998, table I, for 81 of 263)."""
    assert wilson(hits, n) == (Decimal(low), Decimal(high))
    assert wilson(0, 0) is None


@given(st.integers(1, 400), st.data())
def test_wilson_holds_the_rate(n: int, data: st.DataObject) -> None:
    """The rate lies inside, the interval inside 0 to 1."""
    hits = data.draw(st.integers(0, n))
    found = wilson(hits, n)
    assert found is not None
    rate = (Decimal(hits) / n).quantize(Decimal("0.0001"))
    assert 0 <= found[0] <= rate <= found[1] <= 1


def test_direction() -> None:
    """A sell event's fall is a hit; a return of 0 is none."""
    events = [
        event(side="sell", outcomes=[outcome("-0.01")]),
        event(side="buy", outcomes=[outcome("0.02")]),
        event(side="buy", outcomes=[outcome("0")]),
        event(side="buy"),
    ]
    found = base_rates(events, 100)
    five = found.horizons[0]
    assert (found.count, five.n, five.hits) == (4, 3, 2)
    assert five.mean == Decimal("0.01")
    assert five.quantiles["p50"] == Decimal("0.01")
    assert found.horizons[1].hit_rate is None


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 200), st.integers(-9, 9))))
def test_nothing_later_is_seen(rows: list[tuple[int, int, int]]) -> None:
    """Cutting off what was published after `as_of` changes nothing."""
    events = [
        event(
            changes=[Change(at, "stands", True), Change(at + 60, "withdrawn", True, "c")],
            outcomes=[outcome(str(size), at + wait), outcome("0.5", at + wait + 30)],
        )
        for at, wait, size in rows
    ]
    for as_of in (0, 50, 100, 170, 400):
        cut = [
            event(
                changes=[c for c in e.changes if c.wall_ms <= as_of],
                outcomes=[o for o in e.outcomes if o.known_wall_ms <= as_of],
            )
            for e in events
            if e.published_wall_ms <= as_of
        ]
        assert base_rates(cut, 10**9) == base_rates(events, as_of)


def test_incomplete_events_do_not_count() -> None:
    """An event on an incomplete bar counts from the moment its bar is complete."""
    late = event(changes=[Change(10, "stands", False), Change(20, "stands", True)])
    assert [base_rates([late], at).count for at in (5, 10, 19, 20)] == [0, 0, 0, 1]


def test_ids_are_stable() -> None:
    """The same claim has the same id; every part of it matters."""
    first = event_id("i", "k", "buy", "5m", (0, 1), "k/1")
    assert first == event_id("i", "k", "buy", "5m", (0, 1), "k/1")
    others = {
        event_id("j", "k", "buy", "5m", (0, 1), "k/1"),
        event_id("i", "l", "buy", "5m", (0, 1), "k/1"),
        event_id("i", "k", "sell", "5m", (0, 1), "k/1"),
        event_id("i", "k", "buy", "1m", (0, 1), "k/1"),
        event_id("i", "k", "buy", "5m", (0, 2), "k/1"),
        event_id("i", "k", "buy", "5m", (0, 1), "k/2"),
    }
    assert len(others | {first}) == 7


def test_a_second_look() -> None:
    """Nothing new is no change; new content is a revision; a better state alone is neither."""
    first = event(state="contiguous")
    assert revised(first, event(state="contiguous"), 20, None) is first
    better = revised(first, event(state="verified"), 20, None)
    assert (better.state, better.revision) == ("verified", 0)
    other = revised(first, event(evidence={"n": 2}), 20, "c")
    assert other.now == Change(20, "revised", True, "c")
    gone = withdrawn(other, 30, "d")
    assert gone.now.status == "withdrawn"
    assert withdrawn(gone, 40, "e") is gone
    assert questioned(gone, 40, "e") is gone
    back = revised(gone, event(evidence={"n": 2}), 50, "f")
    assert [change.status for change in back.changes] == [
        "stands",
        "revised",
        "withdrawn",
        "revised",
    ]
    doubted = questioned(back, 60, "g")
    assert doubted.now.status == "questioned"
    assert questioned(doubted, 70, "g") is doubted


def test_outcomes() -> None:
    """The return is exact to eight places and written once per value."""
    one = with_outcome(event(close=Decimal("3")), 5, Decimal("4"), 70)
    assert one.outcomes[0].change == Decimal("0.33333333")
    assert with_outcome(one, 5, Decimal("4"), 80) is one
    two = with_outcome(one, 5, Decimal("3"), 90)
    assert two.outcome(5) == Outcome(5, Decimal(3), Decimal(0), 90)
    assert two.outcome_at(5, 80) == one.outcomes[0]
    assert with_outcome(event(close=None), 5, Decimal(4), 1).outcomes == []


def test_plain_data() -> None:
    """Events survive storing digit for digit."""
    known = [with_outcome(event(), 5, Decimal("100.10"), 7)]
    assert events_from_body(events_to_body(known)) == known


def test_quantile_is_an_order_statistic() -> None:
    """The smallest value at or below which the share lies."""
    values = [Decimal(v) for v in range(1, 21)]
    assert [quantile(values, q) for q in (5, 25, 50, 95)] == [1, 5, 10, 19]
    assert quantile([Decimal(7)], 5) == 7
