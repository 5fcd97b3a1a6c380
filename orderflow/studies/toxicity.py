"""Studies of impact and toxicity, from bars of a minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import impact as trade_impact
from orderflow.indicators import vpin
from orderflow.indicators.amihud import amihud
from orderflow.indicators.kyle import kyle
from orderflow.indicators.roll import roll
from orderflow.studies.study import NO_BARS, Options, Row, Studied, number, scale_of
from orderflow.timeframe import DAY_MS, floor_ms
from orderflow.wanted import iso

NO_DAY = "no whole UTC day of volume yet: the bucket size is not known"


WINDOW = 60
"""Bars of a rolling value."""
Read = Callable[[Sequence[FlowBar]], Row]


def _rolling(bars: Sequence[FootprintBar], read: Read) -> tuple[Row, list[Row]]:
    """The newest value, and one per bar that has a whole window before it."""
    flows = [bar.flow for bar in bars]
    items = [
        {"at": iso(flows[end - 1].end_ms)} | read(flows[end - WINDOW : end])
        for end in range(WINDOW, len(flows) + 1)
    ]
    return _span(bars[-WINDOW:]) | read(flows[-WINDOW:]), items


def _span(bars: Sequence[FootprintBar]) -> Row:
    return {
        "period_start": iso(bars[0].flow.start_ms),
        "period_end": iso(bars[-1].flow.end_ms),
        "bars": len(bars),
    }


def find_kyle(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Slope of the change of close on delta, over 60 bars."""

    def read(flows: Sequence[FlowBar]) -> Row:
        found = kyle(flows)
        return {
            "ticks_per_lot": found.ticks_per_lot,
            "price_per_unit": found.price_per_unit,
            "r_squared": found.r_squared,
            "pairs": found.pairs,
        }

    if not bars:
        return Studied(reason=NO_BARS)
    facts, items = _rolling(bars, read)
    known = facts["price_per_unit"] is not None
    return Studied(facts, items, None if known else "delta does not vary over these bars")


def find_roll(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Roll's effective spread of 60 bars."""

    def read(flows: Sequence[FlowBar]) -> Row:
        found = roll(flows)
        spread = None if found.spread is None else number(found.spread)
        return {"spread": spread, "pairs": found.pairs}

    if not bars:
        return Studied(reason=NO_BARS)
    facts, items = _rolling(bars, read)
    known = facts["spread"] is not None
    return Studied(facts, items, None if known else "closes do not bounce: covariance is not < 0")


def find_amihud(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """Relative move per million of quote turnover, mean of 60 bars."""

    def read(flows: Sequence[FlowBar]) -> Row:
        found = amihud(flows)
        return {"illiquidity": found.illiquidity, "changes": found.bars}

    if not bars:
        return Studied(reason=NO_BARS)
    facts, items = _rolling(bars, read)
    known = facts["illiquidity"] is not None
    return Studied(facts, items, None if known else "fewer than two bars with trades")


def find_impact(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """The trade-level formulas on the closes and deltas of the bars."""
    traded = [bar.flow for bar in bars if not bar.flow.empty]
    if not traded:
        return Studied(reason=NO_BARS)
    prices = [(flow.close_ticks or 0) * flow.tick_size for flow in traded]
    signed = [flow.delta_lots * flow.lot_size for flow in traded]
    facts = {
        "kyle_lambda": number(trade_impact.kyle_lambda(prices, signed)),
        "roll_spread": number(trade_impact.roll_spread(prices)),
        "last_tick_side": trade_impact.tick_rule(prices)[-1],
    }
    return Studied(_span(bars) | facts)


def find_vpin(bars: Sequence[FootprintBar], options: Options) -> Studied:
    """VPIN rebuilt from minutes: an approximation, because a bucket's edge falls inside a bar.

    A minute counts as one buy and one sell; the bucket is the volume of the UTC day before / 50.
    """
    if not bars:
        return Studied(reason=NO_BARS)
    scale = scale_of(bars[0])
    state: vpin.Vpin | None = None
    volumes = _days(bars)
    items: list[Row] = []
    day = None
    end = bars[0].flow.start_ms
    for bar in bars:
        flow = bar.flow
        if flow.start_ms != end and state is not None:
            state.gap()
        end = flow.end_ms
        if floor_ms(flow.start_ms, DAY_MS) != day:
            day = floor_ms(flow.start_ms, DAY_MS)
            state = _turned(state, volumes.get(day - DAY_MS))
        if state is None:
            continue
        state.add_trades([flow.buy_lots, flow.sell_lots], [1, 0])
        items.append(
            {
                "at": iso(flow.end_ms),
                "vpin": state.value(),
                "filled": state.filled,
                "bucket_volume": scale.size(state.bucket_lots),
            }
        )
    facts: Row = {"buckets": vpin.BUCKETS, "state": "approximate", "made_from": "minutes"}
    return Studied(facts, items, None if items else NO_DAY)


def _days(bars: Sequence[FootprintBar]) -> dict[int, int]:
    """Volume of UTC days that the bars cover whole."""
    lots: dict[int, int] = {}
    covered: dict[int, int] = {}
    for bar in bars:
        day = floor_ms(bar.flow.start_ms, DAY_MS)
        lots[day] = lots.get(day, 0) + bar.flow.volume_lots
        covered[day] = covered.get(day, 0) + bar.flow.end_ms - bar.flow.start_ms
    return {day: volume for day, volume in lots.items() if covered[day] == DAY_MS and volume}


def _turned(state: vpin.Vpin | None, volume: int | None) -> vpin.Vpin | None:
    if volume is None:
        return state
    size = vpin.bucket_of(volume)
    if state is None:
        return vpin.new(size)
    state.resize(size)
    return state
