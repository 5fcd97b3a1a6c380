"""One instrument's part of a window: its bar and the evidence behind it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from orderflow.completeness import Quality
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators.vpin import Reading
from orderflow.instrument import Instrument
from orderflow.timeframe import Window


class FootprintPart(msgspec.Struct, gc=False, frozen=True):
    """Bar with rows. `watermark_ms`: delivered up to here; `now_ms`: the venue's clock.

    `published_ms`: wall time at which a stored one was published; None: it is what is known now.
    """

    instrument: Instrument
    window: Window
    bar: FootprintBar
    quality: Quality
    watermark_ms: int
    now_ms: int
    published_ms: int | None = None


class FlowPart(msgspec.Struct, gc=False, frozen=True):
    """Bar without rows, and the bars of `step_ms` the window is made of.

    `vpin`: the stream's newest, whatever the window; None where it is not followed.
    """

    instrument: Instrument
    window: Window
    bar: FlowBar
    quality: Quality
    watermark_ms: int
    now_ms: int
    step_ms: int
    bars: Sequence[FlowBar]
    cvd_lots: int | None
    cvd_anchor_ms: int | None
    vpin: Reading | None = None
