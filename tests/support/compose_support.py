"""The parts with the environment that compose.yaml gives them, on this machine's addresses."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from apart_support import House
from edge_support import NAME, ROOT

SERVICES = {"collect": "collector-binance", "process": "processor", "serve": "server-a"}
FILES = "/run/secrets/"
DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def environment(service: str) -> dict[str, str]:
    """As compose fills it in for a host called NAME; files of secrets are left out."""
    yaml = pytest.importorskip("ruamel.yaml", reason="check-jsonschema is not installed")
    whole = yaml.YAML(typ="safe").load(ROOT / "compose.yaml")
    found: dict[str, Any] = whole["services"][service]["environment"]
    named = {
        name: str(value).replace("${EDGE_HOST:-localhost}", NAME) for name, value in found.items()
    }
    filled = {name: DEFAULT.sub(r"\1", value) for name, value in named.items()}
    return {name: value for name, value in filled.items() if FILES not in value}


class ComposeHouse(House):
    """Its server needs keys, as in compose; everything listens on loopback only."""

    def first(self, name: str) -> dict[str, str]:
        """compose.yaml's, without what is an address inside its network."""
        chosen = environment(SERVICES[name.partition("-")[0]])
        own = {"WADM_HOST": "127.0.0.1", "WADM_HEALTH_HOST": "127.0.0.1"}
        return chosen | own | {"WADM_DATA_DIR": str(self.folder), "WADM_MARKETS": "spot"}

    async def new_key(self, *terms: str) -> str:
        """As `docker compose run --rm admin keys create`."""
        file = self.folder / f"me-{len(list(self.folder.glob('me-*.key')))}.key"
        environ = environment("admin") | {
            f"WADM_{name.upper()}": value for name, value in self.common.items()
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wadm", "keys", "create", "me", "--source", "simulated"),
            *("--out", str(file), *terms),
            env={**os.environ, **environ},
        )
        assert await process.wait() == 0
        return file.read_text().strip()


def house_in(folder: Path, *parts: Any) -> ComposeHouse:
    """Nothing runs yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return ComposeHouse(folder, *parts)
