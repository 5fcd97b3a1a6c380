"""The fault proofs themselves: small ones on every run, with seeds that change."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from wadm.chaos.killing import kill_loop, markets_for
from wadm.chaos.restart import run_restart
from wadm.chaos.virtual import run_virtual


async def test_time_jumps() -> None:
    """A virtual day of timers costs no time, and bytes arrive in order with their latency."""

    async def work(loop: asyncio.AbstractEventLoop) -> list[bytes]:
        got: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                got.append(data)
                writer.write(data.upper())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(24):
            await asyncio.sleep(3_600)
            writer.write(b"tick")
            assert await reader.read(100) == b"TICK"
        writer.close()
        assert loop.time() > 87_400
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", 1)
        return got

    got = await asyncio.to_thread(run_virtual, work)
    assert got == [b"tick"] * 24


@pytest.mark.slow
@pytest.mark.timeout(1_200)
async def test_killed_for_real(tmp_path: Path) -> None:
    """SIGKILL at random moments while a thousand trades a second flow with faults."""
    found = await kill_loop(tmp_path, 3, 1_000.0, random.SystemRandom().randrange(10**6), pace=6.0)
    assert found.good, found
    assert found.kills == 3
    assert len(found.serving_s) == 3


def test_exact_again_at_three_thousand_trades_a_second() -> None:
    """After a death and one to ten seconds without a process, what is missing is known, asked for
    and applied within seven virtual seconds of the start: connecting and weights cost no more."""
    took_s = run_virtual(lambda loop: run_restart(loop, 5, markets_for(3_000.0)))
    assert len(took_s) == 4
    assert max(took_s) < 7, took_s


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_command_writes_its_figures(tmp_path: Path) -> None:
    """`python -m wadm.chaos` writes the file and exits 0 when every promise held."""
    out = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "wadm.chaos", "--quick", "--seeds", "1", "--minutes", "4"]
    done = subprocess.run(
        [*command, "--kills", "0", "--jobs", "1", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["good"]
    assert {"kills", "seeds", "faults_seen", "lost", "double", "undeclared_gaps", "recovery_s"} <= (
        set(found)
    )
