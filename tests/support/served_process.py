"""`served.py` as a running process, its memory, its processor time and what it answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("served.py")


class Served:
    """The process."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.port: int = told["port"]
        self.keys: list[str] = told["keys"]
        self.key = self.keys[0]

    def rss_kb(self) -> int:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def cpu_s(self) -> float:
        """Processor time of all its threads, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def ended(self) -> dict[str, int]:
        """What it answered, by status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        async with asyncio.timeout(120):
            lines = (await self.process.stdout.read()).decode().splitlines()
            assert await self.process.wait() == 0
        found: dict[str, int] = json.loads(lines[-1])["statuses"]
        return found


@contextlib.asynccontextmanager
async def served(folder: Path, **settings: str) -> AsyncIterator[Served]:
    """A server with static data that needs keys; its log is server.log."""
    with (folder / "server.log").open("wb") as log:
        words = [f"{name}={value}" for name, value in settings.items()]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(SCRIPT), str(folder / "store"), *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 24,
        )
    try:
        assert process.stdout is not None
        told: dict[str, Any] = {}
        async with asyncio.timeout(240):
            while "port" not in told:
                line = await process.stdout.readline()
                assert line, (folder / "server.log").read_text()
                with contextlib.suppress(ValueError):
                    told = json.loads(line)
        yield Served(process, told)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
