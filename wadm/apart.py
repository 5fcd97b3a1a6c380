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
from backbone.keys.book import KeyBook
from backbone.live import FeedStatus, LiveView, StreamStatus
from backbone.measures import REPLICA_RESYNCS
from backbone.metrics import Minutes
from backbone.parts import PartStates
from backbone.settings import Settings
from backbone.store import STORES, reading_store
from backbone.store.base import Store
from backbone.telemetry import LoopStall, Statuses, metrics_page
from collectors.service import CollectorService
from collectors.venues import VENUES
from mcp_server.app import build_app, build_server
from mcp_server.binding import check_bind, is_loopback
from mcp_server.queries import Queries
from orderflow.errors import ConfigError, StoreError
from orderflow.instrument import Instrument
from processor.live import ProcessorView
from processor.replica import Replica
from processor.service import ProcessorService
from wadm.backfilling import backfill_apart
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
    bus = BUSES[BUS](settings, role)
    collector = CollectorService(settings, bus, venue)
    stall = LoopStall()

    def ready() -> bool:
        return bus.connected and any(feed.state == "live" for feed in collector.statuses())

    def report() -> dict[str, Any]:
        feeds = msgspec.to_builtins(collector.statuses())
        return {"part": role, "ready": ready(), "bus": bus.connected} | {"feeds": feeds}

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
    minutes = Minutes(stall, {role: functools.partial(of_collector, collector)}, to_bus(bus))
    works = {
        "metrics": minutes.run(),
        "state": beside(lambda: tell_states(bus, lambda: collector_state(role, collector))),
        "collector": collector.run(),
        "stall": stall.run(),
    }
    try:
        await _until_stopped(works, health)
    finally:
        await bus.close()


async def process(settings: Settings, source: str) -> None:
    """The processor, until a signal; it makes the bus's topics and the store's collections."""
    bus = BUSES[BUS](settings, PROCESSOR, owner=True)
    store = STORES[settings.store](settings, source)
    stall = LoopStall()
    try:
        await store.open(source)
        service = ProcessorService(settings, bus, store, source, apart=True)

        def report() -> dict[str, Any]:
            streams = _streams(service.view)
            ready = service.view.ready and bus.connected
            known = {"part": PROCESSOR, "ready": ready, "bus": bus.connected}
            return known | {"pending_records": len(service.writer.pending), "streams": streams}

        def gauges() -> dict[str, float]:
            return bus_figures(bus) | store_figures(service)

        def breakers() -> list[BreakerStatus]:
            return [*service.breakers(), *bus.breakers()]

        page = metrics_page(Statuses(service.view, _no_feeds, stall, breakers, part=gauges))
        port = settings.health_port or PROCESSOR_PORT
        health = health_server(settings.health_host, port, report, page)
        figures = {PROCESSOR: functools.partial(of_processor, service)}
        works = {
            "metrics": Minutes(stall, figures, to_processor(service)).run(),
            "minutes of others": beside(lambda: keep_minutes(bus, PROCESSOR, service.writer.later)),
            "state": beside(lambda: tell_states(bus, lambda: processor_state(PROCESSOR, service))),
            "processor": service.run(),
            "backfill": beside(lambda: backfill_apart(settings, store, service)),
            "stall": stall.run(),
        }
        await _until_stopped(works, health)
    finally:
        await bus.close()
        await store.close()


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
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, serving, return_exceptions=True)


def _no_feeds() -> Sequence[FeedStatus]:
    return []


def _streams(view: ProcessorView | LiveView) -> list[dict[str, Any]]:
    found: list[StreamStatus] = [view.stream(i.name) for i in view.instruments()]
    return [msgspec.to_builtins(status) for status in found]
