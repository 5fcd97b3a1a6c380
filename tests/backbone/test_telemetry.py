"""Logs: one JSON line a fact, plain on a terminal, and never a key."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from backbone.keys.text import new_key
from backbone.log_events import LOG_EVENTS
from backbone.telemetry import configure_logs


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@contextlib.contextmanager
def logged(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool = False, level: str = "info"
) -> Iterator[Terminal]:
    """Standard error as configured; the root logger as it was, afterwards."""
    stream = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    kept = root.level
    try:
        configure_logs(level)
        yield stream
    finally:
        root.handlers = before
        root.setLevel(kept)


def test_one_json_line_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and what libraries say: each line is an object with event, level and time; texts of
    several lines and exceptions stay in one line; what is below the level is not written."""
    with logged(monkeypatch) as stream:
        log = structlog.get_logger()
        log.info("feed.connected", connection="a", instruments=2)
        log.debug("feed.close_failed", connection="a", error="X")
        logging.getLogger("some.library").warning("two\nlines %s", 5)
        logging.getLogger("some.library").info("nothing")
        logging.getLogger("some.library").error("no such place: %d", "text")
        try:
            int("broken")
        except ValueError:
            log.exception("mcp.failed")
            logging.getLogger("other").exception("it broke")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "feed.connected",
        "library.said",
        "library.said",
        "mcp.failed",
        "library.said",
    ]
    assert all(line["event"] in LOG_EVENTS for line in lines)
    assert [line["level"] for line in lines] == ["info", "warning", "error", "error", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert (lines[0]["connection"], lines[0]["instruments"]) == ("a", 2)
    assert (lines[1]["logger"], lines[1]["message"]) == ("some.library", "two\nlines 5")
    assert "ValueError: invalid" in lines[3]["exception"]
    assert "ValueError: invalid" in lines[4]["exception"]


def test_plain_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """People get text."""
    with logged(monkeypatch, is_terminal=True) as stream:
        structlog.get_logger().info("feed.connected", connection="a")
    assert "feed.connected" in stream.getvalue()
    assert not stream.getvalue().lstrip().startswith("{")


def test_no_key_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that came in with a text, a library's message or a traceback is taken out."""
    key = new_key().text
    with logged(monkeypatch) as stream:
        structlog.get_logger().warning("bus.refused", role="x", error=f"denied {key}")
        logging.getLogger("h11").warning("bad header %s", key)
        try:
            int(key)
        except ValueError:
            structlog.get_logger().exception("mcp.failed")
            logging.getLogger("uvicorn").exception("failed")
    assert key not in stream.getvalue()
    assert key.rpartition("_")[2] not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") >= 4
