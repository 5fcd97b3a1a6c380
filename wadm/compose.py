"""Everything in one process: collectors, processor, store and server over the memory bus."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
from collections.abc import AsyncIterator, Sequence

import structlog

from backbone.breaker import BreakerStatus
from backbone.bus.memory import MemoryBus
from backbone.keys.book import KeyBook
from backbone.live import FeedStatus
from backbone.metrics import Figures, Minutes
from backbone.settings import Settings
from backbone.store import STORES
from backbone.store.base import Store
from backbone.telemetry import LoopStall, Statuses, metrics_page
from collectors.service import CollectorService
from mcp_server.app import Server, build_app, build_server
from mcp_server.binding import check_bind, is_loopback
from mcp_server.queries import Queries
from orderflow.errors import ConfigError
from processor.service import ProcessorService
from wadm.backfilling import Backfiller, Sources
from wadm.reporting import (
    of_collector,
    of_processor,
    of_server,
    store_figures,
    to_processor,
    to_store,
)

log = structlog.get_logger()

SIMULATED = "simulated"


class System:
    """The services of one process. `source` names what the numbers are made of."""

    def __init__(self, settings: Settings, store: Store, source: str) -> None:
        self.settings = settings
        self.store = store
        self.bus = MemoryBus()
        self.processor = ProcessorService(settings, self.bus, store, source)
        self.collectors = [
            CollectorService(settings, self.bus, name) for name in settings.venue_list
        ]
        live = self.processor.view
        self.queries = Queries(live, store, self.feeds, self.breakers, self.rest)
        self.stall = LoopStall()
        statuses = Statuses(
            live, self.feeds, self.stall, self.breakers, self.rest, self._store_figures
        )
        app = build_app(self.queries, settings, metrics_page(statuses), statuses.meter)
        self.server: Server = build_server(app, settings)

    def feeds(self) -> Sequence[FeedStatus]:
        """State of every connection."""
        return [status for collector in self.collectors for status in collector.statuses()]

    def breakers(self) -> Sequence[BreakerStatus]:
        """What guards the venues' REST and the store."""
        venues = [status for collector in self.collectors for status in collector.breakers()]
        return [*venues, *self.processor.breakers()]

    def rest(self) -> dict[str, dict[str, int]]:
        """REST use by venue."""
        return {collector.venue: collector.rest_counts() for collector in self.collectors}

    def _store_figures(self) -> dict[str, float]:
        return store_figures(self.processor)

    def _backfiller(self) -> Backfiller:
        def sources() -> Sources:
            return {name: at for c in self.collectors for name, at in c.sources.items()}

        return Backfiller(self.settings, self.store, self.processor, sources)

    def _alerting(self) -> list[asyncio.Task[None]]:
        """The alerts of WADM_ALERTS_FILE, imported by those who have one."""
        if not self.settings.alerts_file:
            return []
        from wadm.alerting import beside

        return [asyncio.create_task(beside(self.settings, self.queries), name="alerts")]

    def figures(self) -> dict[str, Figures]:
        """What each service of this process says of itself once a minute."""
        collectors: dict[str, Figures] = {
            f"collector-{c.venue}": functools.partial(of_collector, c) for c in self.collectors
        }
        return collectors | {
            "processor": functools.partial(of_processor, self.processor),
            "server": functools.partial(of_server, self.queries.live, self.server),
        }

    @property
    def port(self) -> int:
        """The port the server listens on, once it does."""
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    async def reached(self) -> None:
        """Returns when any venue has answered anything."""
        waiting = [asyncio.create_task(c.reachable.wait()) for c in self.collectors]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[System]:
        """All services, stopped in the order that loses nothing."""
        processing = asyncio.create_task(self.processor.run(), name="processor")
        serving = asyncio.create_task(self.server.serve(), name="server")
        collecting = [
            asyncio.create_task(c.run(), name=f"collector-{c.venue}") for c in self.collectors
        ]
        measuring = asyncio.create_task(self.stall.run(), name="loop-stall")
        sink = to_processor(self.processor, to_store(self.store))
        minutes = Minutes(self.stall, self.figures(), sink)
        noting = asyncio.create_task(minutes.run(), name="metrics")
        alerting = self._alerting()
        self.backfilling = asyncio.create_task(self._backfiller().run(), name="backfill")
        self.backfilling.add_done_callback(_look_at)
        self.tasks = [processing, serving, *collecting]
        try:
            # uvicorn has a flag, not an event.
            while not self.server.started and not serving.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield self
        finally:
            beside = (*alerting, noting, self.backfilling, *collecting, measuring)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self.server.close_streams()
            self.server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            processing.cancel()
            await asyncio.gather(processing, return_exceptions=True)

    async def failed(self) -> BaseException:
        """Returns the error of the first service that ended by itself."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        task = next(iter(done))
        return task.exception() or ConfigError(f"{task.get_name()} ended")


def _look_at(task: asyncio.Task[None]) -> None:
    """A backfill that breaks is logged; live trades go on."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("backfill.failed", error=repr(error))


GARBAGE_THRESHOLDS = (100_000, 50, 100)
"""Bars and batches hold no cycles, so full collections only cost pauses."""


def spare_the_collector() -> None:
    """Look for garbage seldom, and never among what start-up made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@contextlib.asynccontextmanager
async def opened_store(settings: Settings, source: str) -> AsyncIterator[Store]:
    """The configured store, which belongs to one source for ever."""
    store = STORES[settings.store](settings, source)
    await store.open(source)
    try:
        if not is_loopback(settings.host):
            check_bind(settings.host, keys=await KeyBook(store).any_active())
        yield store
    finally:
        await store.close()


async def until_signal() -> None:
    """Returns on SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


async def run_until_stopped(system: System) -> None:
    """Run until a signal; the error of a service that fails by itself is raised."""
    async with system.running():
        spare_the_collector()
        stop = asyncio.create_task(until_signal())
        failure = asyncio.create_task(system.failed())
        await asyncio.wait([stop, failure], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if failure.done():
            raise failure.result()
        failure.cancel()
