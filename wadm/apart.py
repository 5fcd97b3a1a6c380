"""The parts as processes of their own, over the bus: a collector, the processor, a server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog
import uvicorn

from backbone.breaker import BreakerStatus
from backbone.bus import BUSES
from backbone.ending import ended
from backbone.keys.book import KeyBook
from backbone.leases.holder import Holder
from backbone.leases.nats import NatsLeases
from backbone.live import FeedStatus
from backbone.measures import REPLICA_RESYNCS
from backbone.metrics import Minutes
from backbone.parts import PartState, PartStates
from backbone.settings import Settings
from backbone.store import STORES, reading_store
from backbone.store.base import Store
from backbone.telemetry import LoopStall, Statuses, metrics_page
from collectors.leading import Leading
from collectors.service import CollectorService
from collectors.venues import VENUES
from mcp_server.app import build_app, build_server
from mcp_server.binding import check_bind, is_loopback
from mcp_server.queries import Queries
from orderflow.errors import ConfigError, StoreError
from orderflow.instrument import Instrument
from processor.partitions import Partitions
from processor.replica import Replica
from processor.service import ProcessorService
from processor.share import Share
from wadm.backfilling import ListedApart, backfill_apart
from wadm.compose import spare_the_collector, until_signal
from wadm.health import health_server
from wadm.nats_config import PROCESSOR, SERVER, collector_role
from wadm.reporting import (
    beside,
    bus_figures,
    collector_state,
    keep_minutes,
    of_collector,
    of_processor,
    of_server,
    partition_figures,
    processor_state,
    store_figures,
    tell_states,
    to_bus,
    to_processor,
    to_store,
)

log = structlog.get_logger()
BUS = "nats"
COLLECTOR_PORTS = {venue: 8_001 + place for place, venue in enumerate(VENUES)}
PROCESSOR_PORT = 8_003
WAIT_S = 2.0
LEADER = frozenset({"leader"})
LASTING = frozenset({"collector", "processor"})
"""Works with something to finish on their way out, which are cancelled once."""
Work = Coroutine[Any, Any, Any]


class NoStreams:
    """The live view of a part that has none: its metrics are those of its connections."""

    source = ""
    version = 0

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    @property
    def ready(self) -> bool:
        """As the part says."""
        return self._is_ready()

    def instruments(self) -> Sequence[Instrument]:
        """None."""
        return []


async def collect(settings: Settings, venue: str) -> None:
    """One venue's collector, until a signal."""
    if venue not in VENUES:
        raise ConfigError(f"unknown venue {venue}; allowed: {', '.join(VENUES)}")
    role = collector_role(venue)
    part = _part(role, settings)
    bus = BUSES[BUS](settings, role)
    collector = CollectorService(settings, bus, venue)
    collector.leading.end()
    stall = LoopStall()

    def ready() -> bool:
        return bus.connected and any(feed.state == "live" for feed in collector.statuses())

    def report() -> dict[str, Any]:
        feeds = msgspec.to_builtins(collector.statuses())
        known = {
            "part": part,
            "ready": ready(),
            "bus": bus.connected,
            "leads": bool(collector.leading),
        }
        return known | {"feeds": feeds}

    view: Any = NoStreams(ready)
    page = Statuses(
        view,
        collector.statuses,
        stall,
        lambda: [*collector.breakers(), *bus.breakers()],
        lambda: {venue: collector.rest_counts()},
        lambda: bus_figures(bus),
    )
    port = settings.health_port or COLLECTOR_PORTS[venue]
    health = health_server(settings.health_host, port, report, metrics_page(page))
    minutes = Minutes(stall, {part: functools.partial(of_collector, collector)}, to_bus(bus))
    works = {
        "metrics": minutes.run(),
        "state": beside(lambda: tell_states(bus, lambda: collector_state(part, collector))),
        "collector": collector.run(),
        "leases": _leader(bus, role, settings, collector.leading).run(),
        "stall": stall.run(),
    }
    try:
        await _until_stopped(works, health)
    finally:
        await bus.close()


def _leader(bus: Any, role: str, settings: Settings, leading: Leading) -> Holder:
    """One collector of a venue leads; the others take over when it is gone."""

    async def end(key: str) -> None:
        leading.end()

    def begin(key: str) -> None:
        leading.begin()

    # The processors make the bucket.
    return Holder(NatsLeases(bus), role, _member(role, settings), lambda _: LEADER, begin, end)


async def process(settings: Settings, source: str) -> None:
    """A processor, until a signal; it makes the bus's topics and the store's collections, and owns
    its part of the partitions."""
    bus = BUSES[BUS](settings, PROCESSOR, owner=True)
    store = STORES[settings.store](settings, source)
    stall = LoopStall()
    try:
        await store.open(source)
        listed = ListedApart(settings)
        partitions = _partitions(settings, bus, store, source, listed)
        part = _part(PROCESSOR, settings)

        def report() -> dict[str, Any]:
            streams = [partitions.stream(i.name) for i in partitions.instruments()]
            pending = sum(len(service.writer.pending) for service in partitions.services)
            return {
                "part": part,
                "ready": partitions.ready and bus.connected,
                "bus": bus.connected,
                "partitions": sorted(partitions.owned),
                "pending_records": pending,
                "streams": [msgspec.to_builtins(status) for status in streams],
            }

        def gauges() -> dict[str, float]:
            return bus_figures(bus) | store_figures(partitions) | partition_figures(partitions)

        def breakers() -> list[BreakerStatus]:
            return [*partitions.breakers(), *bus.breakers()]

        def state() -> PartState:
            return processor_state(part, partitions.breakers())

        view: Any = partitions
        page = metrics_page(Statuses(view, _no_feeds, stall, breakers, part=gauges))
        port = settings.health_port or PROCESSOR_PORT
        health = health_server(settings.health_host, port, report, page)
        figures = {part: functools.partial(of_processor, partitions)}
        works = {
            "metrics": Minutes(stall, figures, to_processor(partitions, to_bus(bus))).run(),
            "state": beside(lambda: tell_states(bus, state)),
            "processor": partitions.run(),
            "listing": listed.follow(),
            "stall": stall.run(),
        }
        await _until_stopped(works, health)
    finally:
        await bus.close()
        await store.close()


def _partitions(
    settings: Settings, bus: Any, store: Store, source: str, listed: ListedApart
) -> Partitions:
    """The partitions that this process will own, with what runs beside each."""

    def make(share: Share) -> ProcessorService:
        return ProcessorService(settings, bus, store, source, share=share, apart=True)

    def along(service: ProcessorService) -> list[Work]:
        works = [beside(lambda: backfill_apart(settings, store, service, listed))]
        if service.share.partition.number == 0:
            works.append(beside(lambda: keep_minutes(bus, PROCESSOR, service.writer.later)))
        return works

    leases = NatsLeases(bus, owner=True, replicas=settings.nats_replicas)
    member = _member(PROCESSOR, settings)
    return Partitions(make, store, leases, member, settings.partitions, along)


def _member(role: str, settings: Settings) -> str:
    """A name that no other life of a process has."""
    return f"{settings.instance_name or role}-{secrets.token_hex(4)}"


def _part(role: str, settings: Settings) -> str:
    """What a process is called in reports."""
    return f"{role}/{settings.instance}" if settings.instance_name else role


async def serve(settings: Settings, source: str) -> None:
    """The server, until a signal; it only reads."""
    bus = BUSES[BUS](settings, SERVER)
    stall = LoopStall()
    async with _readable(settings, source) as store:
        name = f"{SERVER}-{secrets.token_hex(4)}"
        replica = Replica(bus, store, source, name)
        parts = PartStates(bus, name)

        def gauges() -> dict[str, float]:
            return bus_figures(bus) | {REPLICA_RESYNCS: replica.resyncs}

        statuses = Statuses(replica, _no_feeds, stall, bus.breakers, part=gauges)
        queries = Queries(replica, store, parts.feeds, parts.breakers, parts.rest)
        app = build_app(queries, settings, metrics_page(statuses), statuses.meter)
        server = build_server(app, settings)
        figures = {name: functools.partial(of_server, replica, server)}
        works = {
            "metrics": Minutes(stall, figures, to_store(store)).run(),
            "replica": replica.run(),
            "parts": beside(parts.run),
            "stall": stall.run(),
        }
        try:
            await _until_stopped(works, server, server.close_streams)
        finally:
            await bus.close()


@contextlib.asynccontextmanager
async def _readable(settings: Settings, source: str) -> AsyncIterator[Store]:
    """The store, once the processor has made it."""
    store = reading_store(settings, source)
    try:
        while True:
            try:
                await store.open(source)
                break
            except StoreError as error:
                log.warning("server.waits_for_store", error=str(error))
                await asyncio.sleep(WAIT_S)
        if not is_loopback(settings.host):
            check_bind(settings.host, keys=await KeyBook(store).any_active())
        yield store
    finally:
        await store.close()


async def _until_stopped(
    works: dict[str, Work], server: uvicorn.Server, closing: Callable[[], None] = lambda: None
) -> None:
    """Run until a signal; a part that ends by itself is an error. The server stops last but for
    what it answers with."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    serving = asyncio.create_task(server.serve(), name="server")
    stop = asyncio.create_task(until_signal())
    spare_the_collector()
    try:
        await asyncio.wait([stop, serving, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, *tasks):
            if task.done():
                raise task.exception() or ConfigError(f"{task.get_name()} ended")
    finally:
        stop.cancel()
        closing()
        server.should_exit = True
        lasting = [task for task in tasks if task.get_name() in LASTING]
        for task in lasting:
            task.cancel()
        await ended(*(task for task in tasks if task not in lasting))
        await asyncio.gather(*lasting, serving, return_exceptions=True)


def _no_feeds() -> Sequence[FeedStatus]:
    return []
