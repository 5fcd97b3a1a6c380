"""The packages of the server, for tests that read all of its source."""

from __future__ import annotations

ROOMS = (
    "orderflow",
    "backbone",
    "collectors",
    "processor",
    "mcp_server",
    "simulator",
    "alerts",
    "wadm",
)
