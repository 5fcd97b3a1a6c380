"""Keeps the cache of many symbols fresh, as seldom as the server's answers allow."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from wadm_client import question as ask_for
from wadm_client.answer import Answer
from wadm_client.client import AsyncClient
from wadm_client.entry import Held, to_entry
from wadm_client.errors import BadAnswerError, ClientError, ConfigError, SlowError
from wadm_client.question import MOST_SYMBOLS, Question
from wadm_client.types import SnapshotReport

LEAST_INTERVAL_S = 1.0
LATE_S = 3.0
SPREAD_S = 0.25
Told = Callable[["Watch", Answer[SnapshotReport] | ClientError], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """Symbols that are asked for together, and not more often than every `interval_s`."""

    symbols: tuple[str, ...]
    timeframe: str = "1h"
    period: str = "5m"
    interval_s: float = 5.0
    options: dict[str, str] = field(default_factory=dict)

    @property
    def question(self) -> Question[SnapshotReport]:
        """One request for all of them."""
        own = {"timeframe": self.timeframe, "period": self.period, **self.options}
        return ask_for.snapshot(self.symbols, own)

    def split(self) -> list[Watch]:
        """Every symbol alone: what is slow then delays nothing else."""
        return [replace(self, symbols=(symbol,)) for symbol in self.symbols]


class _Line(msgspec.Struct):
    symbol: str
    profile: msgspec.Raw = msgspec.Raw(b"null")
    flow: msgspec.Raw = msgspec.Raw(b"null")


class _Lines(msgspec.Struct):
    symbols: list[_Line]


def read_watches(path: Path) -> list[Watch]:
    """[[watch]] tables of a TOML file; ConfigError names what is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path.name} cannot be read") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is not TOML: {error}") from None
    try:
        found = [msgspec.convert(_tupled(one), Watch) for one in table.get("watch", [])]
    except (msgspec.ValidationError, AttributeError) as error:
        raise ConfigError(f"{path.name}: in [[watch]]: {error}") from None
    if not found or set(table) - {"watch"}:
        raise ConfigError(f"{path.name} needs [[watch]] tables with symbols, and nothing else")
    for watch in found:
        if watch.interval_s < LEAST_INTERVAL_S:
            raise ConfigError(f"interval_s is at least {LEAST_INTERVAL_S}")
    return [part for watch in found for part in _portions(watch)]


def _tupled(one: dict[str, Any]) -> dict[str, Any]:
    unknown = set(one) - {"symbols", "timeframe", "period", "interval_s", "options"}
    if unknown:
        raise ConfigError(f"unknown in [[watch]]: {', '.join(sorted(unknown))}")
    return one


def _portions(watch: Watch) -> Iterator[Watch]:
    for first in range(0, len(watch.symbols), MOST_SYMBOLS):
        part = replace(watch, symbols=watch.symbols[first : first + MOST_SYMBOLS])
        _ = part.question  # a wrong symbol is told before anything is sent
        yield part


Outcome = Answer[SnapshotReport] | ClientError


class Poller:
    """One task per watch over one client, whose allowance they share.

    A symbol that holds up or spoils the common answer is asked alone until it is well again.
    """

    def __init__(
        self, client: AsyncClient, told: Told = lambda *_: None, late_s: float = LATE_S
    ) -> None:
        self.client = client
        self.told = told
        self.late_s = late_s

    async def run(self, watches: list[Watch], rounds: int | None = None) -> None:
        """Until cancelled, or for a number of rounds."""
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(self._watch(watch, rounds))

    async def _watch(self, watch: Watch, rounds: int | None) -> None:
        apart: dict[str, asyncio.Task[None]] = {}
        failures = 0
        try:
            while rounds is None or rounds > 0:
                rounds = None if rounds is None else rounds - 1
                apart = {name: task for name, task in apart.items() if not task.done()}
                names = tuple(name for name in watch.symbols if name not in apart)
                wait_s = watch.interval_s
                if names:
                    part = replace(watch, symbols=names)
                    # Looking for the culprit costs a request per symbol: at 0, 1, 3, 7 … failures.
                    outcome, slow = await self._round(part, search=not failures & failures + 1)
                    apart |= slow
                    failures = failures + 1 if _failed(outcome) and not slow else 0
                    wait_s = 0.0 if slow else self._wait_s(watch, outcome, failures)
                if rounds != 0:
                    await asyncio.sleep(wait_s)
        finally:
            await _ended(apart.values())

    def _wait_s(self, watch: Watch, outcome: Outcome | None, failures: int) -> float:
        """Not before the next update; a little apart, so that clients do not come at once."""
        patience = self.client.talk.patience
        if failures or not isinstance(outcome, Answer):
            return watch.interval_s + patience.backoff_s(failures)
        return max(watch.interval_s, outcome.wait_ms / 1_000) + SPREAD_S * patience.chance()

    async def _round(
        self, watch: Watch, *, search: bool
    ) -> tuple[Outcome | None, dict[str, asyncio.Task[None]]]:
        """The common answer, and the symbols that kept it from coming."""
        if not search or len(watch.symbols) < 2:
            return await self._ask(watch), {}
        asking = asyncio.create_task(self._ask(watch))
        try:
            await asyncio.wait({asking}, timeout=self.late_s)
            if asking.done() and not _spoiled(asking.result()):
                return asking.result(), {}
            slow = await self._culprits(watch)
            if slow:
                return None, slow
            return await asking, {}
        finally:
            await _ended([asking])

    async def _culprits(self, watch: Watch) -> dict[str, asyncio.Task[None]]:
        """Every symbol asked alone; those that do not answer go on alone, unless none does."""
        alone = {part.symbols[0]: asyncio.create_task(self._alone(part)) for part in watch.split()}
        try:
            await asyncio.wait(alone.values(), timeout=self.late_s)
        except asyncio.CancelledError:
            await _ended(alone.values())
            raise
        slow = {name: task for name, task in alone.items() if not task.done()}
        if len(slow) < len(alone):
            return slow
        await _ended(slow.values())
        return {}

    async def _alone(self, watch: Watch) -> None:
        """One symbol until it answers in time."""
        failures = 0
        while _failed(await self._ask(watch)):
            failures += 1
            await asyncio.sleep(self._wait_s(watch, None, failures))

    async def _ask(self, watch: Watch) -> Outcome:
        try:
            answer = await self.client.ask(watch.question, force=True)
        except ClientError as error:
            self.told(watch, error)
            return error
        await self._keep(watch, answer)
        self.told(watch, answer)
        return answer

    async def _keep(self, watch: Watch, answer: Answer[SnapshotReport]) -> None:
        """The parts of a snapshot as the files that single questions would have."""
        held = self.client.talk.memory.get(watch.question.key)
        if held is None:
            return
        passed_ms = self.client.clock.since_ms(held.at)
        for question, body, now_ms in self._parts(watch, held, answer):
            age_ms = None if passed_ms is None else max(0, now_ms - passed_ms)
            part = replace(held, key=question.key, body=body, etag=None, age_ms=age_ms)
            if not answer.stale:
                self.client.talk.memory.put(part)
            if self.client.shelf.cache is None:
                continue
            entry = to_entry(part, self.client.config.url, stale=answer.stale)
            await self.client.on_disk(self.client.shelf.save, question, entry)

    def _parts(
        self, watch: Watch, held: Held, answer: Answer[SnapshotReport]
    ) -> Iterator[tuple[Question[Any], bytes, int]]:
        lines = msgspec.json.decode(held.body, type=_Lines).symbols
        for line, typed in zip(lines, answer.value.symbols, strict=True):
            if typed.profile is not None:
                asked: Question[Any] = ask_for.volume_profile(
                    line.symbol, watch.timeframe, watch.options
                )
                yield asked, bytes(line.profile), typed.profile.quality.age_ms
            if typed.flow is not None:
                asked = ask_for.order_flow(line.symbol, watch.period, watch.options)
                yield asked, bytes(line.flow), typed.flow.quality.age_ms


def _failed(outcome: Outcome | None) -> bool:
    return not isinstance(outcome, Answer) or outcome.stale


def _spoiled(outcome: Outcome) -> bool:
    """Whether one symbol's part may be to blame."""
    cause = outcome.cause if isinstance(outcome, Answer) else outcome
    return isinstance(cause, SlowError | BadAnswerError)


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what still runs, and wait until it is over."""
    found = list(tasks)
    for task in found:
        task.cancel()
    await asyncio.gather(*found, return_exceptions=True)
