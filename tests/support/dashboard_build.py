"""Node tools of the dashboard, installed once under build/ from its lock file."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest
from conformance_run import NODE_DIR, OUT, ROOT, install, run

SOURCES = ROOT / "dashboard"
TOOLS = OUT / "dashboard-node"
LEAST_NODE = (20, 19)
INSTALL_S, BUILD_S = 600, 300


async def newest_node() -> Path | None:
    """A Node that is new enough for the tools: the system's, or else that of other tests."""
    return await _known_node() or (await _known_node() if await install() else None)


async def _known_node() -> Path | None:
    for place in (shutil.which("node"), NODE_DIR / "node_modules/node/bin/node"):
        if place is None or not Path(place).exists():
            continue
        _, output = await run([str(place), "--version"], 60, ROOT)
        found = re.match(r"v(\d+)\.(\d+)", output.strip())
        if found and (int(found[1]), int(found[2])) >= LEAST_NODE:
            return Path(place)
    return None


async def tools() -> Path:
    """The folder that holds node_modules; skips visibly where there can be none."""
    if await newest_node() is None:
        pytest.skip("no Node 20.19 or newer: the bundle can't be built again")
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as turn:
        # Workers that run tests side by side install once.
        await asyncio.to_thread(fcntl.flock, turn, fcntl.LOCK_EX)
        return await _installed()


async def _installed() -> Path:
    lock = (SOURCES / "package-lock.json").read_bytes()
    stamp, wanted = TOOLS / "installed", hashlib.sha256(lock).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return TOOLS
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name, TOOLS / name)
    code, output = await run(["npm", "ci", "--no-audit", "--no-fund"], INSTALL_S, TOOLS)
    if code != 0:
        pytest.skip(f"npm or its registry is absent: {output[-300:]}")
    stamp.write_text(wanted)
    return TOOLS


async def node_tool(name: str, words: list[str], folder: Path) -> tuple[int, str]:
    """Run a tool of the installed ones."""
    node = await newest_node()
    assert node is not None
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = ["env", f"PATH={path}", str(TOOLS / "node_modules/.bin" / name), *words]
    return await run(command, BUILD_S, folder)


async def workplace(folder: Path) -> Path:
    """A copy of the sources with the tools beside them."""
    installed = await tools()
    place = folder / "dashboard"
    shutil.copytree(SOURCES, place, ignore=shutil.ignore_patterns("node_modules"))
    (place / "node_modules").symlink_to(installed / "node_modules")
    return place
