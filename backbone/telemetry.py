"""Logs and metrics. Every metric of the system is declared here; docs/operations.md lists them."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backbone.breaker import BreakerStatus
from backbone.keys.text import redacted
from backbone.live import FeedStatus, LiveView, StreamStatus

STREAM_COUNTERS = {
    "wadm_processor_trades_received": ("received", "Trades delivered to the processor."),
    "wadm_processor_trades_applied": ("applied", "Trades that entered a bar."),
    "wadm_processor_trades_duplicate": ("duplicates", "Trades that were seen before."),
    "wadm_processor_trades_quarantined": ("quarantined", "Trades that must never enter a bar."),
    "wadm_processor_gaps_filled": ("gaps_filled", "Holes that were filled."),
    "wadm_processor_gaps_lost": ("gaps_lost", "Holes that stay."),
    "wadm_processor_minutes_verified": ("minutes_verified", "Minutes equal to the venue's."),
    "wadm_processor_minutes_unverified": ("minutes_unverified", "Final minutes without proof."),
    "ingestion_errors": ("errors", "Trades quarantined, holes that stay, accounts out of balance."),
    "ingestion_candles_processed": ("candles_processed", "Bars of one minute that closed."),
}
STREAM_GAUGES = {
    "wadm_processor_gaps_open": ("gaps_open", "Known holes that may still be filled."),
    "wadm_processor_lag_milliseconds": ("lag_ms", "Venue time minus watermark."),
    "wadm_processor_trades_held": ("held", "Odd trades that are not decided on yet."),
    "wadm_clock_offset_milliseconds": ("clock_offset_ms", "Venue clock minus wall clock."),
    "ingestion_queue_size": ("queue_size", "Trades delivered and not yet applied."),
}
FEED_COUNTERS = {
    "wadm_collector_connects": ("connects", "Connections made."),
    "wadm_collector_frames": ("frames", "Frames read."),
    "wadm_collector_trades": ("trades", "Trades decoded."),
    "wadm_collector_trades_dropped": ("dropped", "Trades dropped by a full buffer."),
    "wadm_collector_frames_malformed": ("malformed", "Frames that follow no documented shape."),
}
LATENCY = ("ingestion_latency_seconds", "From a trade's exchange time until it was applied.")
STATUS = ("ingestion_status", "1 active, 0 paused, -1 error.")
STATUS_VALUES = {"active": 1, "paused": 0, "error": -1}
BREAKER = ("wadm_breaker_state", "0 closed, 1 half open, 2 open.")
BREAKER_VALUES = {"closed": 0, "half_open": 1, "open": 2}
BREAKER_OPENED = ("wadm_breaker_opened", "How often a breaker opened.")
REST_WEIGHT = ("wadm_rest_weight_used", "REST weight asked of a venue.")
LOOP_STALL = ("wadm_loop_stall_milliseconds", "Longest pause of the event loop lately.")
READY = ("wadm_ready", "1 when restored and trades flow.")
PART_GAUGES = {
    "wadm_bus_connected": "1 while the bus between processes can be used.",
    "wadm_store_pending_records": "Results that wait for the store.",
    "wadm_store_failures": "Writes to the store that failed and are tried again.",
    "wadm_replica_resyncs": "Times a server missed updates and read the store again.",
}
"""What only a process of its own has; a part gives those that it knows."""
STALL_EVERY_S = 0.05


def configure_logs(level: str) -> None:
    """JSON lines on standard error; for people when that is a terminal."""
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutKeys("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_keys,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


class _WithoutKeys(logging.Formatter):
    """The same for what libraries log."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def _without_keys(
    _: object, __: str, entry: structlog.types.EventDict
) -> structlog.types.EventDict:
    """No log keeps a key, whatever text it came in with."""
    return {
        name: redacted(value) if isinstance(value, str) else value for name, value in entry.items()
    }


class Statuses(Collector):
    """Reads the live view and the feeds when it is scraped; nothing is counted twice."""

    def __init__(
        self,
        live: LiveView,
        feeds: Callable[[], Sequence[FeedStatus]],
        stall: LoopStall,
        breakers: Callable[[], Sequence[BreakerStatus]] = tuple,
        rest: Callable[[], dict[str, dict[str, int]]] = dict,
        part: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self.part = part
        self.live = live
        self.feeds = feeds
        self.stall = stall
        self.breakers = breakers
        self.rest = rest

    def collect(self) -> Iterable[Metric]:
        """Every family of this process."""
        streams = [self.live.stream(i.name) for i in self.live.instruments()]
        feeds = list(self.feeds())
        for name, (field, text) in STREAM_COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=["instrument"])
            for stream in streams:
                counter.add_metric([stream.instrument], getattr(stream, field))
            yield counter
        for name, (field, text) in STREAM_GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["instrument"])
            for stream in streams:
                if (value := getattr(stream, field)) is not None:
                    gauge.add_metric([stream.instrument], value)
            yield gauge
        for name, (field, text) in FEED_COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=["connection"])
            for feed in feeds:
                counter.add_metric([feed.connection], getattr(feed, field))
            yield counter
        yield from self._ingestion(streams)
        yield from self._guards()
        for name, number in self.part().items():
            yield GaugeMetricFamily(name, PART_GAUGES[name], value=number)
        yield GaugeMetricFamily(*LOOP_STALL, value=self.stall.worst_ms())
        yield GaugeMetricFamily(*READY, value=int(self.live.ready))

    def _ingestion(self, streams: Sequence[StreamStatus]) -> Iterable[Metric]:
        latency = GaugeMetricFamily(*LATENCY, labels=["instrument"])
        status = GaugeMetricFamily(*STATUS, labels=["instrument"])
        for stream in streams:
            if stream.latency_ms is not None:
                latency.add_metric([stream.instrument], stream.latency_ms / 1_000)
            status.add_metric([stream.instrument], STATUS_VALUES[stream.status])
        yield from (latency, status)

    def _guards(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(*BREAKER, labels=["breaker"])
        opened = CounterMetricFamily(*BREAKER_OPENED, labels=["breaker"])
        for breaker in self.breakers():
            state.add_metric([breaker.name], BREAKER_VALUES[breaker.state])
            opened.add_metric([breaker.name], breaker.opened)
        weight = CounterMetricFamily(*REST_WEIGHT, labels=["venue"])
        for venue, counts in self.rest().items():
            weight.add_metric([venue], counts["used_weight"])
        yield from (state, opened, weight)


class LoopStall:
    """How long the event loop was kept from turning; the worst since a reader last asked."""

    def __init__(self) -> None:
        self._worst_s = {"scrape": 0.0}

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(STALL_EVERY_S)
            late = time.monotonic() - began - STALL_EVERY_S
            for reader, worst_s in self._worst_s.items():
                self._worst_s[reader] = max(worst_s, late)

    def worst_ms(self, reader: str = "scrape") -> float:
        """The worst pause since this reader last asked; its first question begins its time."""
        worst = self._worst_s.get(reader, 0.0)
        self._worst_s[reader] = 0.0
        return round(worst * 1_000, 3)


def metrics_page(collector: Collector) -> Callable[[], tuple[bytes, str]]:
    """A function that renders the Prometheus text of this collector."""
    registry = CollectorRegistry()
    registry.register(collector)
    return lambda: (generate_latest(registry), CONTENT_TYPE_LATEST)
