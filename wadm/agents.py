"""Connecting agents: `wadm mcp` over stdio, and the snippet each client wants."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from backbone.clock import wall_ms
from backbone.settings import Settings
from backbone.store import LIVE
from orderflow.errors import ConfigError
from wadm.compose import SIMULATED, System, opened_store

CLIENTS = ("claude-code", "claude-desktop", "cursor", "vscode", "inspector")
KEY_ENV = "WADM_API_KEY"
KEY_REFERENCES = {
    "claude-code": "${WADM_API_KEY}",
    "claude-desktop": "${WADM_API_KEY}",
    "cursor": "${env:WADM_API_KEY}",
    "vscode": "${input:wadm_key}",
}
"""How a client's file refers to the key: it is never written into one."""


def server_entry(client: str, url: str, *, keyed: bool) -> dict[str, Any]:
    """What a client's configuration says of this server."""
    reference = KEY_REFERENCES[client]
    if client == "claude-desktop":
        asked = ["-y", "mcp-remote", url]
        if not keyed:
            return {"command": "npx", "args": asked}
        asked += ["--header", f"X-API-Key:{reference}"]
        return {"command": "npx", "args": asked, "env": {KEY_ENV: ""}}
    entry: dict[str, Any] = {"url": url}
    if client != "cursor":
        entry = {"type": "http", **entry}
    return entry | {"headers": {"X-API-Key": reference}} if keyed else entry


def snippet(client: str, url: str, *, keyed: bool) -> dict[str, Any]:
    """The whole configuration with this one server."""
    entry = server_entry(client, url, keyed=keyed)
    if client != "vscode":
        return {"mcpServers": {"wadm": entry}}
    whole: dict[str, Any] = {"servers": {"wadm": entry}}
    if keyed:
        asked = {"id": "wadm_key", "type": "promptString", "description": "WADM key"}
        whole["inputs"] = [asked | {"password": True}]
    return whole


def command_line(client: str, url: str, *, keyed: bool) -> str:
    """The command that adds or opens the server, where a client has one."""
    if client == "claude-code":
        header = ' --header "X-API-Key: $WADM_API_KEY"' if keyed else ""
        return f"claude mcp add --transport http wadm {url}{header}"
    header = ' --header "X-API-Key:$WADM_API_KEY"' if keyed else ""
    return (
        f"npx @modelcontextprotocol/inspector --cli {url} --transport http{header} "
        "--method tools/list"
    )


def merged(path: Path, added: dict[str, Any]) -> str:
    """The file's text with this server in it; everything else stays. ConfigError if unreadable."""
    try:
        known = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no JSON that can be merged; nothing was changed") from error
    if not isinstance(known, dict):
        raise ConfigError(f"{path} holds no JSON object; nothing was changed")
    for section, value in added.items():
        if isinstance(value, list):
            ids = {item["id"] for item in value}
            held = [item for item in known.get(section, []) if item.get("id") not in ids]
            known[section] = held + value
        else:
            known[section] = {**known.get(section, {}), **value}
    return json.dumps(known, indent=2) + "\n"


def config(client: str, url: str, *, keyed: bool, into: Path | None) -> str:
    """The snippet, or where it was merged to; ConfigError for an unknown client."""
    if client not in CLIENTS:
        raise ConfigError(f"unknown client; allowed: {', '.join(CLIENTS)}")
    if client == "inspector" or (client == "claude-code" and into is None):
        return command_line(client, url, keyed=keyed)
    added = snippet(client, url, keyed=keyed)
    if into is None:
        return json.dumps(added, indent=2)
    text = merged(into, added)
    scratch = into.with_name(f"{into.name}.wadm")
    scratch.write_text(text)
    scratch.replace(into)
    return f"added to {into}"


@contextlib.asynccontextmanager
async def _market(settings: Settings, *, demo: bool) -> AsyncIterator[tuple[Settings, str]]:
    if not demo:
        yield settings, LIVE
        return
    # numpy and the venues of the simulator: not needed to serve a live market.
    from simulator.clock import parse_speed
    from simulator.service import Simulator
    from simulator.tapes.synthetic import synthetic_tape

    speed = parse_speed(settings.demo_speed)
    async with Simulator([synthetic_tape(wall_ms())], speed=speed) as simulator:
        changed: dict[str, Any] = {"clock_poll_s": 1.0, **simulator.urls}
        yield dataclasses.replace(settings, **changed), SIMULATED


async def stdio(settings: Settings, *, demo: bool) -> None:
    """Collect, and serve one local agent on stdin and stdout: nothing else is written there."""
    free = dataclasses.replace(settings, port=0)
    async with contextlib.AsyncExitStack() as stack:
        chosen, source = await stack.enter_async_context(_market(free, demo=demo))
        store = await stack.enter_async_context(opened_store(chosen, source))
        system = System(chosen, store, source)
        await stack.enter_async_context(system.running())
        if system.server.mcp is not None:
            hosted = await system.server.mcp.hosted()
            await hosted.server.run_stdio_async()


def default_url(settings: Settings) -> str:
    """Where `wadm up` serves MCP."""
    return f"http://{settings.host}:{settings.port}{settings.base_path.rstrip('/')}/mcp"
