"""Served answers of studies: one indicator over a stretch of bars."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orderflow.fact_reports import ShortQuality
from orderflow.report import Answer


class IndicatorReport(Answer):
    """One indicator; `explain` of the same name says what every number means."""

    name: str
    algo: str
    symbol: str
    exchange: str
    market: str
    source: str
    timeframe: str = Field(description="length of the bars it was made from")
    bars_used: int
    period_start: str = Field(description="of the oldest bar")
    period_end: str = Field(description="of the newest bar")
    facts: dict[str, Any] = Field(description="numbers about the whole stretch")
    items: list[dict[str, Any]] = Field(description="bars, levels, sessions or evidence")
    reason: str | None = Field(default=None, description="why numbers are missing")
    quality: ShortQuality
