"""Recorded tapes, read once by every process that runs tests: playing them changes nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from unmeasured import unmeasured

from simulator.tape import Tape
from simulator.tapes import load_tape

DAY = "data/binance_vision_20240101/BTCUSDT-aggTrades-2024-01-01.zip"


@cache
def real_day(shared: Path) -> Tape:
    """Binance spot BTCUSDT of 2024-01-01: 863,403 aggregates."""
    with unmeasured():
        return load_tape(shared / DAY)


@cache
def recording(shared: Path, name: str) -> Tape:
    """A recording of 2024-08-08 and 09, for example `spot_btcusdt_20240808`."""
    with unmeasured():
        return load_tape(shared / "data/hftbacktest" / f"{name}.gz")


def two_markets(shared: Path) -> list[Tape]:
    """BTCUSDT of Binance spot and of the perpetual, the six minutes before midnight."""
    names = ("spot_btcusdt_20240808", "usdm_btcusdt_20240808")
    return [recording(shared, name) for name in names]
