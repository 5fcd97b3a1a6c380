"""Who asks for what was just sent, at a rate, in the process of the sender.

Right after a frame was written its symbol is asked for, over any timeframe; the answer is looked
at, and asked for again until it contains the trade, which its volume tells: of a window it is the
sum of all lots sent since the window began, and the tape knows that sum. What is noted is the time
from the write of the frame to the end of that answer. A question that finds no free connection
waits for one, and its time goes on. What is asked again counts as one of the questions of the
rate and comes first: asking at once would be more than the rate, of a server that is behind.

While nothing is sent the same questions are asked of the same symbols, at the same rate: the idle
figure.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from datetime import datetime
from typing import NamedTuple

from bench.edge import Client
from bench.pacing import Pace
from bench.stamps import Lateness
from bench.tape import MINUTE_MS, NAMES
from orderflow.timeframe import PERIODS, TIMEFRAMES

CONNECTIONS = 32
PATHS = [
    *(f"/volume_profile/%s?timeframe={name}&detail=summary" for name in TIMEFRAMES),
    *(f"/order_flow/%s?period={name}&detail=summary" for name in PERIODS if name[-1] != "s"),
]
"""Every timeframe of both; periods below a minute begin where the tape keeps no account."""
VOLUME = re.compile(rb'"total_volume":(\d+)\.(\d{3})')
BEGIN = re.compile(rb'"period_start":"([^"]+)"')


class Asked(NamedTuple):
    """A question. `lots`: what was sent of the symbol, None for whatever there is."""

    place: int
    request: bytes
    since_ns: int
    at_ms: int
    lots: int | None


class Asker:
    """Questions over keep-alive connections, and how long each took."""

    def __init__(self, pace: Pace, port: int, rate: int, key: str) -> None:
        self._pace, self._port, self._rate, self._key = pace, port, rate, key
        self._free: deque[Client] = deque()
        self._held: deque[Asked] = deque()
        self._again: deque[Asked] = deque()
        self._asked: dict[Client, Asked] = {}
        self._made = 0
        self._began_s: float | None = None
        self._starts: dict[bytes, int] = {}
        self.waits = {"idle": Lateness(), "busy": Lateness()}
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Connect, and ask while nothing is sent until `heard` is called."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, client = await loop.create_connection(
                lambda: Client(self._done), "127.0.0.1", self._port
            )
            self._free.append(client)
        began_s, symbols = time.monotonic(), len(self._pace.keys)
        while self._pace.heard is None:
            due = int((time.monotonic() - began_s) * self._rate)
            while self._made < due:
                self._ask(self._made % symbols, time.monotonic_ns(), 0, None)
            await asyncio.sleep(0.001)

    def heard(self, places: list[int], now_ns: int, now_ms: int) -> None:
        """Trades of these symbols were just written: ask for some, as many as are due."""
        if self._began_s is None:
            # A server that could not keep up while idle would carry that backlog into the load.
            self.counts["idle, never asked"] += len(self._held)
            self._held.clear()
            self._began_s, self._made = time.monotonic(), 0
        due = int((time.monotonic() - self._began_s) * self._rate) - self._made
        while due > 0 and self._again:
            self._made += 1
            due -= 1
            self._held.append(self._again.popleft())
        for place in places[: max(due, 0)]:
            self._ask(place, now_ns, now_ms, self._pace.lots[place])
        self._next()

    def _ask(self, place: int, since_ns: int, at_ms: int, lots: int | None) -> None:
        path = PATHS[self._made % len(PATHS)] % NAMES[place]
        self._made += 1
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        request = f"{head}X-API-Key: {self._key}\r\n\r\n".encode()
        self._held.append(Asked(place, request, since_ns, at_ms, lots))
        self._next()

    def _next(self) -> None:
        while self._held and self._free:
            client, asked = self._free.popleft(), self._held.popleft()
            if client.lost:
                self.counts["connections lost"] += 1
                continue
            self._put(client, asked)

    def _put(self, client: Client, asked: Asked) -> None:
        self._asked[client] = asked
        self.counts["requests"] += 1
        client.ask(asked.request, 1.0)

    def _done(self, client: Client, status: int) -> None:
        asked = self._asked.pop(client, None)
        if asked is None:
            return
        if asked.lots is not None:
            self.counts["answers while busy"] += 1
        if status != 200:
            self.counts[f"status {status}"] += 1
        elif asked.lots is None:
            self.waits["idle"].add(time.monotonic_ns() - asked.since_ns)
        else:
            now_ns = time.monotonic_ns()
            inside = self._contains(client.body, asked)
            if inside is False:
                self.counts["asked again"] += 1
                self._again.append(asked)
            elif inside:
                self.waits["busy"].add(now_ns - asked.since_ns)
            else:
                self.counts["window went on"] += 1
        if not client.lost:
            self._free.append(client)
        self._next()

    def _contains(self, body: bytes, asked: Asked) -> bool | None:
        """None when the window begins after the trade."""
        volume, begin = VOLUME.search(body), BEGIN.search(body)
        if volume is None or begin is None or asked.lots is None:
            return False
        start_ms = self._start_ms(begin[1])
        if start_ms > asked.at_ms:
            return None
        before = self._pace.before.get(start_ms)
        earlier = 0 if before is None else before[asked.place]
        return int(volume[1] + volume[2]) >= asked.lots - earlier

    def _start_ms(self, text: bytes) -> int:
        found = self._starts.get(text)
        if found is None:
            found = int(datetime.fromisoformat(text.decode()).timestamp() * 1_000)
            assert found % MINUTE_MS == 0, text
            self._starts[text] = found
        return found

    def figures(self) -> dict[str, object]:
        """Waits while idle and busy, counts, and what is still unanswered."""
        found = {name: late.figures() for name, late in self.waits.items()}
        return {
            **found,
            "counts": dict(self.counts),
            "open": len(self._asked) + len(self._held) + len(self._again),
        }
