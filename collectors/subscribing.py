"""Subscribing by message: batches within the venue's limits, each awaited, then topic by topic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from collectors.sockets import Socket
from collectors.venue import Acked, Refused, Request, VenueMarket
from orderflow.instrument import Instrument

log = structlog.get_logger()


class Subscriber:
    """Keeps the set of topics the venue accepted.

    A venue may refuse a whole batch for one topic, so the topics of a failed batch are asked for
    one by one; a topic that was subscribed before counts as accepted.
    """

    def __init__(self, market: VenueMarket, instruments: Sequence[Instrument]) -> None:
        self._market = market
        self._instruments = instruments
        self._topics = market.topics(instruments)
        self._accepted: set[str] = set()
        self._serial = 1
        self._asked: Request | None = None
        self._answer: asyncio.Future[Acked | Refused] | None = None
        self.finished = not self._topics

    def accepted(self) -> list[str]:
        """Symbols whose every topic was accepted; all where the path subscribes."""
        if not self._topics:
            return [item.symbol for item in self._instruments]
        return [
            item.symbol
            for item in self._instruments
            if self._accepted.issuperset(self._market.topics([item]))
        ]

    def answered(self, notice: Acked | Refused) -> None:
        """An answer came in; one without a number belongs to the request under way."""
        asked, answer = self._asked, self._answer
        if asked is None or answer is None or answer.done():
            return
        if notice.request_id in {"", asked.request_id}:
            answer.set_result(notice)

    async def run(self, socket: Socket, ack_s: float, gap_s: float) -> str | None:
        """Ask for every topic; a reason to reconnect when nothing at all was accepted."""
        for request in self._numbered(self._topics):
            if not await self._ask(socket, request, ack_s) and len(request.topics) > 1:
                await self._one_by_one(socket, request, ack_s)
            await asyncio.sleep(gap_s if request.topics[-1] != self._topics[-1] else 0)
        self.finished = True
        refused = [topic for topic in self._topics if topic not in self._accepted]
        if refused:
            log.warning("feed.topics_refused", count=len(refused), first=refused[0])
        return None if not self._topics or self._accepted else "refused"

    async def _one_by_one(self, socket: Socket, failed: Request, ack_s: float) -> None:
        for topic in failed.topics:
            if topic not in self._accepted:
                for request in self._numbered([topic]):
                    await self._ask(socket, request, ack_s)

    def _numbered(self, topics: Sequence[str]) -> list[Request]:
        requests = self._market.requests(topics, self._serial)
        self._serial += len(requests)
        return requests

    async def _ask(self, socket: Socket, request: Request, ack_s: float) -> bool:
        """Send and wait; True when every topic of the request is subscribed."""
        self._asked = request
        self._answer = asyncio.get_running_loop().create_future()
        await socket.send(request.frame)
        try:
            async with asyncio.timeout(ack_s):
                notice = await self._answer
        except TimeoutError:
            return False
        finally:
            self._asked = self._answer = None
        if isinstance(notice, Acked):
            self._accepted.update(request.topics)
            return True
        if notice.already in request.topics:
            self._accepted.add(notice.already)
        return self._accepted.issuperset(request.topics)
