"""What is given to registries and desktop hosts: valid, naming files that exist, and working."""

from __future__ import annotations

import json
import re
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import conformance_run as suite
import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

NAME = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+")
BUNDLE = ("manifest.json", "server/index.js")
REGISTRY_SCHEMA = "schemas/mcp_registry/v2025_12_11/server.schema.json"
VARIABLE = re.compile(r"\{(\w+)\}")


@pytest.fixture
def manifest(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "packaging/bundle/manifest.json").read_text())
    return found


def test_registry_entry(root: Path, manifest: dict[str, Any]) -> None:
    """server.json keeps the rules of the registry's schema of 2025-12-11 for a remote server: name,
    length of the description, one exact version, a known transport, every variable declared."""
    entry = json.loads((root / "packaging/server.json").read_text())
    assert "/2025-12-11/" in entry["$schema"]
    assert NAME.fullmatch(entry["name"])
    assert 3 <= len(entry["name"]) <= 200
    assert 1 <= len(entry["description"]) <= 100
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    assert entry["version"] == manifest["version"]
    assert set(entry) <= {"$schema", "name", "title", "description", "version", "remotes"}
    for remote in entry["remotes"]:
        assert remote["type"] == "streamable-http"
        assert set(VARIABLE.findall(remote["url"])) == set(remote["variables"])
        for header in remote["headers"]:
            assert header["name"]
            assert set(header) <= {"name", "description", "isRequired", "isSecret"}


def test_registry_schema(root: Path) -> None:
    """The registry's own schema of that date accepts server.json, and refuses what is no entry."""
    schema = json.loads((files("skillsaw") / REGISTRY_SCHEMA).read_text())
    entry = json.loads((root / "packaging/server.json").read_text())
    assert entry["$schema"] == schema["$id"]
    judge = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in judge.iter_errors(entry)] == []
    assert list(judge.iter_errors({**entry, "name": "wadm"}))
    assert list(judge.iter_errors({**entry, "remotes": [{"type": "http", "url": "x"}]}))


def test_bundle_names_files_that_exist(root: Path, manifest: dict[str, Any]) -> None:
    """The entry point and the command are files of the bundle; every value a user gives is asked
    for, the key as a secret."""
    folder = root / "packaging/bundle"
    server = manifest["server"]
    assert (folder / server["entry_point"]).is_file()
    started = server["mcp_config"]["args"][0].removeprefix("${__dirname}/")
    assert started == server["entry_point"]
    asked = set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(server)))
    assert asked == set(manifest["user_config"])
    assert manifest["user_config"]["key"]["sensitive"] is True


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_bundle_works(root: Path, tmp_path: Path) -> None:
    """The official tool accepts the manifest and unpacks what we pack; the unpacked server carries
    a client's questions to a running server."""
    if not await suite.install():
        pytest.skip("Node tools can't be installed: npm or its registry is absent")
    folder, packed = root / "packaging/bundle", tmp_path / "wadm.mcpb"
    with zipfile.ZipFile(packed, "w") as whole:
        for name in BUNDLE:
            whole.write(folder / name, name)
    code, said = await suite.run(
        [*suite.tool("mcpb"), "validate", str(folder / "manifest.json")], 60, tmp_path
    )
    assert code == 0, said
    unpack = [*suite.tool("mcpb"), "unpack", str(packed), str(tmp_path / "out")]
    code, said = await suite.run(unpack, 60, tmp_path)
    assert code == 0, said
    async with suite.product(tmp_path) as url:
        script = str(tmp_path / "out/server/index.js")
        environ = {"WADM_MCP_URL": url}
        server = StdioServerParameters(command=str(suite.node()), args=[script], env=environ)
        async with Client(stdio_client(server), mode="legacy") as client:
            assert "get_volume_profile" in {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("get_volume_profile", {"symbol": "BTCUSDT"})
            assert not result.is_error
            assert result.structured_content is not None
