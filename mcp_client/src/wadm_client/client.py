"""The clients: the same methods, blocking and for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Self, TypeVar

from wadm_client import question as ask_for
from wadm_client.answer import Answer
from wadm_client.clock import Clock
from wadm_client.config import Config, read_config
from wadm_client.errors import ClientError
from wadm_client.patience import Patience
from wadm_client.question import Question, Value
from wadm_client.report import Report
from wadm_client.shelf import Shelf
from wadm_client.talk import Load, Save, Send, Step, Steps, Talk, Wait
from wadm_client.types import (
    BaseRatesReport,
    ChangesReport,
    CompareReport,
    DerivativesReport,
    EventsReport,
    ExplainReport,
    FlowHistory,
    FootprintReport,
    KeyLevelsReport,
    OrderFlowReport,
    ProfileHistory,
    SnapshotReport,
    StatusReport,
    SummaryReport,
    SymbolsReport,
    VolumeProfileReport,
    WaitReport,
)

T = TypeVar("T", bound=Report)
R = TypeVar("R")


class _Base:
    """What both clients share."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        patience: Patience | None = None,
        clock: Clock | None = None,
        offline: bool = True,
    ) -> None:
        self.config = config or read_config()
        self.clock = clock or Clock()
        self.shelf = Shelf(self.config, self.clock)
        self.talk = Talk(self.config, patience or Patience(), self.clock, offline=offline)


class Client(_Base):
    """Blocking. Without arguments it reads WADM_* variables; `offline=False` never serves stale.

    Every method raises a ClientError when there is neither an answer nor an old one to mark.
    """

    def __init__(self, config: Config | None = None, *, wire: Any = None, **settings: Any) -> None:
        super().__init__(config, **settings)
        if wire is None:
            from wadm_client.wire import SyncWire

            wire = SyncWire(self.config)
        self.wire = wire

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.wire.close()

    def ask(self, question: Question[T], *, force: bool = False) -> Answer[T]:
        """Any question, with where the answer came from."""
        return self._run(self.talk.ask(question, force=force))

    def _run(self, steps: Steps[R]) -> R:
        advance: Callable[[], Step] = partial(next, steps)
        while True:
            try:
                step = advance()
            except StopIteration as end:
                value: R = end.value
                return value
            try:
                advance = partial(steps.send, self._do(step))
            except ClientError as error:
                advance = partial(steps.throw, error)

    def _do(self, step: Step) -> Any:
        match step:
            case Send():
                return self.wire.send(step.question, step.etag)
            case Wait():
                return time.sleep(step.seconds)
            case Load():
                return self.shelf.load(step.question)
            case Save():
                return self.shelf.save(step.question, step.entry)

    def volume_profile(
        self, symbol: str, timeframe: str = "1h", **options: Value
    ) -> VolumeProfileReport:
        """POC, value area and levels of the window until now."""
        return (self.ask(ask_for.volume_profile(symbol, timeframe, options))).value

    def order_flow(self, symbol: str, period: str = "5m", **options: Value) -> OrderFlowReport:
        """Delta, cumulative delta and imbalance of the window until now."""
        return (self.ask(ask_for.order_flow(symbol, period, options))).value

    def profile_history(
        self, symbol: str, timeframe: str = "1h", **options: Value
    ) -> ProfileHistory:
        """Aligned profiles, oldest first: start, end, limit (default 24)."""
        return (self.ask(ask_for.profile_history(symbol, timeframe, options))).value

    def flow_history(self, symbol: str, period: str = "5m", **options: Value) -> FlowHistory:
        """Aligned order flow, oldest first: start, end, limit (default 24)."""
        return (self.ask(ask_for.flow_history(symbol, period, options))).value

    def footprint(self, symbol: str, timeframe: str = "1h", **options: Value) -> FootprintReport:
        """Footprint bars; detail='rows' gives their rows."""
        return (self.ask(ask_for.footprint(symbol, timeframe, options))).value

    def summary(self, symbol: str, **options: Value) -> SummaryReport:
        """Profile and flow of one symbol."""
        return (self.ask(ask_for.summary(symbol, options))).value

    def snapshot(self, *symbols: str, **options: Value) -> SnapshotReport:
        """Profile and flow of up to 50 symbols, one request."""
        return (self.ask(ask_for.snapshot(symbols, options))).value

    def events(self, symbol: str, **options: Value) -> EventsReport:
        """What the rules saw, newest first."""
        return (self.ask(ask_for.events(symbol, options))).value

    def base_rates(self, kind: str, symbol: str, **options: Value) -> BaseRatesReport:
        """What followed earlier events of one kind."""
        return (self.ask(ask_for.base_rates(kind, symbol, options))).value

    def derivatives(self, symbol: str, **options: Value) -> DerivativesReport:
        """Funding, open interest and liquidations by minute."""
        return (self.ask(ask_for.derivatives(symbol, options))).value

    def key_levels(self, symbol: str, **options: Value) -> KeyLevelsReport:
        """Prices that earlier windows left behind, nearest first."""
        return (self.ask(ask_for.key_levels(symbol, options))).value

    def compare(self, symbol: str, timeframe: str = "1h", **options: Value) -> CompareReport:
        """Venues, markets and windows beside each other."""
        return (self.ask(ask_for.compare(symbol, timeframe, options))).value

    def changes(
        self, symbol: str, since: int | str, timeframe: str = "1h", **options: Value
    ) -> ChangesReport:
        """What moved since a whole minute of at most 26 hours ago."""
        return (self.ask(ask_for.changes(symbol, since, timeframe, options))).value

    def wait(
        self, symbol: str, condition: str, value: str, timeout_s: int = 20, **options: Value
    ) -> WaitReport:
        """Sleeps on the server: price_above, price_below, delta_z, event, bar_close."""
        return (self.ask(ask_for.wait(symbol, condition, value, timeout_s, options))).value

    def explain(self, name: str | None = None) -> ExplainReport:
        """A rule card, or the names of all."""
        return (self.ask(ask_for.explain(name))).value

    def symbols(self) -> SymbolsReport:
        """What the server collects."""
        return (self.ask(ask_for.symbols())).value

    def status(self) -> StatusReport:
        """Streams and connections."""
        return (self.ask(ask_for.status())).value


class AsyncClient(_Base):
    """For asyncio; otherwise as Client."""

    def __init__(self, config: Config | None = None, *, wire: Any = None, **settings: Any) -> None:
        super().__init__(config, **settings)
        if wire is None:
            from wadm_client.wire import AsyncWire

            wire = AsyncWire(self.config)
        self.wire = wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.wire.close()

    async def ask(self, question: Question[T], *, force: bool = False) -> Answer[T]:
        """Any question, with where the answer came from."""
        return await self._run(self.talk.ask(question, force=force))

    async def _run(self, steps: Steps[R]) -> R:
        advance: Callable[[], Step] = partial(next, steps)
        while True:
            try:
                step = advance()
            except StopIteration as end:
                value: R = end.value
                return value
            try:
                advance = partial(steps.send, await self._do(step))
            except ClientError as error:
                advance = partial(steps.throw, error)

    async def _do(self, step: Step) -> Any:
        match step:
            case Send():
                return await self.wire.send(step.question, step.etag)
            case Wait():
                return await asyncio.sleep(step.seconds)
            case Load():
                return await self.on_disk(self.shelf.load, step.question)
            case Save():
                return await self.on_disk(self.shelf.save, step.question, step.entry)

    async def on_disk(self, work: Any, *arguments: Any) -> Any:
        """Files are written beside the loop: a disk may take its time."""
        if self.shelf.cache is None:
            return None
        return await asyncio.to_thread(work, *arguments)

    async def volume_profile(
        self, symbol: str, timeframe: str = "1h", **options: Value
    ) -> VolumeProfileReport:
        """POC, value area and levels of the window until now."""
        return (await self.ask(ask_for.volume_profile(symbol, timeframe, options))).value

    async def order_flow(
        self, symbol: str, period: str = "5m", **options: Value
    ) -> OrderFlowReport:
        """Delta, cumulative delta and imbalance of the window until now."""
        return (await self.ask(ask_for.order_flow(symbol, period, options))).value

    async def profile_history(
        self, symbol: str, timeframe: str = "1h", **options: Value
    ) -> ProfileHistory:
        """Aligned profiles, oldest first: start, end, limit (default 24)."""
        return (await self.ask(ask_for.profile_history(symbol, timeframe, options))).value

    async def flow_history(self, symbol: str, period: str = "5m", **options: Value) -> FlowHistory:
        """Aligned order flow, oldest first: start, end, limit (default 24)."""
        return (await self.ask(ask_for.flow_history(symbol, period, options))).value

    async def footprint(
        self, symbol: str, timeframe: str = "1h", **options: Value
    ) -> FootprintReport:
        """Footprint bars; detail='rows' gives their rows."""
        return (await self.ask(ask_for.footprint(symbol, timeframe, options))).value

    async def summary(self, symbol: str, **options: Value) -> SummaryReport:
        """Profile and flow of one symbol."""
        return (await self.ask(ask_for.summary(symbol, options))).value

    async def snapshot(self, *symbols: str, **options: Value) -> SnapshotReport:
        """Profile and flow of up to 50 symbols, one request."""
        return (await self.ask(ask_for.snapshot(symbols, options))).value

    async def events(self, symbol: str, **options: Value) -> EventsReport:
        """What the rules saw, newest first."""
        return (await self.ask(ask_for.events(symbol, options))).value

    async def base_rates(self, kind: str, symbol: str, **options: Value) -> BaseRatesReport:
        """What followed earlier events of one kind."""
        return (await self.ask(ask_for.base_rates(kind, symbol, options))).value

    async def derivatives(self, symbol: str, **options: Value) -> DerivativesReport:
        """Funding, open interest and liquidations by minute."""
        return (await self.ask(ask_for.derivatives(symbol, options))).value

    async def key_levels(self, symbol: str, **options: Value) -> KeyLevelsReport:
        """Prices that earlier windows left behind, nearest first."""
        return (await self.ask(ask_for.key_levels(symbol, options))).value

    async def compare(self, symbol: str, timeframe: str = "1h", **options: Value) -> CompareReport:
        """Venues, markets and windows beside each other."""
        return (await self.ask(ask_for.compare(symbol, timeframe, options))).value

    async def changes(
        self, symbol: str, since: int | str, timeframe: str = "1h", **options: Value
    ) -> ChangesReport:
        """What moved since a whole minute of at most 26 hours ago."""
        return (await self.ask(ask_for.changes(symbol, since, timeframe, options))).value

    async def wait(
        self, symbol: str, condition: str, value: str, timeout_s: int = 20, **options: Value
    ) -> WaitReport:
        """Sleeps on the server: price_above, price_below, delta_z, event, bar_close."""
        return (await self.ask(ask_for.wait(symbol, condition, value, timeout_s, options))).value

    async def explain(self, name: str | None = None) -> ExplainReport:
        """A rule card, or the names of all."""
        return (await self.ask(ask_for.explain(name))).value

    async def symbols(self) -> SymbolsReport:
        """What the server collects."""
        return (await self.ask(ask_for.symbols())).value

    async def status(self) -> StatusReport:
        """Streams and connections."""
        return (await self.ask(ask_for.status())).value
