"""The event stream as the OpenAPI document says it."""

from __future__ import annotations

from typing import Any

from mcp_server.streaming.messages import KINDS, REASONS
from mcp_server.streaming.subscription import DEFAULT_CHANNELS, LONGEST_HEARTBEAT_S
from mcp_server.streaming.topic import CHANNELS

Named = dict[str, tuple[dict[str, Any], str]]
PARAMETERS: Named = {
    "channels": ({"type": "string"}, f"by comma, default {','.join(DEFAULT_CHANNELS)}; of: "
                 f"{', '.join(CHANNELS)}"),
    "cursor": ({"type": "string", "maxLength": 60}, "of the last message read: goes on behind it"),
    "heartbeat_s": (
        {"type": "integer", "minimum": 1, "maximum": LONGEST_HEARTBEAT_S},
        "the longest silence, default 10",
    ),
    "timeframe": ({"type": "string"}, "of bars and profiles, default 1m"),
    "detail": ({"type": "string", "enum": ["summary", "rows"]}, "default summary"),
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "enum": list(KINDS)},
        "cursor": {
            "type": "string",
            "description": "keep the last one; absent: keep the one before",
        },
        "key": {"type": "string", "description": "of upsert, final, revision, status"},
        "data": {"type": "object", "description": "its newest state, as REST gives it"},
        "topic": {"type": "string", "description": "of a snapshot"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"key": {"type": "string"}, "data": {"type": "object"}},
            },
        },
        "reason": {"type": "string", "enum": list(REASONS), "description": "of a reset"},
        "message": {"type": "string"},
        "timestamp": {"type": "string"},
        "ready": {"type": "boolean"},
        "worst_lag_ms": {"type": ["integer", "null"]},
    },
}
TITLE = "What changes, as it changes: server-sent events, or a WebSocket of the same messages"
ANSWER: dict[str, Any] = {
    "description": "Messages without end",
    "content": {"text/event-stream": {"schema": MESSAGE}},
}
LAST_EVENT_ID: dict[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 60},
    "description": "as cursor; a browser sends it by itself, and it counts more",
}
