"""RestHost: one venue host over HTTPS, within its weight budget, obeying every refusal."""

from __future__ import annotations

import asyncio
import time

import httpx2
import structlog

from collectors.backoff import Bucket
from collectors.venue import Request
from orderflow.errors import VenueRefusedError

log = structlog.get_logger()

SHARE = 0.8
"""Part of a venue's budget that we use at most."""
PAUSES_S = {418: 120.0, 403: 600.0, 429: 5.0}
"""How long a refusing venue is left alone when it does not say."""
TRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
TIMEOUT_S = 10.0
IN_FLIGHT = 4


class RestHost:
    """GET with a budget. After a refusal nothing is sent until its time has passed."""

    def __init__(self, base_url: str, weight_per_minute: int) -> None:
        self.client = httpx2.AsyncClient(base_url=base_url, timeout=TIMEOUT_S)
        rate = SHARE * weight_per_minute / 60
        self.bucket = Bucket(rate, SHARE * weight_per_minute / 4, time.monotonic())
        self.slots = asyncio.Semaphore(IN_FLIGHT)
        self.quiet_until_s = 0.0
        self.requests = self.refusals = 0

    async def get(self, request: Request) -> bytes:
        """The body; VenueRefusedError when the venue says no, httpx2 errors when it is away."""
        async with self.slots:
            await asyncio.sleep(self.bucket.wait_s(request.weight, time.monotonic()))
            pause_s = self.quiet_until_s - time.monotonic()
            if pause_s > 0:
                raise VenueRefusedError("waiting as the venue asked", retry_after_s=pause_s)
            self.requests += 1
            response = await self.client.get(request.path, params=dict(request.params))
        if response.status_code == 200:
            return response.content
        return self._refused(response)

    def _refused(self, response: httpx2.Response) -> bytes:
        status = response.status_code
        if status in PAUSES_S:
            self.refusals += 1
            pause_s = _retry_after_s(response.headers.get("Retry-After"), PAUSES_S[status])
            self.quiet_until_s = time.monotonic() + pause_s
            log.warning("rest.refused", status=status, pause_s=pause_s)
            raise VenueRefusedError(f"HTTP {status}", retry_after_s=pause_s)
        raise VenueRefusedError(f"HTTP {status}")

    async def get_patiently(self, request: Request) -> bytes:
        """`get` with a few tries; network errors only, a refusal is final for now."""
        for pause_s in TRIES_S:
            try:
                return await self.get(request)
            except httpx2.TransportError as error:
                log.info("rest.retry", path=request.path, error=type(error).__name__)
                await asyncio.sleep(pause_s)
        return await self.get(request)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def _retry_after_s(text: str | None, otherwise_s: float) -> float:
    """Seconds of a Retry-After header; our own pause where it is missing or no number."""
    return float(text) if text and text.isdigit() else otherwise_s
