"""Delays, connect limits, REST budgets and the buffer, without any waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collectors.budget import Budget
from collectors.buffer import Buffer
from collectors.pacing import Backoff, ConnectLimiter
from orderflow.trade import Connected, Disconnect, TradeBatch, Watermark


def test_delays_double_up_to_a_minute() -> None:
    """Full jitter below 1, 2, 4 .. 60 seconds, from the start again after success."""
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 1
    assert Backoff(lambda: 0.25).next_s() == 0.25


@given(st.lists(st.floats(0, 30), max_size=200))
def test_connects_stay_under_both_limits(gaps: list[float]) -> None:
    """Never more than 150 in five minutes, nor more than the burst plus one a second."""
    limiter, now, taken = ConnectLimiter(), 0.0, []
    for gap in gaps:
        now += gap / 10
        wait = limiter.wait_s(now)
        if wait == 0:
            taken.append(now)
    for start in taken:
        assert sum(start <= t < start + 300 for t in taken) <= 150
        assert sum(start <= t <= start + 1 for t in taken) <= 12


def test_a_refused_connect_is_told_when() -> None:
    """After the burst the wait is what is left of a second."""
    limiter = ConnectLimiter(burst=2)
    assert [limiter.wait_s(0.0) for _ in range(2)] == [0.0, 0.0]
    assert limiter.wait_s(0.25) == 0.75
    assert limiter.wait_s(1.0) == 0.0


def test_repairs_have_most_of_the_budget() -> None:
    """In no minute do everyday questions use more than a fifth of the documented weight, nor all
    of them together more than four fifths."""
    budget = Budget(1_000)
    taken: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
    for tick in range(2_400):
        now_s = tick / 10
        for repairing in (False, True):
            while budget.wait_s(10, now_s, repairing=repairing) == 0.0:
                taken[repairing].append((now_s, 10))

    def most(uses: list[tuple[float, int]]) -> int:
        return max(sum(w for t, w in uses if start <= t < start + 60) for start in range(180))

    assert 180 <= most(taken[False]) <= 200
    assert 760 <= most(taken[False] + taken[True]) <= 800
    assert budget.used == sum(w for uses in taken.values() for _, w in uses)


def test_a_question_heavier_than_the_bucket() -> None:
    """It waits for a full bucket and is then asked."""
    budget = Budget(100)
    assert budget.wait_s(50, 0.0, repairing=True) == 0.0
    wait = budget.wait_s(50, 0.0, repairing=True)
    assert wait > 0
    assert budget.wait_s(50, wait + 0.001, repairing=True) == 0.0


class StillBus:
    """A bus that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.messages: list[Any] = []

    async def publish(self, topic: str, messages: Any) -> None:
        await self.open.wait()
        self.messages += messages


def batch(*keys: int) -> TradeBatch:
    ones = [1] * len(keys)
    return TradeBatch("a", list(keys), [1_000 + key for key in keys], ones, ones, ones)


async def test_an_overflow_is_a_marked_hole() -> None:
    """The claim ends behind the last trade kept and begins before the first one taken again."""
    bus, now = StillBus(), 0.0
    buffer = Buffer(bus, "c", 4, lambda: now)  # type: ignore[arg-type]
    buffer.put([batch(1, 2, 3)])
    assert not buffer.crowded
    buffer.put([batch(4)])
    assert buffer.crowded
    buffer.put([batch(5, 6), batch(7), Watermark(["a"], 1_007, "c")])
    drain = asyncio.create_task(buffer.drain())
    bus.open.set()
    await buffer.emptied()
    assert not buffer.crowded
    buffer.put([batch(8)])
    await buffer.emptied()
    drain.cancel()
    kinds = [type(m) for m in bus.messages]
    assert kinds == [TradeBatch, TradeBatch, Disconnect, Watermark, Connected, TradeBatch]
    assert bus.messages[2] == Disconnect(["a"], "c", 1_004, "buffer_overflow")
    assert bus.messages[4] == Connected(["a"], "c", 1_008)
    assert buffer.dropped == 3


async def test_a_stream_that_falls_silent_after_an_overflow_resumes() -> None:
    """No further trade is needed: the next watermark begins the claim again."""
    bus = StillBus()
    bus.open.set()
    buffer = Buffer(bus, "c", 1, lambda: 0.0)  # type: ignore[arg-type]
    buffer.put([batch(1), batch(2)])
    drain = asyncio.create_task(buffer.drain())
    await buffer.emptied()
    buffer.put([Watermark(["a"], 5_000, "c")])
    await buffer.emptied()
    drain.cancel()
    assert bus.messages[-2:] == [Connected(["a"], "c", 5_000), Watermark(["a"], 5_000, "c")]


async def test_only_the_last_watermark_travels() -> None:
    """What waited for a slow bus has one watermark at its end, so that batches before and behind
    an earlier one may travel together; a claim that ends or begins keeps those on both sides, and
    other streams have their own."""
    bus = StillBus()
    buffer = Buffer(bus, "c", 100, lambda: 0.0)  # type: ignore[arg-type]
    end, begin = Disconnect(["a"], "c", 1_003, "gone"), Connected(["a"], "c", 1_005)
    said = [Watermark(["a"], 1_000 + number, "c") for number in range(6)]
    other = Watermark(["a", "b"], 1_003, "c")
    buffer.put([batch(1), said[0], batch(2), said[1], end, said[2], batch(3), other, said[3]])
    buffer.put([said[4], begin, said[5]])
    drain = asyncio.create_task(buffer.drain())
    bus.open.set()
    await buffer.emptied()
    drain.cancel()
    before = [batch(1), batch(2), said[1], end]
    assert bus.messages == [*before, said[2], batch(3), other, said[4], begin, said[5]]


async def test_the_capacity_follows_the_rate() -> None:
    """Five seconds of the measured rate, never less than the setting, never more than 50,000."""
    bus, now = StillBus(), [0.0]
    bus.open.set()
    buffer = Buffer(bus, "c", 10, lambda: now[0])  # type: ignore[arg-type]
    drain = asyncio.create_task(buffer.drain())
    for number in range(100):
        buffer.put([batch(number)])
        await buffer.emptied()
    now[0] = 2.0
    buffer.put([batch(100)])
    await buffer.emptied()
    buffer.put([batch(*range(101, 300))])
    buffer.put([batch(300)])
    assert buffer.dropped == 0
    await buffer.emptied()
    drain.cancel()
