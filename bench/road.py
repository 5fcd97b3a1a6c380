"""The whole road: trades a second and core from TLS socket to stored bar, beside cryptofeed.

The sender has the other core, runs alternate, figures are medians. A second, paced run asks the
server all the time and measures how old its answers are and how long the loop was held up.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.blast import CERTIFICATE, WARM, certificate
from bench.goals import Goal, console, times
from bench.tape import SYMBOLS

PEERS = Path(".venv-peers")
CRYPTOFEED, CCXT = "cryptofeed==2.4.1", "ccxt==4.5.90"
GOAL_RATIO, GOAL_BYBIT, GOAL_CCXT = 3.0, 2.5, 15.0
CCXT_TRADES = 60_000
"""It is slower by so much that fewer have to do."""
GOAL_P99_MS = 100.0
GOAL_STALL_MS = 10.0
PACED_RATE = 10_000
Run = dict[str, Any]


def peers_python() -> str | None:
    """An environment of its own for the peers; None when they can't be installed. One that holds
    them already is used as it is."""
    python, wanted = PEERS / "bin/python", (CRYPTOFEED, CCXT)
    if not _held(python, wanted):
        console.print(f"installing {' '.join(wanted)} into {PEERS}")
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *wanted]
        if subprocess.run(install, check=False).returncode != 0:
            return None
    return str(python)


def _held(python: Path, wanted: Sequence[str]) -> bool:
    """True when this environment has exactly these versions."""
    if not python.exists():
        return False
    names = [pinned.partition("==")[0] for pinned in wanted]
    asks = f"from importlib.metadata import version; print(*map(version, {names!r}))"
    found = subprocess.run([python, "-c", asks], capture_output=True, text=True, check=False)
    return found.stdout.split() == [pinned.partition("==")[2] for pinned in wanted]


def sent(
    count: int,
    rate: float,
    words: list[str],
    venue: str = "binance",
    more: tuple[str, ...] = (),
    timeout_s: float = 300,
) -> Run | None:
    """One run of a reader, which is told the venue last, against a fresh sender, which is told
    `more` last; its JSON line."""
    environ = os.environ | {"SSL_CERT_FILE": str(CERTIFICATE.resolve())}
    command = [sys.executable, "-m", "bench.blast", str(count), str(rate), venue, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        os.sched_setaffinity(sender.pid, {1} if os.cpu_count() != 1 else {0})
        try:
            ports = sender.stdout.readline().split()
            filled = [word.format(ws=ports[0], rest=ports[1]) for word in [*words, venue]]
            out = subprocess.run(
                filled, capture_output=True, text=True, env=environ, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            console.print(f"[red]took too long:[/] {words[1:3]}")
            return None
        finally:
            sender.kill()
    # Who watches a reader may say something after it.
    lines = [line for line in out.stdout.splitlines() if line.startswith("{")]
    if out.returncode != 0 or not lines:
        console.print(f"[red]failed:[/] {filled[1:4]} {out.stderr[-400:]}")
        return None
    found: Run = json.loads(lines[-1])
    return found


def per_core(found: list[Run]) -> float | None:
    """Median trades a second of processor time."""
    return statistics.median(run["trades"] / run["cpu_s"] for run in found) if found else None


def shown(runs: dict[str, list[Run]], paced: Run | None) -> None:
    """A table of all runs."""
    columns = (
        "us CPU/trade, all runs",
        "wall trades/s",
        "RSS MB",
        "loop turn: wall / own work, ms",
    )
    table = Table("reader", "trades/s/core", *columns)
    named = {name: found for name, found in runs.items() if found}
    if paced is not None:
        named[f"wadm, {PACED_RATE:,}/s"] = [paced]
    for name, found in named.items():
        each = " ".join(f"{run['cpu_s'] / run['trades'] * 1e6:.1f}" for run in found)
        wall = statistics.median(run["trades"] / run["wall_s"] for run in found)
        rss = statistics.median(run["rss_mb"] for run in found)
        turns = " ".join(
            f"{run['stall_ms']:.0f}/{run['stall_work_ms']:.0f}"
            for run in found
            if "stall_ms" in run
        )
        table.add_row(name, f"{per_core(found):,.0f}", each, f"{wall:,.0f}", f"{rss:.0f}", turns)
    console.print(table)


def readers(count: int, peer: str | None) -> dict[str, tuple[int, str, list[str]]]:
    """Who reads how many trades of which venue, and how it is called."""
    ours = [sys.executable, "-m", "bench.ours", "{ws}", "{rest}", str(count), "blast"]
    found = {"wadm": (count, "binance", ours), "wadm, Bybit": (count, "bybit", ours)}
    if peer is None:
        return found
    cryptofeed = peer_words("cryptofeed", peer, count, "-")
    few = WARM + CCXT_TRADES
    return found | {
        "cryptofeed 2.4.1": (count, "binance", cryptofeed),
        "cryptofeed 2.4.1, Bybit": (count, "bybit", cryptofeed),
        "ccxt.pro 4.5.90": (few, "binance", peer_words("ccxt", peer, few, "/")),
    }


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate the readers; goals, and every run."""
    count, repeats = (200_000, 1) if quick else (600_000, 5)
    certificate()
    all_readers = readers(count, peers_python())
    runs: dict[str, list[Run]] = {name: [] for name in all_readers}
    for number in range(repeats):
        console.print(f"road: run {number + 1} of {repeats}, {count:,} trades each")
        for name, (number_of, venue, words) in all_readers.items():
            if (found := sent(number_of, 0, words, venue)) is not None:
                runs[name].append(found)
    paced_count = WARM + PACED_RATE * (10 if quick else 60)
    ours = [sys.executable, "-m", "bench.ours", "{ws}", "{rest}", str(paced_count), "paced"]
    paced = sent(paced_count, PACED_RATE, ours)
    shown(runs, paced)
    return judged(runs, paced), {"runs": runs, "paced": paced, "load": os.getloadavg()}


def peer_words(name: str, python: str, count: int, between: str) -> list[str]:
    """How a peer is called, with its way to write a symbol."""
    symbols = ",".join(f"{symbol[:-4]}{between}USDT" for symbol in SYMBOLS)
    return [python, f"bench/peer_{name}.py", "{ws}", str(count), symbols, "{rest}", str(WARM)]


def judged(runs: dict[str, list[Run]], paced: Run | None) -> list[Goal]:
    """The goals of the road."""
    rates = {name: per_core(found) for name, found in runs.items()}
    mine = rates["wadm"]
    worst = max((run["stall_work_ms"] for run in runs["wadm"]), default=None)
    late = paced or {}
    name = f"at {PACED_RATE:,} trades/s"
    return [
        times(
            "TLS socket to stored bar, all on / cryptofeed, callback only",
            *("trades/s/core", mine, rates.get("cryptofeed 2.4.1"), GOAL_RATIO),
        ),
        times(
            "the same, Bybit frames of five trades",
            "trades/s/core",
            rates["wadm, Bybit"],
            rates.get("cryptofeed 2.4.1, Bybit"),
            GOAL_BYBIT,
        ),
        times(
            "TLS socket to stored bar, all on / ccxt.pro, its trades counted",
            *("trades/s/core", mine, rates.get("ccxt.pro 4.5.90"), GOAL_CCXT),
        ),
        Goal(f"trade to answer, p99, {name}", "ms", late.get("p99_ms"), GOAL_P99_MS),
        Goal(
            f"longest loop turn, own work, {name}", "ms", late.get("stall_work_ms"), GOAL_STALL_MS
        ),
        Goal("longest loop turn, own work, blast", "ms", worst, GOAL_STALL_MS),
    ]
