"""One look at the running server: its status and a snapshot of every symbol."""

from __future__ import annotations

from typing import Any

from wadm.asking import Asker
from wadm.top.rows import View, names_of, symbol_of

MOST_AT_ONCE = 50


async def look(asker: Asker, timeframe: str, period: str) -> View:
    """UnreachableError or RefusedError when there is nothing to see."""
    status = await asker("/status", {})
    names = names_of(await asker("/symbols", {"detail": "summary"}))
    rows: list[dict[str, Any]] = []
    for start in range(0, len(names), MOST_AT_ONCE):
        asked = {
            "symbols": ",".join(names[start : start + MOST_AT_ONCE]),
            "timeframe": timeframe,
            "period": period,
            "detail": "summary",
            "numbers": "string",
        }
        snapshot = await asker("/snapshot", asked)
        rows += [symbol_of(line) for line in snapshot["symbols"]]
    return View(status, rows)
