"""Funding, open interest and liquidations by minute, from the store; transport-free."""

from __future__ import annotations

from backbone.clock import wall_ms
from backbone.live import LiveView
from backbone.store.base import DERIVATIVES, Query, Store
from mcp_server.parameters import Question
from mcp_server.selection import selected
from orderflow.answers import iso
from orderflow.derivative_reports import (
    DerivativeMinuteReport,
    DerivativesReport,
    InstrumentDerivatives,
    LiquidatedReport,
)
from orderflow.derivatives import DerivativeMinute, Liquidated, minute_from_body
from orderflow.errors import NotFoundError, NotReadyError, StoreError
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import DAY_MS, MINUTE_MS, floor_ms

DERIVATIVE_NAMES = ("exchange", "start", "end", "limit", "numbers", "max_tokens")
DEFAULT_MINUTES = 60
KEPT_MS = 30 * DAY_MS
RETRY_S = 5
NOTHING = "nothing was heard in this time: derivatives are off, or their streams are interrupted"


class DerivativeQueries:
    """Answers about what perpetuals say beside their trades."""

    def __init__(self, live: LiveView, store: Store) -> None:
        self.live = live
        self.store = store

    async def derivatives(self, asked: Question) -> DerivativesReport:
        """The newest closed minutes of a symbol's perpetuals, or those of a range."""
        selection = selected(asked.symbol, self.live.instruments(), asked.exchange, "perp")
        found = [item for item in selection.instruments if item.market is Market.PERP]
        if not found:
            raise NotFoundError(f"{selection.symbol} has no perpetual here; see /symbols")
        return DerivativesReport(
            symbol=selection.symbol,
            source=self.live.source,
            instruments={item.name: await self._instrument(item, asked) for item in found},
        )

    async def _instrument(self, instrument: Instrument, asked: Question) -> InstrumentDerivatives:
        status = self.live.stream(instrument.name)
        now = (status.watermark_ms or 0) + (status.lag_ms or 0)
        end = asked.end_ms or floor_ms(now, MINUTE_MS) + MINUTE_MS
        start = asked.start_ms or max(0, end - KEPT_MS)
        query = Query(
            collection=DERIVATIVES,
            instrument=instrument.name,
            timeframe="1m",
            start_ms=start,
            end_ms=end,
            now_ms=wall_ms(),
            limit=asked.limit or DEFAULT_MINUTES,
        )
        try:
            records = await self.store.query(query)
        except StoreError as error:
            raise NotReadyError("history can't be read right now", retry_after_s=RETRY_S) from error
        minutes = [minute_from_body(record.body) for record in records]
        if not minutes:
            return InstrumentDerivatives(
                liquidations="unknown", age_ms=None, minutes=[], reason=NOTHING
            )
        newest = minutes[-1]
        return InstrumentDerivatives(
            liquidations="sampled" if newest.sampled else "complete",
            age_ms=max(0, now - newest.start_ms - MINUTE_MS),
            minutes=[_report(minute) for minute in minutes],
        )


def _report(minute: DerivativeMinute) -> DerivativeMinuteReport:
    return DerivativeMinuteReport(
        start=iso(minute.start_ms),
        whole=minute.whole,
        funding_rate=minute.funding_rate,
        next_funding=_moment(minute.next_funding_ms),
        mark_price=minute.mark_price,
        index_price=minute.index_price,
        open_interest=minute.open_interest,
        open_interest_at=_moment(minute.open_interest_ms),
        liquidated_longs=_liquidated(minute.longs),
        liquidated_shorts=_liquidated(minute.shorts),
    )


def _liquidated(found: Liquidated) -> LiquidatedReport:
    return LiquidatedReport(count=found.count, quantity=found.quantity)


def _moment(event_ms: int | None) -> str | None:
    return None if event_ms is None else iso(event_ms)
