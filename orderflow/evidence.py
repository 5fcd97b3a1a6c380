"""Evidence: which of the conditions of a named situation held, with the numbers and thresholds.

It is a description of what happened, never advice.
Comparisons are exact; the numbers written beside them are rounded to 12 digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

import msgspec

from orderflow.flow import FlowBar

Number: TypeAlias = int | Fraction | Decimal
Relation = Literal[">=", "<=", ">", "<"]
Side = Literal["buy", "sell"]

DIGITS = Context(prec=12)


class Check(msgspec.Struct, frozen=True):
    """One condition: `value relation threshold`. `held` is None when a number is missing.

    A check that isn't `required` adds detail and decides nothing.
    """

    name: str
    value: Decimal | None
    relation: Relation
    threshold: Decimal | None
    held: bool | None
    required: bool = True


class Evidence(msgspec.Struct, frozen=True):
    """The checks of one situation over [start_ms, end_ms), between two prices in ticks.

    `context_bars`: how many earlier bars the thresholds were computed from. `numbers`: what was
    measured beside the checks.
    """

    kind: str
    side: Side | None
    start_ms: int
    end_ms: int
    low_ticks: int | None
    high_ticks: int | None
    checks: tuple[Check, ...]
    context_bars: int = 0
    numbers: tuple[tuple[str, Decimal | None], ...] = ()

    @property
    def held(self) -> bool | None:
        """True when every required check held, False when one failed, else None (unknown)."""
        found = [check.held for check in self.checks if check.required]
        if False in found:
            return False
        return True if found and None not in found else None

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that didn't hold."""
        return tuple(check.name for check in self.checks if check.held is False)

    def number(self, name: str) -> Decimal | None:
        """The value of the check of this name; KeyError when there is none."""
        return {check.name: check.value for check in self.checks}[name]


def check(
    name: str,
    value: Number | None,
    relation: Relation,
    threshold: Number | None,
    *,
    required: bool = True,
) -> Check:
    """Compare exactly; unknown when either number is missing."""
    held = None if value is None or threshold is None else _holds(value, relation, threshold)
    return Check(name, shown(value), relation, shown(threshold), held, required)


def evidence(
    kind: str,
    side: Side | None,
    bar: FlowBar,
    checks: Sequence[Check],
    context_bars: int = 0,
    **numbers: Number | None,
) -> Evidence:
    """Evidence over the interval and prices of one bar, with named numbers beside the checks."""
    return Evidence(
        kind,
        side,
        bar.start_ms,
        bar.end_ms,
        bar.low_ticks,
        bar.high_ticks,
        tuple(checks),
        context_bars,
        tuple((name, shown(value)) for name, value in numbers.items()),
    )


def shown(value: Number | None) -> Decimal | None:
    """The number as a decimal of at most 12 digits where it is no whole number."""
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, int) or value.denominator == 1:
        return Decimal(int(value))
    return DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))


def part_of(part: int | None, whole: int | None) -> Fraction | None:
    """`part` in percent of `whole`, exact; None when a number is missing or `whole` is 0."""
    return Fraction(100 * part, whole) if part is not None and whole else None


def _holds(value: Number, relation: Relation, threshold: Number) -> bool:
    one, other = Fraction(value), Fraction(threshold)
    if relation == ">=":
        return one >= other
    if relation == "<=":
        return one <= other
    return one > other if relation == ">" else one < other
