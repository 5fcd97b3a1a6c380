"""Events as they come, over restarts of the server and of the program, none lost, none twice.

The server is asked again for the last hour before the newest event, and for the last day at first,
after a failure and every twentieth time: so an event that is published late or corrected is told as
well. Corrections of what is older come as events of kind `correction`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import msgspec

from wadm_client import question as ask_for
from wadm_client.client import AsyncClient, Client
from wadm_client.clock import moment_ms
from wadm_client.errors import ClientError, ConfigError
from wadm_client.history import Moment, to_ms
from wadm_client.patience import worth_retrying
from wadm_client.question import Value
from wadm_client.talk import Steps, Talk, Wait
from wadm_client.types import EventReport

PAGE = 200
NEAR_MS, FAR_MS = 3_600_000, 86_400_000
FAR_EVERY = 20
Options = dict[str, Value]


class Place(msgspec.Struct):
    """How far a follower is: where it asks from, and which events of there it has had."""

    since_ms: int
    had: dict[str, tuple[int, int, str]] = {}
    """By the event's id: its time, revision and status."""

    @classmethod
    def read(cls, text: str) -> Place:
        """A place as `text` gave it; ConfigError for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            raise ConfigError("this is no place of a follower; begin with a moment") from None

    def text(self) -> str:
        """The place as one line for a file."""
        return msgspec.json.encode(self).decode()

    def begin_ms(self, *, far: bool) -> int:
        """Where a round asks from."""
        return self.since_ms if far else max(self.since_ms, self._newest_ms() - NEAR_MS)

    def new(self, events: list[EventReport]) -> list[EventReport]:
        """Those that are not had yet, oldest first."""
        found = [one for one in events if self.had.get(one.id) != _mark(one)]
        return sorted(found, key=lambda one: (one.at, one.id))

    def take(self, event: EventReport) -> None:
        """This one is had; what lies a day before the newest is forgotten."""
        self.had[event.id] = _mark(event)
        oldest_ms = self._newest_ms() - FAR_MS
        if oldest_ms > self.since_ms:
            self.since_ms = oldest_ms
            self.had = {n: mark for n, mark in self.had.items() if mark[0] >= oldest_ms}

    def _newest_ms(self) -> int:
        return max((at_ms for at_ms, _, _ in self.had.values()), default=self.since_ms)


def _mark(event: EventReport) -> tuple[int, int, str]:
    return moment_ms(event.at), event.revision, event.status


class Follower:
    """Rounds of questions, with the waits between them."""

    def __init__(
        self, talk: Talk, symbol: str, since: Moment | Place, interval_s: float, options: Options
    ) -> None:
        self.talk = talk
        self.symbol = symbol
        self.place = since if isinstance(since, Place) else Place(to_ms(since))
        self.interval_s = interval_s
        self.options = options
        self._wait_s = 0.0
        self._near = 0
        """Rounds since the last far one."""

    def round(self) -> Steps[list[EventReport]]:
        """What is new, after the wait that is due; nothing can be new where the server is away.

        What asking again cannot heal is raised.
        """
        failures = 0
        while True:
            if self._wait_s:
                yield Wait(self._wait_s)
            far = self._near % FAR_EVERY == 0
            try:
                found = yield from self._pages(self.place.begin_ms(far=far))
            except ClientError as error:
                if not worth_retrying(error):
                    raise
                failures, self._near = failures + 1, 0
                self._wait_s = max(self.interval_s, self.talk.patience.wait_s(error, failures))
            else:
                self._wait_s = self.interval_s
                self._near += 1
                return self.place.new(found)

    def _pages(self, begin_ms: int) -> Steps[list[EventReport]]:
        """Everything since the place; each page from the server itself."""
        found: list[EventReport] = []
        cursor: str | None = None
        while True:
            own: dict[str, Value] = {"since": begin_ms, "cursor": cursor, "limit": PAGE}
            asked = replace(ask_for.events(self.symbol, self.options | own), keep=False)
            answer = yield from self.talk.ask(asked)
            found += answer.value.events
            cursor = answer.value.next_cursor
            if cursor is None:
                return found


async def follow(
    client: AsyncClient,
    symbol: str,
    since: Moment | Place,
    interval_s: float = 15.0,
    **options: Value,
) -> AsyncIterator[EventReport]:
    """Events from `since` on, oldest first, each once and again when its revision changed.

    While the server is away it waits and goes on. To resume in another process give a `Place` and
    store its `text()` after each event that was handled.
    """
    follower = Follower(client.talk, symbol, since, interval_s, options)
    while True:
        for event in await client._run(follower.round()):
            follower.place.take(event)
            yield event


def follow_blocking(
    client: Client, symbol: str, since: Moment | Place, interval_s: float = 15.0, **options: Value
) -> Iterator[EventReport]:
    """As `follow`, for the blocking client."""
    follower = Follower(client.talk, symbol, since, interval_s, options)
    while True:
        for event in client._run(follower.round()):
            follower.place.take(event)
            yield event
