"""Every metric of the system: the table that code, docs, alert rules and Grafana go by. Pure.

Names are as code has them; counters end in `_total` on /metrics. A label takes the values that are
declared for it, or so many of those it meets; whatever else comes is counted under `other`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
OTHER = "other"


class Measure(NamedTuple):
    """What a metric says, and by which labels. `least`: the smallest figure is the worst."""

    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    least: bool = False


class Bound(NamedTuple):
    """The values of a label: those declared, or the first `most` that come."""

    values: frozenset[str] | None = None
    most: int = 0


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
"""By field of a stream's status."""
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
"""By field of a connection's status."""
LATENCY = "ingestion_latency_seconds"
STATUS = "ingestion_status"
BREAKER, BREAKER_OPENED = "wadm_breaker_state", "wadm_breaker_opened"
REST_WEIGHT = "wadm_rest_weight_used"
LOOP_STALL, READY = "wadm_loop_stall_milliseconds", "wadm_ready"
MEMORY, CPU, OPEN_FILES = "wadm_memory_bytes", "wadm_cpu_seconds", "wadm_open_files"
BUS_CONNECTED = "wadm_bus_connected"
STORE_PENDING, STORE_FAILURES = "wadm_store_pending_records", "wadm_store_failures"
REPLICA_RESYNCS = "wadm_replica_resyncs"
PARTITIONS, PARTITIONS_OWNED = "wadm_partitions", "wadm_partitions_owned"
PARTITIONS_TAKEN, PARTITIONS_FENCED = "wadm_partitions_taken", "wadm_partitions_fenced"
REQUESTS, REQUEST_SECONDS = "wadm_http_requests", "wadm_http_request_seconds"
TOOL_CALLS = "wadm_mcp_tool_calls"
READERS, TOPICS = "wadm_stream_readers", "wadm_stream_topics"
OPENED, MESSAGES = "wadm_stream_opened", "wadm_stream_messages"
RESETS, LOOK_SECONDS = "wadm_stream_resets", "wadm_stream_look_seconds"

INSTRUMENT, CONNECTION = ("instrument",), ("connection",)
MEASURES: dict[str, Measure] = {
    **{name: Measure("counter", text, INSTRUMENT) for name, (_, text) in STREAM_COUNTERS.items()},
    **{name: Measure("gauge", text, INSTRUMENT) for name, (_, text) in STREAM_GAUGES.items()},
    LATENCY: Measure("gauge", "From a trade's exchange time until it was applied.", INSTRUMENT),
    STATUS: Measure("gauge", "1 active, 0 paused, -1 error.", INSTRUMENT, least=True),
    **{name: Measure("counter", text, CONNECTION) for name, (_, text) in FEED_COUNTERS.items()},
    BREAKER: Measure("gauge", "0 closed, 1 half open, 2 open.", ("breaker",)),
    BREAKER_OPENED: Measure("counter", "How often a breaker opened.", ("breaker",)),
    REST_WEIGHT: Measure("counter", "REST weight asked of a venue.", ("venue",)),
    BUS_CONNECTED: Measure("gauge", "1 while the bus between processes can be used."),
    STORE_PENDING: Measure("gauge", "Results that wait for the store."),
    STORE_FAILURES: Measure("counter", "Writes to the store that failed and are tried again."),
    REPLICA_RESYNCS: Measure(
        "counter", "Times a server missed updates and read the store again."
    ),
    PARTITIONS: Measure("gauge", "Parts that the instruments are dealt into for processors."),
    PARTITIONS_OWNED: Measure("gauge", "Partitions that this processor owns now."),
    PARTITIONS_TAKEN: Measure("counter", "Times this processor began to own a partition."),
    PARTITIONS_FENCED: Measure(
        "counter", "Partitions given up because the store knew another owner already."
    ),
    REQUESTS: Measure("counter", "Answers by route and HTTP status.", ("route", "status")),
    REQUEST_SECONDS: Measure(
        "histogram", "Until an answer began; streams are not in it.", ("route",)
    ),
    TOOL_CALLS: Measure("counter", "MCP tools called, by how it ended.", ("tool", "outcome")),
    READERS: Measure("gauge", "Readers of the event stream now.", ("transport",)),
    TOPICS: Measure("gauge", "Questions the event stream answers now."),
    OPENED: Measure("counter", "Event streams that were opened.", ("transport",)),
    MESSAGES: Measure("counter", "Messages of the event stream written to readers.", ("kind",)),
    RESETS: Measure("counter", "Readers that were told to begin anew, by reason.", ("reason",)),
    LOOK_SECONDS: Measure("histogram", "One look at every topic of the event stream."),
    MEMORY: Measure("gauge", "Resident memory of the process."),
    CPU: Measure("counter", "Processor time of the process."),
    OPEN_FILES: Measure("gauge", "Open files and sockets of the process."),
    LOOP_STALL: Measure("gauge", "Longest pause of the event loop since the last scrape."),
    READY: Measure("gauge", "1 when restored and trades flow."),
}  # fmt: skip
ROUTES = frozenset(
    {
        "page", "volume_profile", "order_flow", "footprint", "indicators", "snapshot",
        "events", "derivatives", "levels", "compare", "changes", "wait", "explain",
        "symbols", "status", "health", "livez", "readyz", "metrics", "openapi.json",
        "stream", "mcp"
    }
)  # fmt: skip
"""First parts of paths; `page` is the dashboard and its files."""
STATUSES = frozenset(
    {
        "200", "202", "204", "304", "400", "401", "403", "404", "405", "406", "413", "421",
        "422", "429", "500", "503"
    }
)  # fmt: skip
TOOLS = frozenset(
    {
        "list_symbols", "get_volume_profile", "get_order_flow", "get_footprint",
        "get_market_snapshot", "get_key_levels", "get_events", "get_base_rates",
        "get_indicator", "get_derivatives", "compare", "get_changes", "wait_for",
        "get_status", "explain"
    }
)  # fmt: skip
MESSAGE_KINDS = frozenset(
    {"snapshot", "upsert", "final", "revision", "status", "heartbeat", "reset"}
)
RESET_REASONS = frozenset({"new_epoch", "restarted", "too_old", "missed"})
LABELS: dict[str, Bound] = {
    "instrument": Bound(most=2_000),
    "connection": Bound(most=500),
    "breaker": Bound(most=32),
    "venue": Bound(most=16),
    "route": Bound(ROUTES),
    "status": Bound(STATUSES),
    "tool": Bound(TOOLS),
    "outcome": Bound(frozenset({"answered", "failed"})),
    "transport": Bound(frozenset({"sse", "websocket"})),
    "kind": Bound(MESSAGE_KINDS),
    "reason": Bound(RESET_REASONS),
}
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of every histogram."""
