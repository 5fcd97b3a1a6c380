"""Every snippet of docs/client.md, run as a reader would, against the real server."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from client_system import environment, running
from wadm_client.config import Config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNERS = {
    "python": [sys.executable, "-W", "error", "-c"],
    "sh": ["bash", "-euo", "pipefail", "-c"],
}


async def test_every_snippet(tmp_path: Path, root: Path) -> None:
    """Blocks of Python and shell run in the order of the page and end well."""
    blocks = BLOCK.findall((root / "docs/client.md").read_text())
    assert {language for language, _ in blocks} == {"python", "sh", "text"}
    folder = tmp_path / "reader"
    folder.mkdir()
    async with running(tmp_path) as (_, _, config):
        for language, code in blocks:
            if language in RUNNERS:
                out = await ran([*RUNNERS[language], code], folder, config)
                assert out.strip(), f"nothing was said by:\n{code}"
    for name in ("bars.csv", "profiles.jsonl", "flow.parquet", "claude_desktop_config.json"):
        assert (folder / name).stat().st_size
    assert (folder / "waickoff_reports/context/BTCUSDT/key_levels.json").exists()


async def ran(words: list[str], folder: Path, config: Config) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=folder,
        env=environment(config) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, f"{words[-1]}\n{out.decode()}"
    return out.decode()
