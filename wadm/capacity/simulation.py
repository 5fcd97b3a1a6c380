"""A market in virtual time: partitions as queues, bursts, deaths and take-overs. Pure.

Time goes in tenths of a second. Each instrument has a rate (Zipf) that breathes with the market;
market-wide bursts come at random, some instruments burst alone. Every partition is a queue with the
measured costs; a processor serves its partitions in turn with one core. When a processor dies its
partitions wait until the lease is over, then others load them and replay what was not in the last
checkpoint. The same seed gives the same run.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from backbone.leases.assignment import assigned
from orderflow.errors import ConfigError
from wadm.capacity.costs import Costs
from wadm.capacity.model import (
    PACKETS_PER_S,
    UPDATES_PER_PACKET,
    UPDATES_PER_S,
    Load,
    checked,
)

STEP_S = 0.1
LEASE_S = 2.4
LOAD_S_PER_INSTRUMENT = 0.002
CHECKPOINT_S = 1.0
HAND_OVER_S = 0.7
AWAY_S = 30.0
"""A dead processor is started again after this."""
BURST_S = 5.0
BURST_EVERY_S = 60.0
DEATH_EVERY_S = 90.0
OWN_BURST_SHARE = 0.002
OWN_BURST_TIMES = 100.0
ALMOST = 1 - 1e-9
"""Sums of floats may end a little early."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is played: the load, how many share it, for how long."""

    load: Load
    processors: int
    partitions: int
    seconds: float = 300.0
    seed: int = 1
    deaths: bool = True


class Lag(NamedTuple):
    """Milliseconds from a trade's arrival on the bus until it is in its bar."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. Lag is weighed by trades; a take-over counts until its backlog is gone."""

    trades: int
    applied: int
    lag: Lag
    calm_lag: Lag
    processor_use: list[float]
    bursts: int
    deaths: int
    takeovers_s: list[float]
    largest_backlog_trades: int
    collector_cores: float
    broker_cores: float
    server_follow_cores: float


class Partition:
    """One queue: (arrival, trades, packets) in order, and what it costs to serve."""

    def __init__(self, shares: list[float]) -> None:
        self.shares = shares
        self.share = sum(shares)
        self.queue: list[tuple[float, float, float]] = []
        self.head = 0
        self.ready_s = 0.0
        self.owner = -1
        self.dead_s: float | None = None
        self.trades = 0.0
        self.replay = 0.0

    def put(self, at_s: float, trades: float, packets: float) -> None:
        """What arrived in one step."""
        if trades > 0:
            self.queue.append((at_s, trades, packets))
            self.trades += trades

    def waiting(self) -> bool:
        """Something is to be done."""
        return self.head < len(self.queue)


class Simulation:
    """One run; `outcome` plays it."""

    def __init__(self, scenario: Scenario, costs: Costs) -> None:
        if not 1 <= scenario.processors <= scenario.partitions:
            raise ConfigError("there must be a processor, and a partition for each of them")
        self.scenario, self.costs = scenario, costs
        self.load = checked(scenario.load)
        self.random = random.Random(scenario.seed)
        self.partitions = self._dealt()
        self.up_s = [0.0] * scenario.processors
        self.busy_s = [0.0] * scenario.processors
        self.credit_s = [0.0] * scenario.processors
        self.lags: list[tuple[float, float]] = []
        self.calm: list[tuple[float, float]] = []
        self.takeovers: list[float] = []
        self.applied = self.arrived = self.packets = 0.0
        self.bursts = self.deaths = 0
        self.largest = 0.0
        self.burst_until = self.trouble_until = 0.0
        self.own: dict[int, float] = {}
        self._deal(0.0)

    def _dealt(self) -> list[Partition]:
        """Instruments by Zipf, dealt at random as a hash of their names does."""
        count = self.load.instruments
        weights = [1 / (place + 3) for place in range(count)]
        total = sum(weights)
        dealt: list[list[float]] = [[] for _ in range(self.scenario.partitions)]
        for weight in weights:
            self.random.choice(dealt).append(weight / total)
        return [Partition(shares) for shares in dealt]

    def outcome(self) -> Outcome:
        """Play all of it."""
        steps = int(self.scenario.seconds / STEP_S)
        plan = self._plan(steps)
        following = next(plan, None)
        for step in range(steps):
            now = step * STEP_S
            while following is not None and following[0] <= now:
                self._happen(following[1], now)
                following = next(plan, None)
            self._come_back(now - STEP_S, now)
            self._arrive(now)
            self._take_over(now)
            owned: list[list[Partition]] = [[] for _ in self.up_s]
            for partition in self.partitions:
                if partition.ready_s <= now:
                    owned[partition.owner].append(partition)
            for number, mine in enumerate(owned):
                self._serve(number, mine, now)
            waiting = max(partition.trades for partition in self.partitions)
            self.largest = max(self.largest, waiting)
        return self._told()

    def _plan(self, steps: int) -> Iterator[tuple[float, str]]:
        """Bursts and deaths at random moments, in order."""
        events: list[tuple[float, str]] = []
        end = steps * STEP_S
        for kind, every in (("burst", BURST_EVERY_S), ("death", DEATH_EVERY_S)):
            at = self.random.expovariate(1 / every)
            while at < end:
                heapq.heappush(events, (at, kind))
                at += self.random.expovariate(1 / every)
        while events:
            yield heapq.heappop(events)

    def _happen(self, kind: str, now: float) -> None:
        if kind == "burst":
            self.bursts += 1
            self.burst_until = now + BURST_S
            self.trouble_until = max(self.trouble_until, now + 3 * BURST_S)
        elif self.scenario.deaths and self.scenario.processors > 1:
            living = [n for n, up in enumerate(self.up_s) if up <= now]
            if len(living) < 2:
                return
            self.deaths += 1
            dead = self.random.choice(living)
            self.up_s[dead] = now + AWAY_S
            self.trouble_until = max(self.trouble_until, now + 2 * LEASE_S)
            for partition in self._deal(now):
                partition.dead_s = now
                share = len(partition.shares) * LOAD_S_PER_INSTRUMENT
                partition.ready_s = now + LEASE_S + share
                partition.replay = self._rate(partition) * CHECKPOINT_S

    def _deal(self, now: float) -> list[Partition]:
        """Each partition to a living processor, by the assignment of the real ones; those that
        change hands."""
        moved = []
        living = [str(number) for number, up in enumerate(self.up_s) if up <= now]
        owners = assigned([str(number) for number in range(len(self.partitions))], living)
        for number, partition in enumerate(self.partitions):
            owner = int(owners[str(number)])
            if owner != partition.owner:
                partition.owner = owner
                moved.append(partition)
        return moved

    def _come_back(self, before: float, now: float) -> None:
        """A processor that is started again takes its partitions back, handed over in order."""
        if any(before < up <= now for up in self.up_s):
            for partition in self._deal(now):
                partition.ready_s = max(partition.ready_s, now + HAND_OVER_S)

    def _rate(self, partition: Partition) -> float:
        return self.load.trades_per_s * partition.share

    def _arrive(self, now: float) -> None:
        """What collectors put onto the bus in this step: redundant copies included."""
        factor = self.load.burst if now < self.burst_until else 1.0
        if self.random.random() < STEP_S / BURST_EVERY_S * 5:
            at = self.random.randrange(len(self.partitions))
            self.own[at] = now + BURST_S
        for number, partition in enumerate(self.partitions):
            mean = self._rate(partition) * factor * STEP_S
            if self.own.get(number, 0.0) > now:
                mean += self.load.trades_per_s * OWN_BURST_SHARE * OWN_BURST_TIMES * STEP_S
            trades = max(0.0, round(self.random.gauss(mean, mean**0.5)))
            active = max(1.0, len(partition.shares) * self.load.active)
            packets = min(trades, active * PACKETS_PER_S * STEP_S)
            partition.put(now, trades, packets)
            self.arrived += trades
            self.packets += packets

    def _take_over(self, now: float) -> None:
        """What a new owner replays first is what was counted and not yet in a checkpoint."""
        for partition in self.partitions:
            if partition.replay and partition.ready_s <= now:
                partition.queue.insert(partition.head, (-1.0, partition.replay, 0.0))
                partition.replay = 0.0

    def _serve(self, number: int, mine: list[Partition], now: float) -> None:
        """One core for one step, minus what minutes and telling take, over the own partitions."""
        if self.up_s[number] > now:
            return
        count = sum(len(p.shares) for p in mine)
        told = count * self.load.active * UPDATES_PER_S * self.costs.publish_us_per_update / 1e6
        fixed = count * self.costs.instrument_us_per_minute / 60e6 + told
        left = STEP_S * (1.0 - min(0.95, fixed)) + self.credit_s[number]
        self.busy_s[number] += STEP_S * min(1.0, fixed)
        mine.sort(key=lambda p: p.queue[p.head][0] if p.waiting() else now)
        for partition in mine:
            left = self._drain(partition, number, left, now)
        self.credit_s[number] = min(0.0, left)

    def _drain(self, partition: Partition, number: int, left: float, now: float) -> float:
        copies = self.load.redundancy
        costs = self.costs
        trade_s = copies * (costs.unpack_ns_per_trade + costs.engine_ns_per_trade) / 1e9
        packet_ns = costs.bus_client_ns_per_packet + costs.unpack_ns_per_packet
        packet_s = copies * (packet_ns + costs.engine_ns_per_packet) / 1e9
        while left > 0 and partition.waiting():
            arrived, trades, packets = partition.queue[partition.head]
            spent = trades * trade_s + packets * packet_s
            left -= spent
            self.busy_s[number] += spent
            partition.head += 1
            if arrived >= 0:
                partition.trades -= trades
                self.applied += trades
                lag = (now - arrived) * 1e3 + STEP_S * 1e3 / 2 + spent * 1e3
                self.lags.append((lag, trades))
                if now > self.trouble_until and partition.dead_s is None:
                    self.calm.append((lag, trades))
        if partition.dead_s is not None and partition.ready_s <= now and not partition.waiting():
            self.takeovers.append(now + STEP_S - partition.dead_s)
            partition.dead_s = None
        if partition.head > 1_000:
            del partition.queue[: partition.head]
            partition.head = 0
        return left

    def _told(self) -> Outcome:
        seconds, costs, load = self.scenario.seconds, self.costs, self.load
        collecting = self.arrived * (
            costs.receive_ns_per_frame + costs.decode_ns_per_trade + costs.pack_ns_per_trade
        )
        collecting += self.packets * (costs.pack_ns_per_packet + costs.bus_client_ns_per_packet)
        active = load.instruments * load.active
        sent = self.packets * load.redundancy / seconds
        sent += active * UPDATES_PER_S / UPDATES_PER_PACKET
        return Outcome(
            trades=int(self.arrived),
            applied=int(self.applied),
            lag=percentiles(self.lags),
            calm_lag=percentiles(self.calm),
            processor_use=[busy / seconds for busy in self.busy_s],
            bursts=self.bursts,
            deaths=self.deaths,
            takeovers_s=sorted(self.takeovers),
            largest_backlog_trades=int(self.largest),
            collector_cores=collecting * load.redundancy / seconds / 1e9,
            broker_cores=sent * costs.broker_ns_per_packet * load.replicas / 1e9,
            server_follow_cores=active * UPDATES_PER_S * costs.follow_us_per_update / 1e6,
        )


def percentiles(lags: list[tuple[float, float]]) -> Lag:
    """Of (lag, trades), weighed by trades; zeros when there is none."""
    ordered = sorted(lags)
    total = sum(trades for _, trades in ordered)
    if not total:
        return Lag(0.0, 0.0, 0.0, 0.0)
    found: list[float] = []
    wanted = [0.5, 0.99, 0.999]
    seen = 0.0
    for lag, trades in ordered:
        seen += trades
        while len(found) < len(wanted) and seen >= wanted[len(found)] * total * ALMOST:
            found.append(lag)
    p50, p99, p999 = found
    return Lag(p50, p99, p999, ordered[-1][0])
