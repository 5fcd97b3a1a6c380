"""Long ranges page by page, and waiting for a condition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from wadm_client import question as ask_for
from wadm_client.answer import Answer
from wadm_client.client import AsyncClient, Client
from wadm_client.clock import moment_ms
from wadm_client.errors import ConfigError, UnreachableError
from wadm_client.question import Question, Value
from wadm_client.report import Report

T = TypeVar("T", bound=Report)
PAGE = 200
SECOND_MS = 1_000
UNIT_MS = {"s": SECOND_MS, "m": 60 * SECOND_MS, "h": 3_600 * SECOND_MS, "d": 86_400 * SECOND_MS}
LEAST_WAIT_S = 1.0
Moment = int | str
MAKERS: dict[str, Callable[..., Question[Any]]] = {
    "profile": ask_for.profile_history,
    "flow": ask_for.flow_history,
    "footprint": ask_for.footprint,
}
Progress = Callable[[int, int], None]


def to_ms(moment: Moment) -> int:
    """Epoch milliseconds of epoch milliseconds or ISO-8601 (UTC where no zone is given)."""
    if isinstance(moment, int):
        return moment
    if moment.isdecimal():
        return int(moment)
    try:
        return moment_ms(moment)
    except ValueError:
        raise ConfigError("a moment is epoch milliseconds or ISO-8601") from None


def step_ms(step: str) -> int:
    """Length of a timeframe or period as 5m, 1h or 1d."""
    try:
        return int(step[:-1]) * UNIT_MS[step[-1]]
    except (ValueError, KeyError, IndexError):
        raise ConfigError("a timeframe looks like 1m, 5m, 1h or 1d") from None


def pages(
    kind: str, symbol: str, step: str, start: Moment, end: Moment, **options: Value
) -> Iterator[Question[Any]]:
    """The questions of a range, oldest first, at most 200 windows each."""
    if kind not in MAKERS:
        raise ConfigError(f"history has: {', '.join(MAKERS)}")
    first, last, length = to_ms(start), to_ms(end), step_ms(step)
    if first >= last:
        raise ConfigError("start must be before end")
    while first < last:
        until = min(last, first - first % length + PAGE * length)
        own = {"start": first, "end": until, "limit": PAGE}
        yield MAKERS[kind](symbol, step, options | own)
        first = until


def rows_of(page: Any) -> list[Any]:
    """Items or bars of a page."""
    found: list[Any] = page.items if hasattr(page, "items") else page.bars
    return found


def history(
    client: Client,
    kind: str,
    symbol: str,
    step: str,
    start: Moment,
    end: Moment,
    *,
    progress: Progress = lambda *_: None,
    **options: Value,
) -> Iterator[Any]:
    """Windows of [start, end), oldest first: kind is profile, flow or footprint."""
    questions = list(pages(kind, symbol, step, start, end, **options))
    for number, question in enumerate(questions):
        yield from rows_of(client.ask(question).value)
        progress(number + 1, len(questions))


async def history_async(
    client: AsyncClient,
    kind: str,
    symbol: str,
    step: str,
    start: Moment,
    end: Moment,
    **options: Value,
) -> AsyncIterator[Any]:
    """As `history`, for asyncio."""
    for question in pages(kind, symbol, step, start, end, **options):
        for row in rows_of((await client.ask(question)).value):
            yield row


def wait_for(
    client: Client, question: Question[T], condition: Callable[[T], bool], within_s: float
) -> T:
    """Ask when there is news until the condition holds of an answer that is not stale."""
    until_s = client.clock.steady_s() + within_s
    while True:
        answer = client.ask(question)
        if _met(answer, condition):
            return answer.value
        time.sleep(_pause_s(answer, until_s - client.clock.steady_s()))


async def wait_for_async(
    client: AsyncClient, question: Question[T], condition: Callable[[T], bool], within_s: float
) -> T:
    """As `wait_for`, for asyncio."""
    until_s = client.clock.steady_s() + within_s
    while True:
        answer = await client.ask(question)
        if _met(answer, condition):
            return answer.value
        await asyncio.sleep(_pause_s(answer, until_s - client.clock.steady_s()))


def _met(answer: Answer[T], condition: Callable[[T], bool]) -> bool:
    return not answer.stale and condition(answer.value)


def _pause_s(answer: Answer[T], left_s: float) -> float:
    if left_s <= 0:
        raise UnreachableError("the condition did not come true in time")
    return min(left_s, max(LEAST_WAIT_S, answer.wait_ms / 1_000))
