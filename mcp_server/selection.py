"""The one way from a symbol's spelling to instruments: what the caller's key is not for is not
selected."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_server.access.caller import permit_symbol
from orderflow.instrument import Instrument
from orderflow.symbols import Selection, resolve


def selected(
    symbol: str,
    instruments: Sequence[Instrument],
    exchange: str | None,
    market: str | None,
) -> Selection:
    """As `resolve`; ForbiddenError where the key has no right to the symbol."""
    selection = resolve(symbol, instruments, exchange, market)
    permit_symbol(selection.symbol)
    return selection
