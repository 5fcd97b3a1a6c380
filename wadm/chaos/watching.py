"""What the outside sees of a system that is killed: its own answers over HTTP, nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx2

from orderflow.answers import iso
from orderflow.timeframe import MINUTE_MS, floor_ms

COUNTED = ("binance:spot:BTCUSDT", "binance:perp:BTCUSDT")
UNCOUNTED = ("bybit:perp:BTCUSDT", "bybit:spot:BTCUSDT")
LOOK_S = 0.05
STATED_WITHIN_MS = 60_000
"""A minute of a venue without counted trades has been compared this long after its kline."""
STATE_LOOK_S = 3.0
OPEN_STATES = frozenset({"contiguous", "unknown"})
Lines = list[dict[str, Any]]


class Watcher:
    """Asks one life of the system how it is."""

    def __init__(self, client: httpx2.AsyncClient, port: int) -> None:
        self.client = client
        self.base = f"http://127.0.0.1:{port}"

    async def streams(self) -> Lines:
        """Stream lines of /status; none while nothing answers."""
        found: Lines = (await self._get("/status", {})).get("streams", [])
        return found

    async def bars(self, name: str, start_ms: int, end_ms: int) -> Lines:
        """Minutes of an instrument as they are served; none while nothing answers."""
        span = {"start": str(start_ms), "end": str(end_ms), "period": "1m", "detail": "full"}
        found: Lines = (await self._get(f"/order_flow/{name}", span)).get("items", [])
        return found

    async def _get(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        try:
            answer = await self.client.get(self.base + path, params=params)
        except httpx2.HTTPError:
            return {}
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    async def until(self, condition: Callable[[Lines], bool], longest_s: float) -> float | None:
        """Seconds until the streams meet a condition; None when they did not in time."""
        began = time.monotonic()
        while time.monotonic() - began < longest_s:
            if condition(await self.streams()):
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
        return None


def serving(lines: Lines) -> bool:
    """Answers, and live trades are applied."""
    return any(line["state"] in ("live", "repairing") for line in lines)


def exact(lines: Lines) -> bool:
    """No open hole on any stream that counts its trades."""
    counted = [line for line in lines if line["instrument"] in COUNTED]
    return len(counted) == len(COUNTED) and all(
        line["gaps_open"] == 0 and line["state"] == "live" for line in counted
    )


class Proof:
    """Whether everything from one moment to another is there, whatever is lost meanwhile."""

    def __init__(self, watcher: Watcher, start_ms: int, end_ms: int) -> None:
        self.watcher = watcher
        self.start_ms = floor_ms(start_ms, MINUTE_MS)
        self.end_ms = end_ms
        self.missing = "nothing was asked"

    async def until_exact(self, longest_s: float) -> float | None:
        """Seconds until no minute of the span has a hole that began in it."""
        began = time.monotonic()
        while time.monotonic() - began < longest_s:
            if all([await self._whole(name) for name in COUNTED]):
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
        lines = await self.watcher.streams()
        held = {line["instrument"]: (line["gaps_open"], line["held"]) for line in lines}
        self.missing += f"; open and held: {held}"
        return None

    async def _whole(self, name: str) -> bool:
        bars = await self.watcher.bars(name, self.start_ms, self.end_ms + MINUTE_MS)
        served = {bar["period_start"] for bar in bars}
        wanted = {iso(at) for at in range(self.start_ms, self.end_ms, MINUTE_MS)}
        if not wanted <= served:
            self.missing = f"{name}: {sorted(wanted - served)} not served"
            return False
        until = iso(self.end_ms)
        for bar in bars:
            proven = bar["quality"]["completeness"]
            holes = [gap for gap in proven["gaps"] if gap["start"] < until]
            if holes or proven["state"] == "unknown":
                self.missing = f"{name} {bar['period_start']}: {proven['state']} {holes}"
                return False
        return True


class Statements:
    """When each minute of the venues without counted trades was first said to be what it is.

    A minute is stated when it equals the kline, or says how much volume it lacks.
    """

    def __init__(self, watcher: Watcher, now_ms: Callable[[], int], pace: float) -> None:
        self.watcher = watcher
        self.now_ms = now_ms
        self.within_ms = int(STATED_WITHIN_MS * pace)
        self.began_ms = now_ms()
        self.stated: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            for name in UNCOUNTED:
                await self._look(name)
            await asyncio.sleep(STATE_LOOK_S)

    async def _look(self, name: str) -> None:
        open_ms = floor_ms(self.now_ms(), MINUTE_MS)
        asked_ms = open_ms - 10 * MINUTE_MS
        bars = await self.watcher.bars(name, asked_ms, open_ms)
        at = {iso(ms): ms for ms in range(asked_ms, open_ms, MINUTE_MS)}
        for bar in bars:
            key = (name, at.get(bar["period_start"], 0))
            if key not in self.stated and _is_stated(name, bar):
                self.stated[key] = self.now_ms() - key[1] - MINUTE_MS

    def late(self, until_ms: int) -> list[str]:
        """Minutes before then that were stated too late or never; the first is cut and passed."""
        found = []
        for name, start in self._wanted(until_ms):
            took_ms = self.stated.get((name, start))
            if took_ms is None or took_ms > self.within_ms:
                found.append(f"{name} {iso(start)}: stated after {took_ms} ms")
        return found

    def complete(self, until_ms: int) -> bool:
        """Every minute before then is stated, or could have been."""
        overdue = self.now_ms() > until_ms + self.within_ms
        return overdue or all(key in self.stated for key in self._wanted(until_ms))

    def _wanted(self, until_ms: int) -> list[tuple[str, int]]:
        first_ms = floor_ms(self.began_ms, MINUTE_MS) + MINUTE_MS
        return [
            (name, start) for name in UNCOUNTED for start in range(first_ms, until_ms, MINUTE_MS)
        ]

    def worst_ms(self) -> int | None:
        """The longest any minute took."""
        return max(self.stated.values(), default=None)


def _is_stated(name: str, bar: dict[str, Any]) -> bool:
    quality = bar["quality"]
    state = quality["completeness"]["state"]
    if state == "verified_volume":
        return True
    return state not in OPEN_STATES and float(quality["venues"][name]["missing_volume"]) > 0
