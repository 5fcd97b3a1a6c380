"""Readers of tape files by format; adding one is one file and one line here."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from orderflow.errors import ConfigError
from simulator.tape import Listing, Tape
from simulator.tapes import binance_archive, bybit_archive, recording

FORMATS: dict[str, ModuleType] = {
    "binance-archive": binance_archive,
    "bybit-archive": bybit_archive,
    "recording": recording,
}


def load_tape(path: Path, listing: Listing | None = None, market: str | None = None) -> Tape:
    """The tape in a file, its format recognised; ConfigError when there is none."""
    if not path.is_file():
        raise ConfigError(f"there is no tape at {path.name}; `wadm tape fetch` brings one")
    for reader in FORMATS.values():
        if reader.accepts(path):
            extra = {} if market is None else {"market": market}
            tape: Tape = reader.read(path, listing, **extra)
            if not tape.prints:
                raise ConfigError(f"{path.name} holds no trades")
            return tape
    names = ", ".join(FORMATS)
    raise ConfigError(f"{path.name} has no known tape format; known: {names}")
