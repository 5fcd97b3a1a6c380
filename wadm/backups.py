"""wadm backup and restore."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from backbone.audit import append_audit
from backbone.clock import wall_ms
from backbone.settings import Settings, read_settings
from backbone.store import LIVE, STORES
from backbone.store.base import Store
from backbone.telemetry import configure_logs
from orderflow.errors import ConfigError, StoreError
from wadm.backup import new_backup_key, pages, read_backup, read_backup_key, write_backup

log = structlog.get_logger()
app = typer.Typer(help="Backups: encrypted, checked, restorable.", no_args_is_help=True)
notes = Console(stderr=True)
KEY_FILE = Path("/run/secrets/backup.key")
SUFFIX = ".wadm-backup"
HOUR_S = 3_600
AGAIN_S = 300
Source = Annotated[str, typer.Option(help="Which store: live or simulated.")]
KeyFile = Annotated[Path, typer.Option("--key-file", help="The backup key: a secret.")]


@app.command()
def key(path: Annotated[Path, typer.Argument(help="A new file.")]) -> None:
    """Make a backup key. Keep a copy elsewhere: without it a backup is lost."""
    from wadm.certificates import write_private

    if path.exists():
        raise ConfigError(f"{path.name} exists; what is in use is never overwritten")
    write_private(path, new_backup_key().encode())


@app.command()
def create(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")],
    key_file: KeyFile = KEY_FILE,
    source: Source = LIVE,
) -> None:
    """One backup, now; services go on meanwhile. Prints its path."""
    path, count = asyncio.run(_create(_settings(), folder, read_backup_key(key_file), source))
    notes.print(f"{count} records", highlight=False)
    typer.echo(path)


@app.command()
def every(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")],
    hours: Annotated[float, typer.Option(help="How often.")] = 6.0,
    keep: Annotated[int, typer.Option(help="How many to keep.")] = 28,
    key_file: KeyFile = KEY_FILE,
    source: Source = LIVE,
) -> None:
    """A backup every few hours; each is read back whole before an old one goes."""
    if hours <= 0 or keep < 1:
        raise ConfigError("--hours must be more than 0 and --keep at least 1")
    asyncio.run(_every(_settings(), folder, hours, keep, read_backup_key(key_file), source))


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A backup.")],
    key_file: KeyFile = KEY_FILE,
    source: Source = LIVE,
) -> None:
    """Read a backup to its end; says what it holds, changes nothing."""
    backup_key = read_backup_key(key_file)
    count = sum(len(page.records) for page in pages(path, backup_key, source))
    typer.echo(f"{count} records, whole")


def restore(
    path: Annotated[Path, typer.Argument(help="A backup.")],
    key_file: KeyFile = KEY_FILE,
    source: Source = LIVE,
) -> None:
    """Put a backup into an empty store; stop the processor before."""
    count = asyncio.run(_restore(_settings(), path, read_backup_key(key_file), source))
    typer.echo(f"{count} records restored")


def _settings() -> Settings:
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    if settings.store == "memory":
        raise ConfigError("WADM_STORE=memory has nothing to back up; use sqlite or mongo")
    return settings


@contextlib.asynccontextmanager
async def _opened(settings: Settings, source: str) -> AsyncIterator[Store]:
    store = STORES[settings.store](settings, source)
    await store.open(source)
    try:
        yield store
    finally:
        await store.close()


async def _create(
    settings: Settings, folder: Path, backup_key: bytes, source: str
) -> tuple[Path, int]:
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.fromtimestamp(wall_ms() / 1_000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{source}-{at}{SUFFIX}"
    async with _opened(settings, source) as store:
        count = await write_backup(store, source, path, backup_key, _quiet)
        read_back = sum(len(page.records) for page in pages(path, backup_key, source))
        if read_back != count:
            raise StoreError("the backup reads back different; is the disk full?")
        await append_audit(store, "backup", "backup.create", {"file": path.name, "records": count})
    return path, count


async def _every(
    settings: Settings, folder: Path, hours: float, keep: int, backup_key: bytes, source: str
) -> None:
    while True:
        wait_s = hours * HOUR_S
        try:
            path, count = await _create(settings, folder, backup_key, source)
        except (StoreError, OSError) as error:
            log.error("backup.failed", reason=str(error))  # noqa: TRY400 (the reason is enough)
            wait_s = min(wait_s, AGAIN_S)
        else:
            log.info("backup.made", file=path.name, records=count)
            for old in sorted(folder.glob(f"{source}-*{SUFFIX}"))[:-keep]:
                old.unlink()
        await asyncio.sleep(wait_s)


async def _restore(settings: Settings, path: Path, backup_key: bytes, source: str) -> int:
    async with _opened(settings, source) as store:
        if await store.load_checkpoints():
            raise ConfigError("this store is in use; restore into an empty one")
        count = await read_backup(path, backup_key, store, source, _quiet)
        await append_audit(store, "backup", "backup.restore", {"file": path.name, "records": count})
    return count


def _quiet(_: str, __: int) -> None:
    """Nobody watches a backup."""
