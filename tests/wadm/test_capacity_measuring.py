"""The costs are measured of the real code: small runs of each part."""

from __future__ import annotations

import pytest

from backbone.settings import read_settings
from wadm.capacity.answering import answer_costs
from wadm.capacity.market import NAMES, Market
from wadm.capacity.measuring import decode_costs, packing_costs, receive_costs, store_bytes

pytestmark = [pytest.mark.unmeasured]


async def test_measured_market() -> None:
    """Four instruments for seven minutes: every trade is applied, a whole window of five was
    stored, answers over REST and MCP are good, and every figure is above nothing."""
    market = Market(read_settings({}), NAMES[:4])
    async with market.running():
        assert await market.minutes(7, 60) > 0
        streams = market.service.engine.streams
        assert {name: s.ledger.counts.applied for name, s in streams.items()} == dict.fromkeys(
            NAMES[:4], 420
        )
        told = market.update_costs()
        answered = await answer_costs(market, calls=3)
        assert market.kilobytes_per_instrument() > 0
    stored = store_bytes(market.records, 7)
    assert {record.timeframe for record in market.records} >= {"1m", "5m"}
    figures = told | answered | stored
    assert len(figures) == 9
    assert all(value > 0 for value in figures.values()), figures
    assert stored["store_kept_bytes_per_instrument"] > stored["store_bytes_per_instrument_day"]


async def test_measured_frames() -> None:
    """Decoding, reading a socket of another process, packing for the bus."""
    found = decode_costs() | await receive_costs() | packing_costs()
    assert len(found) == 9
    assert all(value > 0 for value in found.values()), found
    assert found["pack_ns_per_trade"] < found["pack_ns_per_packet"]
    assert 150 < found["frame_bytes_per_trade"] < 250
