"""Market profile: time at price (TPO), initial balance, single prints, excess, poor extremes.

A bracket is the range traded in half an hour; a row's count is the number of brackets whose range
touches it. Definitions: Dalton, Mind Over Markets (2013); ShadowTrader's glossary for excess and
poor extremes. Counts agree with wickra 2.0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from orderflow.errors import MergeError, ValidationError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.volume_profile import point_of_control, value_area

BRACKET_MS = 1_800_000
BALANCE_MS = 3_600_000
EXCESS_ROWS = 2

CARD = RuleCard(
    name="market_profile",
    version=2,
    family="profile",
    summary="Time at price: TPO counts, initial balance, single prints, excess and poor extremes.",
    formula=(
        "TPO of a row = number of brackets whose range from low to high touches it. Initial "
        "balance = range of the brackets that begin in the first hour. Single prints = runs of "
        "rows with one TPO away from the extremes; a run at an extreme is its tail, from 2 rows "
        "on excess. Poor high or low = two TPOs or more in the extreme row. POC and value area "
        "are those of volume_profile, on TPO counts."
    ),
    units="rows and counts of brackets; ms UTC",
    parameters=(
        Parameter("bracket_ms", "1800000", "ms", "length of a bracket, counted from the start"),
        Parameter("balance_ms", "3600000", "ms", "length of the initial balance"),
        Parameter("excess_rows", "2", "rows", "least tail that counts as excess"),
    ),
    ties="the first hour is half open: a bracket that begins at its end is outside",
    edges=(
        "Rows between a bracket's low and high count even where nothing traded in them.",
        "A bracket without a trade counts nowhere; the initial balance needs one with trades.",
        "A profile of single prints only is both tails at once: it is given as the upper one.",
        "The initial balance is final when its hour is over.",
    ),
    merging="Exact: brackets combine by lowest low and highest high, in any order and grouping.",
    evidence="How long the market stayed at a price, whatever the volume.",
    not_evidence="Volume at price, or that a poor extreme will be revisited.",
    source="Dalton, Mind Over Markets, 2013; ShadowTrader glossary; wickra 2.0 (counts)",
    example=Example(
        "One trade every 30 minutes, in the order of the table, rows of 1.",
        (
            ("tpo", "100:2 101:2 102:1 103:1"),
            ("poc", "101"),
            ("initial_balance", "100..101"),
            ("single_prints", "none"),
            ("high", "tail 102..103, excess"),
            ("low", "poor"),
        ),
    ),
)

Range = tuple[int, int]
"""(lowest row, highest row) of a bracket or run."""


class TimeProfile(msgspec.Struct, gc=False, frozen=True):
    """Ranges of the brackets of a window in rows of `row_ticks`, by bracket number.

    Bracket k covers [start_ms + k * bracket_ms, start_ms + (k + 1) * bracket_ms).
    """

    start_ms: int
    bracket_ms: int
    row_ticks: int
    brackets: dict[int, Range]

    @property
    def ranges(self) -> list[Range]:
        """Ranges in time order, brackets without a trade left out."""
        return [self.brackets[number] for number in sorted(self.brackets)]


class Extreme(msgspec.Struct, gc=False, frozen=True):
    """One end of the profile: its row, its tail of single prints, and whether it is poor."""

    row: int
    tail: Range | None
    excess: bool
    poor: bool


class MarketProfile(msgspec.Struct, gc=False, frozen=True):
    """Everything read from a time profile; rows."""

    counts: dict[int, int]
    poc_row: int
    val_row: int
    vah_row: int
    balance: Range | None
    balance_final: bool
    above_balance_rows: int
    below_balance_rows: int
    single_prints: tuple[Range, ...]
    high: Extreme
    low: Extreme


def time_profile(
    bars: Iterable[FlowBar], start_ms: int, *, row_ticks: int, bracket_ms: int = BRACKET_MS
) -> TimeProfile:
    """Brackets of the bars, in any order; ValidationError when a bar reaches over a border.

    `row_ticks`: row size in ticks of the bars, which share one tick size.
    """
    brackets: dict[int, Range] = {}
    for bar in bars:
        number, offset = divmod(bar.start_ms - start_ms, bracket_ms)
        if number < 0 or offset + bar.end_ms - bar.start_ms > bracket_ms:
            raise ValidationError("a bar reaches over the border of a bracket; use finer bars")
        if bar.low_ticks is None or bar.high_ticks is None:
            continue
        found = (bar.low_ticks // row_ticks, bar.high_ticks // row_ticks)
        brackets[number] = _both(brackets.get(number), found)
    return TimeProfile(start_ms, bracket_ms, row_ticks, dict(sorted(brackets.items())))


def merged(a: TimeProfile, b: TimeProfile) -> TimeProfile:
    """Two profiles of one window (parts of its time, or venues) as one."""
    if (a.start_ms, a.bracket_ms, a.row_ticks) != (b.start_ms, b.bracket_ms, b.row_ticks):
        raise MergeError("time profiles must share start, bracket length and row size")
    brackets = dict(a.brackets)
    for number, found in b.brackets.items():
        brackets[number] = _both(brackets.get(number), found)
    return msgspec.structs.replace(a, brackets=dict(sorted(brackets.items())))


def read(
    found: TimeProfile, *, balance_ms: int = BALANCE_MS, excess_rows: int = EXCESS_ROWS
) -> MarketProfile | None:
    """Counts, balance, single prints and extremes; None without a trade."""
    counts = tpo(found.ranges)
    if not counts:
        return None
    poc = point_of_control(counts)
    val, vah, _ = value_area(counts, poc, method="single")
    first = -(-balance_ms // found.bracket_ms)
    early = [places for number, places in found.brackets.items() if number < first]
    balance = _span(early) if early else None
    rows = list(counts)
    runs = _runs([row for row, count in counts.items() if count == 1])
    return MarketProfile(
        counts=counts,
        poc_row=poc,
        val_row=val,
        vah_row=vah,
        balance=balance,
        balance_final=max(found.brackets) >= first,
        above_balance_rows=0 if balance is None else max(0, rows[-1] - balance[1]),
        below_balance_rows=0 if balance is None else max(0, balance[0] - rows[0]),
        single_prints=tuple(run for run in runs if run[0] != rows[0] and run[1] != rows[-1]),
        high=_extreme(counts, rows[-1], _tail(runs, high=rows[-1]), excess_rows),
        low=_extreme(counts, rows[0], _tail(runs, low=rows[0], not_to=rows[-1]), excess_rows),
    )


def masks(found: TimeProfile) -> dict[int, int]:
    """Per row a bit mask of the brackets that touched it (bit k: bracket k), lowest row first."""
    rows: dict[int, int] = {}
    for number, (low, high) in found.brackets.items():
        for row in range(low, high + 1):
            rows[row] = rows.get(row, 0) | 1 << number
    return dict(sorted(rows.items()))


def tpo(brackets: Sequence[Range]) -> dict[int, int]:
    """Brackets per row, lowest row first."""
    counts: Counter[int] = Counter()
    for low, high in brackets:
        counts.update(range(low, high + 1))
    return dict(sorted(counts.items()))


def single_prints(brackets: Sequence[Range]) -> list[int]:
    """Rows that one bracket alone touched, those of the tails included."""
    return [row for row, count in tpo(brackets).items() if count == 1]


def initial_balance(brackets: Sequence[Range], bracket_minutes: int = 30) -> Range | None:
    """Range of the first hour of brackets without a gap; None without a bracket."""
    first = brackets[: -(-60 // bracket_minutes)]
    return _span(first) if first else None


def _both(a: Range | None, b: Range) -> Range:
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def _span(ranges: Sequence[Range]) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _runs(rows: Sequence[int]) -> list[Range]:
    """Neighbouring rows as (lowest, highest)."""
    runs: list[Range] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs


def _tail(
    runs: Sequence[Range],
    *,
    low: int | None = None,
    high: int | None = None,
    not_to: int | None = None,
) -> Range | None:
    """The run that begins at the lowest row or ends at the highest."""
    for run in runs:
        if (run[0] == low and run[1] != not_to) or run[1] == high:
            return run
    return None


def _extreme(counts: dict[int, int], row: int, tail: Range | None, excess_rows: int) -> Extreme:
    long = tail is not None and tail[1] - tail[0] + 1 >= excess_rows
    return Extreme(row, tail, excess=long, poor=counts[row] >= 2)
