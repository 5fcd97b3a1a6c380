"""`then` and `beside` against sums made trade by trade, over different ticks, lots and rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow import flow, footprint
from orderflow.content import bar_hash, flow_hash
from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar

TICK, LOT, ROW = Decimal("0.5"), Decimal("0.01"), Decimal("2.5")
SCALES = [(TICK, LOT), (Decimal("0.1"), LOT), (TICK, Decimal("0.005")), (Decimal("0.25"), LOT)]


class Print(NamedTuple):
    """One trade."""

    key: int
    at_ms: int
    ticks: int
    lots: int
    buy: bool
    trades: int


prints = st.lists(
    st.tuples(st.integers(1, 90), st.integers(1, 50), st.booleans(), st.integers(1, 4)), max_size=12
)


def numbered(found: Sequence[tuple[int, int, bool, int]], at_ms: int = 0) -> list[Print]:
    """Trades 10 ms apart with ids from their time."""
    return [Print(at_ms + k, at_ms + 10 * k, *item) for k, item in enumerate(found)]


def direct(
    found: Sequence[Print],
    span: tuple[int, int],
    name: str = "v:perp:A",
    scale: tuple[Decimal, Decimal] = (TICK, LOT),
) -> FootprintBar:
    """A bar straight from its trades, by the words of the field descriptions."""
    bar = FlowBar(*span, *scale)
    if found:
        buys, sells = [p for p in found if p.buy], [p for p in found if not p.buy]
        running = list(accumulate(p.lots if p.buy else -p.lots for p in found))
        bar = FlowBar(
            *span,
            *scale,
            buy_lots=sum(p.lots for p in buys),
            sell_lots=sum(p.lots for p in sells),
            buy_trades=sum(p.trades for p in buys),
            sell_trades=sum(p.trades for p in sells),
            buy_quote=sum(p.lots * p.ticks for p in buys),
            sell_quote=sum(p.lots * p.ticks for p in sells),
            records=len(found),
            open_ticks=found[0].ticks,
            high_ticks=max(p.ticks for p in found),
            low_ticks=min(p.ticks for p in found),
            close_ticks=found[-1].ticks,
            min_delta_lots=min(running),
            max_delta_lots=max(running),
            first_ms=found[0].at_ms,
            last_ms=found[-1].at_ms,
            first_name=name,
            last_name=name,
            first_id=found[0].key,
            last_id=found[-1].key,
        )
    rows: dict[int, tuple[int, int, int]] = {}
    for p in found:
        place = int(p.ticks * scale[0] // ROW)
        buy, sell, trades = rows.get(place, (0, 0, 0))
        rows[place] = (buy + p.lots * p.buy, sell + p.lots * (not p.buy), trades + p.trades)
    return FootprintBar(bar, ROW, rows)


@given(prints, prints, prints)
def test_then_equals_direct(a: list, b: list, c: list) -> None:
    """Bars of consecutive spans merge, however grouped, into the bar of all their trades: every
    field, rows too, empty spans included."""
    groups = [numbered(a), numbered(b, 1_000), numbered(c, 2_000)]
    parts = [direct(g, (1_000 * k, 1_000 * k + 1_000)) for k, g in enumerate(groups)]
    whole = direct([p for g in groups for p in g], (0, 3_000))
    assert footprint.then(parts) == whole
    assert footprint.then([footprint.then(parts[:2]), parts[2]]) == whole
    assert footprint.then([parts[0], footprint.then(parts[1:])]) == whole


@given(prints, prints, st.sampled_from(SCALES))
def test_then_over_a_changed_scale(a: list, b: list, scale: tuple[Decimal, Decimal]) -> None:
    """When ticks or lots change between two spans, the merge keeps prices and volumes exact."""
    before, after = (
        direct(numbered(a), (0, 1_000)),
        direct(numbered(b, 1_000), (1_000, 2_000), scale=scale),
    )
    merged = footprint.then([before, after])
    size = before.flow.volume_lots * LOT + after.flow.volume_lots * scale[1]
    assert merged.flow.volume_lots * merged.flow.lot_size == size
    quote = sum(
        (bar.flow.quote(bar.flow.buy_quote + bar.flow.sell_quote) for bar in (before, after)),
        Decimal(0),
    )
    assert merged.flow.quote(merged.flow.buy_quote + merged.flow.sell_quote) == quote
    assert sum(x + y for x, y, _ in merged.rows.values()) == merged.flow.volume_lots
    if b:
        assert (merged.flow.close_ticks or 0) * merged.flow.tick_size == b[-1][0] * scale[0]


def named(found: list, name: str, scale: tuple[Decimal, Decimal]) -> FootprintBar:
    return direct(numbered(found), (0, 1_000), name, scale)


@given(st.lists(st.tuples(prints, st.sampled_from(SCALES)), min_size=3, max_size=3))
def test_beside_in_any_order_and_grouping(streams: list) -> None:
    """Concurrent bars of three streams give one content in any order and grouping."""
    one, two, three = (
        named(found, f"v{k}:perp:A", scale) for k, (found, scale) in enumerate(streams)
    )
    beside = footprint.beside
    results = [
        beside([one, two, three]),
        beside([three, one, two]),
        beside([beside([one, two]), three]),
        beside([one, beside([three, two])]),
    ]
    hashes = {bar_hash(["x"], "1m", bar) for bar in results}
    assert len(hashes) == 1


@given(prints, prints)
def test_beside_promises(a: list, b: list) -> None:
    """Sums, counts, high, low and rows are those of all trades; open and close go by time, then
    by name; what depends on an unknown order is None."""
    left, right = numbered(a), numbered(b)
    one, other = (
        direct(left, (0, 1_000), "a:perp:A"),
        direct(right, (500, 2_000), "b:perp:A"),
    )
    merged = footprint.beside([one, other])
    together = direct(
        sorted([*left, *right], key=lambda p: p.at_ms), (0, 2_000)
    )  # sums do not depend on order
    for name in ("buy_lots", "sell_lots", "buy_trades", "sell_trades", "buy_quote", "sell_quote"):
        assert getattr(merged.flow, name) == getattr(together.flow, name)
    assert (merged.flow.high_ticks, merged.flow.low_ticks) == (
        together.flow.high_ticks,
        together.flow.low_ticks,
    )
    assert (merged.flow.records, merged.rows) == (together.flow.records, together.rows)
    assert (merged.flow.start_ms, merged.flow.end_ms) == (0, 2_000)
    if left and right:
        assert merged.flow.open_ticks == left[0].ticks
        longest = left if len(left) > len(right) else right
        assert merged.flow.close_ticks == longest[-1].ticks
        unknown = ("min_delta_lots", "max_delta_lots", "first_id", "last_id")
        assert [getattr(merged.flow, name) for name in unknown] == [None] * 4


@given(prints, prints)
def test_unknown_extremes_stay_unknown(a: list, b: list) -> None:
    """A span of several streams has no delta extremes, and neither has what is merged with it."""
    one = named([(1, 1, True, 1), *a], "a:perp:A", (TICK, LOT))
    other = named([(2, 1, False, 1), *b], "b:perp:A", (TICK, LOT))
    side = footprint.beside([one, other])
    later = direct(numbered([(3, 2, True, 1)], 1_000), (1_000, 2_000))
    merged = footprint.then([side, later])
    assert merged.flow.min_delta_lots is None
    assert merged.flow.max_delta_lots is None
    assert merged.flow.delta_lots == side.flow.delta_lots + 2


@given(prints)
def test_empty_is_neutral_on_both_sides(a: list) -> None:
    """An empty bar adds its span and nothing else, also when it counts in other steps."""
    bar = direct(numbered(a, 1_000), (1_000, 2_000))
    empty = FootprintBar(FlowBar(0, 3_000, Decimal("0.1"), Decimal("0.001")), ROW, {})
    wanted = msgspec.structs.replace(bar.flow, start_ms=0, end_ms=3_000)
    content = flow_hash(["x"], "1m", wanted)
    for merge in (footprint.then, footprint.beside):
        merged = merge([empty, bar])
        assert flow_hash(["x"], "1m", merged.flow) == content
        assert bar_hash(["x"], "1m", merged) == bar_hash(
            ["x"], "1m", FootprintBar(wanted, ROW, bar.rows)
        )
    assert flow.beside(bar.flow, empty.flow).volume_lots * Decimal("0.001") == (
        bar.flow.volume_lots * LOT
    )


@given(prints, st.integers(1, 7), st.integers(1, 9))
def test_rescale_is_exact(a: list, ticks: int, lots: int) -> None:
    """Finer steps multiply every count and change no price, size or amount."""
    bar = direct(numbered(a), (0, 1_000)).flow
    fine = bar.rescaled(
        TICK / ticks if 5 % ticks == 0 else TICK / 5,
        LOT / (lots if lots in {1, 2, 4, 5, 8} else 10),
    )
    for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks"):
        old, new = getattr(bar, name), getattr(fine, name)
        assert (old is None) == (new is None)
        assert (old or 0) * bar.tick_size == (new or 0) * fine.tick_size
    for name in ("buy_lots", "sell_lots", "min_delta_lots", "max_delta_lots"):
        assert (getattr(bar, name) or 0) * LOT == (getattr(fine, name) or 0) * fine.lot_size
    for name in ("buy_quote", "sell_quote"):
        assert bar.quote(getattr(bar, name)) == fine.quote(getattr(fine, name))
    assert (fine.trades, fine.records) == (bar.trades, bar.records)


def test_rescale_refuses_what_is_not_whole() -> None:
    """A coarser step, or one that does not divide, is refused and not rounded."""
    bar = direct(numbered([(10, 3, True, 1)]), (0, 1_000))
    for tick, lot in ((Decimal(1), LOT), (Decimal("0.3"), LOT), (TICK, Decimal("0.003"))):
        with pytest.raises(MergeError, match="whole multiple"):
            bar.flow.rescaled(tick, lot)
        with pytest.raises(MergeError, match="whole multiple"):
            bar.rescaled(tick, lot)
    assert bar.rescaled(TICK, LOT) is bar
    assert bar.flow.rescaled(TICK, LOT) is bar.flow


@given(prints, st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 5]))
def test_coarser_rows_nest(a: list, first: int, second: int) -> None:
    """Rows widened in one step or in two are the same rows; every lot and trade stays."""
    bar = direct(numbered(a), (0, 1_000))
    wide = ROW * first * second
    assert bar.coarsened(ROW * first).coarsened(wide) == bar.coarsened(wide)
    for column in range(3):
        assert sum(row[column] for row in bar.rows.values()) == sum(
            row[column] for row in bar.coarsened(wide).rows.values()
        )


@given(st.integers(-50, 50), st.sampled_from([1, 2, 5, 10]))
def test_rows_below_zero_nest(row: int, ratio: int) -> None:
    """A wide row holds exactly the rows whose prices it covers, also below zero."""
    (wide,) = footprint.sum_rows([{row: (1, 0, 1)}], ratio)
    assert wide * ratio <= row < (wide + 1) * ratio


def test_rows_of_other_widths_refused() -> None:
    """Rows that are no multiple of the kept ones, and a merge of nothing, are refused."""
    bar = direct(numbered([(10, 3, True, 1)]), (0, 1_000))
    with pytest.raises(MergeError, match="whole multiple"):
        bar.coarsened(Decimal(3))
    for merge in (footprint.then, footprint.beside):
        with pytest.raises(MergeError, match="nothing"):
            merge([])


def test_then_needs_time_order() -> None:
    """A later bar can't come first, not even an empty one."""
    early, late = (FlowBar(at, at + 1_000, TICK, LOT) for at in (0, 1_000))
    with pytest.raises(MergeError, match="time order"):
        flow.then(late, early)
    assert flow.then(early, late).end_ms == 2_000


@given(prints, prints)
def test_merge_over_wider_rows(a: list, b: list) -> None:
    """Bars of a narrow and a wide row merge on the wide one, and no lot is lost."""
    one = direct(numbered(a), (0, 1_000))
    other = direct(numbered(b, 1_000), (1_000, 2_000)).coarsened(ROW * 2)
    merged = footprint.then([one, other])
    assert merged.row_size == ROW * 2
    assert merged.rows == footprint.sum_rows([one.coarsened(ROW * 2).rows, other.rows])
