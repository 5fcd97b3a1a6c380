"""The only code that speaks HTTP to a venue: budget, breaker, retries, one question at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
import structlog

from backbone.breaker import Breaker
from collectors.budget import Budget
from collectors.venue import RestCall
from orderflow.errors import ExchangeError, MalformedFrameError, VenueRefusedError

T = TypeVar("T")
log = structlog.get_logger()
RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
MOST_AT_ONCE = 4
BANNED = 418
PAUSES_S = {HTTPStatus.TOO_MANY_REQUESTS: 10.0, BANNED: 120.0, HTTPStatus.FORBIDDEN: 600.0}
WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
LONGEST_PAUSE_S = 259_200.0
LONGEST_PROBE_S = 15.0
"""One try this often at most while a venue can't be reached: repairs begin soon after it can."""


class RestClient:
    """One address of one venue, shared by the markets that live there."""

    def __init__(
        self,
        base_url: str,
        http: httpx2.AsyncClient,
        budget: Budget,
        monotonic: Callable[[], float],
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._http = http
        self._budget = budget
        self._monotonic = monotonic
        self._retry_delays_s = retry_delays_s
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        address = base_url.partition("://")[2].rstrip("/")
        self.breaker = Breaker(f"rest {address}", chance, longest_s=LONGEST_PROBE_S)
        self._running: dict[RestCall, asyncio.Task[Any]] = {}
        self.answered = asyncio.Event()
        self.on_return: list[Callable[[], None]] = []
        self.requests = 0
        self.failures = 0
        self.stated_weight: int | None = None

    async def ask(
        self, call: RestCall, parse: Callable[[bytes], T], *, repairing: bool = False
    ) -> T:
        """The parsed answer; a question that is already under way is not asked twice.

        Raises VenueRefusedError when the venue says no, MalformedFrameError when it can't be
        read, ExchangeError when the venue can't be reached.
        """
        task: asyncio.Task[T] | None = self._running.get(call)
        if task is None:
            task = asyncio.create_task(self._insist(call, parse, repairing=repairing))
            self._running[call] = task
            task.add_done_callback(lambda _: self._running.pop(call, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _insist(self, call: RestCall, parse: Callable[[bytes], T], *, repairing: bool) -> T:
        """Ask until there is an answer or the retries are used up."""
        for delay_s in (*self._retry_delays_s, None):
            try:
                async with self._places:
                    await self._admitted(call.weight, repairing=repairing)
                    return await self._once(call, parse)
            except VenueRefusedError as error:
                if error.retry_after_s is None or delay_s is None:
                    raise
            except httpx2.TransportError as error:
                if delay_s is None:
                    raise ExchangeError(f"can't be reached: {type(error).__name__}") from error
            except MalformedFrameError:
                if delay_s is None:
                    raise
            self.failures += 1
            await asyncio.sleep(delay_s or 0)
        raise ExchangeError("no retries left")

    async def _once(self, call: RestCall, parse: Callable[[bytes], T]) -> T:
        """One request and what it says about the address; when one that was away answers again,
        whoever asked to be told is told."""
        away = self.breaker.state(self._monotonic()) != "closed"
        try:
            answer = parse(await self._get(call))
        except VenueRefusedError as error:
            if error.retry_after_s is None:
                self.breaker.succeeded()
            else:
                self._failed(error.retry_after_s or None)
            raise
        except MalformedFrameError:
            self.breaker.abandoned()
            raise
        except httpx2.TransportError:
            self._failed(None)
            raise
        except BaseException:
            self.breaker.abandoned()
            raise
        self.breaker.succeeded()
        for tell in self.on_return if away else ():
            tell()
        return answer

    def _failed(self, pause_s: float | None) -> None:
        """Ask nothing of this address for a while when it said so; its sockets go on."""
        if pause_s is not None:
            pause_s = min(pause_s, LONGEST_PAUSE_S)
            log.warning("rest.paused", seconds=pause_s)
        self.breaker.failed(self._monotonic(), pause_s)

    async def _admitted(self, weight: int, *, repairing: bool) -> None:
        """Wait for the breaker, then for the budget."""
        while True:
            now_s = self._monotonic()
            wait_s = self.breaker.wait_s(now_s)
            if wait_s <= 0:
                wait_s = self._budget.wait_s(weight, now_s, repairing=repairing)
                if wait_s <= 0:
                    return
                self.breaker.abandoned()
            await asyncio.sleep(wait_s)

    @property
    def used_weight(self) -> int:
        """Weight asked for so far."""
        return self._budget.used

    async def _get(self, call: RestCall) -> bytes:
        """One request; VenueRefusedError for anything but success."""
        self.requests += 1
        response = await self._http.get(self._base_url + call.path, params=dict(call.query))
        status = response.status_code
        self.answered.set()
        self.stated_weight = _stated(response.headers.get(WEIGHT_HEADER, ""), self.stated_weight)
        if status == HTTPStatus.OK:
            return response.content
        pause_s = PAUSES_S.get(status)
        if pause_s is not None:
            pause_s = _seconds(response.headers.get("Retry-After", ""), pause_s)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            pause_s = 0.0
        raise VenueRefusedError(f"answered with status {status}", retry_after_s=pause_s)


def _stated(text: str, before: int | None) -> int | None:
    """The weight the venue says was used this minute."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else before


def _seconds(text: str, default_s: float) -> float:
    """Whole seconds of a Retry-After header."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else default_s
