"""The real server behind the real nginx, and wadm-client as a process in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from edge_support import Edge, edge
from journeys_support import Journey, journey
from sim_support import short_tapes
from wadm_client.config import Config
from wadm_client.patience import Patience

START, END = "2025-01-01T00:00:00Z", "2025-01-01T00:02:00Z"
QUICK = Patience(base_s=0.01, cap_s=0.05, budget_s=2.0, attempts=2)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Journey, Edge, Config]]:
    rows = "BTCUSDT=0.05,ETHUSDT=0.05"
    async with journey(folder / "store", short_tapes(), row_sizes=rows) as trip:
        await trip.until_played()
        async with edge(folder / "edge", trip.system.port, EDGE_BURST="1000") as front:
            yield (
                trip,
                front,
                Config(url=front.url, ca_file=front.ca, cache_dir=folder / "cache", per_minute=600),
            )


async def command(*words: str, config: Config) -> tuple[int, str, str]:
    """The command as a process, with only what the configuration says."""
    process = await asyncio.create_subprocess_exec(
        *runner(),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(config),
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def runner() -> list[str]:
    return [sys.executable, "-m", "wadm_client"]


def environment(config: Config) -> dict[str, str]:
    source = Path(__file__).resolve().parents[2] / "mcp_client/src"
    return {
        "PYTHONPATH": str(source),
        "WADM_API_URL": config.url,
        "WADM_CA_FILE": str(config.ca_file),
        "WADM_CACHE_DIR": str(config.cache_dir),
        "HOME": str(config.cache_dir),
    }
