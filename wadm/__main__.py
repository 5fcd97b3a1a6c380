"""The command line. Exit codes: 0 good, 1 a problem was found, 2 wrong use, 3 not reachable."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from backbone.settings import Settings, read_settings
from backbone.telemetry import configure_logs
from orderflow.errors import ConfigError, WadmError
from orderflow.indicators import INDICATORS
from orderflow.indicators.volume_profile import METHODS
from orderflow.timeframe import PERIODS, TIMEFRAMES, parse_timeframe
from wadm import agent_commands, alert_commands, backups, house, keys, live, operate, plot_command
from wadm import doctor as checks
from wadm import explain as cards
from wadm.asking import UnreachableError, ask
from wadm.capacity.command import capacity
from wadm.compute_command import compute, decimal_of
from wadm.loops import run
from wadm.replay import Replay
from wadm.settings_page import settings_table
from wadm.top_command import top

PROBLEM, MISUSE, UNREACHABLE = 1, 2, 3
app = typer.Typer(
    help="WADM: exact order-flow indicators from every public trade.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tape_app = typer.Typer(help="Tapes: recorded days of trades.", no_args_is_help=True)
agent_commands.add(app)
app.command()(compute)
app.command()(capacity)
app.command()(top)
app.add_typer(tape_app, name="tape")
app.add_typer(keys.app, name="keys")
app.add_typer(backups.app, name="backup")
app.add_typer(plot_command.app, name="plot")
app.add_typer(alert_commands.app, name="alerts")
app.command()(backups.restore)
house.register(app)
out = Console()
notes = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def main() -> None:
    """Entry point: our own errors become one sentence and an exit code."""
    try:
        app()
    except ConfigError as error:
        notes.print(f"[bold red]error:[/] {error}")
        sys.exit(MISUSE)
    except UnreachableError as error:
        notes.print(f"[bold red]error:[/] {error}")
        sys.exit(UNREACHABLE)
    except WadmError as error:
        notes.print(f"[bold red]error:[/] {error}")
        sys.exit(PROBLEM)


def _settings() -> Settings:
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    return settings


@app.command()
def up(
    or_demo: Annotated[
        bool,
        typer.Option(
            "--or-demo", help="Run the demo when the store is empty and no venue answers."
        ),
    ] = False,
    symbols: house.Symbols = None,
) -> None:
    """Collect from the live venues and serve; needs nothing else."""
    run(live.up(house.settings_with(symbols), notes, or_demo=or_demo))


@app.command()
def demo(symbols: house.Symbols = None) -> None:
    """Serve a simulated market, marked as such in every answer; needs no network."""
    run(live.demo(house.settings_with(symbols), notes))


@app.command()
def simulate(
    tape: Annotated[
        list[Path] | None, typer.Argument(help="Tape files; none: a synthetic market.")
    ] = None,
    speed: Annotated[str, typer.Option(help="A number, or max.")] = "1",
    as_bybit: Annotated[
        bool, typer.Option("--as-bybit", help="Play the tape as Bybit trades as well.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    rate: Annotated[float, typer.Option(help="Synthetic trades, times the usual.")] = 1.0,
    port: Annotated[int, typer.Option(help="First of four ports; 0 takes free ones.")] = 0,
) -> None:
    """A loopback Binance and Bybit; prints the settings that point WADM at it."""
    configure_logs("info")
    options = live.Playing(tape or [], speed, as_bybit, seed, rate, port)
    run(live.simulate(options, out))


@app.command()
def replay(  # noqa: PLR0913 (each is an option)
    tape: Annotated[Path, typer.Argument(help="A tape file.")],
    instrument: Annotated[str, typer.Option(help="For example binance:spot:BTCUSDT.")],
    timeframe: Annotated[str, typer.Option(help=", ".join(TIMEFRAMES))] = "1h",
    period: Annotated[str | None, typer.Option(help=", ".join(PERIODS))] = None,
    tick_size: Annotated[str | None, typer.Option(help="Instead of the inferred one.")] = None,
    lot_size: Annotated[str | None, typer.Option(help="Instead of the inferred one.")] = None,
    row_size: Annotated[str | None, typer.Option(help="Row of the profile.")] = None,
    va_method: Annotated[str, typer.Option(help=", ".join(METHODS))] = "single",
    as_json: AsJson = False,
) -> None:
    """Compute a tape offline with the same engine: one line a window."""
    name = parse_timeframe(timeframe)
    step = None if period is None else parse_timeframe(period, allowed=PERIODS, what="period")
    if va_method not in METHODS:
        raise ConfigError(f"--va-method must be one of: {', '.join(METHODS)}")
    played = Replay(
        tape,
        instrument,
        tick_size=decimal_of(tick_size, "--tick-size"),
        lot_size=decimal_of(lot_size, "--lot-size"),
        row_size=decimal_of(row_size, "--row-size"),
        method=va_method,
    )
    rows = played.rows(name, step)
    if as_json:
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    columns = ("period_start", "open", "high", "low", "close", "total_volume", "delta")
    table = Table(*columns, "poc", "vah", "val", title=f"{instrument} {name}")
    for row in rows:
        cells = [*columns, "poc", "vah", "val"]
        table.add_row(*(str(row.get(column) or "-") for column in cells))
    out.print(table)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError("DAY must look like 2024-01-31") from None


@tape_app.command()
def fetch(
    instrument: Annotated[str, typer.Argument(help="For example binance:spot:BTCUSDT.")],
    day: Annotated[str, typer.Argument(help="For example 2024-01-31.")],
    folder: Annotated[Path, typer.Option(help="Where to keep it.")] = Path("var/tapes"),
) -> None:
    """Bring a day from the venue's own public archive; its checksum is verified."""
    from simulator.archive import ArchiveError, ArchiveUnreachableError, fetch_day

    wanted = _day(day)
    settings = _settings()
    urls = {"binance": settings.binance_archive_url, "bybit": settings.bybit_archive_url}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=notes) as progress:
        task = progress.add_task(f"{instrument} {day}", total=None)

        def show(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        try:
            path = asyncio.run(fetch_day(instrument, wanted, folder, urls, show))
        except ArchiveError as error:
            notes.print(f"[bold red]error:[/] {error}")
            far = isinstance(error, ArchiveUnreachableError)
            raise typer.Exit(UNREACHABLE if far else PROBLEM) from error
    out.print(str(path))


@app.command()
def status(as_json: AsJson = False) -> None:
    """What the running server knows about its streams."""
    try:
        report = ask(_settings(), "/status", {})
    except UnreachableError as error:
        notes.print(str(error))
        raise typer.Exit(UNREACHABLE) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        out.print(checks.status_table(report))
    raise typer.Exit(0 if report["ready"] else PROBLEM)


@app.command()
def pause(stream: operate.StreamName) -> None:
    """Stop ingesting one stream by hand; its hole is declared until `resume`."""
    operate.change_pause(_settings(), stream, out, paused=True)


@app.command()
def resume(stream: operate.StreamName) -> None:
    """Go on with a paused stream; what it missed is repaired where the venue still can."""
    operate.change_pause(_settings(), stream, out, paused=False)


@app.command()
def audit(
    instrument: operate.StreamName,
    start: Annotated[str, typer.Argument(metavar="FROM", help="For example 2024-01-31.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Exclusive.")],
    source: Annotated[str, typer.Option(help="live, or simulated.")] = "live",
    as_json: AsJson = False,
) -> None:
    """Compare everything stored for a range with the venue's candles, minute by minute."""
    code = operate.run_audit(
        _settings(), instrument, start, end, (out, notes), as_json=as_json, source=source
    )
    raise typer.Exit(code)


@app.command()
def backfill(
    instrument: operate.StreamName,
    start: Annotated[str, typer.Argument(metavar="FROM", help="For example 2024-01-31.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Exclusive.")],
    source: Annotated[str, typer.Option(help="live, or simulated.")] = "live",
    as_json: AsJson = False,
) -> None:
    """Fill or repair a range from the venue's REST or its public archive."""
    span = (start, end)
    code = operate.run_backfill(
        _settings(), instrument, span, (out, notes), as_json=as_json, source=source
    )
    raise typer.Exit(code)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: versions, store, venues, server."""
    found = asyncio.run(checks.run_checks(_settings()))
    if as_json:
        sys.stdout.write(msgspec.json.encode([check.plain() for check in found]).decode() + "\n")
    else:
        out.print(checks.checks_table(found))
    raise typer.Exit(PROBLEM if any(check.level == "problem" for check in found) else 0)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from mcp_server.openapi import document

    sys.stdout.write(document().decode() + "\n")


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(help="An indicator; none: list them.")] = None,
    as_json: AsJson = False,
) -> None:
    """What an indicator means: formula, units, defaults, ties, edge cases, source."""
    if name is None:
        known = [{"name": card.name, "summary": card.summary} for card in INDICATORS.values()]
        if as_json:
            sys.stdout.write(msgspec.json.encode(known).decode() + "\n")
        else:
            out.print(cards.list_table())
        return
    card = cards.card_of(name)
    if as_json:
        sys.stdout.write(msgspec.json.encode(card.plain()).decode() + "\n")
    else:
        out.print(cards.card_page(card))


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Every setting, its default and what it does."""
    rows = settings_table()
    if as_json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
        return
    table = Table("variable", "default", "what it does")
    for row in rows:
        table.add_row(row["variable"], row["default"] or "-", row["help"])
    out.print(table)


if __name__ == "__main__":
    main()
