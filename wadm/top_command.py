"""`wadm top`: the live table in a terminal, or one look for a script."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backbone.settings import Settings, read_settings
from orderflow.errors import ConfigError
from orderflow.timeframe import PERIODS, TIMEFRAMES, parse_timeframe
from wadm.asking import Asker
from wadm.top import rows
from wadm.top.look import look
from wadm.top.rows import View

out = Console()


def top(
    timeframe: Annotated[str, typer.Option(help=f"Of the POC: {', '.join(TIMEFRAMES)}")] = "1h",
    period: Annotated[str, typer.Option(help=f"Of the delta: {', '.join(PERIODS)}")] = "5m",
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 3.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and print.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: for scripts.")] = False,
) -> None:
    """Symbols, streams and connections of the running server, live; q quits."""
    name = parse_timeframe(timeframe)
    step = parse_timeframe(period, allowed=PERIODS, what="period")
    if not 0.5 <= every <= 3_600:
        raise ConfigError("--every must be 0.5 to 3600 seconds")
    if as_json and not once:
        raise ConfigError("--json goes with --once")
    # A screen is no place for log lines.
    settings = read_settings(os.environ)
    if once:
        _print(asyncio.run(_one(settings, name, step)), as_json=as_json)
        return
    try:
        from wadm.top.screen import Top
    except ImportError:
        raise ConfigError("the live table needs textual: pip install 'wadm[top]'") from None
    asyncio.run(_live(Top, settings, name, step, every))


async def _one(settings: Settings, timeframe: str, period: str) -> View:
    asker = Asker(settings)
    try:
        return await look(asker, timeframe, period)
    finally:
        await asker.close()


async def _live(
    screen: type, settings: Settings, timeframe: str, period: str, every_s: float
) -> None:
    asker = Asker(settings)
    try:
        await screen(lambda t, p: look(asker, t, p), timeframe, period, every_s).run_async()
    finally:
        await asker.close()


def _print(view: View, *, as_json: bool) -> None:
    if as_json:
        status = view.status
        told = {
            "source": status["source"],
            "ready": status["ready"],
            "worst_lag_ms": status["worst_lag_ms"],
            "symbols": view.symbols,
            "streams": status["streams"],
            "feeds": status["feeds"],
        }
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    out.print(rows.headline(view.status), highlight=False)
    for columns, lines in (
        (rows.SYMBOL_COLUMNS, [rows.symbol_cells(row) for row in view.symbols]),
        (
            rows.STREAM_COLUMNS,
            [rows.stream_cells(line) for line in rows.by_trouble(view.status["streams"])],
        ),
        (rows.FEED_COLUMNS, [rows.feed_cells(line) for line in view.status["feeds"]]),
    ):
        table = Table(*(column.title for column in columns), box=None, pad_edge=False)
        for cells in lines:
            table.add_row(*(Text(cell) for cell in cells))
        out.print(table)
