"""How parts apart tell their state and figures: collectors by the bus, those with a store there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
import uvicorn

from backbone.breaker import BreakerStatus
from backbone.bus.base import REPORTS, Bus
from backbone.clock import wall_ms
from backbone.live import LiveView
from backbone.measures import (
    BUS_CONNECTED,
    PARTITIONS,
    PARTITIONS_FENCED,
    PARTITIONS_OWNED,
    PARTITIONS_TAKEN,
    STORE_FAILURES,
    STORE_PENDING,
)
from backbone.metrics import (
    Sink,
    breaker_states,
    collector_figures,
    metrics_record,
    stream_states,
)
from backbone.parts import STATE_EVERY_S, PartMinute, PartState
from backbone.store.base import Record, Store
from collectors.service import CollectorService
from orderflow.errors import BusError
from processor.partitions import Partitions
from processor.service import ProcessorService

log = structlog.get_logger()


class Processor(Protocol):
    """One service, or those of the partitions that a process owns."""

    @property
    def services(self) -> Sequence[ProcessorService]:
        """What runs now."""
        ...

    @property
    def ready(self) -> bool:
        """Everything that is ours goes on."""
        ...

    def breakers(self) -> list[BreakerStatus]:
        """What guards the store."""
        ...


async def beside(work: Callable[[], Awaitable[None]]) -> None:
    """Reports never stop a part: a broker that refuses them (a configuration from before) is
    logged, and the part goes on without."""
    try:
        await work()
    except BusError as error:
        log.warning("reports.unavailable", reason=str(error))
    await asyncio.Event().wait()


async def tell_states(bus: Bus, state: Callable[[], PartState]) -> None:
    """What servers show of this part, until cancelled."""
    while True:
        await bus.publish(REPORTS, [state()])
        await asyncio.sleep(STATE_EVERY_S)


async def keep_minutes(bus: Bus, name: str, keep: Callable[[list[Record]], None]) -> None:
    """Figures of parts without a store of their own, until the bus closes."""
    subscription = await bus.subscribe(REPORTS, name)
    try:
        while True:
            for delivery in await subscription.next():
                keep([metrics_record(m) for m in delivery.messages if isinstance(m, PartMinute)])
                await subscription.ack(delivery.position)
    finally:
        await subscription.close()


def to_bus(bus: Bus) -> Sink:
    """Minutes to the processor."""

    async def sink(minutes: Sequence[PartMinute]) -> None:
        await bus.publish(REPORTS, minutes)

    return sink


def to_store(store: Store) -> Sink:
    """Minutes straight to the store."""

    async def sink(minutes: Sequence[PartMinute]) -> None:
        await store.put([metrics_record(minute) for minute in minutes])

    return sink


def to_processor(processor: Processor, otherwise: Sink) -> Sink:
    """Minutes among what a service writes: bounded, and repeated until the store has it; where
    none runs just now, `otherwise`."""

    async def sink(minutes: Sequence[PartMinute]) -> None:
        for service in processor.services[:1]:
            service.writer.later([metrics_record(minute) for minute in minutes])
            return
        await otherwise(minutes)

    return sink


def collector_state(part: str, collector: CollectorService) -> PartState:
    """Connections, breakers and REST use of a collector."""
    rest = {collector.venue: collector.rest_counts()}
    return PartState(part, wall_ms(), collector.statuses(), collector.breakers(), rest)


def processor_state(part: str, breakers: list[BreakerStatus]) -> PartState:
    """What guards the store."""
    return PartState(part, wall_ms(), breakers=breakers)


def of_collector(collector: CollectorService) -> dict[str, Any]:
    """Figures of a collector."""
    feeds, rest = collector.statuses(), collector.rest_counts()
    return collector_figures(feeds, collector.breakers(), rest, collector.held)


def of_processor(processor: Processor) -> dict[str, Any]:
    """Figures of a processor: of all its services together."""
    services = processor.services
    streams = [s.view.stream(i.name) for s in services for i in s.view.instruments()]
    queues = {
        "trades": sum(stream.queue_size for stream in streams),
        "store": sum(len(service.writer.pending) for service in services),
        "chronicle": sum(service.chronicler.backlog for service in services),
    }
    counts = {name: sum(getattr(s, name) for s in streams) for name in ("received", "applied")}
    guards = {
        "breakers": breaker_states(processor.breakers()),
        "store_errors": sum(service.writer.failures for service in services),
    }
    states = dict(Counter(stream.state for stream in streams))
    return {"streams": states, "ready": processor.ready} | counts | guards | {"queues": queues}


def store_figures(processor: Processor) -> dict[str, float]:
    """Metrics of what the processor writes."""
    writers = [service.writer for service in processor.services]
    pending = sum(len(writer.pending) for writer in writers)
    return {STORE_PENDING: pending, STORE_FAILURES: sum(writer.failures for writer in writers)}


def partition_figures(partitions: Partitions) -> dict[str, float]:
    """Metrics of who owns what."""
    return {
        PARTITIONS: partitions.count,
        PARTITIONS_OWNED: len(partitions.owned),
        PARTITIONS_TAKEN: partitions.taken,
        PARTITIONS_FENCED: partitions.fenced,
    }


def bus_figures(bus: Bus) -> dict[str, float]:
    """Metrics of a bus between processes."""
    return {BUS_CONNECTED: int(bus.connected)}


def of_server(view: LiveView, server: uvicorn.Server) -> dict[str, Any]:
    """Figures of a server: requests since its start, and what is open now."""
    state = server.server_state
    queues = {"connections": len(state.connections), "requests": len(state.tasks)}
    return stream_states(view) | {"requests": state.total_requests, "queues": queues}
