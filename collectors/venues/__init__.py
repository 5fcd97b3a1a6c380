"""Every venue by name; adding one is one file and one line here."""

from __future__ import annotations

from collectors.venue import Venue
from collectors.venues.binance import Binance
from collectors.venues.bybit import Bybit

VENUES: dict[str, Venue] = {"binance": Binance(), "bybit": Bybit()}
