"""How an answer is wanted, and how its times are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from orderflow.indicators import volume_profile
from orderflow.parts import FlowPart, FootprintPart

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Detail = Literal["summary", "rows", "full"]
Parts = Sequence[FootprintPart | FlowPart]
WindowKind = Literal["rolling", "aligned"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an answer is to be given."""

    name: str
    kind: WindowKind
    source: str
    detail: Detail = "full"
    va_method: volume_profile.Method = "single"
    row_size: Decimal | None = None
    max_levels: int | None = None
    history: bool = False


def iso(event_ms: int) -> str:
    """UTC, ISO-8601 with milliseconds."""
    moment = EPOCH + timedelta(milliseconds=event_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event_ms % 1_000:03d}Z"
