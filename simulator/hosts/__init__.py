"""The simulated hosts by name; adding a venue is its files and one line here."""

from __future__ import annotations

from collections.abc import Callable

from simulator.clock import PlayClock
from simulator.faults import FaultPlan
from simulator.hosts.binance import BinanceHost
from simulator.hosts.bybit import BybitHost
from simulator.hosts.host import Host
from simulator.tape import Tape

Maker = Callable[[list[Tape], PlayClock, FaultPlan], Host]

HOSTS: dict[str, tuple[tuple[str, str | None], Maker]] = {
    "binance_spot": (("binance", "spot"), lambda t, c, f: BinanceHost(t, c, f, "spot")),
    "binance_usdm": (("binance", "perp"), lambda t, c, f: BinanceHost(t, c, f, "perp")),
    "bybit": (("bybit", None), BybitHost),
}
"""Host name to ((venue, market or all), maker)."""
