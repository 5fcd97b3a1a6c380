"""The registry of venues: adding one is a file here and a line below."""

from __future__ import annotations

from collectors.derivatives import DerivativeMarket
from collectors.venue import Venue
from collectors.venues.binance import BINANCE
from collectors.venues.binance_derivatives import BINANCE_DERIVATIVES
from collectors.venues.bybit import BYBIT
from collectors.venues.bybit_derivatives import BYBIT_DERIVATIVES

VENUES: dict[str, Venue] = {
    "binance": BINANCE,
    "bybit": BYBIT,
}

DERIVATIVES: dict[str, DerivativeMarket] = {
    "binance": BINANCE_DERIVATIVES,
    "bybit": BYBIT_DERIVATIVES,
}
"""Funding, open interest and liquidations of the venues that give them free."""
