"""The newest closed bars of a stream per timeframe, packed: what detectors compare with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orderflow.completeness import Quality
from orderflow.detectors import DEPTHS
from orderflow.distribution import is_complete
from orderflow.encoding import flow_from_body, flow_to_body
from orderflow.event import Source
from orderflow.flow import FlowBar
from orderflow.timeframe import TIMEFRAMES

SLACK = 20
"""Bars kept beyond what rules look at: a bar revised within the horizon finds what was before."""


class Kept(msgspec.Struct, gc=False, frozen=True):
    """A closed bar in a tenth of its size."""

    packed: bytes
    revision: int
    content_hash: str
    complete: bool


class RecentBars:
    """Closed bars of one stream by timeframe and start."""

    def __init__(self) -> None:
        self.bars: dict[str, dict[int, Kept]] = {}

    def get(self, timeframe: str, start_ms: int) -> Kept | None:
        """A bar that is still held."""
        return self.bars.get(timeframe, {}).get(start_ms)

    def put(self, timeframe: str, bar: FlowBar, quality: Quality, content_hash: str) -> None:
        """Add or replace a bar; the oldest beyond the depth are let go."""
        held = self.bars.setdefault(timeframe, {})
        packed = msgspec.msgpack.encode(flow_to_body(bar, quality))
        held[bar.start_ms] = Kept(packed, quality.revision, content_hash, is_complete(quality))
        while len(held) > DEPTHS.get(timeframe, 0) + SLACK:
            del held[min(held)]

    def before(self, timeframe: str, start_ms: int, depth: int) -> list[FlowBar]:
        """At most `depth` bars right before `start_ms`, oldest first, complete, without a hole."""
        held, length = self.bars.get(timeframe, {}), TIMEFRAMES[timeframe]
        found: list[FlowBar] = []
        at = start_ms - length
        while len(found) < depth and (kept := held.get(at)) is not None and kept.complete:
            body: Mapping[str, Any] = msgspec.msgpack.decode(kept.packed)
            found.append(flow_from_body(body)[0])
            at -= length
        return found[::-1]

    def source(self, timeframe: str, start_ms: int) -> Source | None:
        """What an event says of a bar it is made from."""
        kept = self.get(timeframe, start_ms)
        if kept is None:
            return None
        return Source(timeframe, start_ms, kept.revision, kept.content_hash)
