"""A server that has just started does not say of an instrument that it is not collected."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backbone.store.memory import MemoryStore
from mcp_server.parameters import question
from mcp_server.queries.reading import Reading
from orderflow.errors import NotReadyError, UnknownSymbolError, ValidationError
from orderflow.trade import Connected, InstrumentChanged, TradeBatch
from processor.engine import Engine
from processor.live import ProcessorView

NAME = "binance:spot:BTCUSDT"


def starting() -> tuple[Reading, ProcessorView]:
    """One instrument is known so far; nothing was restored yet."""
    engine = Engine()
    engine.handle(
        InstrumentChanged(
            *("binance", "spot", "BTCUSDT", "BTC", "USDT"), Decimal("0.01"), Decimal("0.001")
        )
    )
    view = ProcessorView(engine, "simulated", lambda name: 1)
    return Reading(view, MemoryStore()), view


@pytest.mark.parametrize(
    ("symbol", "error"),
    [("ETHUSDT", UnknownSymbolError), ("bybit:perp:BTCUSDT", ValidationError)],
)
def test_what_is_not_known_yet_is_not_unknown(symbol: str, error: type[Exception]) -> None:
    """Try again, until the server is ready; from then on it is what it is."""
    reading, view = starting()
    with pytest.raises(NotReadyError, match="not ready yet; try again"):
        reading.selection(question(symbol, {}))
    assert reading.selection(question("BTCUSDT", {})).instruments[0].name == NAME
    view.restored = True
    view.engine.handle(Connected([NAME], "c", 1_735_689_600_000))
    view.engine.handle(TradeBatch(NAME, [1], [1_735_689_600_001], [1_000], [5], [1]))
    assert view.ready
    with pytest.raises(error):
        reading.selection(question(symbol, {}))
