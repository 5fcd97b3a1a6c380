"""Packed bars come back equal, merge like bars, and never wrap silently."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow import footprint, packed, varint
from orderflow.columns import qualities_from_bytes, qualities_to_bytes
from orderflow.completeness import Gap, Quality, State
from orderflow.errors import MergeError
from orderflow.footprint import FootprintBar
from orderflow.timeframe import MINUTE_MS

START_MS = 1_700_000_040_000
minutes = st.lists(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 10**7), st.booleans()), max_size=6),
    min_size=1,
    max_size=8,
)
numbers = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**63 - 1)), max_size=40)


def bars_of(found: list[list[Trade]], at: int = 0, row_ticks: int = 5) -> list[FootprintBar]:
    bars, first = [], 3_000_000_000
    for place, trades in enumerate(found, at):
        bars.append(bar_of(trades, START_MS + place * MINUTE_MS, first, row_ticks))
        first += len(trades)
    return bars


@given(numbers)
def test_numbers_come_back(found: list[int]) -> None:
    """Any whole numbers of 63 bits round-trip, small ones in one byte."""
    data = varint.encode(found)
    assert varint.decode(data).tolist() == found
    assert varint.count(data) == len(found)
    assert len(data) <= 9 * len(found)
    assert len(varint.encode([number % 128 for number in found])) == len(found)


@pytest.mark.parametrize("wrong", [[-1], [2**63], [5, 2**80]])
def test_numbers_that_do_not_fit(wrong: list[int]) -> None:
    """Negative numbers and those beyond 63 bits are refused, never wrapped."""
    with pytest.raises(MergeError):
        varint.encode(wrong)


@pytest.mark.parametrize("data", [b"\x80", b"\x01\xff", b"\xff" * 9 + b"\x01"])
def test_bytes_that_are_no_numbers(data: bytes) -> None:
    """Cut or overlong bytes are an error, not a number."""
    with pytest.raises(MergeError):
        varint.decode(data)


@given(minutes, st.data(), st.integers(1, 7))
def test_rows_of_some_bars(found: list[list[Trade]], data: st.DataObject, ratio: int) -> None:
    """Any run of bars gives the sum of its rows, as they are or wider, asked once or again."""
    bars = bars_of(found)
    block = packed.pack(bars)
    first = data.draw(st.integers(0, len(bars) - 1))
    span = slice(first, data.draw(st.integers(first + 1, len(bars))))
    wanted = footprint.sum_rows([bar.rows for bar in bars[span]], ratio)
    assert packed.rows_between(block, span, ratio) == wanted
    assert packed.rows_between(block, span, ratio) == wanted


@given(minutes)
def test_bars_come_back(found: list[list[Trade]]) -> None:
    """Every field of every bar, its rows, sizes and largest prints are what was packed."""
    bars = bars_of(found)
    block = packed.pack(bars)
    assert packed.unpack(block) == bars
    assert packed.then([block]) == footprint.then(bars)
    assert block.size_bytes > 0


@given(minutes, minutes, st.sampled_from([5, 10, 50]))
def test_blocks_merge_like_bars(a: list[list[Trade]], b: list[list[Trade]], row_size: int) -> None:
    """Merged blocks equal merged bars, by totals and by single bars, on wider rows as well."""
    first, second = bars_of(a), bars_of(b, len(a))
    blocks = [packed.pack(first), packed.pack(second)]
    whole = footprint.then([*first, *second])
    assert packed.then(blocks) == whole
    expected = whole.coarsened(Decimal(row_size)).rows
    for by_bar in (False, True):
        merged = packed.merged_rows(blocks, Decimal(row_size), by_bar=by_bar)
        assert merged == expected
        assert list(merged) == sorted(merged)


@given(minutes, st.data())
def test_a_revision(found: list[list[Trade]], data: st.DataObject) -> None:
    """One bar replaced gives the block of the other bars and the new one."""
    bars = bars_of(found)
    place = data.draw(st.integers(0, len(bars) - 1))
    other = bars_of([[(7, 5, True)]], place)[0]
    assert packed.replaced(packed.pack(bars), other) == packed.pack(
        [*bars[:place], other, *bars[place + 1 :]]
    )


def test_scales_and_grids() -> None:
    """Blocks of a finer lot or wider rows merge in the smallest lot; mixed bars are refused."""
    bars = bars_of([[(12, 3, True)], [(12, 5, False)]])
    coarse = packed.pack([bars[0]])
    fine = packed.pack([bars[1].rescaled(Decimal(1), Decimal("0.1")).coarsened(Decimal(10))])
    assert packed.merged_rows([coarse, fine], Decimal(10)) == {1: (30, 50, 2)}
    assert packed.then([coarse, fine]) == footprint.then(
        [bars[0], bars[1].rescaled(Decimal(1), Decimal("0.1")).coarsened(Decimal(10))]
    )
    with pytest.raises(MergeError):
        packed.merged_rows([coarse, fine], Decimal(5))
    with pytest.raises(MergeError, match="share"):
        packed.pack([bars[0], bars[1].coarsened(Decimal(10))])
    for nothing in (packed.pack, packed.then):
        with pytest.raises(MergeError):
            nothing([])
    assert packed.merged_rows([], Decimal(1)) == {}


@pytest.mark.parametrize("row", [-(10**12), 10**12])
def test_sums_beyond_63_bits(row: int) -> None:
    """Two volumes that fit make a sum that does not: whole numbers take over, nothing wraps."""
    plain = bar_of([(5, 1, True)])
    huge = 2**62 + 11
    flow = msgspec.structs.replace(plain.flow, buy_lots=huge, square_quote=2**100)
    bar = FootprintBar(flow, Decimal(1), {row: (huge, 0, 1), 0: (1, 1, 1)})
    later = msgspec.structs.replace(
        bar, flow=msgspec.structs.replace(flow, start_ms=MINUTE_MS, end_ms=2 * MINUTE_MS)
    )
    blocks = [packed.pack([bar]), packed.pack([later])]
    expected = {row: (2 * huge, 0, 2), 0: (2, 2, 2)}
    for by_bar in (False, True):
        assert packed.merged_rows(blocks, Decimal(1), by_bar=by_bar) == expected
    assert packed.unpack(blocks[0]) == [bar]
    with pytest.raises(MergeError, match="63 bits"):
        packed.pack([msgspec.structs.replace(bar, rows={0: (2**63, 0, 1)})])


def test_rows_far_apart() -> None:
    """Prices a trillion rows apart are summed without an array of that size."""
    bar = bar_of([(5, 1, True)])
    wide = msgspec.structs.replace(bar, rows={-(10**12): (1, 0, 1), 10**12: (2, 0, 1)})
    assert packed.merged_rows([packed.pack([wide])], Decimal(1)) == wide.rows


def test_totals_only() -> None:
    """A block without single bars still merges, and says so when a single bar is asked for."""
    bars = bars_of([[(12, 3, True)], [(40, 5, False)], []])
    block = packed.pack(bars)
    small = packed.totals_only(block)
    assert packed.then([small]) == footprint.then(bars)
    assert small.size_bytes < block.size_bytes
    with pytest.raises(MergeError, match="dropped"):
        packed.unpack(small)
    with pytest.raises(MergeError, match="dropped"):
        packed.merged_rows([small], Decimal(5), by_bar=True)


def test_evidence_comes_back() -> None:
    """Qualities of a block round-trip, gaps included."""
    good = Quality(State.VERIFIED, 60, 60, True, True, 0, 5, first_id=1, last_id=2)
    bad = msgspec.structs.replace(
        good, state=State.PARTIAL, first_id=None, missing=5, gaps=(Gap(1, 2, "lost", 5, 9),)
    )
    for found in ([good, bad, good], [good] * 60):
        assert qualities_from_bytes(qualities_to_bytes(found)) == found
    assert len(qualities_to_bytes([good] * 60)) < 60
    assert np.array_equal(varint.decode(b""), [])
