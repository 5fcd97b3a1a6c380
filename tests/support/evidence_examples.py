"""What the cards of evidence give for the six trades of docs/indicators.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from six_trades import one_a_bar, whole

from orderflow.evidence import Evidence
from orderflow.indicators import (
    absorption,
    exhaustion,
    wyckoff_absorption,
    wyckoff_cause,
    wyckoff_climax,
    wyckoff_effort,
    wyckoff_retest,
    wyckoff_spring,
    wyckoff_strength,
)

Numbers = dict[str, str]
ANSWERS = {True: "held", False: "not held", None: "unknown"}
ENOUGH = 5


def shown(value: Decimal | None) -> str:
    return "missing" if value is None else str(value)


def written(found: Evidence) -> Numbers:
    """The verdict and every check as the cards write them."""
    checks = {
        one.name: f"{shown(one.value)} {one.relation} {shown(one.threshold)}: {ANSWERS[one.held]}"
        for one in found.checks
    }
    return {"evidence": ANSWERS[found.held]} | checks


def of_absorption() -> Numbers:
    bars = [bar.flow for bar in one_a_bar()]
    return written(absorption.absorption_after(bars[-1], bars[:-1], least_bars=ENOUGH))


def of_exhaustion() -> Numbers:
    return written(exhaustion.exhaustion(whole(), "buy"))


def of_climax() -> Numbers:
    *before, bar = one_a_bar()
    return written(wyckoff_climax.climax(bar, before, "selling", least_bars=ENOUGH))


def of_spring() -> Numbers:
    *before, bar = one_a_bar()
    return written(wyckoff_spring.spring(bar, before, "spring", least_bars=ENOUGH))


def of_effort() -> Numbers:
    *before, bar = one_a_bar()
    kind = "effort_without_result"
    return written(wyckoff_effort.effort(bar, before, kind, least_bars=ENOUGH))


def of_range_absorption() -> Numbers:
    *before, bar = one_a_bar()
    return written(wyckoff_absorption.range_absorption(bar, before, least_bars=ENOUGH))


def of_strength() -> Numbers:
    *before, bar = one_a_bar()
    return written(wyckoff_strength.strength(bar, before, "sign_of_strength", least_bars=ENOUGH))


def of_retest() -> Numbers:
    *before, bar = one_a_bar()
    return written(wyckoff_retest.retest(bar, before, "support", least_bars=ENOUGH))


def of_cause() -> Numbers:
    *before, bar = one_a_bar()
    found = wyckoff_cause.cause(bar, before, least_bars=ENOUGH)
    return written(found) | {name: str(value) for name, value in found.numbers}


COMPUTED: dict[str, Callable[[], Numbers]] = {
    "absorption": of_absorption,
    "exhaustion": of_exhaustion,
    "wyckoff_climax": of_climax,
    "wyckoff_spring": of_spring,
    "wyckoff_effort": of_effort,
    "wyckoff_absorption": of_range_absorption,
    "wyckoff_strength": of_strength,
    "wyckoff_retest": of_retest,
    "wyckoff_cause": of_cause,
}
