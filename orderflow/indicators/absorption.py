"""Absorption, from trades only: much aggression that moves price little, or not past a row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from orderflow.errors import MergeError
from orderflow.evidence import Evidence, Side, check, evidence
from orderflow.flow import FlowBar, whole_ratio
from orderflow.footprint import FootprintBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances
from orderflow.indicators.stacked_imbalance import STACK, Stack, stacked_imbalances
from orderflow.quantile import quantile
from orderflow.series import series

DELTA_PCT = 90
MOVE_PCT = 25
LEAST_BARS = 20
EXTREME_ROWS = 2

CARD = RuleCard(
    name="absorption",
    version=1,
    family="footprint",
    summary=("Much aggression that moves price little, or can't get past a row; from trades only."),
    formula=(
        "of effort: |delta| >= p90 and |close - open| <= p25 of earlier bars of the same length; "
        "at the extreme: a stack of 3 imbalances within 2 rows of the bar's high (buys) or low "
        "(sells), and a close behind the stack"
    ),
    units="lots, ticks; side = the aggressors that were absorbed",
    parameters=(
        Parameter("delta_pct", "90", "percent", "percentile of |delta| of earlier bars"),
        Parameter("move_pct", "25", "percent", "percentile of |close - open| of earlier bars"),
        Parameter("least_bars", "20", "bars", "earlier bars without which it is unknown"),
        Parameter("within_rows", "2", "rows", "how near the extreme a stack must end"),
    ),
    ties="equality counts; fewer than 20 earlier bars: unknown, never false",
    edges=(
        "A bar without delta absorbs nothing.",
        ("Thresholds come from earlier bars, so that the bar under test can't lift its own bar."),
        "Bars of another length are refused.",
    ),
    merging="Not mergeable: each timeframe has its own thresholds.",
    evidence="Resting orders took the aggression in, as far as trades can show it.",
    not_evidence=(
        "An iceberg or a wall: the order book is not read. A standard: no public "
        "definition is agreed on, the thresholds are this project's own."
    ),
    source="own thresholds; ATAS (ratio, stacked levels, minimum volume); trades only, no book",
    example=Example(
        "The first five trades a bar each, the sixth current, 5 bars enough.",
        (
            ("evidence", "not held"),
            ("abs_delta_lots", "1 >= 10: not held"),
            ("move_ticks", "0 <= 0: held"),
            ("delta_present", "1 > 0: held"),
        ),
    ),
)


class Thresholds(msgspec.Struct, frozen=True):
    """What much delta and little movement are, and how many bars say so."""

    delta_lots: int | None
    move_ticks: int | None
    bars: int = 0


def thresholds(
    earlier: Sequence[FlowBar],
    *,
    delta_pct: int = DELTA_PCT,
    move_pct: int = MOVE_PCT,
    least_bars: int = LEAST_BARS,
) -> Thresholds:
    """Percentiles of the bars that traded; unknown below `least_bars` of them."""
    traded = [bar for bar in series(earlier) if not bar.empty]
    if len(traded) < least_bars:
        return Thresholds(None, None, len(traded))
    return Thresholds(
        quantile((abs(bar.delta_lots) for bar in traded), delta_pct),
        quantile((_move(bar) for bar in traded), move_pct),
        len(traded),
    )


def absorption_of_effort(bar: FlowBar, limits: Thresholds) -> Evidence:
    """Delta and movement of one bar against thresholds in the same ticks and lots.

    An empty bar absorbs nothing: its delta is 0, below any threshold of at least 1 lot.
    """
    checks = [
        check("abs_delta_lots", abs(bar.delta_lots), ">=", limits.delta_lots),
        check("move_ticks", _move(bar), "<=", limits.move_ticks),
        check("delta_present", abs(bar.delta_lots), ">", 0),
    ]
    return evidence("absorption_of_effort", _side(bar), bar, checks, limits.bars)


def absorption_after(
    bar: FlowBar, earlier: Sequence[FlowBar], *, least_bars: int = LEAST_BARS
) -> Evidence:
    """The same, with thresholds from earlier bars; MergeError when one isn't earlier."""
    same = series([*earlier, bar])
    if any(old.end_ms - old.start_ms != bar.end_ms - bar.start_ms for old in same):
        raise MergeError("absorption compares bars of one length")
    return absorption_of_effort(same[-1], thresholds(same[:-1], least_bars=least_bars))


def absorption_at_extreme(
    bar: FootprintBar, *, minimum_lots: int | None = None, within_rows: int = EXTREME_ROWS
) -> list[Evidence]:
    """Stacked imbalances at an extreme that price closed behind: one evidence per such stack."""
    flow = bar.flow
    if flow.close_ticks is None or not bar.rows:
        return []
    bottom, top = min(bar.rows), max(bar.rows)
    close_row = flow.close_ticks // whole_ratio(bar.row_size, flow.tick_size)
    found = []
    for stack in stacked_imbalances(diagonal_imbalances(bar.rows, minimum_lots=minimum_lots)):
        away = top - stack.high_row if stack.side == "buy" else stack.low_row - bottom
        if away < within_rows:
            found.append(_extreme(flow, stack, close_row, away, within_rows))
    return found


def _extreme(flow: FlowBar, stack: Stack, close_row: int, away: int, within_rows: int) -> Evidence:
    buys = stack.side == "buy"
    return evidence(
        "absorption_at_extreme",
        stack.side,
        flow,
        [
            check("stacked_rows", stack.rows, ">=", STACK),
            check("rows_from_extreme", away, "<", within_rows),
            check(
                "close_row", close_row, *(("<", stack.low_row) if buys else (">", stack.high_row))
            ),
        ],
    )


def _move(bar: FlowBar) -> int:
    return abs((bar.close_ticks or 0) - (bar.open_ticks or 0))


def _side(bar: FlowBar) -> Side | None:
    if bar.delta_lots == 0:
        return None
    return "buy" if bar.delta_lots > 0 else "sell"
