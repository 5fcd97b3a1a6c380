"""The bridge under hosts of other languages, the Inspector, and the suite's client scenarios."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import conformance_run as suite
import pytest
from client_system import environment
from wadm_client.config import Config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
LIMIT_S = 240
SCENARIOS = ("tools_call", "http-standard-headers", "json-schema-ref-no-deref", "request-metadata")
"""Those of revision 2026-07-28, without OAuth and elicitation."""


@pytest.fixture(autouse=True)
async def _tools() -> None:
    """Node 22 and the packages, once."""
    if not await suite.install():
        pytest.skip("Node tools can't be installed: npm or its registry is absent")


async def test_hosts_of_the_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TypeScript clients 1.x and 2.x and the Inspector with --strict in both eras work over stdio,
    and see the tools of the server."""
    async with suite.product(tmp_path / "store") as url:
        config = Config(url=url.removesuffix("/mcp"), cache_dir=tmp_path / "cache")
        known = {n: v for n, v in environment(config).items() if n not in {"WADM_CA_FILE", "HOME"}}
        for name, value in known.items():
            monkeypatch.setenv(name, value)
        script = suite.NODE_DIR / "typescript_bridge.mjs"
        shutil.copy(Path(suite.__file__).with_name("typescript_bridge.mjs"), script)
        names = []
        for kind in ("sdk1", "sdk2"):
            command = [str(suite.node()), str(script), sys.executable, kind]
            code, output = await suite.run(command, LIMIT_S, suite.NODE_DIR)
            assert code == 0, (kind, output)
            told = json.loads(output.strip().splitlines()[-1])
            assert told["poc"] == told["text"]
            assert told["refused"]
            names.append(told["tools"])
        given = [f"{name}={value}" for name, value in known.items()]
        bridge = ["--cli", "env", *given, sys.executable, "-m", "wadm_client", "mcp"]
        for era in ("legacy", "modern"):
            asked = ["--protocol-era", era, "--connect-timeout", "120000"]
            command = [*suite.tool("mcp-inspector"), *bridge, *asked, "--method", "tools/list"]
            code, output = await suite.run([*command, "--strict"], LIMIT_S, suite.NODE_DIR)
            assert code == 0, (era, output)
            found, _ = json.JSONDecoder().raw_decode(output[output.index("{") :])
            names.append([tool["name"] for tool in found["tools"]])
        assert "get_volume_profile" in names[0]
        assert all(one == names[0] for one in names)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_client_scenarios(tmp_path: Path, scenario: str) -> None:
    """The client passes the scenarios of the conformance suite that are about what it does."""
    script = Path(suite.__file__).with_name("conformance_client.py")
    source = Path(__file__).resolve().parents[2] / "mcp_client/src"
    run = f"env PYTHONPATH={source} {sys.executable} {script}"
    command = [*suite.tool("conformance"), "client", "--command", run, "--scenario", scenario]
    words = ["--spec-version", "2026-07-28", "--timeout", "200000"]
    code, output = await suite.run([*command, *words], LIMIT_S, tmp_path)
    assert code == 0, output
    assert "Warning Checks" not in output, output
