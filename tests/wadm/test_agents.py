"""Connecting agents: stdio and the snippets of every client."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from typer.testing import CliRunner

from orderflow.errors import ConfigError
from wadm import agents
from wadm.__main__ import app

URL = "https://example.com/wadm/mcp"


@pytest.mark.timeout(1_200)
async def test_stdio(tmp_path: Path) -> None:
    """Over stdio an agent gets the tools; nothing but JSON-RPC is on stdout."""
    environ = {"WADM_DATA_DIR": str(tmp_path), "WADM_LOG_LEVEL": "error"}
    command = ["-m", "wadm", "mcp", "--demo"]
    server = StdioServerParameters(command=sys.executable, args=command, env=environ)
    async with Client(stdio_client(server)) as client:
        assert len((await client.list_tools()).tools) == 15
        status = await client.call_tool("get_status", {})
        assert status.structured_content is not None
        assert status.structured_content["source"] == "simulated"


@pytest.mark.parametrize("client", agents.CLIENTS)
@pytest.mark.parametrize("keyed", [True, False])
def test_snippets(client: str, keyed: bool) -> None:
    """Every client gets the address, and a reference to the key instead of a key."""
    text = agents.config(client, URL, keyed=keyed, into=None)
    assert URL in text
    assert ("X-API-Key" in text) == keyed


def test_merging_keeps_the_rest(tmp_path: Path) -> None:
    """Other servers and settings stay; a file that can't be read is left alone."""
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"other": {"url": "x"}}, "theme": "dark"}')
    result = CliRunner().invoke(
        app, ["mcp-config", "cursor", "--url", URL, "--into", str(path), "--no-key"]
    )
    assert result.exit_code == 0, result.output
    known = json.loads(path.read_text())
    assert known["theme"] == "dark"
    assert set(known["mcpServers"]) == {"other", "wadm"}
    path.write_text("not json")
    with pytest.raises(ConfigError, match="nothing was changed"):
        agents.config("vscode", URL, keyed=True, into=path)
    assert path.read_text() == "not json"
    with pytest.raises(ConfigError, match="allowed: claude-code"):
        agents.config("emacs", URL, keyed=True, into=None)
