"""The command `wadm-client`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

from wadm_client import commands
from wadm_client.errors import ClientError

EXITS = """exit codes: 0 good, 1 a check failed, 2 wrong use, 3 unreachable, 4 certificate,
5 bad answer, 6 refused, 7 rate limit, 8 cache, 9 the answer is stale"""
KINDS = ("profile", "flow", "footprint", "summary", "events", "symbols", "status")


def parser() -> argparse.ArgumentParser:
    """Every option with its help."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", help="base address of the server (WADM_API_URL)")
    common.add_argument("--ca-file", type=Path, help="own authority (WADM_CA_FILE)")
    common.add_argument("--cache-dir", type=Path, help="folder of the cache (WADM_CACHE_DIR)")
    common.add_argument("--json", action="store_true", help="JSON for programs")
    top = argparse.ArgumentParser("wadm-client", description=__doc__, epilog=EXITS)
    parts = top.add_subparsers(required=True, metavar="COMMAND")

    def part(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = parts.add_parser(name, parents=[common], help=text, description=text, epilog=EXITS)
        made.set_defaults(run=run)
        return made

    get = part("get", commands.get, "one answer, or a range of history")
    get.add_argument("kind", choices=KINDS)
    get.add_argument("symbol", nargs="?", default="")
    get.add_argument("step", nargs="?", help="timeframe or period, for example 1h")
    get.add_argument("--start", help="ISO-8601 or epoch ms: history from here")
    get.add_argument("--end", help="ISO-8601 or epoch ms: history up to here")
    get.add_argument("--out", type=Path, help="file of the range: .csv, .jsonl or .parquet")
    get.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    watch = part("watch", commands.watch, "a live table of symbols")
    watch.add_argument("symbols", nargs="+")
    watch.add_argument("--timeframe", default="1h")
    watch.add_argument("--period", default="5m")
    watch.add_argument("--interval", type=float, default=5.0, help="seconds, at least")
    watch.add_argument("--rounds", type=int, help="end after this many")
    poll = part("poll", commands.poll, "keep the cache fresh")
    poll.add_argument("--config", type=Path, required=True, help="TOML with [[watch]] tables")
    poll.add_argument("--rounds", type=int, help="end after this many")
    cache = part("cache", commands.cache, "the cache folder")
    cache.add_argument("action", choices=("ls", "verify", "prune"))
    part("mcp", commands.mcp, "MCP over standard input and output, for hosts without headers")
    install = part("install", commands.install, "add the bridge to an MCP host")
    install.add_argument("host", choices=("claude-desktop", "cursor", "vscode"))
    install.add_argument("--print", action="store_true", help="show the entry, write nothing")
    install.add_argument("--path", type=Path, help="the host's file, where it is elsewhere")
    part("doctor", commands.doctor, "check everything on the way to an answer")
    return top


def _warned(message: Warning | str, *_: object) -> None:
    sys.stderr.write(f"warning: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the result is its exit code."""
    given = parser().parse_args(arguments)
    warnings.showwarning = _warned  # type: ignore[assignment]
    try:
        code: int = given.run(given)
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
