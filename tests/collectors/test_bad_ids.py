"""Ids that look right at a glance."""

from __future__ import annotations

from decimal import Decimal

import pytest

from collectors.venues import VENUES
from orderflow.instrument import Instrument, Market

PERP = Instrument(
    "bybit",
    Market.PERP,
    "BTCUSDT",
    "BTC",
    "USDT",
    Decimal("0.10"),
    Decimal("0.001"),
    sequence="unordered",
)


@pytest.mark.parametrize("text", ["g0000000-0000-0000-0000-000000000002", "٣" * 32, ""])
def test_an_id_that_is_none(text: str) -> None:
    """A row whose id can't be read costs only itself, and is counted."""
    rows = ",".join(
        f'{{"T":1735689600000,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"100.10","i":"{tag}"}}'
        for tag in ("00000000-0000-0000-0000-000000000001", text)
    )
    frame = (
        f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1735689600001,"data":[{rows}]}}'
    )
    codec = VENUES["bybit"][Market.PERP].codec([PERP])
    events = codec.decode([frame.encode()], 0).events
    assert [len(batch.key) for batch in events] == [1]  # type: ignore[union-attr]
