"""pause, resume and audit: what an operator does to and asks about single streams."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from backbone.settings import Settings
from backbone.store import LIVE, STORES, reading_store
from collectors.pausing import PauseList
from orderflow.answers import iso
from orderflow.errors import ConfigError, ExchangeError
from orderflow.timeframe import MINUTE_MS
from wadm.audit import Audit, audit, market_of
from wadm.backfill import Filled, Progress, backfill_range

PROBLEM, UNREACHABLE = 1, 3
SHOWN = 40
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
StreamName = Annotated[str, typer.Argument(help="For example binance:spot:BTCUSDT.")]


def moment_ms(text: str, what: str) -> int:
    """UTC milliseconds of an ISO date or time, on a whole minute; ConfigError otherwise."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigError(f"{what} must look like 2024-01-31 or 2024-01-31T12:00:00Z") from None
    at = int(found.replace(tzinfo=found.tzinfo or UTC).timestamp()) * 1_000
    if at % MINUTE_MS:
        raise ConfigError(f"{what} must be a whole minute")
    return at


def span_ms(start: str, end: str) -> tuple[int, int]:
    """FROM and TO; ConfigError when there is nothing between them."""
    begin_ms, end_ms = moment_ms(start, "FROM"), moment_ms(end, "TO")
    if end_ms <= begin_ms:
        raise ConfigError("TO must be later than FROM")
    return begin_ms, end_ms


def change_pause(settings: Settings, name: str, out: Console, *, paused: bool) -> None:
    """Write the list that the collectors read."""
    market_of(name)
    changed = PauseList(Path(settings.data_dir)).change(name, paused=paused)
    word = "paused" if paused else "resumed"
    if changed:
        out.print(f"{name} {word}; its hole is declared within a second")
    else:
        out.print(f"{name} was {'paused' if paused else 'not paused'} already")


def run_audit(
    settings: Settings,
    name: str,
    start: str,
    end: str,
    outputs: tuple[Console, Console],
    *,
    as_json: bool,
    source: str = LIVE,
) -> int:
    """The exit code: 0 only when every minute has the best state its venue allows."""
    out, notes = outputs
    market_of(name)
    begin_ms, end_ms = span_ms(start, end)

    async def work() -> Audit:
        store = reading_store(settings, source)
        await store.open(source)
        try:
            return await audit(settings, store, name, begin_ms, end_ms)
        finally:
            await store.close()

    try:
        found = asyncio.run(work())
    except ExchangeError as error:
        notes.print(f"[bold red]error:[/] the venue's candles: {error}")
        return UNREACHABLE
    if as_json:
        sys.stdout.write(msgspec.json.encode(plain(found)).decode() + "\n")
    else:
        out.print(audit_table(found))
    return 0 if found.good else PROBLEM


def run_backfill(
    settings: Settings,
    name: str,
    span: tuple[str, str],
    outputs: tuple[Console, Console],
    *,
    as_json: bool,
    source: str = LIVE,
) -> int:
    """The exit code: 0 when every minute is proven, 1 when some are not, 3 when nobody answers."""
    out, notes = outputs
    market_of(name)
    begin_ms, end_ms = span_ms(*span)

    async def work(progress: Progress) -> Filled:
        store = STORES[settings.store](settings, source)
        await store.open(source)
        try:
            return await backfill_range(settings, store, name, (begin_ms, end_ms), progress)
        finally:
            await store.close()

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=notes, disable=as_json) as bar:
        task = bar.add_task(f"{name} minutes", total=(end_ms - begin_ms) // MINUTE_MS)
        try:
            found = asyncio.run(work(lambda done, _: bar.update(task, completed=done)))
        except ExchangeError as error:
            notes.print(f"[bold red]error:[/] {error}")
            return UNREACHABLE
    if as_json:
        sys.stdout.write(
            msgspec.json.encode(found._asdict() | {"instrument": name}).decode() + "\n"
        )
    else:
        out.print(
            f"{name}: {found.changed} of {found.minutes} minutes changed, {found.from_trades} from "
            f"trades, {found.unproven} without proof {found.error}"
        )
    return PROBLEM if found.unproven else 0


def plain(found: Audit) -> dict[str, Any]:
    """As plain data."""
    return {
        "instrument": found.instrument,
        "good": found.good,
        "minutes": len(found.minutes),
        "windows_compared": found.windows,
        "proven": found.counts,
        "findings": [
            {
                "minute": iso(m.start_ms),
                "stored": m.stored,
                "proven": m.proven,
                "problem": m.problem,
            }
            for m in found.minutes
        ],
    }


def audit_table(found: Audit) -> Table:
    """Counts in the title, and the first minutes that are not good."""
    counts = ", ".join(f"{state} {count}" for state, count in sorted(found.counts.items()))
    title = f"{found.instrument}: {len(found.minutes)} minutes ({counts}), {found.windows} windows"
    table = Table("minute", "stored", "proven", "problem", title=title)
    for minute in [m for m in found.minutes if not m.good][:SHOWN]:
        table.add_row(iso(minute.start_ms), minute.stored or "-", minute.proven, minute.problem)
    return table
