"""Keeps the cache of many symbols fresh, as seldom as the server's answers allow."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from wadm_client import question as ask_for
from wadm_client.answer import Answer
from wadm_client.client import AsyncClient
from wadm_client.entry import Held, to_entry
from wadm_client.errors import ClientError, ConfigError, UnreachableError
from wadm_client.question import MOST_SYMBOLS, Question
from wadm_client.types import SnapshotReport

LEAST_INTERVAL_S = 1.0
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


class Poller:
    """One task per watch over one client, whose allowance they share."""

    def __init__(self, client: AsyncClient, told: Told = lambda *_: None) -> None:
        self.client = client
        self.told = told

    async def run(self, watches: list[Watch], rounds: int | None = None) -> None:
        """Until cancelled, or for a number of rounds."""
        async with asyncio.TaskGroup() as group:
            for watch in watches:
                group.create_task(self._watch(watch, rounds, group))

    async def _watch(self, watch: Watch, rounds: int | None, group: asyncio.TaskGroup) -> None:
        failures = 0
        while rounds is None or rounds > 0:
            rounds = None if rounds is None else rounds - 1
            try:
                answer = await self.client.ask(watch.question, force=True)
            except ClientError as error:
                failures += 1
                self.told(watch, error)
                if isinstance(error, UnreachableError) and len(watch.symbols) > 1:
                    for part in watch.split():
                        group.create_task(self._watch(part, rounds, group))
                    return
                wait_s = watch.interval_s + self.client.talk.patience.backoff_s(failures)
            else:
                failures = failures + 1 if answer.stale else 0
                await self._keep(watch, answer)
                self.told(watch, answer)
                wait_s = max(watch.interval_s, answer.wait_ms / 1_000)
            if rounds != 0:
                await asyncio.sleep(wait_s)

    async def _keep(self, watch: Watch, answer: Answer[SnapshotReport]) -> None:
        """The parts of a snapshot as the files that single questions would have."""
        held = self.client.talk.memory.get(watch.question.key)
        if held is None:
            return
        for question, body, age_ms in self._parts(watch, held, answer):
            part = replace(held, key=question.key, body=body, etag=None, age_ms=age_ms)
            if not answer.stale:
                self.client.talk.memory.put(part)
            entry = to_entry(part, self.client.config.url, stale=answer.stale)
            await self.client.on_disk(self.client.shelf.save, question, entry)

    def _parts(
        self, watch: Watch, held: Held, answer: Answer[SnapshotReport]
    ) -> Iterator[tuple[Question[Any], bytes, int | None]]:
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
