"""The subcommands. Each takes the parsed arguments and returns an exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wadm_client import question as ask_for
from wadm_client.answer import Answer, to_json
from wadm_client.config import Config, read_config
from wadm_client.errors import CacheError, ClientError, ConfigError
from wadm_client.question import Question
from wadm_client.types import SnapshotLine, SnapshotReport

STALE_EXIT = 9
BAD_EXIT = 1


def config_of(given: Namespace) -> Config:
    """Configuration from the common options."""
    return read_config(url=given.url, ca_file=given.ca_file, cache_dir=given.cache_dir)


def say(text: str) -> None:
    """A line for whoever asked; a closed pipe ends quietly in main."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say_json(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False, default=str))


def get(given: Namespace) -> int:
    """One answer, or a range into a file."""
    from wadm_client.client import Client

    with Client(config_of(given)) as client:
        if given.start or given.end:
            return _range(client, given)
        answer = client.ask(_asked(given))
    if given.json or given.kind in {"symbols", "status", "events", "footprint"}:
        say(to_json(answer.value).decode())
    else:
        say(_text(answer))
    if answer.stale:
        age = "unknown" if answer.age_ms is None else f"{answer.age_ms / 1_000:.0f} s"
        sys.stderr.write(f"STALE ({answer.why}), age {age}\n")
        return STALE_EXIT
    return 0


def _asked(given: Namespace) -> Question[Any]:
    extra = _options(given)
    makers: dict[str, Callable[[], Question[Any]]] = {
        "profile": lambda: ask_for.volume_profile(given.symbol, given.step or "1h", extra),
        "flow": lambda: ask_for.order_flow(given.symbol, given.step or "5m", extra),
        "footprint": lambda: ask_for.footprint(given.symbol, given.step or "1h", extra),
        "summary": lambda: ask_for.summary(given.symbol, extra),
        "events": lambda: ask_for.events(given.symbol, extra),
        "symbols": ask_for.symbols,
        "status": ask_for.status,
    }
    if given.kind not in {"symbols", "status"} and not given.symbol:
        raise ConfigError(f"get {given.kind} needs a symbol, for example BTCUSDT")
    return makers[given.kind]()


def _options(given: Namespace) -> dict[str, str]:
    pairs = [text.partition("=") for text in given.option]
    if not all(equals for _, equals, _ in pairs):
        raise ConfigError("--option needs NAME=VALUE, as in docs/api.md")
    return {name: value for name, _, value in pairs}


def _text(answer: Answer[Any]) -> str:
    from wadm_client.frames import flat

    rows = flat(answer.value)
    width = max(len(name) for name in rows)
    return "\n".join(f"{name:<{width}}  {'-' if v is None else v}" for name, v in rows.items())


def _range(client: Any, given: Namespace) -> int:
    from wadm_client.export import export
    from wadm_client.frames import flat, row_json
    from wadm_client.history import history

    if not (given.start and given.end):
        raise ConfigError("a range needs --start and --end")

    def progress(done: int, of: int) -> None:
        if sys.stderr.isatty() and of > 1:
            sys.stderr.write(f"\r{done}/{of} pages" + ("\n" if done == of else ""))

    step = given.step or ("5m" if given.kind == "flow" else "1h")
    rows = history(
        client,
        given.kind,
        given.symbol,
        step,
        given.start,
        given.end,
        progress=progress,
        **_options(given),
    )
    if given.out is None:
        for row in rows:
            say(row_json(flat(row)).decode())
        return 0
    count = export(rows, given.out)
    _say_json({"rows": count, "file": str(given.out)}) if given.json else say(f"{count} rows")
    return 0


def watch(given: Namespace) -> int:
    """A table that follows the market."""
    from wadm_client.poll import Watch

    wanted = Watch(tuple(given.symbols), given.timeframe, given.period, given.interval)
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() and not given.json else ""
    shown: dict[str, SnapshotLine] = {}

    def told(_: Watch, answer: Answer[SnapshotReport] | ClientError) -> None:
        if isinstance(answer, ClientError):
            sys.stderr.write(f"{answer}\n")
        elif given.json:
            say(to_json(answer.value).decode())
        else:
            shown.update({line.symbol: line for line in answer.value.symbols})
            say(clear + _table(list(shown.values())))

    return _polled(config_of(given), [wanted], told, given.rounds)


COLUMNS = ("symbol", "close", "poc", "vah", "val", "delta", "cvd", "state", "age s")


def _table(lines: list[SnapshotLine]) -> str:
    rows = [COLUMNS, *(_cells(line) for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in rows)


def _cells(line: SnapshotLine) -> tuple[str, ...]:
    profile, flow = line.profile, line.flow
    if profile is None or flow is None:
        return (line.symbol, *["-"] * 6, (line.error or "no data")[:30], "-")
    quality = flow.quality
    state = "STALE" if quality.stale or profile.quality.stale else quality.completeness.state
    numbers = (profile.close, profile.poc, profile.vah, profile.val, flow.delta)
    shown = ["-" if n is None else format(n, "f") for n in (*numbers, flow.cumulative_delta)]
    return (line.symbol, *shown, state, f"{quality.age_ms / 1_000:.1f}")


def poll(given: Namespace) -> int:
    """Keep the cache fresh until interrupted."""
    from wadm_client.poll import Watch, read_watches

    def told(watch: Watch, answer: Answer[SnapshotReport] | ClientError) -> None:
        names = ",".join(watch.symbols)
        if isinstance(answer, ClientError):
            line: dict[str, Any] = {"symbols": names, "error": str(answer)}
        else:
            line = {
                "symbols": names,
                "origin": answer.origin,
                "stale": answer.stale,
                "age_ms": answer.age_ms,
            }
        _say_json(line) if given.json else say(" ".join(f"{k}={v}" for k, v in line.items()))

    return _polled(config_of(given), read_watches(given.config), told, given.rounds)


def _polled(config: Config, watches: list[Any], told: Any, rounds: int | None) -> int:
    from wadm_client.client import AsyncClient
    from wadm_client.poll import Poller

    last: dict[str, int] = {}

    def noted(watch: Any, answer: Answer[SnapshotReport] | ClientError) -> None:
        code = answer.exit_code if isinstance(answer, ClientError) else 0
        stale = isinstance(answer, Answer) and answer.stale
        last.update(dict.fromkeys(watch.symbols, STALE_EXIT if stale else code))
        told(watch, answer)

    async def run() -> None:
        async with AsyncClient(config) as client:
            await Poller(client, noted).run(watches, rounds)

    asyncio.run(run())
    return max(last.values(), default=0)


def cache(given: Namespace) -> int:
    """Show, check or tidy the cache folder."""
    from wadm_client.cache import FileCache

    config = config_of(given)
    if config.cache_dir is None:
        raise ConfigError("there is no cache folder: set WADM_CACHE_DIR")
    files = FileCache(config.cache_dir, config.cache_bytes, config.cache_days)
    if given.action == "prune":
        found = [str(path) for path in files.prune()]
        _say_json(found) if given.json else say(f"{len(found)} files removed")
        return 0
    lines = files.verify() if given.action == "verify" else list(files.lines())
    for line in lines:
        key = line.entry.key if line.entry else ""
        shown = {"file": str(line.path), "bytes": line.size, "key": key, "problem": line.problem}
        _say_json(shown) if given.json else say(f"{line.size:>9}  {line.path}  {line.problem}")
    return CacheError.exit_code if given.action == "verify" and lines else 0


def mcp(given: Namespace) -> int:
    """The stdio bridge. Nothing but JSON-RPC is written to standard output."""
    from wadm_client.bridge import Bridge

    asyncio.run(Bridge(config_of(given)).run())
    return 0


def install(given: Namespace) -> int:
    """Add the bridge to a host's configuration."""
    from wadm_client import hosts

    entry = hosts.snippet(given.host, config_of(given))
    if given.print:
        say(json.dumps({hosts.PLACES[given.host][0]: {hosts.NAME: entry}}, indent=2))
        return 0
    path: Path = given.path or hosts.config_path(given.host)
    done = hosts.install(given.host, path, entry)
    shown = {"host": given.host, "file": str(path), "changed": done}
    _say_json(shown) if given.json else say(f"{path}: {'added' if done else 'already there'}")
    return 0


def doctor(given: Namespace) -> int:
    """Check everything on the way to an answer."""
    from wadm_client.doctor import examine

    checks = list(examine(config_of(given)))
    if given.json:
        _say_json([asdict(check) for check in checks])
    else:
        for check in checks:
            say(f"{'ok ' if check.ok else 'BAD'}  {check.name:<8}  {check.found}")
    return 0 if all(check.ok for check in checks) else BAD_EXIT
