"""Commands of a house of several processes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from backbone.settings import Settings, read_settings
from backbone.store import LIVE, STORES
from backbone.telemetry import configure_logs
from collectors.selection import parse_selection
from orderflow.errors import ConfigError, StoreError
from wadm import apart
from wadm.compose import SIMULATED
from wadm.loops import run
from wadm.migrate import copy

notes = Console(stderr=True)
out = Console()
KINDS = {"sqlite", "mongo"}
Simulated = Annotated[
    bool, typer.Option("--simulated", help="The collectors listen to a simulator.")
]
Symbols = Annotated[
    str | None,
    typer.Option(
        help="What to collect, instead of WADM_SYMBOLS: names, all, top:200, *USDT, volume>10M, "
        "-*USDC, by comma."
    ),
]
Hosts = Annotated[str, typer.Option(help="Names it is reached by, by comma.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (collect, process, serve, secrets, certificate, migrate):
        app.command()(command)


def _settings() -> Settings:
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    return settings


def settings_with(symbols: str | None) -> Settings:
    """The settings, with other symbols where they were given."""
    found = _settings()
    if symbols is None:
        return found
    parse_selection(symbols, "--symbols")
    return dataclasses.replace(found, symbols=symbols)


def collect(
    venue: Annotated[str, typer.Argument(help="For example binance.")], symbols: Symbols = None
) -> None:
    """Collect one venue onto the bus (NATS)."""
    run(apart.collect(settings_with(symbols), venue))


def process(simulated: Simulated = False) -> None:
    """Process what the collectors put onto the bus; write the store."""
    run(apart.process(_settings(), _source(simulated=simulated)))


def serve(simulated: Simulated = False) -> None:
    """Answer from the bus's updates and the store."""
    run(apart.serve(_settings(), _source(simulated=simulated)))


def secrets(
    folder: Annotated[Path, typer.Argument(help="Where to write them; must be empty.")],
    mount: Annotated[Path, typer.Option(help="Where the processes will see that folder.")] = Path(
        "/run/secrets"
    ),
    nats_hosts: Hosts = "nats",
    mongo_hosts: Hosts = "mongo1,mongo2,mongo3",
    nats_nodes: Annotated[
        str, typer.Option(help="Hosts of a cluster of three brokers, by comma; empty: one broker.")
    ] = "",
) -> None:
    """Make certificates, passwords and the broker's configuration, once."""
    from wadm.secrets import make_secrets

    nodes = [name for name in nats_nodes.split(",") if name]
    names = make_secrets(folder, mount, nats_hosts.split(","), mongo_hosts.split(","), nodes)
    notes.print(f"{len(names)} files in {folder}; keep ca.key away from the machines")


def certificate(
    name: Annotated[str, typer.Argument(help="The public name of the server.")],
    folder: Annotated[Path, typer.Argument(help="For fullchain.pem and privkey.pem.")],
) -> None:
    """A self-signed certificate for a first start; a real one replaces it later."""
    from wadm.certificates import Authority, write_private, write_public

    if (folder / "fullchain.pem").exists():
        raise ConfigError("fullchain.pem exists; what is in use is never overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority.made()
    pair = authority.issue(name, [name])
    write_private(folder / "privkey.pem", pair.key)
    write_public(folder / "fullchain.pem", pair.certificate + authority.pair.certificate)


def migrate(
    source: Annotated[str, typer.Argument(help="sqlite or mongo.")],
    target: Annotated[str, typer.Argument(help="The other one.")],
    simulated: Simulated = False,
) -> None:
    """Copy one store into another, and compare them; stop the processor before."""
    if {source, target} != KINDS:
        raise ConfigError(f"migrate from one to the other of: {', '.join(sorted(KINDS))}")
    settings = _settings()
    copied = run(_migrated(settings, source, target, _source(simulated=simulated)))
    if not any(copied.values()):
        raise StoreError(
            f"{source} holds nothing (data folder {settings.data_dir}); "
            "the demo's store is meant with `--simulated`"
        )
    table = Table("collection", "records", title=f"{source} to {target}: equal")
    for name, count in copied.items():
        table.add_row(name, str(count))
    out.print(table)


async def _migrated(settings: Settings, source: str, target: str, made_of: str) -> dict[str, int]:
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for name in (source, target):
            store = STORES[name](settings, made_of)
            stack.push_async_callback(store.close)
            await store.open(made_of)
            stores.append(store)
        columns = (TextColumn("{task.description}"), TextColumn("{task.completed} records"))
        with Progress(SpinnerColumn(), *columns, console=notes) as progress:
            task = progress.add_task(source, total=None)

            def show(name: str, count: int) -> None:
                progress.update(task, description=name, completed=count)

            return await copy(stores[0], stores[1], show)


def _source(*, simulated: bool) -> str:
    return SIMULATED if simulated else LIVE
