"""The registry of venues: adding one is a file here and a line below."""

from __future__ import annotations

from collectors.venue import Venue
from collectors.venues.binance import BINANCE
from collectors.venues.bybit import BYBIT

VENUES: dict[str, Venue] = {
    "binance": BINANCE,
    "bybit": BYBIT,
}
