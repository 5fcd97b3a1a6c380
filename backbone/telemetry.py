"""Logs, and the page of metrics of one process."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from backbone.breaker import BreakerStatus
from backbone.keys.text import redacted
from backbone.live import FeedStatus, LiveView, StreamStatus
from backbone.measures import (
    BREAKER,
    BREAKER_OPENED,
    CPU,
    FEED_COUNTERS,
    LATENCY,
    LOOP_STALL,
    MEMORY,
    OPEN_FILES,
    READY,
    REST_WEIGHT,
    STATUS,
    STREAM_COUNTERS,
    STREAM_GAUGES,
)
from backbone.meter import Figures, Meter, family
from backbone.process import memory_bytes, open_files

STATUS_VALUES = {"active": 1, "paused": 0, "error": -1}
BREAKER_VALUES = {"closed": 0, "half_open": 1, "open": 2}
STALL_EVERY_S = 0.05
log = structlog.get_logger()


def configure_logs(level: str) -> None:
    """JSON lines on standard error, one a fact; for people when that is a terminal.

    What libraries log becomes `library.said`, from warnings on.
    """
    chain: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_keys,
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(),
    ]
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()])
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


class _Libraries(logging.Handler):
    """Hands on what libraries log, so that every line has the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """As one event."""
        said = {"logger": record.name, "message": _message(record)}
        log.log(record.levelno, "library.said", exc_info=record.exc_info, **said)


def _message(record: logging.LogRecord) -> str:
    """Without its arguments where they do not fit: a log line never ends what logs it."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (the arguments' own text may raise anything)
        return str(record.msg)


def _without_keys(
    _: object, __: str, entry: structlog.types.EventDict
) -> structlog.types.EventDict:
    """No log keeps a key, whatever text it came in with."""
    return {
        name: redacted(value) if isinstance(value, str) else value for name, value in entry.items()
    }


class Statuses(Collector):
    """Reads the live view and the feeds when it is scraped; nothing is counted twice.

    `meter`: what else this process counts. `part`: figures of declared metrics without labels that
    only this kind of process has.
    """

    def __init__(
        self,
        live: LiveView,
        feeds: Callable[[], Sequence[FeedStatus]],
        stall: LoopStall,
        breakers: Callable[[], Sequence[BreakerStatus]] = tuple,
        rest: Callable[[], dict[str, dict[str, int]]] = dict,
        part: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self.meter = Meter()
        self.part = part
        self.live = live
        self.feeds = feeds
        self.stall = stall
        self.breakers = breakers
        self.rest = rest

    def collect(self) -> Iterable[Metric]:
        """Every family of this process."""
        streams = [self.live.stream(i.name) for i in self.live.instruments()]
        by_field = {name: field for name, (field, _) in (STREAM_COUNTERS | STREAM_GAUGES).items()}
        for name, field in by_field.items():
            figures = {(stream.instrument,): getattr(stream, field) for stream in streams}
            yield family(name, {k: value for k, value in figures.items() if value is not None})
        feeds = list(self.feeds())
        for name, (field, _) in FEED_COUNTERS.items():
            yield family(name, {(feed.connection,): getattr(feed, field) for feed in feeds})
        yield from self._ingestion(streams)
        yield from self._guards()
        yield from self._process()
        for name, number in self.part().items():
            yield family(name, number)
        yield from self.meter.families()

    def _ingestion(self, streams: Sequence[StreamStatus]) -> Iterable[Metric]:
        late: Figures = {
            (s.instrument,): s.latency_ms / 1_000 for s in streams if s.latency_ms is not None
        }
        yield family(LATENCY, late)
        yield family(STATUS, {(s.instrument,): STATUS_VALUES[s.status] for s in streams})

    def _guards(self) -> Iterable[Metric]:
        breakers = list(self.breakers())
        yield family(BREAKER, {(b.name,): BREAKER_VALUES[b.state] for b in breakers})
        yield family(BREAKER_OPENED, {(b.name,): b.opened for b in breakers})
        weights: Figures = {
            (venue,): counts["used_weight"] for venue, counts in self.rest().items()
        }
        yield family(REST_WEIGHT, weights)

    def _process(self) -> Iterable[Metric]:
        """What the system does not tell is left out."""
        used = {MEMORY: memory_bytes(), CPU: time.process_time(), OPEN_FILES: open_files()}
        for name, figure in used.items():
            if figure is not None:
                yield family(name, figure)
        yield family(LOOP_STALL, self.stall.worst_ms())
        yield family(READY, int(self.live.ready))


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
