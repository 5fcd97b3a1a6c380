"""`python -m wadm.capacity plan|simulate`."""

from __future__ import annotations

import sys

import typer

from orderflow.errors import ConfigError
from wadm.capacity.command import capacity, notes, simulate

MISUSE = 2
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command("plan")(capacity)
app.command()(simulate)


def main() -> None:
    """Entry point."""
    try:
        app()
    except ConfigError as error:
        notes.print(f"[bold red]error:[/] {error}")
        sys.exit(MISUSE)


if __name__ == "__main__":
    main()
