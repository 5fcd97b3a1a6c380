"""A stream as its servers need it, as bytes and back: evidence, grid and open minutes. Pure.

Closed minutes travel on their own. JSON, because sums and ids exceed 64 bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from backbone.live import StreamStatus
from orderflow.completeness import Gap, Quality
from orderflow.encoding import bar_from_body, bar_to_body, flow_from_body, flow_to_body
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators.vpin import Reading
from orderflow.trade import InstrumentChanged
from processor.checkpoint import announced
from processor.grids import Grid
from processor.stream import Stream

Body = dict[str, Any]


class MinuteImage(msgspec.Struct):
    """A minute, open or closed, with its 5 s bars."""

    bar: Body
    cells: list[Body]


class StreamImage(msgspec.Struct):
    """What a stream's windows depend on besides its closed minutes."""

    instrument: InstrumentChanged
    status: StreamStatus
    first_grid: Grid | None
    grids: dict[int, Grid]
    grid_fixed: bool
    observed_from_ms: int | None
    watermark_ms: int
    connected: bool
    outage: Gap | None
    lost: list[Gap]
    holes: list[Gap]
    last_event_ms: int
    next_close_ms: int | None
    flowing: bool
    minutes: msgspec.Raw
    """A list of MinuteImage, which nobody reads before somebody asks."""
    vpin: Reading | None = None


class Minute(NamedTuple):
    """A minute as it was sent."""

    bar: FootprintBar
    quality: Quality
    cells: list[FlowBar]


IMAGE_DECODER = msgspec.json.Decoder(StreamImage)
MINUTE_DECODER = msgspec.json.Decoder(MinuteImage)
MINUTES_DECODER = msgspec.json.Decoder(list[MinuteImage])


def encode_stream(stream: Stream, status: StreamStatus, now_ms: int) -> bytes:
    """The stream as it stands; `now_ms` is its venue's clock."""
    coverage = stream.coverage
    first_open = stream.next_close_ms or 0
    minutes = []
    for start in sorted(start for start in stream.minutes if start >= first_open):
        bar = stream.open_bar(start)
        quality = stream.evidence.quality(start, bar.flow, now_ms, revision=0, closed=False)
        cells = stream.minutes[start].cell_bars(stream.instrument)
        minutes.append(_minute(bar, quality, cells))
    return msgspec.json.encode(
        StreamImage(
            instrument=announced(stream.instrument),
            status=status,
            first_grid=stream.grids.first,
            grids=stream.grids.days,
            grid_fixed=stream.grids.fixed,
            observed_from_ms=coverage.observed_from_ms,
            watermark_ms=coverage.watermark_ms,
            connected=coverage.connected,
            outage=coverage.outage,
            lost=coverage.lost,
            holes=stream.evidence.open_holes(),
            last_event_ms=stream.last_event_ms,
            next_close_ms=stream.next_close_ms,
            flowing=stream.trade_since_connect,
            minutes=msgspec.Raw(msgspec.json.encode(minutes)),
            vpin=stream.toxicity.reading(),
        )
    )


def decode_stream(body: bytes) -> StreamImage:
    """The inverse of `encode_stream`."""
    return IMAGE_DECODER.decode(body)


def encode_minute(bar: FootprintBar, quality: Quality, cells: list[FlowBar]) -> bytes:
    """A closed minute."""
    return msgspec.json.encode(_minute(bar, quality, cells))


def decode_minute(body: bytes) -> Minute:
    """The inverse of `encode_minute`."""
    return _bars_of(MINUTE_DECODER.decode(body))


def decode_minutes(image: StreamImage) -> list[Minute]:
    """The open minutes of an image."""
    return [_bars_of(minute) for minute in MINUTES_DECODER.decode(image.minutes)]


def _bars_of(image: MinuteImage) -> Minute:
    bar, quality = bar_from_body(image.bar)
    return Minute(bar, quality, [flow_from_body(cell)[0] for cell in image.cells])


def _minute(bar: FootprintBar, quality: Quality, cells: list[FlowBar]) -> MinuteImage:
    return MinuteImage(bar_to_body(bar, quality), [flow_to_body(cell, quality) for cell in cells])
