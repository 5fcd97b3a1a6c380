"""One question from beginning to end, as steps that a sync and an async driver carry out.

Nothing here touches the network, a file or a timer: `ask` yields what is to be done and is sent
the result or thrown the error.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from wadm_client.answer import Answer, Origin, later, next_in_ms, qualities
from wadm_client.clock import Clock
from wadm_client.config import Config
from wadm_client.entry import Entry, Held, to_entry, to_held
from wadm_client.errors import ApiError, BadAnswerError, ClientError, RateLimitedError
from wadm_client.patience import Allowance, Patience, RetryBudget, excused, worth_retrying
from wadm_client.question import Question
from wadm_client.reply import Reply
from wadm_client.report import Report

T = TypeVar("T", bound=Report)
MOST_HELD = 1_000
MOST_HELD_BYTES = 50 << 20


@dataclass(frozen=True, slots=True)
class Send:
    """Ask the server."""

    question: Question[Any]
    etag: str | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Read a cache file; the result is an Entry or None."""

    question: Question[Any]


@dataclass(frozen=True, slots=True)
class Save:
    """Write a cache file."""

    question: Question[Any]
    entry: Entry


Step = Send | Wait | Load | Save
R = TypeVar("R")
Steps = Generator[Step, Any, R]


class Memory:
    """The newest answers, at most 1,000 and 50 MB."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> Held | None:
        """The answer to a question, if it was asked here."""
        if (held := self._held.get(key)) is not None:
            self._held.move_to_end(key)
        return held

    def put(self, held: Held) -> None:
        """Keep an answer; the longest unused ones make way."""
        if (known := self._held.pop(held.key, None)) is not None:
            self._bytes -= len(known.body)
        self._held[held.key] = held
        self._bytes += len(held.body)
        while len(self._held) > MOST_HELD or self._bytes > MOST_HELD_BYTES:
            self._bytes -= len(self._held.popitem(last=False)[1].body)


class Talk:
    """Memory, patience and allowance of one client."""

    def __init__(self, config: Config, patience: Patience, clock: Clock, *, offline: bool) -> None:
        self.config = config
        self.patience = patience
        self.clock = clock
        self.offline = offline
        self.memory = Memory()
        self.allowance = Allowance(config.per_minute)
        self.retries = RetryBudget()

    def ask(self, question: Question[T], *, force: bool = False) -> Steps[Answer[T]]:
        """The answer: from memory while it is fresh, else from the server, else marked stale."""
        if not question.keep:
            return self._given(
                question,
                self._held(question, (yield from self._asked(question, None)), None),
                "server",
            )
        held = self.memory.get(question.key)
        origin: Origin = "memory"
        if held is None:
            entry = yield Load(question)
            if entry is not None and entry.source == self.config.url:
                held, origin = to_held(entry), "cache"
        if held is not None and not force and held.fresh(self.clock):
            return self._given(question, held, origin)
        try:
            reply = yield from self._asked(question, None if held is None else held.etag)
        except ClientError as error:
            if held is None or not self.offline or not excused(error):
                raise
            return self._given(question, held, origin, error)
        held = self._held(question, reply, held)
        self.memory.put(held)
        yield Save(question, to_entry(held, self.config.url, stale=False))
        return self._given(question, held, "server" if reply.status == 200 else "unchanged")

    def _asked(self, question: Question[T], etag: str | None) -> Steps[Reply]:
        """A good reply, within the budget of time and of retries."""
        deadline_s = self.clock.steady_s() + self.patience.budget_s
        failures = 0
        while True:
            now_s = self.clock.steady_s()
            if (pause_s := self.allowance.wait_s(now_s)) > 0:
                if now_s + pause_s > deadline_s:
                    raise RateLimitedError(429, "WAITING", f"not before {pause_s:.0f} s", pause_s)
                yield Wait(pause_s)
                continue
            self.allowance.sent(now_s)
            try:
                reply: Reply = yield Send(question, etag)
                self._check(question, reply, etag)
            except ClientError as error:
                wait_s = self.patience.wait_s(error, failures)
                failures += 1
                if self._give_up(error, failures, deadline_s - wait_s):
                    raise
                yield Wait(wait_s)
                continue
            self.retries.succeeded()
            self.allowance.told(self.clock.steady_s(), reply.left, reply.reset_s)
            return reply

    def _give_up(self, error: ClientError, failures: int, latest_s: float) -> bool:
        now_s = self.clock.steady_s()
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            self.allowance.closed(now_s, error.retry_after_s)
        if not worth_retrying(error) or failures >= self.patience.attempts or now_s > latest_s:
            return True
        return not self.retries.take()

    def _check(self, question: Question[T], reply: Reply, etag: str | None) -> None:
        if reply.status == 200:
            self._read(question, reply.body)
        elif etag is None:
            raise BadAnswerError("the server says unchanged to a first question")

    def _read(self, question: Question[T], body: bytes) -> T:
        try:
            return msgspec.json.decode(body, type=question.answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = str(error)[:120]
            raise BadAnswerError(f"the answer is not what was asked for: {text}") from None

    def _held(self, question: Question[T], reply: Reply, known: Held | None) -> Held:
        """What is kept of a reply; unchanged data is asked for ever less often, up to the TTL."""
        ttl_ms = int(self.config.ttl_s * 1_000)
        if reply.status != 200 and known is not None:
            wait_ms = min(ttl_ms, max(1_000, 2 * known.wait_ms))
            age_ms = known.data_age_ms(self.clock)
            fresh_ms = wait_ms if known.fresh_ms else 0
            return replace(
                known, at=self.clock.stamp(), age_ms=age_ms, fresh_ms=fresh_ms, wait_ms=wait_ms
            )
        found = list(qualities(self._read(question, reply.body)))
        named = [wait for q in found if (wait := next_in_ms(q, reply.date_ms)) is not None]
        fresh_ms = max(0, min([ttl_ms, *named])) if found else 0
        return Held(
            key=question.key,
            body=reply.body,
            etag=reply.etag,
            at=self.clock.stamp(),
            fresh_ms=fresh_ms,
            age_ms=max((q.age_ms for q in found), default=0),
            wait_ms=fresh_ms,
        )

    def _given(
        self, question: Question[T], held: Held, origin: Origin, cause: ClientError | None = None
    ) -> Answer[T]:
        stale = cause is not None
        why = "" if cause is None else str(cause) or "no answer"
        age_ms = held.data_age_ms(self.clock)
        value: T = self._read(question, held.body)
        own_ms = max((q.age_ms for q in qualities(value)), default=0)
        value = later(value, max(0, (age_ms or 0) - own_ms), stale=stale)
        return Answer(value, stale, age_ms, origin, held.wait_ms, why, cause)
