"""doctor and status: what a person wants to know before asking for help."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import httpx2
from rich.table import Table

from backbone.settings import Settings
from backbone.store import LIVE, reading_store
from orderflow.errors import StoreError
from wadm.asking import RefusedError, UnreachableError, ask

Level = Literal["good", "note", "problem"]
MARKS = {"good": "[green]good[/]", "note": "[yellow]note[/]", "problem": "[red]problem[/]"}
ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `advice` says what to do."""

    name: str
    level: Level
    found: str
    advice: str = ""

    def plain(self) -> dict[str, str]:
        """As plain data."""
        return asdict(self)


async def run_checks(settings: Settings) -> list[Check]:
    """Every check, none of which changes anything."""
    checks = [_python(), *_packages(), await _store(settings)]
    async with httpx2.AsyncClient(timeout=ASK_S) as client:
        checks += [
            await _venue(client, name, getattr(settings, f"{name}_rest_url"))
            for name in ("binance_spot", "binance_usdm", "bybit")
        ]
    checks.append(_server(settings))
    return checks


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    return Check(
        "python", "good" if good else "problem", platform.python_version(), "3.11 or newer"
    )


def _packages() -> list[Check]:
    found = [Check("wadm", "good", version("wadm"))]
    for name in ("picows", "uvloop"):
        try:
            found.append(Check(name, "good", version(name)))
        except PackageNotFoundError:
            found.append(Check(name, "note", "not installed", "pip install 'wadm[fast]' is faster"))
    return found


async def _store(settings: Settings) -> Check:
    folder = Path(settings.data_dir) / LIVE
    if settings.store == "sqlite" and not (folder / "wadm.sqlite").exists():
        return Check("store", "note", "empty", "it is made at the first start")
    store = reading_store(settings, LIVE)
    try:
        await store.open(LIVE)
        sizes = await store.sizes()
    except StoreError as error:
        return Check("store", "problem", str(error), "see docs/operations.md")
    finally:
        await store.close()
    return Check("store", "good", f"{sum(sizes.values()) // 1_000} kB")


async def _venue(client: httpx2.AsyncClient, name: str, url: str) -> Check:
    paths = {"binance_spot": "/api/v3/time", "binance_usdm": "/fapi/v1/time"}
    try:
        answer = await client.get(url + paths.get(name, "/v5/market/time"))
    except httpx2.HTTPError as error:
        return Check(name, "note", type(error).__name__, "not reachable from here; see the network")
    if answer.status_code == 200:
        return Check(name, "good", "answers")
    return Check(name, "note", f"HTTP {answer.status_code}", "the venue refuses this address")


def _server(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    try:
        report = ask(settings, "/status", {})
    except UnreachableError:
        return Check("server", "note", f"nothing on {where}", "start it: wadm up")
    except RefusedError as error:
        return Check("server", "problem", f"refuses on {where}", str(error))
    if not report["ready"]:
        return Check("server", "problem", f"not ready on {where}", "see wadm status")
    return Check("server", "good", f"ready on {where}, {report['source']}")


def status_table(report: dict[str, Any]) -> Table:
    """Streams, worst first."""
    columns = (
        *("instrument", "status", "state", "mode", "lag ms", "last", "applied"),
        *("verified", "unverified", "gaps", "error"),
    )
    table = Table(*columns, title=f"source: {report['source']}  ready: {report['ready']}")
    for line in sorted(report["streams"], key=lambda s: -(s["lag_ms"] or 0)):
        gaps = f"{line['gaps_open']} open, {line['gaps_lost']} lost"
        table.add_row(
            line["instrument"],
            line["status"],
            line["state"],
            line["ingestion_mode"],
            str(line["lag_ms"] if line["lag_ms"] is not None else "-"),
            line["last_ingested_timestamp"] or "-",
            str(line["applied"]),
            str(line["minutes_verified"]),
            str(line["minutes_unverified"]),
            gaps,
            line["error_message"] or "-",
        )
    return table


def checks_table(checks: list[Check]) -> Table:
    """What was looked at."""
    table = Table("check", "", "found", "what to do")
    for check in checks:
        table.add_row(check.name, MARKS[check.level], check.found, check.advice)
    return table
