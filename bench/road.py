"""The whole road: trades a second and core from TLS socket to stored bar, beside cryptofeed.

`make bench` (QUICK=1 for a short run) prints a table, writes build/bench.json and exits 1 when a
goal is missed. The sender has the other core; runs alternate; figures are medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.blast import CERTIFICATE, SYMBOLS, certificate

PEERS = Path(".venv-peers")
CRYPTOFEED = "cryptofeed==2.4.1"
GOAL_RATIO = 3.0
GOAL_P99_MS = 100.0
PACED_RATE = 10_000
console = Console(width=110)


def peers_python() -> str | None:
    """An environment of its own for the peer; None when it can't be installed."""
    python = PEERS / "bin/python"
    if not python.exists():
        console.print(f"installing {CRYPTOFEED} into {PEERS}")
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "-q", CRYPTOFEED], check=False)
        if done.returncode != 0:
            return None
    return str(python)


def sent(count: int, rate: float, words: list[str]) -> dict[str, Any] | None:
    """One run of a reader against a fresh sender; its JSON line."""
    environ = os.environ | {"SSL_CERT_FILE": str(CERTIFICATE.resolve())}
    command = [sys.executable, "-m", "bench.blast", str(count), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        os.sched_setaffinity(sender.pid, {1} if os.cpu_count() != 1 else {0})
        try:
            ports = sender.stdout.readline().split()
            filled = [w.format(ws=ports[0], rest=ports[1]) for w in words]
            out = subprocess.run(
                filled, capture_output=True, text=True, env=environ, timeout=300, check=False
            )
        finally:
            sender.kill()
    if out.returncode != 0 or not out.stdout.strip():
        console.print(f"[red]failed:[/] {filled[1:4]} {out.stderr[-400:]}")
        return None
    found: dict[str, Any] = json.loads(out.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """Alternate the readers, print, judge."""
    quick = "--quick" in sys.argv
    count, repeats = (150_000, 3) if quick else (400_000, 5)
    certificate()
    ours = [sys.executable, "-m", "bench.ours", "{ws}", "{rest}", str(count), "blast"]
    peer = peers_python()
    names = ",".join(f"{symbol[:-4]}-USDT" for symbol in SYMBOLS)
    runs: dict[str, list[dict[str, Any]]] = {"wadm": [], "cryptofeed": []}
    for number in range(repeats):
        console.print(f"run {number + 1} of {repeats}, {count:,} trades each")
        if (found := sent(count, 0, ours)) is not None:
            runs["wadm"].append(found)
        if peer is not None:
            words = [peer, "bench/peer_cryptofeed.py", "{ws}", str(count), names, "{rest}"]
            if (found := sent(count, 0, words)) is not None:
                runs["cryptofeed"].append(found)
    seconds = 5 if quick else 20
    paced = [sys.executable, "-m", "bench.ours", "{ws}", "{rest}"]
    latency = sent(PACED_RATE * seconds, PACED_RATE, [*paced, str(PACED_RATE * seconds), "paced"])
    return judged(runs, latency)


def per_core(found: list[dict[str, Any]]) -> float:
    """Median trades a second of processor time."""
    return statistics.median(run["trades"] / run["cpu_s"] for run in found)


def judged(runs: dict[str, list[dict[str, Any]]], latency: dict[str, Any] | None) -> int:
    """Print the table, write the file; 1 when a goal is missed or a peer is missing."""
    table = Table("reader", "trades/s/core", "us CPU/trade", "wall trades/s", "RSS MB", "x peer")
    base = per_core(runs["cryptofeed"]) if runs["cryptofeed"] else None
    for name, found in runs.items():
        if not found:
            continue
        rate = per_core(found)
        wall = statistics.median(run["trades"] / run["wall_s"] for run in found)
        rss = statistics.median(run["rss_mb"] for run in found)
        ratio = "-" if base is None else f"{rate / base:.2f}"
        cells = (f"{rate:,.0f}", f"{1e6 / rate:.2f}", f"{wall:,.0f}", f"{rss:.0f}", ratio)
        table.add_row(name, *cells)
    console.print(table)
    goals = []
    if base is not None and runs["wadm"]:
        ratio = per_core(runs["wadm"]) / base
        goals.append(
            ("socket to stored bar / cryptofeed callback", ratio, GOAL_RATIO, ratio >= GOAL_RATIO)
        )
    if latency is not None:
        p99 = latency["p99_ms"]
        goals.append(
            (f"p99 trade to answer at {PACED_RATE}/s, ms", p99, GOAL_P99_MS, p99 < GOAL_P99_MS)
        )
    for name, figure, goal, met in goals:
        console.print(f"{'met   ' if met else 'MISSED'} {name}: {figure:.2f} (goal {goal})")
    Path("build").mkdir(exist_ok=True)
    body = {"runs": runs, "latency": latency, "goals": goals}
    Path("build/bench.json").write_text(json.dumps(body, indent=1))
    return 0 if len(goals) == 2 and all(met for *_, met in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
