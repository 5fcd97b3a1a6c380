"""Unfinished auction: both sides still traded at the bar's extreme row, until it trades again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from orderflow.footprint import FootprintBar, Rows
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.diagonal_imbalance import minimum_of
from orderflow.series import footprints

CARD = RuleCard(
    name="unfinished_auction",
    version=1,
    family="footprint",
    summary=(
        "Both sides still traded at the bar's extreme row, until a later bar reaches it again."
    ),
    formula=(
        "unfinished at the high (low): buy >= minimum and sell >= minimum in the highest (lowest) "
        "row; minimum: 1 lot on rows of one tick, half the bar's median row on wider ones; "
        "completed by the first later bar that reaches the row again"
    ),
    units="rows of the footprint; volumes in lots",
    parameters=(
        Parameter("minimum_lots", "see formula", "lots", "least volume of each side in the row"),
    ),
    ties="equality counts; a later bar that jumps over the row completes it",
    edges=(
        "A bar of one row may be unfinished at both ends.",
        "On wide rows nearly every extreme holds a lot of both sides, hence the higher minimum.",
        "A later bar that jumps over the row completes it.",
    ),
    merging=("Exact: computed again from the merged rows; completion from the order of the bars."),
    evidence="Trading by both sides at the extreme when the bar ended.",
    not_evidence="A promise of a retest; thirty minutes is a rule of thumb of its authors.",
    source="MarketDelta, footprintchart.com 2016 (pattern, completion); twofox (minimum volume)",
    example=Example(
        "The six trades, two a minute, three minutes, rows of 2, minimum 1 lot.",
        (
            ("minute 1, high, row 50", "completed in minute 2"),
            ("minute 1, low, row 50", "completed in minute 2"),
        ),
    ),
)


class Unfinished(msgspec.Struct, frozen=True):
    """An extreme row with both sides; `completed_ms`: end of the bar that traded it again."""

    at: Literal["high", "low"]
    row: int
    buy_lots: int
    sell_lots: int
    formed_ms: int
    completed_ms: int | None = None


def unfinished_auctions(bar: FootprintBar, *, minimum_lots: int | None = None) -> list[Unfinished]:
    """The unfinished extremes of one bar, low before high; a one-row bar may have both."""
    occupied = _occupied(bar.rows)
    if not occupied:
        return []
    least = default_minimum(bar) if minimum_lots is None else max(1, minimum_lots)
    found = []
    for at, row in (("low", occupied[0]), ("high", occupied[-1])):
        buy, sell, _ = bar.rows[row]
        if buy >= least and sell >= least:
            found.append(
                Unfinished("low" if at == "low" else "high", row, buy, sell, bar.flow.end_ms)
            )
    return found


def default_minimum(bar: FootprintBar) -> int:
    """The least volume of each side: wide rows nearly always hold a little of both."""
    if bar.row_size == bar.flow.tick_size:
        return 1
    return max(1, minimum_of(bar.rows) // 2)


def unfinished_ledger(
    bars: Sequence[FootprintBar], *, minimum_lots: int | None = None
) -> list[Unfinished]:
    """All unfinished auctions of consecutive bars, oldest first, with their completion."""
    open_ones: list[Unfinished] = []
    done: list[Unfinished] = []
    for bar in footprints(bars):
        occupied = _occupied(bar.rows)
        if not occupied:
            continue
        still = []
        for auction in open_ones:
            reached = (
                occupied[-1] >= auction.row if auction.at == "high" else occupied[0] <= auction.row
            )
            if reached:
                done.append(msgspec.structs.replace(auction, completed_ms=bar.flow.end_ms))
            else:
                still.append(auction)
        open_ones = still + unfinished_auctions(bar, minimum_lots=minimum_lots)
    return sorted([*done, *open_ones], key=lambda a: (a.formed_ms, a.row, a.at))


def _occupied(rows: Rows) -> list[int]:
    return sorted(row for row, (buy, sell, _) in rows.items() if buy + sell)
