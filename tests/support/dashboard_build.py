"""Node tools of the dashboard, installed once under build/ from its lock file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest
from conformance_run import NODE_DIR, OUT, ROOT, run

SOURCES = ROOT / "dashboard"
TOOLS = OUT / "dashboard-node"
LEAST_NODE = (20, 19)
INSTALL_S, BUILD_S = 600, 300


async def _node() -> Path | None:
    """A Node that is new enough for the tools: the system's, or that of other tests."""
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
    if await _node() is None:
        pytest.skip("no Node 20.19 or newer: the bundle can't be built again")
    lock = (SOURCES / "package-lock.json").read_bytes()
    stamp, wanted = TOOLS / "installed", hashlib.sha256(lock).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return TOOLS
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name, TOOLS / name)
    code, output = await run(["npm", "ci", "--no-audit", "--no-fund"], INSTALL_S, TOOLS)
    if code != 0:
        pytest.skip(f"npm or its registry is absent: {output[-300:]}")
    stamp.write_text(wanted)
    return TOOLS


async def node_tool(name: str, words: list[str], folder: Path) -> tuple[int, str]:
    """Run a tool of the installed ones."""
    node = await _node()
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
