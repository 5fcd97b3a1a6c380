"""A cached answer over REST behind key and budget, beside bare Starlette with the same bytes.

Both servers are processes of the same kind held to one core (`bench.rest_server`), asked in turn by
`wrk` on the other core, else by our own client. The figure is answers a second of the server's own
processor time, which a busy machine does not change; by the clock it is shown beside. The key is
compared and every request counted against a budget that is only too large to be reached; both is
looked at afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench.edge import asked, by_wrk, flat_out
from bench.goals import Goal, console, times
from bench.rest_server import PATH, Server

SECONDS, QUICK_SECONDS, WARM_S = 6.0, 2.0, 1.0
GOAL_RATIO = 0.6
Run = dict[str, Any]


@contextlib.contextmanager
def on_another_core() -> Iterator[None]:
    """This process and what it starts leave the last core to the servers."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {max(cores)} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def fetched(port: int, key: str) -> tuple[int, bytes, int]:
    """(status, body, requests left to this key)."""
    asking = urllib.request.Request(f"http://127.0.0.1:{port}{PATH}", headers={"X-API-Key": key})
    try:
        with urllib.request.urlopen(asking, timeout=30) as answer:
            said = answer.headers.get("RateLimit", "r=0;")
            return answer.status, answer.read(), int(said.partition("r=")[2].partition(";")[0])
    except urllib.error.HTTPError as error:
        return error.code, b"", 0


def asked_for(server: Server, seconds: float) -> Run:
    """As fast as it goes."""
    if shutil.which("wrk"):
        path = PATH
        run = by_wrk(server.port, path, server.key, seconds, server.cpu_s, scheme="http")
    else:
        run = flat_out(server.port, None, [asked(PATH, server.key)], seconds, server.cpu_s)
    found = asyncio.run(run)
    assert set(found["statuses"]) == {200}, found
    return {name: found[name] for name in ("per_s", "per_cpu_s")} | {
        "count": found["statuses"][200]
    }


def guarded(ours: Server, left: int, count: int) -> None:
    """The key was really compared, and what was asked really counted."""
    wrong = ours.key[:-1] + ("a" if ours.key[-1] != "a" else "b")
    assert fetched(ours.port, wrong)[0] == 401
    status, _, now_left = fetched(ours.port, ours.key)
    assert status == 200
    assert left - now_left > count, (left, now_left, count)


def alternated(seconds: float, rounds: int) -> dict[str, list[Run]]:
    """Runs of both, in turn."""
    ours = Server("ours")
    servers = {"ours": ours}
    try:
        status, body, _ = fetched(ours.port, ours.key)
        assert status == 200
        servers["bare"] = Server("bare", body)
        same = fetched(servers["bare"].port, "-")[1]
        assert same == body
        runs: dict[str, list[Run]] = {name: [] for name in servers}
        for server in servers.values():
            asked_for(server, WARM_S)
        for number in range(rounds):
            left = fetched(ours.port, ours.key)[2]
            for name, server in servers.items():
                runs[name].append(asked_for(server, seconds))
            told = {name: f"{found[-1]['per_cpu_s']:,.0f}" for name, found in runs.items()}
            console.print(f"rest: run {number + 1} of {rounds}, answers/s/core {told}")
        guarded(ours, left, runs["ours"][-1]["count"] // 2)
    finally:
        for server in servers.values():
            server.close()
    return runs


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Alternate; goals, and every run."""
    with on_another_core():
        runs = alternated(QUICK_SECONDS if quick else SECONDS, 1 if quick else 5)
    middle = {
        (name, by): statistics.median(run[by] for run in found)
        for name, found in runs.items()
        for by in ("per_cpu_s", "per_s")
    }
    name = "REST: cached answer with key and budget / bare Starlette"
    goals = [
        times(f"{name}, by {said}", unit, middle["ours", by], middle["bare", by], GOAL_RATIO)
        for said, unit, by in (
            ("processor time", "1/s/core", "per_cpu_s"),
            ("the clock", "1/s", "per_s"),
        )
    ]
    return goals, {"runs": runs, "load": os.getloadavg()}
