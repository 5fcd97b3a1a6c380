"""`wadm alerts`: check, test, run and silence the rules of a file."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.credential import options_of
from alerts.evaluation import evaluate
from alerts.journal import Journal
from alerts.message import body_of, test_alert
from alerts.questions import question
from alerts.rule import Book, Rule, Silence
from alerts.ruletext import SYMBOL
from alerts.sender import deliver
from alerts.service import asked
from alerts.targets.target import Delivered, Parcel
from backbone.clock import wall_ms
from backbone.settings import Settings, read_settings
from backbone.telemetry import configure_logs
from orderflow.answers import iso
from orderflow.errors import ConfigError
from wadm.alerting import Alerting, book_of, folder_of, reach_of
from wadm.asking import Asker
from wadm.compose import until_signal
from wadm.loops import run as looped

PROBLEM, UNREACHABLE = 1, 3
UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
app = typer.Typer(help="Alerts: rules over served numbers and events.", no_args_is_help=True)
out = Console()
notes = Console(stderr=True)
File = Annotated[Path, typer.Argument(metavar="FILE", help="Rules and targets, in TOML.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def _settings() -> Settings:
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    return settings


@app.command()
def check(path: File, as_json: AsJson = False) -> None:
    """Validate a file, and print what each rule would look at now; sends nothing."""
    settings = _settings()
    book = book_of(path)
    missing = _missing_secrets(book, path)
    rows = looped(_looks(settings, book))
    if as_json:
        told = {"rules": rows, "missing": missing, "sent": _counts(settings)}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        table = Table("rule", "symbol", "asks", "now", title=f"{len(book.rules)} rules are good")
        for row in rows:
            cells = (row["rule"], row["symbol"] or "-", row["asks"], row["now"])
            table.add_row(*(Text(cell) for cell in cells))
        out.print(table)
        for line in missing:
            notes.print(f"[bold red]missing:[/] {line}", highlight=False)
        for target, states in _counts(settings).items():
            words = ", ".join(f"{count} {state}" for state, count in states.items())
            out.print(f"{target}: {words}")
    silent = rows and all("no server answers" in row["now"] for row in rows)
    raise typer.Exit(PROBLEM if missing else UNREACHABLE if silent else 0)


def _missing_secrets(book: Book, path: Path) -> list[str]:
    found = []
    for target in book.targets:
        try:
            options_of(target, os.environ, path.absolute().parent)
        except ConfigError as error:
            found.append(str(error))
    return found


async def _looks(settings: Settings, book: Book) -> list[dict[str, str]]:
    """Each rule and symbol judged once, without memory."""
    asker = Asker(settings)
    now_ms = wall_ms()
    rows = []
    try:
        for rule in book.rules:
            for symbol in rule.symbols:
                what = question(rule, symbol, now_ms)
                given = await asked(asker, what)
                verdict = evaluate(rule, symbol, given.answer, None, now_ms, given.trouble)
                asks = what.path + "?" + "&".join(f"{name}={v}" for name, v in what.parameters)
                rows.append(
                    {
                        "rule": rule.name,
                        "symbol": symbol,
                        "asks": asks,
                        "now": _would(verdict.words),
                    }
                )
    finally:
        await asker.close()
    return rows


def _would(words: str) -> str:
    """A look sends nothing."""
    return words.replace("fires:", "would fire:", 1) if words.startswith("fires:") else words


def _counts(settings: Settings) -> dict[str, dict[str, int]]:
    """What was sent and what waits, by target."""
    if not (folder_of(settings) / "alerts.sqlite").exists():
        return {}
    found: dict[str, dict[str, int]] = {}
    with Journal(folder_of(settings)) as journal:
        for (target, state), count in journal.counts().items():
            found.setdefault(target, {})[state] = count
    return found


@app.command()
def test(path: File, rule: Annotated[str, typer.Argument(metavar="RULE")]) -> None:
    """Send a test message to every target of a rule, once, and say what they answered."""
    settings = _settings()
    book = book_of(path)
    chosen = _rule(book, rule)
    answers = looped(_tested(settings, book, chosen, path.absolute().parent))
    for name, given in answers.items():
        colour = "green" if given.outcome == "accepted" else "red"
        pause = f", asks to wait {given.pause_s:.0f} s" if given.pause_s else ""
        out.print(f"{name}: [{colour}]{given.outcome}[/] ({given.words}{pause})", highlight=False)
    raise typer.Exit(0 if all(one.outcome == "accepted" for one in answers.values()) else PROBLEM)


async def _tested(settings: Settings, book: Book, rule: Rule, folder: Path) -> dict[str, Delivered]:
    alert = test_alert(rule, rule.symbols[0], iso(wall_ms()), secrets.token_hex(12))
    reach = reach_of(settings)
    found = {}
    for name in rule.targets:
        target = book.target(name)
        if target is not None:
            options = options_of(target, os.environ, folder)
            parcel = Parcel(alert, body_of(alert), options, wall_ms())
            found[name] = await deliver(target, parcel, reach)
    return found


def _rule(book: Book, name: str) -> Rule:
    rule = book.rule(name)
    if rule is None:
        names = ", ".join(one.name for one in book.rules)
        raise ConfigError(f"there is no rule {name!r}; the file has: {names}")
    return rule


@app.command()
def run(path: File) -> None:
    """Judge the rules over the running server's answers and send, until stopped."""
    looped(_run(_settings(), path))


async def _run(settings: Settings, path: Path) -> None:
    asker = Asker(settings)
    try:
        work = asyncio.create_task(Alerting(settings, path, asker).run())
        stop = asyncio.create_task(until_signal())
        await asyncio.wait([work, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (stop, work):
            task.cancel()
        ended, _ = await asyncio.gather(work, stop, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended
    finally:
        await asker.close()


@app.command()
def silence(
    path: File,
    rule: Annotated[str | None, typer.Option(help="A rule; none: every rule.")] = None,
    symbol: Annotated[str | None, typer.Option(help="A symbol; none: every symbol.")] = None,
    last: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d; 0 ends it.")] = "1h",
) -> None:
    """Tell nothing of a rule or symbol for a while; a running process obeys at once."""
    settings = _settings()
    book = book_of(path)
    if rule is not None:
        _rule(book, rule)
    if symbol is not None and SYMBOL.fullmatch(symbol) is None:
        raise ConfigError("--symbol must look like BTCUSDT")
    until_ms = wall_ms() + _span_ms(last)
    with Journal(folder_of(settings)) as journal:
        journal.silence(Silence(rule or "", symbol or "", until_ms))
    out.print(
        f"{rule or 'every rule'}, {symbol or 'every symbol'}: silent until {iso(until_ms)}",
        highlight=False,
    )


def _span_ms(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if text == "0":
        return 0
    if unit not in UNITS_MS or not (number.isascii() and number.isdecimal() and len(number) < 5):
        raise ConfigError("--for must look like 30m, 2h, 1d or 0")
    return int(number) * UNITS_MS[unit]
