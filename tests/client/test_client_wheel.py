"""The built wheel in an empty environment: size, first answer, and what it does not bring."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from client_system import environment, running
from conformance_run import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]
MOST_BYTES = 15_000_000
GOAL_S = 20.0


@pytest.fixture
async def wheel(tmp_path: Path, root: Path) -> Path:
    """The wheel that `make client-wheel` built, or one built now."""
    built = root / os.environ.get("CLIENT_WHEEL", "absent")
    if not list(built.glob("wadm_client-*.whl")):
        built = tmp_path / "dist"
        words = [
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            str(built),
            str(root / "mcp_client"),
        ]
        code, output = await run([sys.executable, *words], 300, tmp_path)
        if code != 0:
            pytest.skip(f"the wheel cannot be built without a package index: {output[-200:]}")
    return max(built.glob("wadm_client-*.whl"))


async def test_from_wheel_to_first_answer(tmp_path: Path, wheel: Path) -> None:
    """Nothing but the wheel and what it asks for: few bytes, an answer, no pandas or numpy."""
    down, place = tmp_path / "down", tmp_path / "place"
    pip = [sys.executable, "-m", "pip"]
    words = ["download", "-q", "--only-binary", ":all:", "-d", str(down), str(wheel)]
    code, output = await run([*pip, *words], 300, tmp_path)
    if code != 0:
        pytest.skip(f"no package index: {output[-200:]}")
    names = {path.name.partition("-")[0].lower() for path in down.iterdir()}
    size = sum(path.stat().st_size for path in down.iterdir())
    assert size < MOST_BYTES, size
    assert not names & {"pandas", "numpy", "pyarrow", "keyring"}
    async with running(tmp_path) as (_, _, config):
        known = environment(config) | {"PYTHONPATH": "", "PATH": os.environ["PATH"]}
        begun = time.monotonic()
        tool = await installed(place, wheel, down)
        process = await asyncio.create_subprocess_exec(
            str(tool), "get", "profile", "BTCUSDT", "--json", env=known, stdout=-1, stderr=-1
        )
        out, err = await process.communicate()
        took_s = time.monotonic() - begun
    assert process.returncode == 0, err.decode()
    assert b'"poc":' in out
    code, output = await run(
        [
            str(tool.with_name("python")),
            "-c",
            "import sys, wadm_client, wadm_client.client, wadm_client.__main__\n"
            "print({'mcp', 'pandas', 'numpy', 'pyarrow', 'pydantic'} & set(sys.modules))\n"
            "from pathlib import Path\n"
            "from wadm_client.errors import ConfigError\n"
            "from wadm_client.export import export\n"
            "try: export([], Path('a.parquet'))\n"
            "except ConfigError as error: print(error)",
        ],
        60,
        tmp_path,
    )
    assert code == 0, output
    assert output.splitlines()[0] == "set()"
    assert "wadm-client[export]" in output
    load = os.getloadavg()[0]
    print(f"{size} bytes; wheel to answer {took_s:.1f} s (goal {GOAL_S} s), load {load:.1f}")
    if "CLIENT_WHEEL" in os.environ:
        assert took_s < GOAL_S * max(1.0, load / (os.cpu_count() or 1))


async def installed(place: Path, wheel: Path, down: Path) -> Path:
    """The command in a new environment, by uv where there is one (as uvx does), else by pip."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    quick = uv.exists()
    make = [str(uv), "venv", "-q"] if quick else [sys.executable, "-m", "venv"]
    make = [*make, str(place)]
    python = place / "bin/python"
    put = [str(uv), "pip", "install", "-q", "--python", str(python)]
    put = put if quick else [str(python), "-m", "pip", "install", "-q"]
    for words in (make, [*put, "--no-index", "--find-links", str(down), str(wheel)]):
        code, output = await run(words, 300, wheel.parent)
        assert code == 0, output
    return place / "bin/wadm-client"
