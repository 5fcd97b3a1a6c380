"""What can be asked: one function per answer of the server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from wadm_client.errors import ConfigError
from wadm_client.report import Report
from wadm_client.types import (
    BaseRatesReport,
    DerivativesReport,
    EventsReport,
    FlowHistory,
    FootprintReport,
    OrderFlowReport,
    ProfileHistory,
    SnapshotReport,
    StatusReport,
    SummaryReport,
    SymbolsReport,
    VolumeProfileReport,
)

T = TypeVar("T", bound=Report)
Value = str | int | float | None
Options = Mapping[str, Value]
SYMBOL = re.compile(r"[A-Za-z0-9:/_.\-]{1,40}")
MOST_SYMBOLS = 50


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A path, its parameters and the type of the answer. `name` and `step` name its file."""

    kind: str
    path: str
    answer: type[T]
    symbol: str = ""
    step: str = ""
    params: tuple[tuple[str, str], ...] = field(default=())

    @property
    def target(self) -> str:
        """Path and query, the same text for the same question."""
        return self.path + (f"?{urlencode(self.params)}" if self.params else "")

    @property
    def key(self) -> str:
        """Key of the cache entry, as wAIckoff spells keys: kind:SYMBOL:step[:other parameters]."""
        extra = urlencode([p for p in self.params if p[0] not in {"timeframe", "period"}])
        parts = [self.kind, self.symbol, self.step, extra]
        return ":".join(part for part in parts if part)


def checked_symbol(symbol: str) -> str:
    """A symbol that may stand in a path; ConfigError otherwise."""
    if not SYMBOL.fullmatch(symbol) or set(symbol.split("/")) & {"", ".", ".."}:
        raise ConfigError("a symbol looks like BTCUSDT, BTC/USDT:USDT or BINANCE:BTCUSDT.P")
    return symbol


def _path(route: str, symbol: str) -> str:
    return f"{route}/{quote(checked_symbol(symbol), safe=':')}"


def _params(options: Options, **own: Value) -> tuple[tuple[str, str], ...]:
    merged = own | dict(options)
    if own.get("whole") and merged.get("detail", "full") != "full":
        raise ConfigError("typed answers are whole: leave detail out; short ones are for agents")
    merged.pop("whole", None)
    return tuple((name, str(merged[name])) for name in sorted(merged) if merged[name] is not None)


def volume_profile(symbol: str, timeframe: str, options: Options) -> Question[VolumeProfileReport]:
    """POC, value area and levels of one window."""
    _no_history(options)
    params = _params(options, whole=1, timeframe=timeframe)
    path = _path("/volume_profile", symbol)
    return Question("volume_profile", path, VolumeProfileReport, symbol, timeframe, params)


def order_flow(symbol: str, period: str, options: Options) -> Question[OrderFlowReport]:
    """Delta, cumulative delta and imbalance of one window."""
    _no_history(options)
    path = _path("/order_flow", symbol)
    params = _params(options, whole=1, period=period)
    return Question("order_flow", path, OrderFlowReport, symbol, period, params)


def profile_history(symbol: str, timeframe: str, options: Options) -> Question[ProfileHistory]:
    """Aligned profiles, oldest first."""
    path = _path("/volume_profile", symbol)
    params = _params({"limit": 24, **options}, whole=1, timeframe=timeframe)
    return Question("profile_history", path, ProfileHistory, symbol, timeframe, params)


def flow_history(symbol: str, period: str, options: Options) -> Question[FlowHistory]:
    """Aligned order flow, oldest first."""
    path = _path("/order_flow", symbol)
    params = _params({"limit": 24, **options}, whole=1, period=period)
    return Question("flow_history", path, FlowHistory, symbol, period, params)


def footprint(symbol: str, timeframe: str, options: Options) -> Question[FootprintReport]:
    """Footprint bars; detail=rows gives their rows."""
    path = _path("/footprint", symbol)
    params = _params(options, timeframe=timeframe)
    return Question("footprint", path, FootprintReport, symbol, timeframe, params)


def summary(symbol: str, options: Options) -> Question[SummaryReport]:
    """Profile and flow of one symbol."""
    path = _path("/indicators/summary", symbol)
    return Question("summary", path, SummaryReport, symbol, "now", _params(options, whole=1))


def snapshot(symbols: Sequence[str], options: Options) -> Question[SnapshotReport]:
    """Profile and flow of up to 50 symbols in one answer."""
    if not 1 <= len(symbols) <= MOST_SYMBOLS:
        raise ConfigError(f"a snapshot takes 1 to {MOST_SYMBOLS} symbols")
    joined = ",".join(checked_symbol(symbol) for symbol in symbols)
    params = _params(options, whole=1, symbols=joined)
    return Question("snapshot", "/snapshot", SnapshotReport, "", "now", params)


def events(symbol: str, options: Options) -> Question[EventsReport]:
    """What the rules saw, newest first."""
    params = _params(options, symbol=checked_symbol(symbol))
    return Question("events", "/events", EventsReport, symbol, "now", params)


def base_rates(kind: str, symbol: str, options: Options) -> Question[BaseRatesReport]:
    """What followed earlier events of one kind."""
    if not re.fullmatch(r"[a-z_]{1,40}", kind):
        raise ConfigError("a kind of event looks like stacked_imbalance")
    params = _params(options, symbol=checked_symbol(symbol))
    path = f"/events/base-rates/{kind}"
    return Question("base_rates", path, BaseRatesReport, symbol, kind, params)


def derivatives(symbol: str, options: Options) -> Question[DerivativesReport]:
    """Funding, open interest and liquidations by minute."""
    path = _path("/derivatives", symbol)
    return Question("derivatives", path, DerivativesReport, symbol, "1m", _params(options))


def symbols() -> Question[SymbolsReport]:
    """What the server collects."""
    return Question("symbols", "/symbols", SymbolsReport)


def status() -> Question[StatusReport]:
    """Streams and connections."""
    return Question("status", "/status", StatusReport)


def _no_history(options: Options) -> None:
    if {"start", "end", "limit"} & set(options):
        raise ConfigError("start, end and limit ask for history: use the history methods")
