"""The TypeScript example, compiled and run with Node against the cache and the real server."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import conformance_run as tools
import pytest
from client_system import command, running
from wadm_client import question as ask_for
from wadm_client.cache import FileCache, file_name
from wadm_client.client import AsyncClient
from wadm_client.clock import Clock
from wadm_client.config import Config
from wadm_client.entry import Held, to_entry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
EXAMPLE = "mcp_client/examples/waickoff"


@pytest.fixture
async def program(root: Path) -> Path:
    """The compiled example; npm is asked once per checkout."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the TypeScript example was not run")
    built = root / "build/typescript"
    shutil.rmtree(built / "src", ignore_errors=True)
    shutil.copytree(root / EXAMPLE, built, dirs_exist_ok=True)
    if not (built / "node_modules/typescript").exists():
        words = ["npm", "install", "--no-audit", "--no-fund"]
        code, output = await tools.run(words, tools.INSTALL_S, built)
        if code != 0:
            pytest.skip("npm has no registry: the TypeScript example was not compiled")
    code, output = await tools.run(["npm", "run", "build"], 120, built)
    assert code == 0, output
    return built / "dist/example.js"


async def shown(program: Path, config: Config, storage: Path, *symbols: str) -> list[Any]:
    """What the example prints, a line for each symbol."""
    environment = {
        "PATH": os.environ["PATH"],
        "WADM_API_URL": config.url,
        "WADM_CACHE_TTL": "3600",
        "WADM_STORAGE": str(storage),
        "NODE_EXTRA_CA_CERTS": str(config.ca_file),
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    _, output = await tools.run(
        ["env", "-i", *words, "node", str(program), *symbols], 60, program.parent
    )
    return [json.loads(line) for line in output.splitlines()]


async def test_as_waickoff_would(tmp_path: Path, program: Path) -> None:
    """Cache first, then the server with its validator, then the last answer marked stale."""
    program = program.resolve()
    storage = tmp_path / "cache/storage"
    async with running(tmp_path) as (_, _, config):
        async with AsyncClient(Config(url=config.url, ca_file=config.ca_file)) as client:
            profile = await client.volume_profile("BTCUSDT")
            flow = await client.order_flow("BTCUSDT")
        found, unknown = await shown(program, config, storage, "BTCUSDT", "NOPEUSDT")
        assert found["volumeProfile"]["origin"] == found["orderFlow"]["origin"] == "server"
        assert (
            found["volumeProfile"]["value"]["poc"]
            == found["handler_poc"]
            == float(profile.poc or 0)
        )
        assert found["orderFlow"]["value"]["delta"] == float(flow.delta)
        assert found["interpretation"]["usable"] is not found["orderFlow"]["stale"]
        assert "DATA_NOT_FOUND" in unknown["error"]
        kept(config, b'{"poc":1.5,"vah":2,"val":1,"quality":{"stale":false,"age_ms":7}}')
        found = (await shown(program, config, storage, "BTCUSDT"))[0]
        assert found["volumeProfile"]["origin"] == "cache"
        assert found["volumeProfile"]["value"]["poc"] == 1.5
        assert found["volumeProfile"]["ageMs"] >= 7
        path = storage / "market-data/wadm/volume_profile/BTCUSDT_1h.json"
        path.write_text(path.read_text().replace("1.5", "1.6"))
        found = (await shown(program, config, storage, "BTCUSDT"))[0]
        assert found["volumeProfile"]["origin"] == "server", "a changed digit must not be believed"
        (tmp_path / "poll.toml").write_text('[[watch]]\nsymbols = ["BTCUSDT"]\n')
        words = ["poll", "--config", str(tmp_path / "poll.toml"), "--rounds", "1"]
        code, _, err = await command(*words, config=config)
        assert code == 0, err
    found = (await shown(program, config, storage, "BTCUSDT"))[0]
    for part in ("volumeProfile", "orderFlow"):
        assert found[part]["origin"] in {"old", "cache"}
        assert found[part]["stale"] == found[part]["value"]["quality"]["stale"]
    kept(
        config, b'{"poc":1.5,"vah":2,"val":1,"quality":{"stale":false,"age_ms":7}}', old_ms=600_000
    )
    found = (await shown(program, config, storage, "BTCUSDT"))[0]["volumeProfile"]
    assert (found["origin"], found["stale"]) == ("old", True)
    assert found["value"]["quality"]["stale"]
    assert found["value"]["quality"]["age_ms"] == found["ageMs"] >= 600_000


def kept(config: Config, body: bytes, old_ms: int = 0) -> None:
    """A cache file as the poller would write it, good for five minutes."""
    assert config.cache_dir is not None
    key = ask_for.volume_profile("BTCUSDT", "1h", {}).key
    name = file_name("volume_profile", "BTCUSDT", "1h", key)
    clock = Clock(boot=lambda: "")
    shifted = Clock(wall_ms=lambda: clock.wall_ms() - old_ms, boot=lambda: "")
    held = Held(key, body, None, shifted.stamp(), 300_000, 7, 300_000)
    cache = FileCache(config.cache_dir)
    cache.path(name).unlink(missing_ok=True)
    assert cache.write(name, to_entry(held, config.url, stale=False))
