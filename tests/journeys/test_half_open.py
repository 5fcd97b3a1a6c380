"""A connection whose packets vanish: trades flow again in under 15 s."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).parents[1] / "support/half_open_run.py"
PROMISE_S = 15.0
BUSY = 2.0
"""From this load per processor on, seconds say nothing; that it comes back is still shown."""


def run(way: str, *before: str) -> dict[str, Any]:
    """What the run printed."""
    done = subprocess.run(
        [*before, sys.executable, str(RUN), way],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(found)
    return found


def judge(found: dict[str, Any]) -> None:
    assert found["held"] >= 1
    assert found["connects"] >= 2
    busy = os.getloadavg()[0] > BUSY * (os.cpu_count() or 1)
    assert busy or found["back_s"] < PROMISE_S, found


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_relay_falls_silent() -> None:
    """A relay passes no byte of the present connections any more, and closes none."""
    judge(run("proxy"))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_packets_are_dropped() -> None:
    """nftables drops them in a network namespace; where that is not permitted the relay of the
    test beside this one has shown the same, and this one says why it did not."""
    name = f"wadm{secrets.token_hex(3)}"
    tools = shutil.which("ip"), shutil.which("nft")
    if None in tools:
        why = "no ip or nft here"
    else:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        why = made.stderr.decode() if made.returncode else ""
    if why:
        print(f"no network namespace ({why.strip()}): shown by a relay instead")
        judge(run("proxy"))
        return
    within = ("ip", "netns", "exec", name)
    try:
        subprocess.run([*within, "ip", "link", "set", "lo", "up"], check=True)
        judge(run("nft", *within))
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
