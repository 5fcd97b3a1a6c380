"""The simulated venues, one host class each: a venue is added with its file and one line here."""

from __future__ import annotations

from simulator.venues.binance import BinanceSpotHost, BinanceUsdmHost
from simulator.venues.bybit import BybitHost
from simulator.venues.host import VenueHost

HOSTS: tuple[type[VenueHost], ...] = (BinanceSpotHost, BinanceUsdmHost, BybitHost)
