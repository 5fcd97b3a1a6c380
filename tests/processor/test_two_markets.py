"""Spot against perpetual as an event: both markets decide, whichever closes first."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from closed_minutes import quality
from six_trades import bar_of

from orderflow.completeness import State
from orderflow.content import bar_hash
from orderflow.event import Event
from orderflow.footprint import FootprintBar, then
from orderflow.timeframe import MINUTE_MS
from processor.chronicle import Chapter, Closed
from processor.history import MinuteHistory
from processor.recent import spot_of

PERP, SPOT = "somewhere:perp:ABCUSDT", "somewhere:spot:ABCUSDT"
FIVE = 5 * MINUTE_MS
KIND = "spot_perp_divergence"


def five(buys: bool, start_ms: int = 0) -> list[FootprintBar]:
    """Five minutes of one side, a little of the other."""
    return [
        bar_of([(100, 9, buys), (100, 2, not buys)], start_ms + k * MINUTE_MS, 1 + 2 * k)
        for k in range(5)
    ]


class Market:
    """A perpetual's chapter, and the closed minutes of both markets."""

    def __init__(self) -> None:
        self.spot, self.perp = MinuteHistory(), MinuteHistory()
        self.chapter = Chapter(PERP, lambda name: self.spot.minutes if name == SPOT else None)
        self.chapter.maker.from_ms = -1
        self.chapter.recent_loaded |= {"1m", "5m", "15m", "1h"}
        self.wall_ms = 0

    def close_perp(self, bars: Sequence[FootprintBar], revision: int = 0) -> None:
        for bar in bars:
            self.perp.put(bar, quality(bar, revision=revision))
        whole = then(list(bars))
        for page in self.chapter.hours.missing("5m", whole.flow):
            self.chapter.hours.load("5m", page, None, -1)
            self.chapter.hours.loaded("5m", page)
        self.wall_ms += 1
        closed = Closed(
            "5m", whole, quality(whole, revision=revision), bar_hash([PERP], "5m", whole)
        )
        self.chapter.take([closed], self.perp.minutes, self.wall_ms)

    def close_spot(self, bars: Sequence[FootprintBar], state: State = State.VERIFIED) -> None:
        for bar in bars:
            self.spot.put(bar, quality(bar, state))
        self.wall_ms += 1
        window = ("5m", bars[0].flow.start_ms)
        self.chapter.look_across([window], self.perp.minutes, self.wall_ms)

    @property
    def events(self) -> list[Event]:
        return [event for event in self.chapter.maker.events(FIVE) if event.kind == KIND]


def said(event: Event) -> Event:
    """Without the moment of publishing."""
    return msgspec.structs.replace(event, changes=[])


def test_the_order_of_closing_does_not_matter() -> None:
    """The same event, with the same id and numbers, whichever market closes first."""
    one, other = Market(), Market()
    one.close_perp(five(True))
    assert one.events == []
    one.close_spot(five(False))
    other.close_spot(five(False))
    other.close_perp(five(True))
    ((first,), (second,)) = one.events, other.events
    assert said(first) == said(second)
    assert (first.instrument, first.side, first.now.status) == (PERP, "buy", "stands")
    assert first.evidence["spot"] == SPOT
    assert first.evidence["state"] == "perp_buys_spot_sells"
    assert Decimal(first.evidence["perp_cvd_quote"]) == 5 * 7 * 100
    assert Decimal(first.evidence["spot_cvd_quote"]) == -5 * 7 * 100
    assert [source.timeframe for source in first.sources] == ["5m"]


@pytest.mark.parametrize(("spot", "perp"), list(itertools.product((True, False), repeat=2)))
def test_only_opposite_signs(spot: bool, perp: bool) -> None:
    """Both on one side is no event."""
    market = Market()
    market.close_spot(five(spot))
    market.close_perp(five(perp))
    assert len(market.events) == (spot is not perp)


def test_below_the_threshold_is_undecided() -> None:
    """Under 10 % of its volume a market has no side."""
    even = [bar_of([(100, 9, True), (100, 9, False)], k * MINUTE_MS) for k in range(5)]
    market = Market()
    market.close_spot(even)
    market.close_perp(five(True))
    assert market.events == []


def test_unknown_is_not_no() -> None:
    """Incomplete spot minutes decide nothing: no event, and one that stands is not withdrawn."""
    market = Market()
    market.close_spot(five(False), State.PARTIAL)
    market.close_perp(five(True))
    assert market.events == []
    market.close_spot(five(False))
    assert [event.now.status for event in market.events] == ["stands"]
    market.close_spot(five(False), State.PARTIAL)
    assert [event.now.status for event in market.events] == ["stands"]


def test_a_revised_spot_market_withdraws() -> None:
    """When the other market's minutes turn out otherwise the event says so, and stays."""
    market = Market()
    market.close_perp(five(True))
    market.close_spot(five(False))
    market.close_spot(five(True))
    (event,) = market.events
    assert event.now.status == "withdrawn"
    market.close_spot(five(False))
    assert market.events[0].now.status != "withdrawn"


def test_only_perpetuals_have_one() -> None:
    """A spot market's chapter never asks for another; names tell which belong together."""
    assert spot_of(PERP) == SPOT
    assert spot_of(SPOT) is None
