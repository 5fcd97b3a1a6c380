"""From idle to busy: part `busy`.

Processor time a trade at a paced 20,000 trades a second, beside cryptofeed with a callback only at
the same rate, in turn; then 100,000 a second, after which every symbol is recounted: trades and
lots as they were sent, and how long after the last frame the last trade was applied.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

from rich.table import Table

from bench.blast import WARM, certificate
from bench.goals import Goal, console
from bench.latency import steady
from bench.road import Run, peer_words, peers_python, sent
from bench.tape import SYMBOLS

RATE, BURST_RATE = 20_000, 100_000
GOAL_US, GOAL_RATIO, GOAL_LAG_S = 4.0, 0.5, 1.0
REACHED = 0.95
"""Of the rate; a sender that keeps less of it has not measured it."""


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate the paced readers, then the burst."""
    seconds, repeats, burst_s = (5, 1, 5) if quick else (30, 5, 60)
    certificate()
    peer = peers_python()
    count = WARM + RATE * seconds
    runs: dict[str, list[Run]] = {"wadm": [], "cryptofeed": []}
    for number in range(repeats):
        console.print(f"busy: run {number + 1} of {repeats}, {RATE:,} trades/s for {seconds} s")
        ours = steady(seconds, RATE, len(SYMBOLS), 0)
        theirs = peer and sent(count, RATE, peer_words("cryptofeed", peer, count, "-"))
        for name, found in (("wadm", ours), ("cryptofeed", theirs)):
            if found:
                runs[name].append(found)
    console.print(f"busy: {BURST_RATE:,} trades/s for {burst_s} s")
    burst = steady(burst_s, BURST_RATE, len(SYMBOLS), 0)
    shown(runs, burst)
    return judged(runs, burst, burst_s), {"runs": runs, "burst": burst, "load": os.getloadavg()}


def us_each(runs: list[Run]) -> float | None:
    """Median microseconds of processor time a trade."""
    return statistics.median(run["cpu_s"] / run["trades"] * 1e6 for run in runs) if runs else None


def shown(runs: dict[str, list[Run]], burst: Run | None) -> None:
    """All runs."""
    table = Table("reader", "us CPU/trade, all runs", "trades", "core")
    for name, found in (runs | ({"wadm, burst": [burst]} if burst else {})).items():
        each = " ".join(f"{run['cpu_s'] / run['trades'] * 1e6:.2f}" for run in found)
        trades = " ".join(f"{run['trades']:,}" for run in found)
        core = " ".join(f"{run['cpu_s'] / run['wall_s']:.2f}" for run in found)
        table.add_row(name, each, trades, core)
    console.print(table)
    if burst is not None:
        console.print(
            f"burst: sent in {burst['sent_s']:.1f} s, lost {burst['lost']}, dropped "
            f"{burst['dropped']}, lag {burst['lag_s']} s, differs {burst['wrong']}, "
            f"connections ended {burst['ended']}"
        )


def judged(runs: dict[str, list[Run]], burst: Run | None, burst_s: float) -> list[Goal]:
    """The goals; the rate of the burst is one, because less would be another measurement."""
    mine, theirs = us_each(runs["wadm"]), us_each(runs["cryptofeed"])
    ratio = mine / theirs if mine and theirs else None
    found = burst or {}
    rate = BURST_RATE * burst_s / found["sent_s"] if burst else None
    every = [*runs["wadm"], *([burst] if burst else [])]
    lost = sum(run["lost"] for run in every) if burst else None
    wrong = sum(run["symbols_wrong"] for run in every) if burst else None
    at, fast = f"{RATE:,} trades/s", f"{BURST_RATE:,} trades/s"
    beside = f"the same / cryptofeed, callback only, {at}"
    return [
        Goal(f"processor time a trade, {at}", "us", mine, GOAL_US),
        Goal(beside, "us", mine if ratio else None, GOAL_RATIO, "most", theirs, ratio),
        Goal(f"sent, of {fast}", "trades/s", rate, BURST_RATE * REACHED, "least"),
        Goal("lost, all runs", "trades", lost, 0),
        Goal("symbols whose recount differs, all runs", "", wrong, 0),
        Goal(f"applied after the last frame, {fast}", "s", found.get("lag_s"), GOAL_LAG_S),
    ]
