"""Subscribing by message: batches within the venue's limits, each awaited, then topic by topic.

What a connection begins with is subscribed by its path where the venue allows that; what joins or
leaves an open connection is said by message on every venue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from collectors.sockets import Socket
from collectors.venue import Acked, Refused, Request, VenueMarket
from orderflow.instrument import Instrument

log = structlog.get_logger()
MOST_JOINED = 50
"""Instruments that join with one batch of messages; another batch may pass between two of them."""


class Subscriber:
    """Keeps the set of topics the venue accepted, and who is complete with them.

    A venue may refuse a whole batch for one topic, so the topics of a failed batch are asked for
    one by one; a topic that was subscribed before counts as accepted.
    """

    def __init__(self, market: VenueMarket, instruments: Sequence[Instrument]) -> None:
        self._market = market
        self._topics = market.topics(instruments)
        self._lacking: dict[str, set[str]] = {}
        self._owners: dict[str, str] = {}
        self._complete: list[str] = []
        self._accepted: set[str] = set()
        self._changes: deque[tuple[Instrument, bool]] = deque()
        self._wanted = asyncio.Event()
        self._serial = 1
        self._asked: Request | None = None
        self._answer: asyncio.Future[Acked | Refused] | None = None
        if self._topics:
            self._await(instruments)
        else:
            self._complete = [item.symbol for item in instruments]

    def taken(self) -> list[str]:
        """Symbols whose every topic was accepted since the last time; by path all of them."""
        found, self._complete = self._complete, []
        return found

    def join(self, instruments: Sequence[Instrument]) -> None:
        """Begin these as well, when it is their turn."""
        self._changes.extend((item, False) for item in instruments)
        self._wanted.set()

    def leave(self, instruments: Sequence[Instrument]) -> None:
        """End these, when it is their turn."""
        self._changes.extend((item, True) for item in instruments)
        self._wanted.set()

    def answered(self, notice: Acked | Refused) -> None:
        """An answer came in; one without a number belongs to the request under way."""
        asked, answer = self._asked, self._answer
        if asked is None or answer is None or answer.done():
            return
        if notice.request_id in {"", asked.request_id}:
            answer.set_result(notice)

    async def run(self, socket: Socket, ack_s: float, gap_s: float) -> str | None:
        """Ask for every topic, then for every change, for ever; a reason to reconnect when nothing
        at all was accepted."""
        requests = self._numbered(self._topics)
        await self._ask_all(socket, requests, ack_s, gap_s)
        if self._topics and not self._accepted:
            return "refused"
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._changes:
                await self._change(socket, ack_s, gap_s)

    async def _change(self, socket: Socket, ack_s: float, gap_s: float) -> None:
        """The next changes of one kind."""
        leave = self._changes[0][1]
        items: list[Instrument] = []
        while self._changes and self._changes[0][1] is leave and len(items) < MOST_JOINED:
            items.append(self._changes.popleft()[0])
        requests = self._market.changes(items, self._serial, leave=leave)
        self._serial += len(requests)
        if leave:
            for request in requests:
                self._accepted.difference_update(request.topics)
                await self._send(socket, request, ack_s)
                await asyncio.sleep(gap_s)
            return
        self._await(items)
        await self._ask_all(socket, requests, ack_s, gap_s)
        await asyncio.sleep(gap_s)

    def _await(self, instruments: Sequence[Instrument]) -> None:
        """Remember which topics complete which symbols."""
        for item in instruments:
            requests = self._market.changes([item], 0, leave=False)
            topics = {topic for request in requests for topic in request.topics}
            self._lacking[item.symbol] = topics
            self._owners |= dict.fromkeys(topics, item.symbol)

    async def _ask_all(
        self, socket: Socket, requests: Sequence[Request], ack_s: float, gap_s: float
    ) -> None:
        """One after the other, with a pause between two."""
        for place, request in enumerate(requests):
            if place:
                await asyncio.sleep(gap_s)
            if not await self._ask(socket, request, ack_s) and len(request.topics) > 1:
                await self._one_by_one(socket, request, ack_s)
        asked = [topic for request in requests for topic in request.topics]
        refused = [topic for topic in asked if topic not in self._accepted]
        if refused:
            log.warning("feed.topics_refused", count=len(refused), first=refused[0])

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
        notice = await self._send(socket, request, ack_s)
        if isinstance(notice, Acked):
            self._accept(request.topics)
            return True
        if notice is not None and notice.already in request.topics:
            self._accept([notice.already])
        return self._accepted.issuperset(request.topics)

    async def _send(self, socket: Socket, request: Request, ack_s: float) -> Acked | Refused | None:
        """Send and wait for the answer; None when there is none in time."""
        self._asked = request
        self._answer = asyncio.get_running_loop().create_future()
        await socket.send(request.frame)
        try:
            async with asyncio.timeout(ack_s):
                return await self._answer
        except TimeoutError:
            return None
        finally:
            self._asked = self._answer = None

    def _accept(self, topics: Sequence[str]) -> None:
        self._accepted.update(topics)
        for topic in topics:
            symbol = self._owners.pop(topic, "")
            lacking = self._lacking.get(symbol)
            if lacking is not None:
                lacking.discard(topic)
                if not lacking:
                    del self._lacking[symbol]
                    self._complete.append(symbol)
