"""Volume nodes and profile shape: the rule re-stated, order independence, edges, letters."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from six_trades import bar_of

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.footprint import Row
from orderflow.indicators.nodes import Node, nodes
from orderflow.indicators.shape import shape, third_of

volumes = st.dictionaries(st.integers(-30, 30), st.integers(0, 12), max_size=20)
trades = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 9), st.booleans()), min_size=1, max_size=30
)
CASES = (
    "vp01_unimodal",
    "vp02_poc_tie",
    "vp03_neighbour_tie",
    "vp04_single_price",
    "vp05_poc_top",
    "vp07_gap",
    "vp08_gap_mid",
    "vp11_two_decimals",
    "vp12_shib_1e-8",
)


def rows_of(found: dict[int, int]) -> dict[int, Row]:
    return {row: (volume, 0, 1) for row, volume in found.items()}


def restated(found: dict[int, int]) -> list[tuple[str, int, Fraction]]:
    """The rule once more, on the whole dense grid and by looking both ways from every row."""
    occupied = [row for row, volume in found.items() if volume]
    if not occupied:
        return []
    rows = range(min(occupied), max(occupied) + 1)
    smooth = [sum(found.get(row + k, 0) for k in (-1, 0, 1)) for row in rows]
    most = max(smooth)
    result: list[tuple[str, int, Fraction]] = []
    for kind, line in (("hvn", smooth), ("lvn", [most - v for v in smooth])):
        one = []
        for start in range(len(line)):
            end = start
            while end + 1 < len(line) and line[end + 1] == line[start]:
                end += 1
            before, after = line[:start], line[end + 1 :]
            if (before and before[-1] >= line[start]) or (after and after[0] > line[start]):
                continue
            if kind == "lvn" and not (before and after):
                continue
            keys = [0]
            for side in (before[::-1], after):
                higher = [k for k, v in enumerate(side) if v > line[start]]
                if higher:
                    keys.append(min(side[: higher[0]], default=line[start]))
            prominence = line[start] - max(keys)
            if 10 * prominence >= most:
                middle = rows[0] + (start + end) // 2
                one.append((kind, middle, Fraction(prominence, most)))
        result += sorted(one, key=lambda node: (-node[2], node[1]))[:5]
    return sorted(result, key=lambda node: (node[1], node[0]))


@given(volumes)
def test_nodes_against_the_rule(found: dict[int, int]) -> None:
    """Nodes equal the re-statement on any profile, wide gaps included."""
    wide = {row * (1 + 7 * (row > 5)): volume for row, volume in found.items()}
    for profile in (found, wide):
        ours = [(n.kind, n.row, n.strength) for n in nodes(rows_of(profile))]
        assert ours == restated(profile)


@pytest.mark.parametrize("name", CASES)
def test_nodes_equal_tradetropy(shared: Path, name: str) -> None:
    """Without smoothing, over occupied rows, with end points: the nodes tradetropy finds."""
    case = json.loads((shared / "cases" / f"{name}.json").read_text())
    step = Decimal(case["row_size"])
    lot = Decimal(case["instrument"]["lot_size"])
    rows = {
        int(Decimal(price) / step): (int(Decimal(buy) / lot), int(Decimal(sell) / lot), 1)
        for price, buy, sell in case["profile"]
    }
    found = nodes(rows, smooth_rows=1, grid="occupied", ends=True, most=99)
    ours = [(n.kind, float(n.row * step), round(float(n.strength), 6)) for n in found]
    theirs = case["expected"]["tradetropy"]["nodes"]
    assert ours == [(n["kind"], n["price"], n["strength"]) for n in theirs]


def test_nodes_equal_tradetropy_on_real_trades(shared: Path) -> None:
    """On minutes of real trades as well, on the same rows."""
    case = json.loads((shared / "cases" / "real_spot_row5.00.json").read_text())
    lot = Decimal(case["instrument"]["lot_size"])
    rows: dict[int, Row] = {}
    with (shared / "cases" / case["data_file"]).open() as lines:
        for line in csv.DictReader(lines):
            row = int(Decimal(line["price"]) // 5)
            buy, sell, count = rows.get(row, (0, 0, 0))
            rows[row] = (buy + int(Decimal(line["qty"]) / lot), sell, count + 1)
    found = nodes(rows, smooth_rows=1, grid="occupied", ends=True, most=99)
    theirs = case["expected"]["tradetropy"]["nodes"]
    assert len(found) == len(theirs) == 26
    for ours, other in zip(found, theirs, strict=True):
        assert (ours.kind, ours.row * 5) == (other["kind"], other["price"])
        assert float(ours.strength) == pytest.approx(other["strength"], abs=1e-6)


@given(trades, trades)
def test_nodes_and_shape_of_merged_bars(
    a: list[tuple[int, int, bool]], b: list[tuple[int, int, bool]]
) -> None:
    """Both depend on the merged rows only: grouping and order do not matter, empty is neutral."""
    parts = [bar_of(a), bar_of(b, 60_000, 1 + len(a)), bar_of([], 120_000)]
    direct = bar_of(a + b).rows
    for rows in (footprint.then(parts).rows, footprint.beside(parts[::-1]).rows):
        assert nodes(rows) == nodes(direct)
        assert shape(rows) == shape(direct)


def test_no_volume_no_nodes() -> None:
    """Without volume there is neither node nor shape; rows of zero volume are nothing."""
    assert nodes({}) == nodes({5: (0, 0, 0)}) == []
    assert shape({}) is None
    with pytest.raises(ValidationError):
        nodes({1: (1, 0, 1)}, smooth_rows=2)


def test_one_price_is_one_peak() -> None:
    """One price is one HVN of full strength, and has no shape."""
    (only,) = nodes({7: (2, 3, 2)})
    assert (only.kind, only.row, only.strength) == ("hvn", 7, 1)
    found = shape({7: (2, 3, 2)})
    assert found is not None
    assert found.name == "none"


def test_a_wide_gap_is_a_valley_of_nothing() -> None:
    """Two clusters a million rows apart: an LVN in the middle, found without walking the gap."""
    rows = rows_of({0: 9, 1: 10, 2: 9, 1_000_000: 5, 1_000_001: 8, 1_000_002: 5})
    found = nodes(rows)
    assert [(n.kind, n.row) for n in found] == [
        ("hvn", 1),
        ("lvn", 500_001),
        ("hvn", 1_000_001),
    ]
    assert found[1].lots == 0
    assert found[1].strength == 1


def test_strongest_are_kept() -> None:
    """`most` keeps the strongest of a kind; of equal strength the lower."""
    rows = rows_of({row: 10 if row % 4 == 0 else 1 for row in range(33)})
    kept = [n.row for n in nodes(rows, smooth_rows=1, most=3) if n.kind == "hvn"]
    assert kept == [0, 4, 8]
    assert isinstance(nodes(rows)[0], Node)


SHAPES = {
    "P": [1, 1, 1, 1, 1, 1, 6, 12, 6],
    "b": [6, 12, 6, 1, 1, 1, 1, 1, 1],
    "D": [1, 2, 4, 8, 12, 8, 4, 2, 1],
    "B": [2, 8, 14, 6, 2, 1, 2, 6, 12, 8, 2],
    "thin": [8, 8, 2, 9, 6, 5, 3, 7, 2],
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_letters(name: str) -> None:
    """Each letter is found on its text-book profile, with what decided."""
    found = shape(rows_of(dict(enumerate(SHAPES[name]))))
    assert found is not None
    assert (found.name, found.holds[0]) == (name, name)
    assert found.lower_lots + found.middle_lots + found.upper_lots == sum(SHAPES[name])


def test_the_threshold_of_thin() -> None:
    """An even spread fills 70 % of its range: thin by a threshold below, not by the default."""
    even = rows_of(dict.fromkeys(range(20), 5))
    found, wider = shape(even), shape(even, thin=Fraction(3, 5))
    assert found is not None
    assert wider is not None
    assert (found.value_rows, found.range_rows) == (14, 20)
    assert "thin" not in found.holds
    assert "thin" in wider.holds


@given(volumes)
def test_mirrored_thirds(found: dict[int, int]) -> None:
    """Turned upside down, lower and upper change places and the middle stays."""
    here, there = (
        shape(rows_of(one)) for one in (found, {-row: volume for row, volume in found.items()})
    )
    if here is not None and there is not None:
        assert (here.lower_lots, here.middle_lots, here.upper_lots) == (
            there.upper_lots,
            there.middle_lots,
            there.lower_lots,
        )
        assert here.range_rows == there.range_rows


def test_two_peaks_without_a_valley() -> None:
    """Peaks that no low-volume node parts make no B, and the evidence says that there is none."""
    rows = rows_of(dict(enumerate(SHAPES["B"])))
    peaks = [node for node in nodes(rows) if node.kind == "hvn"]
    found = shape(rows, among=peaks)
    assert found is not None
    assert len(found.hvn_rows) == 2
    assert (found.valley_row, found.smaller_peak_lots) == (None, None)
    assert "B" not in found.holds


def test_thirds() -> None:
    """Nine rows are three thirds of three; a centre on the border is in the middle."""
    assert [third_of(row, 0, 8) for row in (2, 3, 5, 6)] == ["lower", "middle", "middle", "upper"]
    assert third_of(0, 0, 0) == "middle"
