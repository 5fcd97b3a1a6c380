"""Runs the official conformance suite against our host; `python conformance_run.py` writes
build/conformance.json and exits non-zero on a required failure."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from access_support import serving
from conformance_fixtures import fixture_server
from journeys_support import journey
from sim_support import short_tapes

from backbone.keys.book import KeyBook, Terms
from backbone.settings import read_settings
from backbone.store.sqlite import SqliteStore
from mcp_server.access.access import Access
from mcp_server.app import application
from mcp_server.hosting import hosted
from mcp_server.late import LateMcp

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build"
VERSIONS = ("2025-11-25", "2026-07-28")
APPLIES = {
    "2025-11-25": (
        "server-initialize",
        "ping",
        "completion-complete",
        "tools-list",
        "server-sse-multiple-streams",
        "resources-list",
        "resources-subscribe",
        "resources-unsubscribe",
        "prompts-list",
        "dns-rebinding-protection",
    ),
    "2026-07-28": (
        "completion-complete",
        "tools-list",
        "server-sse-multiple-streams",
        "resources-list",
        "sep-2164-resource-not-found",
        "prompts-list",
        "dns-rebinding-protection",
        "caching",
    ),
}
"""Required scenarios that ask for no fixture name, so the product itself must pass them."""
LINE = re.compile(r"^(?P<mark>[✓✗]) (?P<name>[\w./-]+): (?P<good>\d+) passed, (?P<bad>\d+) failed")
PACKAGES = (
    "node@22",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
    "mcp-remote@0.15.1",
    "@anthropic-ai/mcpb@2.1.2",
    "@modelcontextprotocol/ext-apps@2.0.4",
    "rolldown@1.2.19",
)
"""Node tools of the tests, pinned; they live under build/, never among our own files."""
NODE_DIR = OUT / "node"
INSTALL_S = 300
RUN_S = 600
MOST_AGAIN = 2


def node() -> Path | None:
    """Node 22 of the tests, when it is installed."""
    found = NODE_DIR / "node_modules/node/bin/node"
    return found if found.exists() else None


def tool(name: str) -> list[str]:
    """The command line of an installed Node tool."""
    return [str(node()), str((NODE_DIR / "node_modules/.bin" / name).resolve())]


async def install() -> bool:
    """Install the Node tools once; False where npm or its registry is absent."""
    stamp, wanted = NODE_DIR / "installed", "\n".join(PACKAGES)
    if node() is not None and stamp.exists() and stamp.read_text() == wanted:
        return True
    npm = shutil.which("npm")
    if npm is None:
        return False
    NODE_DIR.mkdir(parents=True, exist_ok=True)
    (NODE_DIR / "package.json").write_text('{"private": true}\n')
    code, _ = await run([npm, "install", "--no-audit", "--no-fund", *PACKAGES], INSTALL_S, NODE_DIR)
    if code == 0 and node() is not None:
        stamp.write_text(wanted)
        return True
    return False


async def run(
    command: Sequence[str], limit_s: float, folder: Path, stdin: bytes | None = None
) -> tuple[int, str]:
    """(exit code, output) of a command that is ended at the limit."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"NO_COLOR": "1"},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(stdin), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "out of time"
    return process.returncode or 0, output.decode(errors="replace")


class Keyed:
    """Adds the key that the suite can't send."""

    def __init__(self, app: Any, key: str) -> None:
        self.app, self.key = app, key.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"x-api-key", self.key)]}
        await self.app(scope, receive, send)


@asynccontextmanager
async def fixtures(folder: Path) -> AsyncIterator[str]:
    """The fixture server behind our whole host stack, keys required."""
    settings = read_settings({}, keys="required", key_cost=4, requests_per_minute=1_000_000)
    store = SqliteStore(folder / "keys.sqlite")
    await store.open("simulated")
    try:
        key, _ = await KeyBook(store, "test").create("suite", 4, Terms(per_minute=1_000_000))
        mcp, subscriptions = fixture_server()
        late = LateMcp(lambda: hosted(mcp, subscriptions, settings))
        app = application(late, Access(store, settings), settings)
        keyed: Any = Keyed(app, key.text)
        async with serving(keyed) as port:
            yield f"http://127.0.0.1:{port}/mcp"
    finally:
        await store.close()


@asynccontextmanager
async def product(folder: Path) -> AsyncIterator[str]:
    """The product on a short tape."""
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(folder, short_tapes(), row_sizes=rows) as trip:
        await trip.until_played()
        yield f"{trip.base_url}/mcp"


async def required(url: str, version: str, folder: Path) -> dict[str, Any]:
    """Every scenario that a revision requires of a server."""
    command = [*tool("conformance"), "server", "--url", url, "--requirements", version]
    code, output = await run([*command, "-o", str(folder)], RUN_S, folder)
    scenarios = read(output)
    failed = {name for name, state in scenarios.items() if state == "failed"} - unscored(output)
    again = []
    # The suite gives each answer little time; on a crowded machine one may be asked alone, once.
    for name in sorted(failed)[:MOST_AGAIN]:
        command = [*tool("conformance"), "server", "--url", url, "--scenario", name]
        alone, said = await run([*command, "--spec-version", version], RUN_S, folder)
        if alone == 0:
            scenarios[name] = "passed"
            again.append(name)
        output += said if alone else ""
    if failed and failed <= set(again):
        code = 0
    return {"exit": code, "scenarios": scenarios, "output": output, "again": again}


async def applying(url: str, version: str, folder: Path) -> dict[str, Any]:
    """The scenarios that need no fixture, one by one."""
    scenarios = {}
    output = ""
    for name in APPLIES[version]:
        command = [*tool("conformance"), "server", "--url", url, "--scenario", name]
        code, said = await run([*command, "--spec-version", version], RUN_S, folder)
        scenarios[name] = "passed" if code == 0 else "failed"
        output += said if code else ""
    return {
        "exit": int("failed" in scenarios.values()),
        "scenarios": scenarios,
        "output": output,
    }


def unscored(output: str) -> set[str]:
    """Scenarios that were run but are no part of the requirements."""
    tail = output.partition("Not scored for")[2]
    return {found[1] for found in re.finditer(r"^\s+[✓✗] ([\w./-]+) \(", tail, re.MULTILINE)}


def read(output: str) -> dict[str, str]:
    """Scenarios by name from the suite's summary."""
    found = {}
    for line in output.splitlines():
        match = LINE.match(line.strip())
        if match:
            found[match["name"]] = "passed" if match["bad"] == "0" else "failed"
    return found


async def everything(note: Callable[[str], None]) -> dict[str, Any]:
    """Both targets in both revisions."""
    report: dict[str, Any] = {}
    targets: dict[str, tuple[Any, Callable[[str, str, Path], Awaitable[dict[str, Any]]]]] = {
        "fixtures": (fixtures, required),
        "product": (product, applying),
    }
    for target, (serve, ask) in targets.items():
        with tempfile.TemporaryDirectory() as folder:
            async with serve(Path(folder)) as url:
                for version in VERSIONS:
                    found = await ask(url, version, Path(folder))
                    extra = unscored(found["output"])
                    names = {n: s for n, s in found["scenarios"].items() if n not in extra}
                    report[f"{target} {version}"] = {
                        "passed": sorted(n for n, state in names.items() if state == "passed"),
                        "failed": sorted(n for n, state in names.items() if state == "failed"),
                        "skipped": sorted(extra),
                        "again": found.get("again", []),
                        "exit": found["exit"],
                    }
                    passed = sum(state == "passed" for state in names.values())
                    note(f"{target} {version}: {passed}/{len(names)}, exit {found['exit']}")
                    if found["exit"]:
                        note(found["output"][-6_000:])
    return report


async def main() -> int:
    """0 good, 1 a required failure, 3 no Node tools."""
    if not await install():
        print("Node tools can't be installed: npm or its registry is absent")
        return 3
    report = await everything(print)
    OUT.mkdir(exist_ok=True)
    (OUT / "conformance.json").write_text(json.dumps(report, indent=1) + "\n")
    return int(any(part["exit"] for part in report.values()))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
