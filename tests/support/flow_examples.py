"""What the flow, footprint and impact cards give for the six trades of docs/indicators.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from six_trades import SIX_TRADES, bar_of, listed, one_a_bar, six_places, whole

from orderflow.indicators import (
    amihud,
    cot,
    cross_venue,
    cvd,
    delta,
    delta_divergence,
    diagonal_imbalance,
    flow_ladder,
    impact,
    kyle,
    large_trades,
    lead_lag,
    premium,
    roll,
    size_class_cvd,
    size_distribution,
    spot_perp,
    stacked_imbalance,
    sweeps,
    trade_intensity,
    trapped_traders,
    unfinished_auction,
    vpin,
)
from orderflow.indicators.diagonal_imbalance import Imbalance
from orderflow.timeframe import CELL_MS, MINUTE_MS

Numbers = dict[str, str]


def of_delta() -> Numbers:
    found = delta.delta(whole().flow)
    return {
        "delta": str(found.delta_lots),
        "delta_pct": six_places(found.delta_pct),
        "min_delta": str(found.min_delta_lots),
        "max_delta": str(found.max_delta_lots),
    }


def of_cvd() -> Numbers:
    bars = [bar_of(SIX_TRADES[2 * k : 2 * k + 2], k * MINUTE_MS, 2 * k + 1) for k in range(3)]
    found = cvd.candles([bar.flow for bar in bars])
    return {
        f"minute {place}": f"open {c.open_lots} high {c.high_lots} low {c.low_lots} "
        f"close {c.close_lots}"
        for place, c in enumerate(found, 1)
    }


def of_cot() -> Numbers:
    found = cot.cot(whole().flow)
    return {
        "cot_high": str(found.cot_high_lots),
        "cot_low": str(found.cot_low_lots),
        "since_high": str(found.since_high_lots),
        "since_low": str(found.since_low_lots),
    }


def of_sweeps() -> Numbers:
    found = sweeps.sweeps(whole().flow)
    return {"sweeps": str(found.count), "share_pct": six_places(found.share_pct)}


def of_size_distribution() -> Numbers:
    found = size_distribution.size_distribution(whole())
    return {
        f"{one.low_quote} to {one.high_quote}": f"buy {one.buy_lots} sell {one.sell_lots}, "
        f"{one.buy_prints + one.sell_prints} prints"
        for one in found.classes
    } | {"mean_lots": six_places(found.mean_lots)}


def of_size_class_cvd() -> Numbers:
    found = size_class_cvd.size_class_cvd(
        one_a_bar(), window=3, percentiles=(50, 90), least_prints=1
    )
    return {
        f"minute {one.start_ms // MINUTE_MS + 1}": f"mid from {one.mid_from_quote}, large from "
        f"{one.large_from_quote}: {one.small_cvd_lots}, {one.mid_cvd_lots}, {one.large_cvd_lots}"
        for one in found
    }


def of_large_trades() -> Numbers:
    *before, bar = one_a_bar()
    found = large_trades.large_trades(bar, before, pct=50, least_prints=1)
    assert found.threshold is not None
    return {
        "threshold": f"{found.threshold.quote} ({'exact' if found.threshold.exact else 'at most'})",
        "large": listed([trade.quote for trade in found.trades]),
        "complete": str(found.complete).lower(),
    }


def of_flow_ladder() -> Numbers:
    bars = [bar.flow for bar in one_a_bar()]
    found = flow_ladder.flow_ladder(bars, 6 * MINUTE_MS, (MINUTE_MS, 2 * MINUTE_MS, 6 * MINUTE_MS))
    return {
        "shape": found.shape,
        "side": str(found.side),
        "deltas": listed([rung.delta_lots for rung in found.rungs]),
    }


def of_trade_intensity() -> Numbers:
    cells = [
        msgspec.structs.replace(bar.flow, end_ms=bar.flow.start_ms + CELL_MS)
        for bar in one_a_bar(CELL_MS)
    ]
    found = trade_intensity.trade_intensity(cells, 6 * CELL_MS)
    return {"buys_per_s": f"{found.buy_per_s:.6f}", "sells_per_s": f"{found.sell_per_s:.6f}"}


def of_spot_perp() -> Numbers:
    bars = [bar.flow for bar in one_a_bar()]
    found = spot_perp.spot_perp(bars[0::2], bars[1::2])
    return {
        "state": found.state,
        "diverges": str(found.diverges).lower(),
        "spot_cvd_quote": str(found.spot.cvd_quote),
        "perp_cvd_quote": str(found.perp.cvd_quote),
        "correlation": str(found.correlation),
    }


def of_premium() -> Numbers:
    found = premium.premium(bar_of(SIX_TRADES[:3]).flow, bar_of(SIX_TRADES[3:]).flow)
    return {"last_bps": str(found.last_bps), "vwap_bps": str(found.vwap_bps)}


def of_lead_lag() -> Numbers:
    halves = (SIX_TRADES[:3], SIX_TRADES[3:])
    first, second = (
        [bar_of([trade], k * MINUTE_MS, k + 1).flow for k, trade in enumerate(half)]
        for half in halves
    )
    found = lead_lag.lead_lag(first, second, lags=1)
    return {
        "leader": str(found.leader).lower(),
        "pairs": str(found.pairs),
        "correlation at 0": str(dict(found.correlations)[0]),
    }


def of_cross_venue() -> Numbers:
    bars = [bar.flow for bar in one_a_bar()]
    found = cross_venue.disagreement({"a": bars[0::2], "b": bars[1::2]})
    return {
        "delta_quote": str(found.delta_quote),
        "agree": str(found.agree).lower(),
        "dissenters": listed(found.dissenters),
        "leader": str(found.leader).lower(),
        "reference": str(found.reference),
    }


def of_delta_divergence() -> Numbers:
    bars = [bar.flow for bar in one_a_bar()]
    found = delta_divergence.delta_divergences(bars, left=1, right=1)
    return {"divergences": listed([one.kind for one in found])}


def imbalances() -> list[Imbalance]:
    return diagonal_imbalance.diagonal_imbalances(whole().rows, minimum_lots=1)


def of_diagonal_imbalance() -> Numbers:
    found = imbalances()
    return {
        "buy_rows": listed([i.row for i in found if i.side == "buy"]),
        "sell_rows": listed([i.row for i in found if i.side == "sell"]),
        "zero_opponent": listed([i.row for i in found if i.zero_opponent]),
    }


def of_stacked_imbalance() -> Numbers:
    found = stacked_imbalance.stacked_imbalances(imbalances(), least=1)
    return {"stacks": listed([f"{s.side} {s.low_row}-{s.high_row}" for s in found])}


def of_unfinished_auction() -> Numbers:
    bars = [bar_of(SIX_TRADES[2 * k : 2 * k + 2], k * MINUTE_MS, 2 * k + 1, 2) for k in range(3)]
    found = unfinished_auction.unfinished_ledger(bars, minimum_lots=1)
    return {
        f"minute {one.formed_ms // MINUTE_MS}, {one.at}, row {one.row}": "open"
        if one.completed_ms is None
        else f"completed in minute {one.completed_ms // MINUTE_MS}"
        for one in found
    }


def of_trapped_traders() -> Numbers:
    found = trapped_traders.trapped_traders(whole(), minimum_lots=1, least_rows=1)
    return {"trapped": listed([f"{t.side} {t.low_row}-{t.high_row}: {t.lots}" for t in found])}


def of_vpin() -> Numbers:
    state = vpin.new(5, 5)
    state.add_trades([lots for _, lots, _ in SIX_TRADES], [int(buy) for _, _, buy in SIX_TRADES])
    return {
        "vpin": six_places(state.value()),
        "imbalances": listed(state.imbalances),
        "unfinished": f"buy {state.buy_lots} sell {state.sell_lots}",
    }


def of_kyle() -> Numbers:
    found = kyle.kyle([bar.flow for bar in one_a_bar()])
    return {
        "price_per_unit": six_places(found.price_per_unit),
        "r_squared": six_places(found.r_squared),
        "pairs": str(found.pairs),
    }


def of_roll() -> Numbers:
    found = roll.roll([bar.flow for bar in one_a_bar()])
    return {"spread": six_places(found.spread), "pairs": str(found.pairs)}


def of_amihud() -> Numbers:
    found = amihud.amihud([bar.flow for bar in one_a_bar()])
    return {"illiquidity": six_places(found.illiquidity), "bars": str(found.bars)}


def of_impact() -> Numbers:
    prices = [Decimal(price) for price, _, _ in SIX_TRADES]
    signed = [Decimal(lots if buy else -lots) for _, lots, buy in SIX_TRADES]
    return {
        "kyle_lambda": six_places(impact.kyle_lambda(prices, signed)),
        "roll_spread": six_places(impact.roll_spread(prices)),
        "tick_rule": " ".join(map(str, impact.tick_rule(prices))),
    }


COMPUTED: dict[str, Callable[[], Numbers]] = {
    name.removeprefix("of_"): function
    for name, function in list(globals().items())
    if name.startswith("of_")
}
