"""Detectors: what each claims of a bar made for it, and that all of them are well-behaved."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from closed_minutes import market, quality

from orderflow.detectors import DEPTHS, DETECTORS, RULES
from orderflow.detectors.rule import DEPTH, Look, Rule
from orderflow.event import CORRECTION
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar, Row
from orderflow.indicators.wyckoff_spring import spring
from orderflow.indicators.wyckoff_strength import strength
from orderflow.prints import Print
from orderflow.timeframe import MINUTE_MS, TIMEFRAMES
from processor.history import MinuteHistory
from processor.recent import RowsOf

BEFORE = 30


def bar(number: int, rows: dict[int, Row] | None = None, **changes: Any) -> FootprintBar:
    """A quiet minute around row 100 (tick = row = lot = 1) unless told otherwise."""
    rows = {100: (11 + number % 3, 10, 2), 101: (10, 11 + number % 5, 2)} if rows is None else rows
    buy, sell = (sum(row[column] for row in rows.values()) for column in (0, 1))
    largest = changes.pop("largest", (Print(number, 100, 5 + number % 4, 1),))
    values: dict[str, Any] = {
        "start_ms": number * MINUTE_MS,
        "end_ms": (number + 1) * MINUTE_MS,
        "tick_size": Decimal(1),
        "lot_size": Decimal(1),
        "buy_lots": buy,
        "sell_lots": sell,
        "buy_trades": 2,
        "sell_trades": 2,
        "records": 4,
        "open_ticks": min(rows),
        "high_ticks": max(rows),
        "low_ticks": min(rows),
        "close_ticks": max(rows),
        "min_delta_lots": min(0, buy - sell) - 1,
        "max_delta_lots": max(0, buy - sell) + 1,
    }
    return FootprintBar(FlowBar(**(values | changes)), Decimal(1), rows, {}, largest)


def look(current: FootprintBar) -> Look:
    return Look("1m", current, [bar(k) for k in range(BEFORE)])


STACK: dict[int, Row] = dict.fromkeys(range(100, 105), (50, 0, 3))
FADING: dict[int, Row] = {100: (9, 9, 1), 101: (90, 9, 1), 102: (60, 9, 1), 103: (40, 9, 1)}
FADING[104] = (20, 9, 1)
CASES: list[tuple[str, FootprintBar, str]] = [
    ("stacked_imbalance", bar(BEFORE, STACK), "buy"),
    ("trapped_traders", bar(BEFORE, STACK | {98: (5, 5, 1), 99: (5, 5, 1)}, close_ticks=98), "buy"),
    ("absorption_at_extreme", bar(BEFORE, STACK | {99: (5, 9, 1)}, close_ticks=99), "buy"),
    ("unfinished_auction", bar(BEFORE, {100: (1, 0, 1), 101: (2, 2, 1), 102: (9, 9, 1)}), "buy"),
    ("exhaustion", bar(BEFORE, FADING), "buy"),
    (
        "absorption",
        bar(BEFORE, {100: (900, 10, 9)}, open_ticks=100, close_ticks=100),
        "buy",
    ),
    ("large_trade", bar(BEFORE, largest=(Print(9, 101, 70, 0),)), "sell"),
    ("sweep", bar(BEFORE, sweeps=2, sweep_sell_lots=40), "sell"),
]


@pytest.mark.parametrize(("kind", "current", "side"), CASES, ids=[case[0] for case in CASES])
def test_made_for_it(kind: str, current: FootprintBar, side: str) -> None:
    """The rule sees its own pattern once on that side, with plain evidence and a price."""
    claims = [claim for claim in DETECTORS[kind].find(look(current)) if claim.side == side]
    (claim,) = claims
    assert claim.price is not None
    assert claim.evidence
    assert msgspec.json.decode(msgspec.json.encode(claim.evidence)) == claim.evidence


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_quiet_bars_say_nothing(rule: Rule) -> None:
    """Neither a bar like those before nor one without trades is an event."""
    if rule.kind != "unfinished_auction":
        assert rule.find(look(bar(BEFORE))) == []
    nothing = FootprintBar(
        FlowBar(BEFORE * MINUTE_MS, (BEFORE + 1) * MINUTE_MS, Decimal(1), Decimal(1)),
        Decimal(1),
        {},
    )
    assert rule.find(look(nothing)) == []
    assert rule.find(Look("1m", nothing, [])) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_one_claim_a_side(rule: Rule) -> None:
    """On any market: at most one claim per side, plain evidence, no bar of the future named."""
    bars = market(120, 6) + market(0)
    for place in range(61, 120):
        before = [msgspec.structs.replace(old, rows={}) for old in bars[place - DEPTH : place]]
        current = bars[place]
        claims = rule.find(Look("1m", current, before))
        assert len({claim.side for claim in claims}) == len(claims)
        for claim in claims:
            msgspec.msgpack.encode(msgspec.to_builtins(claim.evidence))
            assert claim.compared <= DEPTH
            assert all(start <= current.flow.start_ms for start in claim.pivots)


@pytest.mark.parametrize("kind", ["spring", "upthrust", "sign_of_strength", "sign_of_weakness"])
def test_rows_of_the_range(kind: str) -> None:
    """Judged with the rows of the range as one, evidence is that of the single bars with rows."""
    judge = spring if kind in {"spring", "upthrust"} else strength
    bars = market(110, 12)
    minutes = MinuteHistory()
    for old in bars:
        minutes.put(old, quality(old))
    for place in range(60, 110):
        before = bars[place - 60 : place]
        slim = [msgspec.structs.replace(old, rows={}) for old in before]
        seen = Look("1m", bars[place], slim, RowsOf(minutes.minutes)).range_before(50)
        assert seen is not None
        assert judge(bars[place], seen, kind) == judge(bars[place], before[-50:], kind)
    assert Look("1m", bars[70], slim).range_before(50) is None
    assert RowsOf({})(0, MINUTE_MS) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_rules_are_described(rule: Rule) -> None:
    """A rule says what it means, runs on known timeframes and stays inside the kept depth."""
    assert DETECTORS[rule.kind] is rule
    assert rule.kind != CORRECTION
    assert len(rule.meaning) > 60
    assert set(rule.timeframes) <= set(TIMEFRAMES)
    assert rule.depth <= DEPTH
    assert all(DEPTHS[name] >= rule.depth for name in rule.timeframes)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_steps_do_not_matter(rule: Rule) -> None:
    """Counted in finer ticks and lots the same sides are claimed at the same prices."""
    draw = random.Random(3)
    for _, current, _ in draw.sample(CASES, 5):
        plain = look(current)
        tick, lot = Decimal("0.5"), Decimal("0.1")
        fine = Look(
            "1m", current.rescaled(tick, lot), [b.rescaled(tick, lot) for b in plain.before]
        )
        assert [(c.side, c.price) for c in rule.find(plain)] == [
            (c.side, c.price) for c in rule.find(fine)
        ]
