"""What a rule says: where to look, when it holds, whom to tell. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from alerts.fieldpath import Step
from orderflow.completeness import State

Only = Literal["final", "verified"]


class Kind(StrEnum):
    """What a condition is about."""

    COMPARE = "compare"
    Z_SCORE = "z_score"
    EVENT = "event"
    STALE = "stale"
    COMPLETENESS = "completeness"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `word` is above, below, at_least, at_most, equals or differs_from."""

    kind: Kind
    path: tuple[Step, ...] = ()
    field: str = ""
    word: str = ""
    value: Decimal | str | bool = Decimal(0)
    magnitude: bool = False
    windows: int = 0
    events: tuple[str, ...] = ()
    side: str = ""
    worse_than: State = State.UNKNOWN


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it stands in the file; `line` is where it begins there."""

    name: str
    symbols: tuple[str, ...]
    answer: str
    parameters: tuple[tuple[str, str], ...]
    condition: Condition
    targets: tuple[str, ...]
    for_ms: int
    cooldown_ms: int
    every_s: int
    only: Only | None
    partial_marked: bool
    note: str
    line: int = field(compare=False)

    @property
    def fingerprint(self) -> str:
        """Changes when the rule's meaning does, so that memory of another meaning is not used."""
        said = (self.answer, self.parameters, self.condition, self.for_ms, self.only)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    @property
    def judges_windows(self) -> bool:
        """True when single closed windows are judged instead of what is so now."""
        return self.only is not None or self.condition.kind is Kind.Z_SCORE


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is told of this rule and symbol (empty: of any) until then."""

    rule: str
    symbol: str
    until_ms: int

    def covers(self, rule: str, symbol: str, now_ms: int) -> bool:
        """Whether it holds here and now."""
        here = self.rule in ("", rule) and self.symbol in ("", symbol)
        return here and now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A target of the file: its kind, its open options, and where its secrets come from."""

    name: str
    kind: str
    options: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str], ...]
    """(secret option, `env:NAME` or `file:PATH`)"""


@dataclass(frozen=True, slots=True)
class Book:
    """Everything in one file."""

    rules: tuple[Rule, ...]
    targets: tuple[TargetEntry, ...]
    silences: tuple[Silence, ...] = ()

    def rule(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def target(self, name: str) -> TargetEntry | None:
        """The target of that name."""
        return next((one for one in self.targets if one.name == name), None)
