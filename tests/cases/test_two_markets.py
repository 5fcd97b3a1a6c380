"""Spot and perp of the same minutes, from real captures: they part, and the perp leads."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from orderflow.flow import FlowBar
from orderflow.indicators.cross_venue import disagreement
from orderflow.indicators.lead_lag import lead_lag
from orderflow.indicators.spot_perp import spot_perp

FROM_MS, TO_MS = 1_723_161_256_322, 1_723_161_599_643
"""First and last trade of the perpetual's capture."""
SPOT = ("spot_btcusdt_20240808.gz", Decimal("0.01"), Decimal("0.00001"))
PERP = ("usdm_btcusdt_20240808.gz", Decimal("0.1"), Decimal("0.001"))


def bars(shared: Path, market: tuple[str, Decimal, Decimal], step_ms: int) -> list[FlowBar]:
    """Bars of the capture's trades inside the common minutes."""
    name, tick, lot = market
    steps = defaultdict(list)
    with gzip.open(shared / "data" / "hftbacktest" / name, "rt") as lines:
        for line in lines:
            if '@trade"' not in line:
                continue
            trade = json.loads(line.split(" ", 1)[1])["data"]
            if FROM_MS <= trade["T"] <= TO_MS:
                price, lots = int(Decimal(trade["p"]) / tick), int(Decimal(trade["q"]) / lot)
                steps[trade["T"] // step_ms * step_ms].append(
                    (price, 0 if trade["m"] else lots, lots if trade["m"] else 0, trade["T"])
                )
    return [
        FlowBar(
            start,
            start + step_ms,
            tick,
            lot,
            buy_lots=sum(buy for _, buy, _, _ in found),
            sell_lots=sum(sell for _, _, sell, _ in found),
            buy_quote=sum(price * buy for price, buy, _, _ in found),
            sell_quote=sum(price * sell for price, _, sell, _ in found),
            records=len(found),
            open_ticks=found[0][0],
            high_ticks=max(one[0] for one in found),
            low_ticks=min(one[0] for one in found),
            close_ticks=found[-1][0],
            first_ms=found[0][3],
            last_ms=found[-1][3],
        )
        for start, found in sorted(steps.items())
    ]


def test_spot_sold_while_the_perp_was_bought(shared: Path) -> None:
    """Perp +73.79 coins, spot against it; deltas of 10 s steps correlate at -0.11 (reference)."""
    spot, perp = bars(shared, SPOT, 10_000), bars(shared, PERP, 10_000)
    assert sum(bar.delta_lots for bar in perp) == 73_786
    found = spot_perp(spot, perp)
    assert (found.state, found.diverges) == ("perp_buys_spot_sells", True)
    assert found.correlation is not None
    assert float(found.correlation) == pytest.approx(-0.11, abs=0.005)
    assert disagreement({"perp": perp, "spot": spot}).dissenters == ("spot",)


@pytest.mark.parametrize(("step_ms", "leader"), [(100, "second"), (200, "second"), (500, None)])
def test_the_perp_leads_below_half_a_second(shared: Path, step_ms: int, leader: str | None) -> None:
    """Spot repeats the perp's moves 100 ms later; at half a second only bounce is left."""
    found = lead_lag(bars(shared, SPOT, step_ms), bars(shared, PERP, step_ms))
    assert found.leader == leader
