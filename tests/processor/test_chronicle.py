"""The chronicle: events and distributions from closed bars, whatever the order of work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from closed_minutes import NAME, START_MS, TICK, market, minute, quality
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.completeness import Quality, State
from orderflow.content import bar_hash
from orderflow.distribution import MEASURES, Page, buckets, page_of, page_start
from orderflow.event import CORRECTION, HORIZONS_MIN, Event
from orderflow.footprint import FootprintBar, then
from orderflow.timeframe import HOUR_MS, MINUTE_MS
from processor.chronicle import Chapter, Closed, Due, Need
from processor.eventmaker import KEPT_MS
from processor.history import MinuteHistory


class World:
    """A chapter and the closed minutes around it, as the service has them; a store in between."""

    def __init__(self) -> None:
        self.chapter = Chapter(NAME)
        self.history = MinuteHistory()
        self.events: dict[int, tuple[list[Event], int]] = {}
        self.pages: dict[tuple[str, int], list[tuple[Page, int, int]]] = {}
        self.bars: dict[tuple[str, int], Closed] = {}
        self.wall_ms = 1_000

    def close(self, *changes: tuple[str, FootprintBar, Quality]) -> None:
        """Bars close or are revised, and everything due is stored."""
        self.wall_ms += 10
        closed = []
        for timeframe, bar, evidence in changes:
            one = Closed(timeframe, bar, evidence, bar_hash([NAME], timeframe, bar))
            closed.append(one)
            self.bars[timeframe, bar.flow.start_ms] = one
            if timeframe == "1m":
                self.history.put(bar, evidence)
        for need in self.chapter.missing(closed):
            self.load(need)
        self.store(self.chapter.take(closed, self.history.minutes, self.wall_ms))

    def store(self, due: Due) -> None:
        for page in due.events:
            known = self.events.get(page.minute_ms)
            assert known is None or page.revision > known[1]
            self.events[page.minute_ms] = (page.events, page.revision)
        for hour in due.pages:
            held = self.pages.setdefault((hour.timeframe, hour.page.start_ms), [])
            assert hour.revision == len(held)
            held.append((hour.page, hour.revision, self.wall_ms))

    def load(self, need: Need) -> None:
        """What the chronicler does with a store."""
        bars = [
            (one.bar, one.quality)
            for (timeframe, start), one in sorted(self.bars.items())
            if timeframe == need.timeframe and need.start_ms <= start < need.end_ms
        ]
        if need.what == "events":
            found = [
                (at, *held)
                for at, held in sorted(self.events.items())
                if need.start_ms <= at < need.end_ms
            ]
            self.chapter.load_events(need, found)
            pages = [at for at, _, _ in found]
            self.chapter.fill_overdue(pages, self.history.minutes, self.wall_ms)
        elif need.what == "recent":
            self.chapter.load_recent(need, bars, self.history.minutes, self.wall_ms)
        else:
            held = self.pages.get((need.timeframe, need.start_ms))
            said = (held[-1][0], held[-1][1]) if held else None
            self.chapter.load_page(need, said, [(bar.flow, found) for bar, found in bars])

    def restart(self) -> None:
        """The process is gone; the store and the closed minutes remain."""
        self.chapter = Chapter(NAME)

    def all_events(self) -> list[Event]:
        return [event for at in sorted(self.events) for event in self.events[at][0]]


def play(world: World, bars: Sequence[FootprintBar]) -> World:
    for bar in bars:
        changes: list[Any] = [("1m", bar, quality(bar))]
        if bar.flow.end_ms % (5 * MINUTE_MS) == 0:
            inside = [
                world.history.minutes[at].bar
                for at in range(bar.flow.end_ms - 5 * MINUTE_MS, bar.flow.start_ms, MINUTE_MS)
                if at in world.history.minutes
            ]
            five = then([*inside, bar])
            changes.append(("5m", five, quality(five)))
        world.close(*changes)
    return world


def said(events: Sequence[Event]) -> list[Any]:
    """Events without the moments of publishing."""
    return [
        (
            event.id,
            event.evidence,
            event.sources,
            [(c.status, c.complete) for c in event.changes],
            [(o.minutes, o.close, o.change) for o in event.outcomes],
        )
        for event in sorted(events, key=lambda e: e.id)
    ]


@pytest.fixture(scope="module")
def long_market() -> list[FootprintBar]:
    return market(330)


def test_events_and_outcomes(long_market: list[FootprintBar]) -> None:
    """Every stack is an event; its outcomes are the closes of the minutes at their time, carried
    over minutes without trades."""
    world = play(World(), long_market)
    stacks = [e for e in world.all_events() if (e.kind, e.timeframe) == ("stacked_imbalance", "1m")]
    expected = [k for k, bar in enumerate(long_market) if bar.rows and k % 7 == 3]
    assert [(e.start_ms - START_MS) // MINUTE_MS for e in stacks] == expected
    closes: list[Decimal] = []
    for bar in long_market:
        ticks = bar.flow.close_ticks
        closes.append(closes[-1] if ticks is None else ticks * TICK)
    for event, number in zip(stacks, expected, strict=True):
        for horizon in HORIZONS_MIN:
            outcome = event.outcome(horizon)
            due = number + horizon
            assert (outcome is None) == (due >= len(closes))
            if outcome is not None:
                assert outcome.close == closes[due]
                ratio = closes[due] / closes[number] - 1
                assert abs(outcome.change - ratio) <= Decimal("0.000000005")


def test_memory_is_bounded(long_market: list[FootprintBar]) -> None:
    """Pages older than the longest outcome are let go, and so are bars and hours."""
    world = play(World(), long_market)
    maker = world.chapter.maker
    newest = world.chapter.newest_ms
    assert all(at >= newest - KEPT_MS for at in maker.pages)
    assert len(world.chapter.hours.books) <= 6
    assert all(len(held) <= 80 for held in world.chapter.recent.bars.values())


@pytest.mark.parametrize("stops", [(7,), (61, 62, 200), tuple(range(5, 300, 13))])
def test_restarts_change_nothing(long_market: list[FootprintBar], stops: tuple[int, ...]) -> None:
    """Stopped anywhere and rebuilt from the store: the same events, outcomes and pages."""
    straight = play(World(), long_market)
    other = World()
    for begin, end in zip((0, *stops), (*stops, len(long_market)), strict=True):
        play(other, long_market[begin:end])
        other.restart()
    assert said(other.all_events()) == said(straight.all_events())
    assert {key: held[-1][0] for key, held in other.pages.items()} == {
        key: held[-1][0] for key, held in straight.pages.items()
    }


def test_lost_work_is_done_again(long_market: list[FootprintBar]) -> None:
    """Bars that were stored while their events were not: made up for after the start."""
    straight = play(World(), long_market[:130])
    other = play(World(), long_market[:115])
    for bar in long_market[115:125]:
        found = quality(bar)
        other.bars["1m", bar.flow.start_ms] = Closed("1m", bar, found, bar_hash([NAME], "1m", bar))
        other.history.put(bar, found)
    other.restart()
    play(other, long_market[125:130])
    ours, theirs = (
        said([e for e in world.all_events() if e.timeframe == "1m"]) for world in (other, straight)
    )
    assert ours == theirs
    key = "1m", START_MS + HOUR_MS
    assert other.pages[key][-1][0] == straight.pages[key][-1][0]


@given(cut=st.integers(20, 90), seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_no_look_ahead(cut: int, seed: int) -> None:
    """Truncating the future changes no event that was known before."""
    bars = market(100, seed)
    whole, part = play(World(), bars), play(World(), bars[:cut])
    at = START_MS + cut * MINUTE_MS
    early = [
        msgspec.structs.replace(
            event,
            outcomes=[o for o in event.outcomes if event.at_ms + o.minutes * MINUTE_MS <= at],
        )
        for event in whole.all_events()
        if event.at_ms <= at
    ]
    assert said(early) == said(part.all_events())


def test_looking_twice_changes_nothing(long_market: list[FootprintBar]) -> None:
    """The same bars again, or better states alone, are no revision and write no page anew."""
    world = play(World(), long_market[:70])
    before = said(world.all_events())
    revisions = {at: held[1] for at, held in world.events.items()}
    for bar in long_market[50:70]:
        world.close(("1m", bar, quality(bar)))
    assert said(world.all_events()) == before
    assert {at: held[1] for at, held in world.events.items()} == revisions


def test_a_revised_minute(long_market: list[FootprintBar]) -> None:
    """A revision withdraws what is gone, adds what is new, corrects outcomes and says so once."""
    world = play(World(), long_market[:30])
    gone = next(e for e in world.all_events() if e.timeframe == "1m" and e.side == "buy")
    number = (gone.start_ms - START_MS) // MINUTE_MS
    changed = minute(number, random.Random(99))
    for _ in range(2):
        world.close(("1m", changed, quality(changed, revision=1)))
    events = {event.id: event for event in world.all_events()}
    (correction,) = (e for e in events.values() if e.kind == CORRECTION)
    assert events[gone.id].now.status == "withdrawn"
    assert events[gone.id].now.correction == correction.id
    assert gone.id in correction.evidence["events"]
    assert [w["timeframe"] for w in correction.evidence["windows"]] == ["1m"]
    assert correction.sources[0].content_hash == bar_hash([NAME], "1m", changed)
    back = long_market[number]
    world.close(("1m", back, quality(back, revision=2)))
    again = next(event for event in world.all_events() if event.id == gone.id)
    assert [c.status for c in again.changes] == ["stands", "withdrawn", "revised"]


def test_a_revised_close_corrects_outcomes(long_market: list[FootprintBar]) -> None:
    """The return to a revised minute is written anew beside the old one."""
    world = play(World(), long_market[:30])
    event = next(e for e in world.all_events() if e.timeframe == "1m" and e.outcome(5))
    number = (event.at_ms - START_MS) // MINUTE_MS + 4
    old = event.outcome(5)
    bar = long_market[number]
    ticks = (bar.flow.close_ticks or 200) + 1
    flow = msgspec.structs.replace(bar.flow, close_ticks=ticks, high_ticks=ticks)
    changed = msgspec.structs.replace(bar, flow=flow)
    world.close(("1m", changed, quality(changed, revision=1)))
    found = next(e for e in world.all_events() if e.id == event.id)
    assert [o.close for o in found.outcomes if o.minutes == 5] == [old.close, ticks * TICK]


def test_compared_events_are_questioned() -> None:
    """An event that was made with a revised bar in view says so, with the correction's id."""
    world = World()
    bars = market(60, 4)
    play(world, bars)
    compared = [e for e in world.all_events() if e.since_ms < e.start_ms and e.timeframe == "1m"]
    assert compared, "the market has sweeps, large trades or absorption"
    event = compared[-1]
    number = (event.since_ms - START_MS) // MINUTE_MS + 1
    while not bars[number].rows:
        number += 1
    changed = minute(number, random.Random(7))
    world.close(("1m", changed, quality(changed, revision=1)))
    found = next(e for e in world.all_events() if e.id == event.id)
    assert found.now.status == "questioned"
    assert any(e.id == found.now.correction for e in world.all_events())


@pytest.mark.parametrize("state", [State.REPAIRING, State.PARTIAL, State.UNKNOWN])
def test_incomplete_bars_never_count(state: State) -> None:
    """A bar that is not complete is in no page, gives no outcome and makes no complete event; it
    is counted from the moment it is complete."""
    bars = market(125, 3)
    world = World()
    bad = {13, 61}
    for number, bar in enumerate(bars):
        found = state if number in bad else State.VERIFIED
        world.close(("1m", bar, quality(bar, found)))
    pages = world.pages["1m", START_MS], world.pages["1m", START_MS + HOUR_MS]
    assert [held[-1][0].bars for held in pages] == [59, 59]
    for event in world.all_events():
        number = (event.at_ms - START_MS) // MINUTE_MS - 1
        assert event.now.complete == (number not in bad)
        for outcome in event.outcomes:
            assert number + outcome.minutes not in bad
    for number in bad:
        world.close(("1m", bars[number], quality(bars[number])))
    assert [held[-1][0].bars for held in pages] == [60, 60]
    assert [len(held) for held in pages] == [2, 2]
    first = world.pages["1m", START_MS]
    assert first[0][2] < first[1][2]


@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=15, deadline=None)
def test_pages_are_the_histograms_of_their_bars(seed: int, data: st.DataObject) -> None:
    """Closed in order, some of them twice: the page of an hour counts each complete bar once."""
    bars = market(61, seed)
    world = World()
    for bar in bars:
        world.close(("1m", bar, quality(bar)))
        if data.draw(st.booleans()):
            world.close(("1m", bar, quality(bar)))
    (page,) = (held[-1][0] for key, held in world.pages.items() if key == ("1m", START_MS))
    direct = page_of(START_MS, [buckets(bar.flow, MINUTE_MS) for bar in bars[:60]])
    assert page == direct
    traded = sum(bool(bar.rows) for bar in bars[:60])
    counts = {name: sum(held.values()) for name, held in page.counts.items()}
    assert counts == {name: traded if name == "imbalance" else 60 for name in MEASURES}
    assert page_start(bars[59].flow.start_ms, "1m") == START_MS


def test_a_page_with_expired_bars_stays() -> None:
    """A page whose bars are no longer all stored is never replaced by a poorer one."""
    bars = market(130, 8)
    world = play(World(), bars)
    for number in range(20):
        del world.bars["1m", START_MS + number * MINUTE_MS]
    world.restart()
    changed = minute(30, random.Random(5))
    world.chapter.hours.newest_ms["1m"] = bars[-1].flow.end_ms
    world.close(("1m", changed, quality(changed, revision=1)))
    assert len(world.pages["1m", START_MS]) == 1
