"""Who leads: a delayed copy follows, noise leads nobody."""

from __future__ import annotations

import random
from typing import Any

import pytest
from flow_tape import MINUTES, closing, flows, shaped, without_empty
from hypothesis import given

from orderflow.errors import DomainError, MergeError
from orderflow.indicators.lead_lag import correlation, lead_lag


def walk(seed: int, steps: int) -> list[int]:
    """A random walk of closes."""
    chance = random.Random(seed)
    closes = [1_000]
    for _ in range(steps):
        closes.append(closes[-1] + chance.choice((-2, -1, 0, 1, 2)))
    return closes


def test_a_delayed_copy_follows() -> None:
    """The stream that repeats the other two steps later is led by it."""
    path = walk(1, 200)
    ahead, behind = closing(*path[2:]), closing(*path[:-2])
    found = lead_lag(ahead, behind)
    assert found.leader == "first"
    assert found.ratio is None or found.ratio > 1
    assert dict(found.correlations)[2] == 1
    assert lead_lag(behind, ahead).leader == "second"


def test_chance_and_too_little_lead_nobody() -> None:
    """Under 30 pairs, or within the bound of chance, there is no leader."""
    path = walk(2, 25)
    assert lead_lag(closing(*path[2:]), closing(*path[:-2])).leader is None
    flat = closing(*[5] * 60)
    found = lead_lag(flat, closing(*walk(3, 59)))
    assert (found.leader, found.ratio) == (None, None)
    assert lead_lag([], flat).pairs == 0


@given(MINUTES, MINUTES)
def test_exchange(a: Any, b: Any) -> None:
    """Swapping the streams mirrors the lags."""
    one, other = lead_lag(flows(a), flows(b)), lead_lag(flows(b), flows(a))
    assert dict(one.correlations) == {-lag: value for lag, value in other.correlations}
    assert {one.leader, other.leader} in ({None}, {"first", "second"})


@given(MINUTES, MINUTES)
def test_empty_steps_are_no_change(a: Any, b: Any) -> None:
    """A bar without trades is the same as no bar."""
    full = lead_lag(flows(a), flows(b))
    sparse = lead_lag(without_empty(flows(a)), without_empty(flows(b)))
    assert full.correlations == sparse.correlations


def test_correlation() -> None:
    """Exact squares, rounded values, none without variation."""
    assert correlation([1, 2, 3], [2, 4, 6])[0] == 1
    assert correlation([1, 2, 3], [3, 2, 1])[0] == -1
    assert correlation([1, 1], [1, 2]) == (None, 0)


def test_refusals() -> None:
    """Steps of one length and at least one lag."""
    bars = closing(1, 2)
    with pytest.raises(DomainError):
        lead_lag(bars, bars, lags=0)
    with pytest.raises(MergeError):
        lead_lag(bars, [shaped(bars[0], end_ms=1)])
