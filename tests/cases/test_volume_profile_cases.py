"""Our profile against independent implementations on the reference cases.

Policy: equal to the specification everywhere, and to at least one independent implementation
wherever one shares the definition (single rows or pairs, over occupied rows).
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderflow.indicators.volume_profile import METHODS, Method, Profile, profile
from orderflow.instrument import Step

NAMES = (
    "vp01_unimodal",
    "vp02_poc_tie",
    "vp03_neighbour_tie",
    "vp04_single_price",
    "vp05_poc_top",
    "vp07_gap",
    "vp08_gap_mid",
    "vp11_two_decimals",
    "vp12_shib_1e-8",
    "real_spot_row1.00",
    "real_spot_row5.00",
)
ALONE = {("vp02_poc_tie", "pair"), ("vp11_two_decimals", "pair")}
"""Definitions no independent implementation shares on that case: regression pins."""


def load(shared: Path, name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((shared / "cases" / f"{name}.json").read_text())
    return case


def trades(shared: Path, case: dict[str, Any]) -> list[tuple[int, str, str, str]]:
    if "data_file" in case:
        with (shared / "cases" / case["data_file"]).open() as lines:
            return [
                (int(r["ts_ms"]), r["price"], r["qty"], r["side"]) for r in csv.DictReader(lines)
            ]
    return [tuple(row) for row in case["trades"]]


def computed(shared: Path, case: dict[str, Any], method: Method) -> Profile:
    tick = Step(Decimal(case["instrument"]["tick_size"]))
    lot = Step(Decimal(case["instrument"]["lot_size"]))
    rows: dict[int, tuple[int, int, int]] = {}
    for _, price, quantity, side in trades(shared, case):
        row = tick.steps(price) // case["row_ticks"]
        buy, sell, count = rows.get(row, (0, 0, 0))
        lots = lot.steps(quantity)
        rows[row] = (buy + lots, sell, count) if side == "buy" else (buy, sell + lots, count)
    found = profile(rows, method=method, pct=case["value_area_pct"])
    assert found is not None
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_case(shared: Path, name: str, method: Method) -> None:
    """POC, VAL and VAH are the specification's, and an independent implementation's."""
    case = load(shared, name)
    found = computed(shared, case, method)
    tick = Step(Decimal(case["instrument"]["tick_size"]))
    row0 = tick.steps(case["row0_price"]) // case["row_ticks"]
    ours = [found.poc_row - row0, found.val_row - row0, found.vah_row - row0]
    spec = case["expected"]["spec"][method]
    assert ours == [spec["poc_row"], spec["val_row"], spec["vah_row"]]
    assert found.value_area_lots == spec["va_lots"]
    assert found.total_lots == spec["total_lots"]
    group = next(g for g in case["agreement"] if f"spec:{method}" in g["implementations"])
    assert ours == group["poc_val_vah_rows"]
    independent = [i for i in group["implementations"] if not i.startswith("spec")]
    assert bool(independent) == ((name, method) not in ALONE), case["agreement"]
