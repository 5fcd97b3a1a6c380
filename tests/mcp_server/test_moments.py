"""Moving windows of one process: the rules of `limits`' own storage, at one price a request."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from mcp_server.access.moments import ADDRESS, SWEPT_EVERY_S, Moments


class Wall:
    """A wall clock that tests turn."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def time_ns(self) -> int:
        return round(self.now_s * 1e9)

    def time(self) -> float:
        return self.time_ns() / 1e9


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Both storages read this clock; the other one's thread does nothing."""
    made = Wall()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(time, "time_ns", made.time_ns)
    monkeypatch.setattr(MemoryStorage, "_MemoryStorage__schedule_expiry", lambda self: None)
    return made


@pytest.fixture
def ours() -> Iterator[Moments]:
    """By its address, as slowapi finds it."""
    found = storage_from_string(ADDRESS)
    assert isinstance(found, Moments)
    yield found
    found.timer.cancel()


def test_same_as_the_library(wall: Wall, ours: Moments) -> None:
    """Ten thousand requests of three names, some in bursts, some after a pause: the same verdicts
    and the same numbers in the fields."""
    chance = random.Random(5)
    theirs = MemoryStorage()
    theirs.timer.cancel()
    one, other = MovingWindowRateLimiter(ours), MovingWindowRateLimiter(theirs)
    refused = 0
    for _ in range(10_000):
        wall.now_s += chance.choice((0.001, 0.01, 0.3, 1.7, 61.0 if chance.random() < 0.01 else 0))
        item = RateLimitItemPerMinute(chance.choice((5, 60)))
        name = chance.choice("abc")
        fits = one.hit(item, name)
        assert fits == other.hit(item, name)
        assert one.get_window_stats(item, name) == other.get_window_stats(item, name)
        refused += not fits
    assert 100 < refused < 9_900


def test_names_that_ask_no_more_are_let_go(wall: Wall, ours: Moments) -> None:
    """Nothing stays of a name whose requests have all left their window."""
    for number in range(50):
        ours.acquire_entry(f"n{number}", 5, 60)
    wall.now_s += SWEPT_EVERY_S + 61
    ours.acquire_entry("new", 5, 60)
    assert set(ours._asked) == set(ours._lasting_s) == {"new"}
    assert ours.reset()
    assert ours.get_moving_window("new", 5, 60) == (wall.time(), 0)


def test_no_thread_and_no_list_that_grows(ours: Moments) -> None:
    """A request costs the same after a hundred thousand others."""

    def cost_s() -> float:
        began = time.process_time()
        for _ in range(2_000):
            ours.acquire_entry("busy", 10**9, 60)
        return time.process_time() - began

    first = min(cost_s() for _ in range(5))
    for _ in range(100_000):
        ours.acquire_entry("busy", 10**9, 60)
    assert min(cost_s() for _ in range(5)) < 5 * first
