"""What can be asked: one function per answer of the server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, overload
from urllib.parse import quote, urlencode

from wadm_client.errors import ConfigError
from wadm_client.report import Report
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
    ShortFlowHistory,
    ShortOrderFlowReport,
    ShortProfileHistory,
    ShortSnapshotReport,
    ShortSummaryReport,
    ShortVolumeProfileReport,
    SnapshotReport,
    StatusReport,
    SummaryReport,
    SymbolsReport,
    VolumeProfileReport,
    WaitReport,
)

T = TypeVar("T", bound=Report)
Value = str | int | float | None
Options = Mapping[str, Value]
SYMBOL = re.compile(r"[A-Za-z0-9:/_.\-]{1,40}")
MOST_SYMBOLS = 50
LONGEST_WAIT_S = 60
SHORT: dict[type[Report], type[Report]] = {
    VolumeProfileReport: ShortVolumeProfileReport,
    OrderFlowReport: ShortOrderFlowReport,
    ProfileHistory: ShortProfileHistory,
    FlowHistory: ShortFlowHistory,
    SummaryReport: ShortSummaryReport,
    SnapshotReport: ShortSnapshotReport,
}


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A path, its parameters and the type of the answer; kind, symbol and step name its file.

    `wait_s` is how long the server may take beyond the usual; what is not kept is never cached.
    """

    kind: str
    path: str
    answer: type[T]
    symbol: str = ""
    step: str = ""
    params: tuple[tuple[str, str], ...] = field(default=())
    wait_s: float = 0.0
    keep: bool = True

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
        raise ConfigError("these answers are whole: for short ones ask(short(question))")
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


def key_levels(symbol: str, options: Options) -> Question[KeyLevelsReport]:
    """Prices that earlier windows left behind, nearest first."""
    path = _path("/levels", symbol)
    return Question("key_levels", path, KeyLevelsReport, symbol, "now", _params(options))


def compare(symbol: str, timeframe: str, options: Options) -> Question[CompareReport]:
    """Venues, markets and windows beside each other."""
    params = _params(options, timeframe=timeframe)
    path = _path("/compare", symbol)
    return Question("compare", path, CompareReport, symbol, timeframe, params)


def changes(
    symbol: str, since: int | str, timeframe: str, options: Options
) -> Question[ChangesReport]:
    """What moved since a whole minute of at most 26 hours ago."""
    params = _params(options, since=since, timeframe=timeframe)
    path = _path("/changes", symbol)
    return Question("changes", path, ChangesReport, symbol, timeframe, params)


def wait(
    symbol: str, condition: str, value: str, timeout_s: int, options: Options
) -> Question[WaitReport]:
    """Answered when the condition holds or the time is over; an old answer would be a lie."""
    if not 1 <= timeout_s <= LONGEST_WAIT_S:
        raise ConfigError(f"timeout_s is 1 to {LONGEST_WAIT_S}")
    params = _params(options, condition=condition, value=value, timeout_s=timeout_s)
    path = _path("/wait", symbol)
    return Question("wait", path, WaitReport, symbol, condition, params, timeout_s, keep=False)


def explain(name: str | None) -> Question[ExplainReport]:
    """A rule card, or the names of all."""
    if name is not None and not re.fullmatch(r"[a-z0-9_]{1,40}", name):
        raise ConfigError("a rule card has a name like volume_profile")
    path = "/explain" if name is None else f"/explain/{name}"
    return Question("explain", path, ExplainReport, "", name or "all")


def symbols() -> Question[SymbolsReport]:
    """What the server collects."""
    return Question("symbols", "/symbols", SymbolsReport)


def status() -> Question[StatusReport]:
    """Streams and connections."""
    return Question("status", "/status", StatusReport)


def _no_history(options: Options) -> None:
    if {"start", "end", "limit"} & set(options):
        raise ConfigError("start, end and limit ask for history: use the history methods")


@overload
def short(
    question: Question[VolumeProfileReport], detail: str = ...
) -> Question[ShortVolumeProfileReport]: ...
@overload
def short(
    question: Question[OrderFlowReport], detail: str = ...
) -> Question[ShortOrderFlowReport]: ...
@overload
def short(
    question: Question[ProfileHistory], detail: str = ...
) -> Question[ShortProfileHistory]: ...
@overload
def short(question: Question[FlowHistory], detail: str = ...) -> Question[ShortFlowHistory]: ...
@overload
def short(question: Question[SummaryReport], detail: str = ...) -> Question[ShortSummaryReport]: ...
@overload
def short(
    question: Question[SnapshotReport], detail: str = ...
) -> Question[ShortSnapshotReport]: ...
def short(question: Question[Any], detail: str = "summary") -> Question[Any]:
    """The short form of a whole answer: detail `summary` or `rows`, with the flat proof."""
    if detail not in {"summary", "rows"} or question.answer not in SHORT:
        raise ConfigError("detail is summary or rows, of profiles, flows, summaries, snapshots")
    params = tuple(sorted({**dict(question.params), "detail": detail}.items()))
    return replace(question, answer=SHORT[question.answer], params=params)
