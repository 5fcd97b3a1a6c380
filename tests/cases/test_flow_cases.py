"""Order flow, imbalances, VWAP, market profile and impact against independent implementations."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderflow.flow import FlowBar
from orderflow.indicators.cot import cot
from orderflow.indicators.cvd import Anchor, candles
from orderflow.indicators.diagonal_imbalance import diagonal_imbalances
from orderflow.indicators.impact import kyle_lambda, roll_spread, tick_rule
from orderflow.indicators.kyle import kyle
from orderflow.indicators.market_profile import initial_balance, single_prints, tpo
from orderflow.indicators.order_flow import served_extremes
from orderflow.indicators.roll import roll
from orderflow.indicators.stacked_imbalance import stacked_imbalances
from orderflow.indicators.vwap import vwap
from orderflow.instrument import Instrument
from orderflow.timeframe import MINUTE_MS
from orderflow.trade import Connected, InstrumentChanged, TradeBatch
from processor.engine import Engine

CLOSE = 1e-9


def load(shared: Path, name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((shared / "cases" / f"{name}.json").read_text())
    return case


def rows_of(shared: Path, case: dict[str, Any]) -> list[tuple[int, str, str, str]]:
    if "data_file" not in case:
        return [tuple(row) for row in case["trades"]]
    with (shared / "cases" / case["data_file"]).open() as lines:
        return [(int(r["ts_ms"]), r["price"], r["qty"], r["side"]) for r in csv.DictReader(lines)]


def minutes(shared: Path, case: dict[str, Any]) -> tuple[Instrument, list[FlowBar]]:
    """Minute bars with trades, by the real engine."""
    steps = case["instrument"]
    engine = Engine()
    engine.handle(
        InstrumentChanged(
            "v",
            "spot",
            "ABC",
            "A",
            "BC",
            Decimal(steps["tick_size"]),
            Decimal(steps["lot_size"]),
        )
    )
    stream = engine.streams["v:spot:ABC"]
    instrument = stream.instrument
    rows = rows_of(shared, case)
    engine.handle(Connected(["v:spot:ABC"], "c", 0))
    engine.handle(
        TradeBatch(
            "v:spot:ABC",
            list(range(1, len(rows) + 1)),
            [row[0] for row in rows],
            [instrument.price_ticks(row[1]) for row in rows],
            [instrument.qty_lots(row[2]) for row in rows],
            [int(row[3] == "buy") for row in rows],
        )
    )
    return instrument, [
        stream.minutes[start].bar(instrument).flow for start in sorted(stream.minutes)
    ]


@pytest.mark.parametrize("name", ["of01_freqtrade_example", "of02_min_max_delta", "real_spot_flow"])
def test_bars(shared: Path, name: str) -> None:
    """Minute bars equal freqtrade's and tradetropy's, delta extremes with and without the start."""
    case = load(shared, name)
    instrument, bars = minutes(shared, case)
    expected = case["expected"]
    theirs = {
        "of01_freqtrade_example": lambda: expected["freqtrade"]["bars_1m"],
        "of02_min_max_delta": lambda: expected["freqtrade"],
        "real_spot_flow": lambda: expected["freqtrade_1m"],
    }[name]()
    lot = float(instrument.lot_size)
    assert len(bars) == len(theirs)
    for bar, other in zip(bars, theirs, strict=True):
        assert bar.start_ms == other["start"]
        assert bar.trades == other["total_trades"]
        for ours, key in (
            (bar.sell_lots, "bid"),
            (bar.buy_lots, "ask"),
            (bar.delta_lots, "delta"),
            (bar.min_delta_lots, "min_delta"),
            (bar.max_delta_lots, "max_delta"),
        ):
            assert (ours or 0) * lot == pytest.approx(other[key], abs=CLOSE)
    candles = expected["tradetropy_1m" if name.startswith("real") else "tradetropy"]["cvd"]
    for bar, candle in zip(bars, candles, strict=True):
        least, most = served_extremes(bar)
        assert (most or 0) * lot == pytest.approx(candle["high"] - candle["open"], abs=CLOSE)
        assert (least or 0) * lot == pytest.approx(candle["low"] - candle["open"], abs=CLOSE)
    assert bars[0].end_ms - bars[0].start_ms == MINUTE_MS


@pytest.mark.parametrize("name", ["of01_freqtrade_example", "of02_min_max_delta", "real_spot_flow"])
def test_cvd_candles(shared: Path, name: str) -> None:
    """CVD candles equal tradetropy's, which never reset: the anchor is the first bar."""
    case = load(shared, name)
    instrument, bars = minutes(shared, case)
    theirs = case["expected"]["tradetropy_1m" if name.startswith("real") else "tradetropy"]["cvd"]
    lot = float(instrument.lot_size)
    ours = candles(bars, Anchor("custom", (bars[0].start_ms,)))
    assert len(ours) == len(theirs)
    for candle, other in zip(ours, theirs, strict=True):
        assert candle.start_ms == other["bar_ts"]
        for value, key in (
            (candle.open_lots, "open"),
            (candle.high_lots, "high"),
            (candle.low_lots, "low"),
            (candle.close_lots, "close"),
        ):
            assert (value or 0) * lot == pytest.approx(other[key], abs=CLOSE)


@pytest.mark.parametrize("name", ["of01_freqtrade_example", "of02_min_max_delta", "real_spot_flow"])
def test_cot(shared: Path, name: str) -> None:
    """Delta at the last touch of high and low equals tradetropy's in every minute."""
    case = load(shared, name)
    instrument, bars = minutes(shared, case)
    expected = case["expected"]
    theirs = (expected["tradetropy_1m"] if name.startswith("real") else expected["tradetropy"])[
        "bars"
    ]
    lot = float(instrument.lot_size)
    assert len(bars) == len(theirs)
    for bar, other in zip(bars, theirs, strict=True):
        found = cot(bar)
        assert (found.cot_high_lots or 0) * lot == pytest.approx(other["cot_high"], abs=CLOSE)
        assert (found.cot_low_lots or 0) * lot == pytest.approx(other["cot_low"], abs=CLOSE)


@pytest.mark.parametrize("name", ["of03_diagonal_imbalance", "of05_imbalance_gap"])
def test_diagonal_imbalance(shared: Path, name: str) -> None:
    """Rows and stacks equal the specification; no independent implementation compares volumes on
    the diagonal of a dense grid."""
    case = load(shared, name)
    rows: dict[int, tuple[int, int, int]] = {}
    for _, price, quantity, side in rows_of(shared, case):
        buy, sell, count = rows.get(int(price), (0, 0, 0))
        lots = int(quantity)
        rows[int(price)] = (
            (buy + lots, sell, count + 1) if side == "buy" else (buy, sell + lots, count + 1)
        )
    spec = case["expected"]["spec"]
    found = diagonal_imbalances(rows, minimum_lots=10)
    assert [i.row for i in found if i.side == "buy"] == spec["ask_imbalance"]
    assert [i.row for i in found if i.side == "sell"] == spec["bid_imbalance"]
    stacks = [s for s in stacked_imbalances(found) if s.side == "buy"]
    assert [[s.low_row, s.high_row] for s in stacks] == spec["stacked_ask"]
    gaps = [i for i in found if i.zero_opponent]
    assert gaps == [i for i in found if i.opponent_lots == 0]


def test_impact(shared: Path) -> None:
    """Kyle's lambda and the tick rule equal orderflow-metrics'; Roll's spread orderflowkit's, which
    also takes the sample covariance."""
    case = load(shared, "of08_kyle_roll_tickrule")
    rows = rows_of(shared, case)
    prices = [Decimal(row[1]) for row in rows]
    signed = [Decimal(row[2]) * (1 if row[3] == "buy" else -1) for row in rows]
    other = case["expected"]["orderflow-metrics"]
    assert float(kyle_lambda(prices, signed) or 0) == pytest.approx(other["kyle_lambda"], abs=CLOSE)
    assert float(roll_spread(prices) or 0) == pytest.approx(
        case["expected"]["orderflowkit"]["roll_spread"][-1], abs=CLOSE
    )
    assert tick_rule(prices) == other["tick_rule"]
    assert roll_spread(prices[:2]) is None
    assert kyle_lambda(prices[:1], signed[:1]) is None


def test_impact_of_bars(shared: Path) -> None:
    """Bars of one trade each give the slope of orderflow-metrics and wickra, and orderflowkit's
    spread."""
    case = load(shared, "of08_kyle_roll_tickrule")
    bars = [
        FlowBar(
            start_ms=int(ms),
            end_ms=int(ms) + 1_000,
            tick_size=Decimal("0.5"),
            lot_size=Decimal(1),
            buy_lots=int(quantity) if side == "buy" else 0,
            sell_lots=int(quantity) if side == "sell" else 0,
            records=1,
            close_ticks=int(Decimal(price) / Decimal("0.5")),
        )
        for ms, price, quantity, side in rows_of(shared, case)
    ]
    expected = case["expected"]
    assert float(kyle(bars).price_per_unit or 0) == pytest.approx(
        expected["wickra"]["kyle_lambda_window9_mid_is_price"], abs=CLOSE
    )
    assert float(roll(bars).spread or 0) == pytest.approx(
        expected["orderflowkit"]["roll_spread"][-1], abs=CLOSE
    )


def test_vwap_bands(shared: Path) -> None:
    """VWAP and its bands equal wickra's after every trade, in half-unit ticks."""
    case = load(shared, "of10_vwap_bands")
    theirs = case["expected"]["wickra_mult1_upper_vwap_lower_sd"]
    half = Decimal("0.5")
    lots = amount = squares = 0
    for (_, price, size, _), other in zip(rows_of(shared, case), theirs, strict=True):
        p, q = int(Decimal(price) / half), int(size)
        lots, amount, squares = lots + q, amount + p * q, squares + p * p * q
        bar = FlowBar(0, 1, half, Decimal(1), buy_lots=lots, buy_quote=amount, square_quote=squares)
        found = vwap(bar)
        assert found is not None
        lower, upper = found.band(1)
        ours = (upper, found.price, lower, found.sigma)
        assert [float(value) for value in ours] == pytest.approx(other, abs=CLOSE)


def test_market_profile(shared: Path) -> None:
    """TPO counts equal wickra's, the initial balance wickra's two bars."""
    case = load(shared, "of14_tpo_ib")
    brackets = [(low, high) for _, high, low, _, _ in case["bars_o_h_l_c_v"]]
    expected = case["expected"]
    assert list(tpo(brackets).values()) == [int(n) for n in expected["wickra"]["tpo_profile"][2]]
    assert {str(row): n for row, n in tpo(brackets).items()} == expected["spec"]["tpo"]
    assert single_prints(brackets) == expected["spec"]["single_print_rows"]
    high, low = expected["wickra"]["initial_balance_2_bars_high_low"]
    assert initial_balance(brackets) == (low, high)
    assert initial_balance([]) is None
