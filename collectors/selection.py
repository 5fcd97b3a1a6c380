"""Which of a market's instruments are collected: names, patterns, the largest by turnover. Pure.

A selection is written by comma. Names are collected wherever they are listed, whatever else is
said. Everything else narrows what is listed: patterns to the symbols that match one of them, `-`
or `!` to those that match none, `volume>` to those that turned over more in 24 hours, and `top:` to
so many with the greatest turnover. `all` says that nothing narrows.

Turnovers in different currencies can't be compared, so `top:` and `volume>` count only instruments
quoted in something that stands for a dollar. Both look at one market of one venue at a time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from orderflow.errors import ConfigError
from orderflow.instrument import Instrument

T = TypeVar("T")
DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD"})
"""Quote currencies whose turnovers are compared."""
STAYS_RANK = Decimal("1.2")
STAYS_TURNOVER = Decimal("0.5")
"""What is collected stays until its rank is below 1.2 N, or its turnover half the threshold."""
MOST_PARTS = 2_000
MOST_TOP = 10_000
EXAMPLE = "BTCUSDT,ETHUSDT or all or top:200,*USDT,volume>10M,-*USDC"
UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
NAME = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)
PATTERN = re.compile(r"[A-Z0-9*]{1,24}", re.ASCII)
TOP = re.compile(r"TOP:([0-9]{1,6})", re.ASCII)
VOLUME = re.compile(r"VOLUME>([0-9]{1,15}(?:\.[0-9]{1,6})?)([KMB]?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """`top` and `volume` are None where the selection does not say them."""

    names: frozenset[str] = frozenset()
    everything: bool = False
    patterns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    top: int | None = None
    volume: Decimal | None = None
    _wanted: re.Pattern[str] | None = field(default=None, compare=False, repr=False)
    _refused: re.Pattern[str] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_wanted", _any_of(self.patterns))
        object.__setattr__(self, "_refused", _any_of(self.excluded))

    @property
    def by_turnover(self) -> bool:
        """Turnovers decide."""
        return self.top is not None or self.volume is not None

    @property
    def narrows(self) -> bool:
        """Instruments that nobody named are collected, too."""
        return self.everything or bool(self.patterns) or self.by_turnover

    def choose(
        self,
        listed: Sequence[Instrument],
        turnovers: Mapping[str, Decimal],
        before: Set[str] = frozenset(),
    ) -> list[Instrument]:
        """What is collected of these, the named first, then by turnover.

        `turnovers`: quote turnover of 24 h by symbol. `before`: symbols collected until now; one
        whose turnover is not told stays. An instrument that does not trade is only collected where
        it was before, or by name.
        """
        named = [item for item in listed if item.symbol in self.names]
        if not self.narrows:
            return named
        rest = [item for item in listed if self._fits(item, before)]
        unknown = Decimal(-1)
        rest.sort(key=lambda item: (-turnovers.get(item.symbol, unknown), item.symbol))
        if self.by_turnover:
            rest = self._largest(rest, turnovers, before)
        return named + rest

    def _fits(self, item: Instrument, before: Set[str]) -> bool:
        symbol = item.symbol
        if symbol in self.names or (item.status != "trading" and symbol not in before):
            return False
        if self._wanted is not None and not self._wanted.fullmatch(symbol):
            return False
        return self._refused is None or not self._refused.fullmatch(symbol)

    def _largest(
        self, ranked: Sequence[Instrument], turnovers: Mapping[str, Decimal], before: Set[str]
    ) -> list[Instrument]:
        """Those above threshold and rank; what was collected stays a little longer."""
        kept, rank = [], 0
        for item in ranked:
            if item.quote not in DOLLARS:
                continue
            turnover, known = turnovers.get(item.symbol), item.symbol in before
            if turnover is None:
                if known:
                    kept.append(item)
                continue
            rank += 1
            if self.volume is not None:
                least = self.volume * STAYS_TURNOVER if known else self.volume
                if turnover < least or (not known and turnover == least):
                    continue
            if self.top is not None and rank > (self.top * STAYS_RANK if known else self.top):
                continue
            kept.append(item)
        return kept


def parse_selection(text: str, setting: str = "WADM_SYMBOLS") -> Selection:
    """A selection from its text; ConfigError names what is wrong and gives an example."""
    parts = [part for part in (part.strip() for part in text.upper().split(",")) if part]
    if not parts:
        raise ConfigError(f"{setting} names nothing to collect: for example {EXAMPLE}")
    if len(parts) > MOST_PARTS:
        raise ConfigError(f"{setting} has more than {MOST_PARTS} parts: use all or patterns")
    names: set[str] = set()
    patterns: list[str] = []
    excluded: list[str] = []
    tops: list[int] = []
    volumes: list[Decimal] = []
    for part in parts:
        if part == "ALL":
            continue
        if part[0] in "-!":
            excluded.append(_pattern(part[1:], part, setting))
        elif part.startswith("TOP"):
            tops.append(_top(part, setting))
        elif part.startswith("VOLUME"):
            volumes.append(_volume(part, setting))
        elif NAME.fullmatch(part):
            names.add(part)
        else:
            patterns.append(_pattern(part, part, setting))
    found = Selection(
        names=frozenset(names),
        everything="ALL" in parts,
        patterns=tuple(dict.fromkeys(patterns)),
        excluded=tuple(dict.fromkeys(excluded)),
        top=_only(tops, "top:", setting),
        volume=_only(volumes, "volume>", setting),
    )
    _check(found, setting)
    return found


def _check(found: Selection, setting: str) -> None:
    """What contradicts itself is not guessed at."""
    if found.excluded and not found.narrows:
        raise ConfigError(f"{setting} only excludes: say from what, for example all,-*USDC")
    if found.everything and found.patterns:
        raise ConfigError(
            f"{setting} has all and the pattern {found.patterns[0]}: leave one of them out"
        )
    both = sorted(found.names & set(found.excluded))
    if both:
        raise ConfigError(f"{setting} names and excludes {both[0]}: leave one of them out")


def _only(values: Sequence[T], what: str, setting: str) -> T | None:
    if len(values) > 1:
        raise ConfigError(f"{setting} says {what} twice: leave one of them out")
    return values[0] if values else None


def _top(part: str, setting: str) -> int:
    found = TOP.fullmatch(part)
    count = int(found[1]) if found else 0
    if not 1 <= count <= MOST_TOP:
        raise ConfigError(f"{setting}: {_shown(part)} must look like top:200, 1 to {MOST_TOP}")
    return count


def _volume(part: str, setting: str) -> Decimal:
    found = VOLUME.fullmatch(part)
    if found is None:
        raise ConfigError(
            f"{setting}: {_shown(part)} must look like volume>10M (K, M or B), the turnover of 24 "
            "hours in dollars"
        )
    return Decimal(found[1]) * UNITS[found[2]]


def _pattern(text: str, part: str, setting: str) -> str:
    if not PATTERN.fullmatch(text):
        raise ConfigError(
            f"{setting}: {_shown(part)} is no symbol, pattern or rule: for example {EXAMPLE}"
        )
    return text


def _shown(part: str) -> str:
    return repr(part[:40])


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    """Matches what one of the patterns does, where * stands for anything."""
    if not patterns:
        return None
    return re.compile("|".join(pattern.replace("*", "[A-Z0-9]*") for pattern in patterns))
