"""The commands that connect agents."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from backbone.settings import Settings, read_settings
from backbone.telemetry import configure_logs
from wadm import agents


def _settings() -> Settings:
    settings = read_settings(os.environ)
    configure_logs(settings.log_level)
    return settings


def serve_stdio(
    demo: Annotated[bool, typer.Option("--demo", help="Serve a simulated market.")] = False,
) -> None:
    """Serve one local agent over stdin and stdout; logs go to stderr."""
    asyncio.run(agents.stdio(_settings(), demo=demo))


def mcp_config(
    client: Annotated[str, typer.Argument(help=", ".join(agents.CLIENTS))],
    url: Annotated[str, typer.Option(help="Address of /mcp; default: this machine's.")] = "",
    no_key: Annotated[bool, typer.Option("--no-key", help="The server asks for no key.")] = False,
    into: Annotated[Path | None, typer.Option(help="Merge into this file.")] = None,
) -> None:
    """Print or merge what an agent's client needs to reach this server."""
    where = url or agents.default_url(_settings())
    typer.echo(agents.config(client, where, keyed=not no_key, into=into))


def add(app: typer.Typer) -> None:
    """Make them commands of the application."""
    app.command("mcp")(serve_stdio)
    app.command("mcp-config")(mcp_config)
