"""Distributions: which bars count, in which page, and how a window stands among them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from orderflow.completeness import Quality, State
from orderflow.distribution import (
    MEASURES,
    Page,
    buckets,
    hours_of,
    is_complete,
    matching_hour,
    measures,
    over_before,
    page_end,
    page_from_body,
    page_of,
    page_start,
    page_to_body,
    series_name,
)
from orderflow.flow import FlowBar
from orderflow.histogram import Histogram, merge
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES, Window

DAY = 1_735_689_600_000


def bar(start: int = DAY, **changes: Any) -> FlowBar:
    values: dict[str, Any] = {
        "start_ms": start,
        "end_ms": start + MINUTE_MS,
        "tick_size": Decimal("0.1"),
        "lot_size": Decimal("0.001"),
        "buy_lots": 300,
        "sell_lots": 100,
        "buy_trades": 4,
        "sell_trades": 2,
        "records": 6,
        "high_ticks": 1_025,
        "low_ticks": 1_000,
    }
    return FlowBar(**(values | changes))


def test_measures() -> None:
    """The numbers of a bar in their units; without trades an imbalance is not defined."""
    found = {name: one.value for name, one in measures(bar(), MINUTE_MS).items()}
    assert found == {
        "delta": Decimal("0.2"),
        "volume": Decimal("0.4"),
        "imbalance": Decimal("0.5"),
        "range": Decimal("2.5"),
        "intensity": 6,
    }
    five = measures(bar(), 5 * MINUTE_MS)["intensity"].value
    assert five == Decimal("1.2")
    empty = measures(FlowBar(DAY, DAY + 1, Decimal(1), Decimal(1)), MINUTE_MS)
    assert (empty["imbalance"].value, empty["imbalance"].bucket) == (None, None)
    assert empty["volume"].bucket == 0
    assert tuple(found) == tuple(MEASURES)


def test_steps_do_not_matter() -> None:
    """A bar counted in finer ticks and lots falls into the same buckets."""
    fine = bar().rescaled(Decimal("0.05"), Decimal("0.00025"))
    assert buckets(fine, MINUTE_MS) == buckets(bar(), MINUTE_MS)


@pytest.mark.parametrize("state", list(State))
def test_what_is_complete(state: State) -> None:
    """Closed, nothing known missing, and proven as far as the venue allows."""
    quality = Quality(state, 1, 1, True, False, 0, 0)
    good = {"verified", "venue_adjustment", "verified_volume", "contiguous"}
    assert is_complete(quality) == (str(state) in good)
    assert not is_complete(Quality(state, 1, 1, False, False, 0, 0))
    assert not is_complete(Quality(state, 1, 1, True, False, 0, 0, missing=1))


@pytest.mark.parametrize("timeframe", list(TIMEFRAMES))
def test_pages_tile_the_day(timeframe: str) -> None:
    """Every bar of a day belongs to one page; a page is an hour, or one longer bar."""
    length = TIMEFRAMES[timeframe]
    starts = {page_start(at, timeframe) for at in range(DAY, DAY + DAY_MS, length)}
    assert sorted(start - DAY for start in starts) == hours_of(timeframe)
    for start in starts:
        assert page_end(start, timeframe) - start == max(HOUR_MS, length)
        assert series_name(timeframe, start) == f"{timeframe}@{(start - DAY) // HOUR_MS:02d}"


@pytest.mark.parametrize(
    ("start", "timeframe", "hour"),
    [
        (13 * HOUR_MS, "1h", 13),
        (13 * HOUR_MS + 37 * MINUTE_MS, "1h", 14),
        (13 * HOUR_MS + 20 * MINUTE_MS, "1h", 13),
        (13 * HOUR_MS + 58 * MINUTE_MS, "5m", 14),
        (10 * HOUR_MS + 37 * MINUTE_MS, "4h", 12),
        (5 * HOUR_MS, "1d", 0),
    ],
)
def test_the_hour_a_window_is_like(start: int, timeframe: str, hour: int) -> None:
    """A rolling window is compared with bars of the hour its middle lies in."""
    window = Window(DAY + start, DAY + start + TIMEFRAMES[timeframe])
    assert matching_hour(window, timeframe) == hour * HOUR_MS


def test_never_its_own_future() -> None:
    """Only pages that were over when the window began."""
    pages = [Page(DAY + k * HOUR_MS, 1, {}) for k in range(3)]
    found = over_before(pages, "5m", DAY + 2 * HOUR_MS + 1)
    assert [page.start_ms for page in found] == [DAY, DAY + HOUR_MS]


def test_pages_merge_to_the_whole() -> None:
    """Histograms of pages, merged in any order and through storing, are those of all bars; the
    rank of a value is numpy's."""
    draw = np.random.default_rng(4)
    bars = [
        bar(DAY + k * MINUTE_MS, buy_lots=int(b), sell_lots=int(s))
        for k, (b, s) in enumerate(draw.integers(0, 999, (180, 2)))
    ]
    pages = []
    for hour in range(3):
        rows = [buckets(one, MINUTE_MS) for one in bars[hour * 60 : hour * 60 + 60]]
        page = page_of(DAY + hour * HOUR_MS, rows)
        assert page_from_body(page.start_ms, page_to_body(page)) == page
        pages.append(page)
    whole = page_of(DAY, [buckets(one, MINUTE_MS) for one in bars])
    for name in MEASURES:
        parts = [page.histogram(name) for page in pages]
        assert merge(parts) == merge(reversed(parts)) == whole.histogram(name)
    deltas = np.array([one.delta_lots for one in bars])
    histogram = whole.histogram("delta")
    assert isinstance(histogram, Histogram)
    for one in bars[:30]:
        found = measures(one, MINUTE_MS)["delta"]
        assert found.bucket is not None
        rank = histogram.rank(found.bucket)
        assert rank.below == int((deltas < one.delta_lots).sum())
        assert rank.same == int((deltas == one.delta_lots).sum())
