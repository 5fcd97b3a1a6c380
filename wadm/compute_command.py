"""`wadm compute`: the server's engine over a tape or stored bars, to a file or standard output."""

from __future__ import annotations

import os
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from backbone.settings import read_settings
from backbone.telemetry import configure_logs
from mcp_server.parameters import moment
from mcp_server.queries.indicators import interval, study_options
from orderflow.errors import ConfigError
from orderflow.studies.study import OPERATIONS, Options
from orderflow.timeframe import TIMEFRAMES
from wadm.columns import COLUMNS
from wadm.compute import DEFAULT_INDICATORS, TABLES, Source, StoreSource, TapeSource
from wadm.compute import compute as computed
from wadm.tables import FORMATS, check_format, chosen

PROBLEM = 1
FAR_FUTURE_MS = 10**14
COLUMN_NAMES = ", ".join(COLUMNS)
notes = Console(stderr=True)
Text = str | None


def compute(  # noqa: PLR0913 (each is an option)
    instrument: Annotated[str, typer.Option(help="For example binance:spot:BTCUSDT.")],
    tape: Annotated[Path | None, typer.Argument(help="A tape file; none: the store.")] = None,
    table: Annotated[str, typer.Option(help=", ".join(TABLES))] = "windows",
    timeframe: Annotated[Text, typer.Option(help=f"{', '.join(TIMEFRAMES)}; default 1h")] = None,
    indicators: Annotated[
        str, typer.Option(help=f"Columns of windows by comma: {COLUMN_NAMES}")
    ] = ",".join(DEFAULT_INDICATORS),
    to: Annotated[
        Path | None, typer.Option("--out", help=f"{', '.join(FORMATS)}; none: JSON lines.")
    ] = None,
    source: Annotated[str, typer.Option(help="Which store: live or simulated.")] = "live",
    start: Annotated[Text, typer.Option(help="Stored bars from here on.")] = None,
    end: Annotated[Text, typer.Option(help="Stored bars before this.")] = None,
    tick_size: Annotated[Text, typer.Option(help="Instead of the inferred one.")] = None,
    lot_size: Annotated[Text, typer.Option(help="Instead of the inferred one.")] = None,
    row_size: Annotated[Text, typer.Option(help="Row of a tape's profile.")] = None,
    session: Annotated[
        str, typer.Option(help="day, week, asia, europe, us, or Europe/Berlin 09:00-17:30.")
    ] = "day",
    windows: Annotated[Text, typer.Option(help="How many sessions, default 5.")] = None,
    anchor: Annotated[Text, typer.Option(help="Where vwap, cvd or developing begin.")] = None,
    operation: Annotated[
        str, typer.Option(help=f"Of profile_algebra: {', '.join(OPERATIONS)}")
    ] = "compare",
    first: Annotated[Text, typer.Option(help="Its first window, START/END.")] = None,
    other: Annotated[Text, typer.Option(help="Its second window, START/END.")] = None,
    bucket: Annotated[Text, typer.Option(help="Of vpin over a tape, base units.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """The server's engine over a tape or stored bars, to Parquet, CSV or JSON lines.

    Tables: windows (with columns), rows, events, and every indicator by its name. With --json
    standard output is one object that says what was computed, with an indicator's facts.
    """
    if to is not None:
        check_format(to)
    (what,) = chosen(table, TABLES, "--table")[:1]
    steps = (decimal_of(tick_size, "--tick-size"), decimal_of(lot_size, "--lot-size"))
    origin: Source
    if tape is not None:
        origin = TapeSource(tape, instrument, *steps, decimal_of(row_size, "--row-size"))
    else:
        origin = _stored(source, instrument, start, end)
    asked = {
        "session": session,
        "windows": windows,
        "anchor": anchor,
        "operation": operation,
        "other": other,
    }
    options = study_options({name: text for name, text in asked.items() if text is not None})
    names = chosen(indicators, tuple(COLUMNS), "--indicators")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes) as progress:
        task = progress.add_task(f"{instrument} {what}", total=None)
        found = computed(
            origin,
            timeframe=timeframe,
            indicators=names,
            table=what,
            options=_with(options, first, bucket),
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    if to is not None:
        found.write(to)
    elif not as_json:
        sys.stdout.writelines(line + "\n" for line in found.lines())
    if as_json:
        summary = found.summary() | {"out": None if to is None else str(to)}
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    if not found.rows:
        why = found.reason or "there is nothing in this source for that question"
        notes.print(f"[bold red]error:[/] {why}")
        raise typer.Exit(PROBLEM)


def decimal_of(text: str | None, option: str) -> Decimal | None:
    """A positive decimal number; ConfigError names the option."""
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"{option} must be a decimal number") from None
    if not value.is_finite() or value <= 0:
        raise ConfigError(f"{option} must be a positive decimal number")
    return value.normalize()


def _with(options: Options, first: str | None, bucket: str | None) -> Options:
    return msgspec.structs.replace(
        options, first=interval(first, "first"), bucket=decimal_of(bucket, "--bucket")
    )


def _stored(source: str, instrument: str, start: str | None, end: str | None) -> StoreSource:
    """Stored bars of a time span; by default everything that is kept."""
    if source not in ("live", "simulated"):
        raise ConfigError("--source must be one of: live, simulated")
    begin, stop = moment(start, "--start"), moment(end, "--end")
    configure_logs("warning")
    settings = read_settings(os.environ)
    return StoreSource(settings, source, instrument, begin or 0, stop or FAR_FUTURE_MS)
