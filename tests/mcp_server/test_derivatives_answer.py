"""Funding, open interest and liquidations over HTTP, from a store that holds them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from journeys_support import journey
from sim_support import short_tapes

from orderflow.derivatives import DerivativeMinute, Liquidated
from processor.records import derivative_record

pytestmark = pytest.mark.timeout(1_200)


async def test_minutes_per_venue(tmp_path: Path) -> None:
    """Each perpetual has its own minutes; what nobody said is null, nothing heard has a reason."""
    async with journey(tmp_path, short_tapes()) as running:
        await running.until_played()
        minute = DerivativeMinute(
            1_700_000_040_000,
            whole=True,
            sampled=True,
            funding_rate=Decimal("0.00010000"),
            longs=Liquidated(2, Decimal("0.014")),
        )
        record = derivative_record("binance:perp:BTCUSDT", minute, 4_000_000_000_000)
        await running.system.store.put([record])
        body = await running.get(
            "/derivatives/BTCUSDT", start=1_700_000_000_000, end=1_700_000_100_000, numbers="string"
        )
        found = body["instruments"]["binance:perp:BTCUSDT"]
        assert found["liquidations"] == "sampled"
        (row,) = found["minutes"]
        assert row["funding_rate"] == "0.00010000"
        assert row["open_interest"] is None
        assert row["liquidated_longs"] == {"count": 2, "quantity": "0.014"}
        silent = body["instruments"]["bybit:perp:BTCUSDT"]
        assert silent["minutes"] == []
        assert "interrupted" in silent["reason"]
