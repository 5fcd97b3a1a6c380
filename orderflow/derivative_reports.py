"""Served answers about funding, open interest and liquidations."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from orderflow.report import Answer, Report


class LiquidatedReport(Report):
    """Liquidated positions of one kind."""

    count: int
    quantity: Decimal = Field(description="base units")


class DerivativeMinuteReport(Report):
    """One minute; null means that the venue has not said it since the last interruption."""

    start: str
    whole: bool = Field(description="the streams delivered during all of it")
    funding_rate: Decimal | None
    next_funding: str | None
    mark_price: Decimal | None
    index_price: Decimal | None
    open_interest: Decimal | None = Field(description="base units")
    open_interest_at: str | None
    liquidated_longs: LiquidatedReport
    liquidated_shorts: LiquidatedReport


class InstrumentDerivatives(Report):
    """One perpetual's minutes, oldest first."""

    liquidations: str = Field(description="complete, or sampled: sums are lower bounds")
    age_ms: int | None = Field(description="venue time since the end of the newest minute")
    minutes: list[DerivativeMinuteReport]
    reason: str | None = Field(default=None, description="why there is none")


class DerivativesReport(Answer):
    """Context of a perpetual, per venue; never part of any trade number."""

    symbol: str
    source: str
    instruments: dict[str, InstrumentDerivatives]
