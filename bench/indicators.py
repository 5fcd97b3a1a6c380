"""What indicators cost: every report of a day, and all fixed timeframes of a symbol refreshed.

The streaming indicators' nanoseconds a trade are measured by `bench.engine`, which switches each of
them off. Here are the ones computed from closed bars: from one hour of minutes, and per minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from rich.table import Table

from bench.goals import Goal, console
from bench.profiles import BASE_ROW, median_ms, minutes_of, shared_day
from orderflow import footprint, packed
from orderflow.completeness import Quality, State
from orderflow.footprint import FootprintBar
from orderflow.indicators import (
    absorption,
    amihud,
    cot,
    cvd,
    delta,
    delta_divergence,
    diagonal_imbalance,
    exhaustion,
    flow_ladder,
    kyle,
    large_trades,
    nodes,
    roll,
    shape,
    size_distribution,
    stacked_imbalance,
    sweeps,
    trade_intensity,
    trapped_traders,
    unfinished_auction,
    volume_profile,
    vwap,
)
from orderflow.instrument import Instrument, Market
from orderflow.timeframe import HOUR_MS, MINUTE_MS, TIMEFRAMES, floor_ms
from processor import windows
from processor.grids import Grid, Grids
from processor.records import refresh_record
from processor.stream import Stream

GOAL_MS = 10.0
HOUR = 60
QUALITY = Quality(State.VERIFIED, MINUTE_MS, MINUTE_MS, True, True, 0, 0)


def day_of(bars: list[FootprintBar]) -> Stream:
    """A stream that has just closed these minutes, kept as the processor keeps them."""
    flow = bars[0].flow
    instrument = Instrument(
        *("binance", Market.SPOT, "BTCUSDT", "BTC", "USDT", flow.tick_size, flow.lot_size)
    )
    stream = Stream(instrument, Grids(Grid(BASE_ROW, Decimal(250)), fixed=True))
    for bar in bars:
        stream.history.put(bar, QUALITY)
        stream.history.tidy(bar.flow.start_ms)
    for hour in list(stream.history.wanted):
        found = [bar for bar in bars if floor_ms(bar.flow.start_ms, HOUR_MS) == hour]
        stream.history.fill(hour, [(bar, QUALITY) for bar in found])
    stream.next_close_ms = bars[-1].flow.end_ms
    return stream


def refreshed(stream: Stream, minute_ms: int) -> object:
    """What the processor does once a minute and instrument, the record included.

    It has just done it for another instrument, so nothing of this one's hours is still decoded.
    """
    packed.decoded_rows.cache_clear()
    packed.decoded_spans.cache_clear()
    bars = windows.profiles(stream, minute_ms)
    return refresh_record(stream.instrument.name, minute_ms, bars, minute_ms)


def single(bars: list[FootprintBar]) -> dict[str, Callable[[], object]]:
    """Each indicator of closed bars on an hour: its minutes, or all of it as one bar."""
    flows, whole = [bar.flow for bar in bars], footprint.then(bars)
    limits = absorption.thresholds(flows)
    imbalances = diagonal_imbalance.diagonal_imbalances(whole.rows)
    return {
        "volume_profile (POC, VAH, VAL)": lambda: volume_profile.profile(whole.rows),
        "nodes": lambda: nodes.nodes(whole.rows),
        "shape": lambda: shape.shape(whole.rows),
        "vwap": lambda: vwap.vwap(whole.flow),
        "cvd": lambda: cvd.candles(flows),
        "cot": lambda: cot.cot(whole.flow),
        "delta": lambda: delta.delta(whole.flow),
        "sweeps": lambda: sweeps.sweeps(whole.flow),
        "flow_ladder": lambda: flow_ladder.flow_ladder(flows, flows[-1].end_ms),
        "trade_intensity": lambda: trade_intensity.trade_intensity(flows, flows[-1].end_ms),
        "size_distribution": lambda: size_distribution.size_distribution(whole),
        "large_trades": lambda: large_trades.large_trades(bars[-1], bars[:-1]),
        "delta_divergence": lambda: delta_divergence.delta_divergences(flows),
        "diagonal_imbalance": lambda: diagonal_imbalance.diagonal_imbalances(whole.rows),
        "stacked_imbalance": lambda: stacked_imbalance.stacked_imbalances(imbalances),
        "unfinished_auction": lambda: unfinished_auction.unfinished_auctions(whole),
        "absorption": lambda: absorption.absorption_of_effort(flows[-1], limits),
        "exhaustion": lambda: exhaustion.exhaustion(whole, "buy"),
        "trapped_traders": lambda: trapped_traders.trapped_traders(whole),
        "kyle": lambda: kyle.kyle(flows),
        "roll": lambda: roll.roll(flows),
        "amihud": lambda: amihud.amihud(flows),
    }


def measured(*, quick: bool) -> tuple[list[Goal], dict[str, Any]]:
    """Measure and print; goals, and all figures."""
    bars = minutes_of(shared_day())
    repeats = 15 if quick else 60
    stream, end = day_of(bars), bars[-1].flow.end_ms
    # The processor packs minutes by ten: the refresh is dearest with most of them unpacked.
    taken = [
        median_ms(lambda at=at: refreshed(stream, at), repeats) for at in (end, end - 5 * MINUTE_MS)
    ]
    one_by_one = {
        name: median_ms(work, repeats) * 1e3 for name, work in single(bars[-HOUR:]).items()
    }
    table = Table("an hour of the day, 1 instrument", "microseconds", "ns per trade of that hour")
    trades = sum(bar.flow.records for bar in bars[-HOUR:])
    for name, figure in one_by_one.items():
        table.add_row(name, f"{figure:,.0f}", f"{figure * 1e3 / trades:,.1f}")
    console.print(table)
    goals = [
        Goal(f"{len(TIMEFRAMES)} timeframes of a symbol refreshed", "ms", max(taken), GOAL_MS),
    ]
    more = {"refresh_ms": taken, "indicator_us": one_by_one, "load": os.getloadavg()}
    return goals, more
