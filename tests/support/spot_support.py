"""Announcements of spot pairs for tests of the processor."""

from __future__ import annotations

from decimal import Decimal

from orderflow.trade import InstrumentChanged


def announced(name: str) -> InstrumentChanged:
    """A pair in dollars by its canonical name, at a price of ten."""
    symbol = name.rpartition(":")[2]
    return InstrumentChanged(
        "somewhere", "spot", symbol, symbol[:-4], "USDT", Decimal("0.01"), Decimal("0.001"),
        last_price=Decimal(10),
    )  # fmt: skip
