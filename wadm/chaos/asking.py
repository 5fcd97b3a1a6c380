"""What clients see through nginx while processes die: no 5xx, no age younger than the truth."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

ASK_S = 0.25
LOOK_EVERY = 4
"""A state of all streams is long, and asked for in between by who waits for something."""
AGE_ERROR_MS = 1_000
"""The venue's clock is asked once a second, over a network and busy processors."""
SERVER_FAULT = 500


class Asking:
    """Asks for the state of all streams and for numbers, in turn, until cancelled."""

    def __init__(
        self, url: str, ca_file: str, clock_ms: Callable[[], int], names: list[str]
    ) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        self.client = httpx2.AsyncClient(base_url=url, verify=context, timeout=15)
        self.clock_ms = clock_ms
        self.names = names
        self.statuses: Counter[int] = Counter()
        self.failed = 0
        self.too_young: list[str] = []
        self.lines: dict[str, dict[str, Any]] = {}
        self.looked_s = 0.0

    async def run(self) -> None:
        """For ever."""
        number = 0
        while True:
            if number % LOOK_EVERY == 0:
                await self.look()
            number += 1
            await self._number(self.names[number % len(self.names)])
            await asyncio.sleep(ASK_S)

    async def look(self) -> None:
        """The newest lines of /status."""
        answer = await self._get("/status", {})
        if answer is not None:
            self.lines = {line["instrument"]: line for line in answer.get("streams", [])}
            self.looked_s = time.monotonic()

    async def _number(self, name: str) -> None:
        asked_ms = self.clock_ms()
        answer = await self._get(f"/order_flow/{name}", {"period": "1m", "detail": "summary"})
        quality = None if answer is None else answer.get("quality")
        if not quality or quality.get("age_ms") is None or not quality.get("applied_through"):
            return
        really_ms = asked_ms - _ms(quality["applied_through"])
        if quality["age_ms"] < really_ms - AGE_ERROR_MS:
            self.too_young.append(f"{name}: {quality['age_ms']} ms said, {really_ms:.0f} ms old")

    async def _get(self, path: str, params: dict[str, str]) -> dict[str, Any] | None:
        try:
            answer = await self.client.get(path, params=params)
        except httpx2.HTTPError:
            self.failed += 1
            return None
        self.statuses[answer.status_code] += 1
        found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return found

    @property
    def server_errors(self) -> int:
        """Answers of 500 and more."""
        return sum(n for status, n in self.statuses.items() if status >= SERVER_FAULT)

    def behind(self, moment_ms: int, names: Sequence[str]) -> list[str]:
        """Instruments whose trades are not known to be applied up to a moment."""
        return [name for name in names if _through_ms(self.lines.get(name)) < moment_ms]


def _through_ms(line: dict[str, Any] | None) -> float:
    text = None if line is None else line.get("watermark")
    return _ms(text) if text else 0.0


def _ms(text: str) -> float:
    """Milliseconds of an instant as answers write it."""
    return dt.datetime.fromisoformat(text).timestamp() * 1_000
