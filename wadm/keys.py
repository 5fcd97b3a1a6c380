"""wadm keys: make, list, end and replace API keys; what each of them used."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from backbone.audit import audit_entries
from backbone.clock import wall_ms
from backbone.keys.book import KeyBook, Terms
from backbone.keys.key import ApiKey, checked_networks
from backbone.keys.text import KeyText
from backbone.settings import Settings, read_settings
from backbone.store import LIVE, STORES
from orderflow.answers import iso
from orderflow.errors import ConfigError
from wadm.edge_log import edge_hits

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}", re.ASCII)
SYMBOL = re.compile(r"[A-Z0-9]{2,20}", re.ASCII)
WORD = re.compile(r"[a-z_]{2,40}", re.ASCII)
MOST_PER_MINUTE = 1_000_000
app = typer.Typer(help="API keys: shown once, kept as a hash.", no_args_is_help=True)
out = Console()
notes = Console(stderr=True)
T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Source = Annotated[str, typer.Option(help="Which store: live or simulated.")]
KeyId = Annotated[str, typer.Argument(help="The id: the 12 characters after wadm_.")]


@contextlib.asynccontextmanager
async def _book(settings: Settings, source: str) -> AsyncIterator[KeyBook]:
    if settings.store == "memory":
        raise ConfigError("WADM_STORE=memory forgets keys; use sqlite or mongo")
    if source not in (LIVE, "simulated"):
        raise ConfigError("--source must be one of: live, simulated")
    store = STORES[settings.store](settings, source)
    await store.open(source)
    try:
        yield KeyBook(store, f"local:{getpass.getuser()}")
    finally:
        await store.close()


def _with_book(source: str, work: Callable[[KeyBook, Settings], Awaitable[T]]) -> T:
    settings = read_settings(os.environ)

    async def run() -> T:
        async with _book(settings, source) as book:
            return await work(book, settings)

    return asyncio.run(run())


@app.command()
def create(  # noqa: PLR0913 (each is an option)
    name: Annotated[str, typer.Argument(help="Whom the key is for.")],
    symbols: Annotated[str, typer.Option(help="By comma; none: all.")] = "",
    endpoints: Annotated[str, typer.Option(help="First parts of paths; none: all data.")] = "",
    tools: Annotated[str, typer.Option(help="MCP tools by comma; none: all.")] = "",
    addresses: Annotated[str, typer.Option(help="Addresses or networks; none: any.")] = "",
    days: Annotated[int | None, typer.Option(help="Ends after so many days.")] = None,
    per_minute: Annotated[int | None, typer.Option(help="Its own budget.")] = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="A new file for the key, for its owner only.")
    ] = None,
    source: Source = LIVE,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""
    if not NAME.fullmatch(name):
        raise ConfigError("NAME takes letters, digits, space and . _ @ - (at most 64)")
    _new_file(to)
    terms = Terms(
        expires_ms=None if days is None else wall_ms() + _positive(days, "--days") * DAY_MS,
        symbols=_words(symbols.upper(), SYMBOL, "--symbols"),
        endpoints=_words(endpoints, WORD, "--endpoints"),
        tools=_words(tools, WORD, "--tools"),
        addresses=checked_networks(_parts(addresses)),
        per_minute=None if per_minute is None else _positive(per_minute, "--per-minute"),
    )
    text, key = _with_book(source, lambda book, s: book.create(name, s.key_cost, terms))
    _show(text, key, to, as_json=as_json)


@app.command("list")
def list_keys(source: Source = LIVE, as_json: AsJson = False) -> None:
    """Every key with its terms; never a secret."""
    keys = _with_book(source, lambda book, _: book.keys())
    if as_json:
        _json([key.public() for key in keys])
        return
    table = Table()
    for heading in ("id", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("name", "terms"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        state = "revoked" if key.revoked_ms else "good" if key.active(wall_ms()) else "expired"
        table.add_row(key.id, state, key.name, _terms(key))
    out.print(table)


@app.command()
def revoke(key_id: KeyId, source: Source = LIVE) -> None:
    """Refuse a key from now on; a running server knows within a second."""
    key = _with_book(source, lambda book, _: book.revoke(key_id))
    notes.print(f"revoked {key.id} ({key.name})", highlight=False)


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[int, typer.Option(help="How long the old one stays good.")] = 24,
    to: Annotated[Path | None, typer.Option("--out", help="A new file for the key.")] = None,
    source: Source = LIVE,
    as_json: AsJson = False,
) -> None:
    """A new key on the same terms; the old one ends after the overlap."""
    if overlap_hours < 0:
        raise ConfigError("--overlap-hours must not be negative")
    _new_file(to)
    overlap_ms = overlap_hours * HOUR_MS
    text, key = _with_book(source, lambda book, s: book.rotate(key_id, s.key_cost, overlap_ms))
    _show(text, key, to, as_json=as_json)


@app.command()
def usage(
    key_id: KeyId,
    days: Annotated[int, typer.Option(help="How far back.")] = 30,
    access_log: Annotated[
        Path | None, typer.Option(help="nginx's access log: counts what its cache answered.")
    ] = None,
    source: Source = LIVE,
    as_json: AsJson = False,
) -> None:
    """What a key asked; servers write their counts once a minute."""
    since_ms = wall_ms() - _positive(days, "--days") * DAY_MS
    counts = _with_book(source, lambda book, _: book.usage(key_id, since_ms))
    if access_log is not None:
        counts["from_edge_cache"] = edge_hits(access_log, key_id, since_ms)
    if as_json:
        _json({"id": key_id, "days": days, **counts})
        return
    out.print(", ".join(f"{name} {count}" for name, count in counts.items()), highlight=False)


@app.command()
def audit(
    days: Annotated[int, typer.Option(help="How far back.")] = 30, source: Source = LIVE
) -> None:
    """Who made, ended and replaced keys, as JSON lines."""
    since_ms = wall_ms() - _positive(days, "--days") * DAY_MS
    for entry in _with_book(source, lambda book, _: audit_entries(book.store, since_ms)):
        _json(entry)


def _terms(key: ApiKey) -> str:
    """What is not as for everybody."""
    said = {
        "until": "" if key.expires_ms is None else iso(key.expires_ms),
        "symbols": ",".join(key.symbols),
        "endpoints": ",".join(key.endpoints),
        "tools": ",".join(key.tools),
        "from": ",".join(key.addresses),
        "per minute": str(key.per_minute or ""),
    }
    return "; ".join(f"{name} {value}" for name, value in said.items() if value) or "the usual"


def _new_file(to: Path | None) -> None:
    if to is not None and to.exists():
        raise ConfigError("--out names a file that exists; give a new one")


def _show(text: KeyText, key: ApiKey, to: Path | None, *, as_json: bool) -> None:
    """The only time that the text is seen: here, or in a file for its owner."""
    if to is not None:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text.text)
    shown = {} if to is not None else {"key": text.text}
    if as_json:
        _json(shown | key.public())
    elif shown:
        sys.stdout.write(text.text + "\n")
    notes.print(f"key {key.id} for {key.name}; it is not shown again", highlight=False)


def _json(data: Any) -> None:
    sys.stdout.write(msgspec.json.encode(data).decode() + "\n")


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _words(text: str, form: re.Pattern[str], option: str) -> tuple[str, ...]:
    parts = _parts(text)
    if any(not form.fullmatch(part) for part in parts):
        raise ConfigError(f"{option} takes names by comma")
    return parts


def _positive(number: int, option: str) -> int:
    if not 0 < number <= MOST_PER_MINUTE:
        raise ConfigError(f"{option} must be 1 to {MOST_PER_MINUTE}")
    return number
