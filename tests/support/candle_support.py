"""Our hours against the venue's own candles."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

HOURS = 24


def exact(value: float, places: int = 8) -> Decimal:
    """A candle's number: the parquet holds doubles of at most eight decimals."""
    return Decimal(repr(value)).quantize(Decimal(1).scaleb(-places))


def check_hours(bars: list[dict[str, Any]], candles: list[dict[str, Any]]) -> None:
    assert len(bars) == HOURS
    check_candles(bars, candles)


def check_candles(bars: list[dict[str, Any]], candles: list[dict[str, Any]]) -> None:
    """Each bar is its candle, difference 0."""
    for bar, candle in zip(bars, candles, strict=True):
        assert bar["state"] == "verified"
        assert bar["final"] is True
        for ours, theirs in {
            "open": "open",
            "high": "high",
            "low": "low",
            "close": "close",
            "total_volume": "volume",
            "buy_volume": "taker_buy_volume",
            "quote_volume": "quote_asset_volume",
            "buy_quote_volume": "taker_buy_quote_volume",
        }.items():
            assert Decimal(bar[ours]) == exact(candle[theirs]), (bar["period_start"], ours)
        assert bar["total_trades"] == candle["count"]
        assert bar["last_id"] - bar["first_id"] + 1 == candle["count"]
