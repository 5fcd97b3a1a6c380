"""A silent stream: dead when the venue has newer trades, else a quiet market."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from backbone.clock import VenueClock
from collectors.budget import Budget
from collectors.listing import Listed
from collectors.pulse import LONGEST_S, Pulse
from collectors.rest import RestClient
from collectors.venues import VENUES
from collectors.watchdog import Watchdog
from orderflow.instrument import Market

T0 = 1_700_000_000_000
AGG = "/api/v3/aggTrades"


class FakeFeed:
    """What the watchdog asks of a feed."""

    name = "feed"

    def __init__(self, pulse: Pulse, name: str) -> None:
        self.pulses = {name: pulse}
        self.replaced: list[str] = []
        self.quiet = 0

    def replace(self, reason: str) -> None:
        self.replaced.append(reason)

    def note_quiet(self) -> None:
        self.quiet += 1


@pytest.fixture
async def client(rest: Any) -> AsyncIterator[RestClient]:
    async with httpx2.AsyncClient(timeout=2.0) as http:
        yield RestClient(rest.url, http, Budget(600_000), time.monotonic, (0.01,))


def newest(key: int, at_ms: int) -> Any:
    row = {"a": key, "p": "1.00", "q": "0.5", "f": key, "l": key, "T": at_ms, "m": False}
    return lambda query: (200, {}, [row] if query == {"symbol": "BTCUSDT", "limit": "1"} else [])


def beaten(now_s: float) -> Pulse:
    pulse = Pulse(0.0)
    pulse.beat(now_s, 7, T0)
    return pulse


async def test_rest_tells_dead_from_quiet(client: RestClient, rest: Any, spot: Any) -> None:
    """No newer trade at the venue: quiet, with twice the patience and a look at the listing; a
    newer one: the socket is replaced."""
    clock = VenueClock(lambda: 0.0)
    clock.observe(T0 + 60_000)
    now = [11.5]
    dog = Watchdog(VENUES["binance"][Market.SPOT], client, clock, lambda: now[0])
    feed, entry = FakeFeed(beaten(0.1), spot.name), Listed(spot, 0)
    rest.routes = {AGG: newest(7, T0)}
    await dog.look(feed, entry, [feed])  # type: ignore[arg-type,list-item]
    pulse = feed.pulses[spot.name]
    assert (pulse.quiet, pulse.patience, feed.quiet, feed.replaced) == (True, 2, 1, [])
    assert dog.listing_wanted.is_set()
    await dog.look(feed, entry, [feed])  # type: ignore[arg-type,list-item]
    assert dog.probes == 1
    now[0] = 60.0
    rest.routes = {AGG: newest(8, T0 + 59_000)}
    await dog.look(feed, entry, [feed])  # type: ignore[arg-type,list-item]
    assert feed.replaced == []
    now[0] = 300.0
    rest.routes = {AGG: newest(9, T0 + 30_000)}
    await dog.look(feed, entry, [feed])  # type: ignore[arg-type,list-item]
    assert (feed.replaced, dog.dead) == (["stream_silent"], 1)


async def test_the_other_connection_knows_better(client: RestClient, spot: Any) -> None:
    """What a second connection delivered needs no question; without an answer nothing is done."""
    clock = VenueClock(lambda: 0.0)
    clock.observe(T0 + 60_000)
    dog = Watchdog(VENUES["binance"][Market.SPOT], client, clock, lambda: 20.0)
    silent, lively = FakeFeed(beaten(0.1), spot.name), FakeFeed(beaten(0.1), spot.name)
    lively.pulses[spot.name].beat(19.0, 9, T0 + 20_000)
    both = [silent, lively]
    await dog.look(silent, Listed(spot, 0), both)  # type: ignore[arg-type]
    assert (silent.replaced, dog.probes) == (["stream_silent"], 0)
    alone = FakeFeed(beaten(0.1), spot.name)
    await dog.look(alone, Listed(spot, 0), [alone])  # type: ignore[arg-type,list-item]
    assert (alone.replaced, alone.quiet) == ([], 0)


def test_patience_follows_the_rate() -> None:
    """Thirty times the usual distance, at least 10 s, at most 300 s, more after quiet answers."""
    pulse = Pulse(0.0)
    assert pulse.allowed_s() == 10.0
    for beat in range(1, 11):
        pulse.beat(beat * 2.0, beat, T0)
    assert pulse.allowed_s() == 60.0
    assert not pulse.overdue(80.0)
    assert pulse.overdue(80.5)
    for _ in range(9):
        pulse.found_quiet(81.0)
    assert pulse.allowed_s() == LONGEST_S
    pulse.beat(82.0, 11, T0)
    assert (pulse.patience, pulse.quiet) == (1, False)
    pulse.rest(500.0)
    assert not pulse.overdue(501.0)


async def test_a_trade_from_before_the_socket_is_no_loss(
    client: RestClient, rest: Any, spot: Any
) -> None:
    """A stream that has not traded since its socket began is quiet, although REST knows a trade."""
    clock = VenueClock(lambda: 0.0)
    clock.observe(T0 + 60_000)
    pulse = Pulse(0.0)
    pulse.begin(0.0, T0 + 1)
    dog = Watchdog(VENUES["binance"][Market.SPOT], client, clock, lambda: 11.0)
    feed, entry = FakeFeed(pulse, spot.name), Listed(spot, 0)
    rest.routes = {AGG: newest(7, T0)}
    await dog.look(feed, entry, [feed])  # type: ignore[arg-type,list-item]
    assert (pulse.quiet, feed.replaced) == (True, [])
    other = beaten(10.0)
    feed.pulses[spot.name].quiet = False
    pulse.heard_s = -100.0
    await dog.look(feed, entry, [feed, FakeFeed(other, spot.name)])  # type: ignore[arg-type,list-item]
    assert feed.replaced == []
