"""The official conformance suite and clients of other languages, against our own host."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import conformance_run as suite
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
TOOLS = 15


@pytest.fixture(autouse=True)
async def _tools() -> None:
    """Node 22 and the packages, once."""
    if not await suite.install():
        pytest.skip("Node tools can't be installed: npm or its registry is absent")


@pytest.mark.filterwarnings("ignore:.*SEP-2577.*")
async def test_required_scenarios() -> None:
    """Every required server scenario of both revisions passes; the product passes what applies."""
    notes: list[str] = []
    report = await suite.everything(notes.append)
    assert [name for name, part in report.items() if part["exit"]] == [], "\n".join(notes)
    assert len(report["fixtures 2025-11-25"]["passed"]) == 30
    assert len(report["fixtures 2026-07-28"]["passed"]) == 37
    suite.OUT.mkdir(exist_ok=True)
    (suite.OUT / "conformance.json").write_text(json.dumps(report, indent=1) + "\n")


async def test_clients_of_other_languages(tmp_path: Path) -> None:
    """TypeScript 1.x and 2.x in both eras, the Inspector with --strict, and mcp-remote over
    stdio see the same tools and numbers."""
    async with suite.product(tmp_path) as url:
        script = suite.NODE_DIR / "typescript_clients.mjs"
        shutil.copy(Path(suite.__file__).with_name("typescript_clients.mjs"), script)
        told = [await _script(script, url, kind) for kind in ("sdk1", "legacy", "auto")]
        for one in told:
            assert len(one["tools"]) == TOOLS
            assert one["poc"] == one["text"] == one["resource"]
            assert one["refused"]
            assert len(one["prompts"]) == 4
        for era in ("legacy", "modern"):
            assert await _inspected(url, era) == told[0]["tools"]
        assert await _bridged(url) == told[0]["tools"]


async def _script(script: Path, url: str, kind: str) -> dict[str, Any]:
    command = [str(suite.node()), str(script), url, kind]
    code, output = await suite.run(command, 60, suite.NODE_DIR)
    assert code == 0, (kind, output)
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found


async def _inspected(url: str, era: str) -> list[str]:
    asked = ["--cli", url, "--transport", "http", "--protocol-era", era]
    command = [*suite.tool("mcp-inspector"), *asked, "--method", "tools/list", "--strict"]
    code, output = await suite.run(command, 60, suite.NODE_DIR)
    assert code == 0, (era, output)
    found, _ = json.JSONDecoder().raw_decode(output[output.index("{") :])
    return [tool["name"] for tool in found["tools"]]


async def _bridged(url: str) -> list[str]:
    """A stdio client through mcp-remote."""
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "wadm-test", "version": "1"},
    }
    messages: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    process = await asyncio.create_subprocess_exec(
        *suite.tool("mcp-remote"),
        url,
        "--allow-http",
        cwd=suite.NODE_DIR,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=1_000_000,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in messages:
            process.stdin.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(60):
            while True:
                told = json.loads(await process.stdout.readline())
                if told.get("id") == 2:
                    return [tool["name"] for tool in told["result"]["tools"]]
    finally:
        process.kill()
        await process.wait()
