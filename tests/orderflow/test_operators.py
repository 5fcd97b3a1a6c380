"""The merge laws of bars, exact conversion, grids and encodings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orderflow import flow, footprint, grid, prints
from orderflow.completeness import Gap, Quality, State, merge_qualities, worst
from orderflow.content import bar_hash
from orderflow.encoding import bar_from_body, bar_to_body
from orderflow.errors import DomainError, MergeError, OffGridError, ValidationError
from orderflow.flow import FlowBar
from orderflow.footprint import FootprintBar
from orderflow.indicators import order_flow
from orderflow.instrument import Instrument, Market, Step, common_step
from orderflow.reconcile import reconcile, same_amount
from orderflow.timeframe import aligned, parse_period, parse_timeframe, rolling
from orderflow.trade import KlineClosed, TradeBatch
from processor.minute import fresh_minute

SPOT = Instrument("v", Market.SPOT, "ABC", "A", "BC", Decimal("0.01"), Decimal("0.001"))
trades = st.lists(
    st.tuples(st.integers(1, 500), st.integers(1, 50), st.booleans()), min_size=1, max_size=30
)


def bar_of(found: list[tuple[int, int, bool]], first_key: int = 1, at: int = 0) -> FootprintBar:
    """Trades one millisecond apart, applied directly."""
    minute = fresh_minute(SPOT, 0, 5)
    batch = TradeBatch(
        SPOT.name,
        [first_key + k for k in range(len(found))],
        [at + k for k in range(len(found))],
        [t[0] for t in found],
        [t[1] for t in found],
        [int(t[2]) for t in found],
        first_trade_id=[first_key + k for k in range(len(found))],
        last_trade_id=[first_key + k for k in range(len(found))],
    )
    minute.add_run(batch, 0, len(found))
    return minute.bar(SPOT)


def _unlisted(bar: FootprintBar) -> FootprintBar:
    """Without its largest prints: which are kept goes by the minute."""
    return msgspec.structs.replace(bar, largest=())


@given(trades, trades, trades)
def test_then_is_exact_and_associative(a: Any, b: Any, c: Any) -> None:
    """Merging consecutive bars equals computing over all trades, however they are grouped."""
    parts = [bar_of(a), bar_of(b, 1 + len(a), 100), bar_of(c, 1 + len(a) + len(b), 200)]
    left = footprint.then([footprint.then(parts[:2]), parts[2]])
    right = footprint.then([parts[0], footprint.then(parts[1:])])
    direct = bar_of(a + b + c)
    assert left == right
    assert left.largest == prints.largest(part.largest for part in parts)
    assert bar_hash(["x"], "1m", _unlisted(left)) == bar_hash(["x"], "1m", _unlisted(direct))
    assert left.rows == direct.rows
    assert left.flow.min_delta_lots == direct.flow.min_delta_lots


@given(trades, trades)
def test_beside_is_commutative(a: Any, b: Any) -> None:
    """Concurrent bars merge the same in any order; what nobody can know becomes None."""
    one, other = bar_of(a), bar_of(b, 1, 7)
    first, second = footprint.beside([one, other]), footprint.beside([other, one])
    assert first.rows == second.rows
    assert (
        first.flow.delta_lots
        == second.flow.delta_lots
        == (one.flow.delta_lots + other.flow.delta_lots)
    )
    assert first.flow.high_ticks == second.flow.high_ticks
    assert first.flow.min_delta_lots is None
    assert first.flow.first_id is None


@given(trades)
def test_empty_is_neutral(a: Any) -> None:
    """An empty bar changes nothing but the span."""
    bar = bar_of(a).flow
    empty = FlowBar(0, 60_000, SPOT.tick_size, SPOT.lot_size)
    assert flow.then(empty, bar) == bar
    assert flow.then(bar, empty) == bar
    assert flow.beside(empty, bar) == bar
    assert empty.quote(0) == 0


@given(trades)
def test_rescaling_keeps_the_content(a: Any) -> None:
    """A bar counted in finer steps is the same bar."""
    bar = bar_of(a)
    fine = bar.rescaled(Decimal("0.005"), Decimal("0.0001"))
    assert bar_hash(["x"], "1m", fine) == bar_hash(["x"], "1m", bar)
    with pytest.raises(MergeError):
        bar.rescaled(Decimal("0.003"), Decimal("0.001"))


@given(trades)
def test_rows_nest(a: Any) -> None:
    """Coarsening twice equals coarsening once, and keeps every lot."""
    bar = bar_of(a)
    twice = bar.coarsened(Decimal("0.5")).coarsened(Decimal(1))
    assert twice.rows == bar.coarsened(Decimal(1)).rows
    assert sum(b + s for b, s, _ in twice.rows.values()) == bar.flow.volume_lots


def test_wrong_order_is_refused() -> None:
    """Bars out of time order are an error, not a wrong number."""
    late = msgspec.structs.replace(bar_of([(1, 1, True)]).flow, start_ms=60_000)
    with pytest.raises(MergeError):
        flow.then(late, bar_of([(1, 1, True)]).flow)
    with pytest.raises(MergeError):
        footprint.then([])


@given(trades)
def test_encoding_round_trip(a: Any) -> None:
    """What is stored comes back as it was, gaps and big sums included."""
    bar = bar_of(a)
    big = msgspec.structs.replace(bar.flow, buy_quote=2**70)
    quality = Quality(
        State.PARTIAL, 1, 2, True, False, 3, 4, gaps=(Gap(1, 2, "lost", 5, 9),), missing=5
    )
    stored = FootprintBar(big, bar.row_size, bar.rows)
    body = msgspec.msgpack.decode(msgspec.msgpack.encode(bar_to_body(stored, quality)))
    assert bar_from_body(body) == (stored, quality)


@given(st.integers(1, 10**15 - 1), st.integers(0, 8), st.sampled_from([1, 5, 25]))
def test_float_route_is_exact(whole: int, decimals: int, units: int) -> None:
    """Doubles of at most 15 digits give the same whole steps as the decimal string."""
    step = Step(Decimal(units).scaleb(-decimals))
    text = f"{Decimal(whole).scaleb(-decimals):f}"
    try:
        exact = step.steps(text)
    except OffGridError:
        with pytest.raises(OffGridError):
            step.steps_of_float(float(text))
    else:
        assert step.steps_of_float(float(text)) == exact
        assert step.value(exact) == Decimal(text)


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "1.001"])
def test_off_grid_text(text: str) -> None:
    """What is no whole multiple of the step is refused."""
    with pytest.raises(OffGridError):
        SPOT.price_ticks(text)


def test_steps_and_common_steps() -> None:
    """A step is positive; the common step divides both."""
    assert common_step([Decimal("0.1"), Decimal("0.25")]) == Decimal("0.05")
    with pytest.raises(DomainError):
        Step(Decimal(0))
    assert SPOT.name == "v:spot:ABC"
    assert (SPOT.price(5), SPOT.qty(2)) == (Decimal("0.05"), Decimal("0.002"))


@given(st.decimals("0.0000001", "1000", allow_nan=False, places=7))
def test_ladder(size: Decimal) -> None:
    """The ladder step is the smallest of 1 and 5 x 10^k that is not below."""
    assume(size > 0)
    step = grid.step_at_least(size)
    assert step >= size
    digits = str(step.normalize().as_tuple().digits[0])
    assert digits in "15"
    assert grid.next_step(step) % step == 0


def test_rows_of_a_symbol() -> None:
    """Base rows follow the range, served rows the timeframe; other multiples are refused."""
    base = grid.base_row([Decimal("0.01"), Decimal("0.1")], Decimal(380))
    assert base == 5
    assert grid.served_row(base, Decimal(380), "1d") >= base
    assert grid.checked_row(Decimal(15), base) == 15
    with pytest.raises(ValidationError, match="5, 10, 50"):
        grid.checked_row(Decimal(7), base)
    assert grid.median_range([Decimal(1), Decimal(3), Decimal(2)], Decimal(9)) == 2
    assert grid.median_range([], Decimal(1_000)) == 9
    with pytest.raises(DomainError):
        grid.step_at_least(Decimal(0))
    with pytest.raises(DomainError):
        grid.smallest_row([Decimal("0.03")], Decimal(1))


def test_windows() -> None:
    """Rolling windows end with the open step, aligned ones are UTC."""
    assert rolling(3_600_500, 3_600_000).start_ms == 60_000
    assert aligned(3_600_500, 3_600_000).start_ms == 3_600_000
    assert rolling(12_345, 15_000).end_ms == 15_000
    assert parse_timeframe("240") == "4h"
    with pytest.raises(ValidationError, match="allowed: 5s"):
        parse_period("2m")


def kline(bar: FlowBar, **changes: Any) -> KlineClosed:
    """The venue's candle of a bar."""
    values: dict[str, Any] = {
        "instrument": "v:spot:ABC",
        "start_ms": 0,
        "open_ticks": bar.open_ticks,
        "high_ticks": bar.high_ticks,
        "low_ticks": bar.low_ticks,
        "close_ticks": bar.close_ticks,
        "volume_lots": bar.volume_lots,
        "quote_volume": bar.quote(bar.buy_quote + bar.sell_quote),
        "trades": bar.trades,
        "taker_buy_lots": bar.buy_lots,
        "taker_buy_quote": bar.quote(bar.buy_quote),
    }
    return KlineClosed(**(values | changes))


@given(trades)
def test_reconcile(a: Any) -> None:
    """Equal in everything is verified; any difference is not."""
    bar = bar_of(a).flow

    def state(gapless: bool = False, exact_count: bool = True, **changes: Any) -> State:
        return reconcile(bar, kline(bar, **changes), gapless=gapless, exact_count=exact_count)

    assert state() is State.VERIFIED
    assert state(taker_buy_lots=None) is State.VERIFIED_VOLUME
    assert state(volume_lots=bar.volume_lots + 1) is State.PARTIAL
    assert state(volume_lots=bar.volume_lots + 1, gapless=True) is State.VENUE_ADJUSTMENT
    assert state(taker_buy_lots=bar.buy_lots + 1) is State.PARTIAL
    assert state(trades=bar.trades + 1) is State.PARTIAL
    assert state(trades=bar.trades + 1, exact_count=False) is State.VERIFIED
    assert state(high_ticks=10**6) is State.PARTIAL
    assert state(taker_buy_quote=None) is State.VERIFIED


def test_rounded_amounts() -> None:
    """A venue that rounds its turnover is met at its own places."""
    assert same_amount(Decimal("1.23456"), Decimal("1.2346"))
    assert same_amount(Decimal("1.23456"), Decimal("1.2345"))
    assert not same_amount(Decimal("1.23456"), Decimal("1.2347"))
    assert (
        reconcile(
            FlowBar(0, 1, Decimal(1), Decimal(1)),
            KlineClosed("x", 0, 5, 5, 5, 5, 0, Decimal(0), 0, 0, Decimal(0)),
            gapless=True,
            exact_count=True,
        )
        is State.VERIFIED
    )


def test_worst_state_wins() -> None:
    """Merged evidence is as good as its worst part; nothing is unknown."""
    good = Quality(State.VERIFIED, 60, 60, True, True, 0, 5, first_id=1, last_id=2)
    bad = Quality(State.REPAIRING, 10, 60, True, False, 2, 9, first_id=3, last_id=4)
    merged = merge_qualities([good, bad])
    assert (merged.state, merged.covered_ms, merged.revision) == (State.REPAIRING, 70, 2)
    assert (merged.applied_through_ms, merged.first_id, merged.last_id) == (5, 1, 4)
    assert merge_qualities([good, bad], in_time=True).applied_through_ms == 9
    assert worst([]) is State.UNKNOWN
    with pytest.raises(MergeError):
        merge_qualities([])


def test_imbalance_spellings() -> None:
    """buy/sell, buy/total and -1..1; without a denominator null, never 0 (documented meanings)."""
    found = order_flow.imbalance(3, 1)
    assert (found.imbalance_ratio, found.buy_ratio, found.imbalance) == (
        Decimal(3),
        Decimal("0.75"),
        Decimal("0.5"),
    )
    assert order_flow.imbalance(3, 0).imbalance_ratio is None
    assert order_flow.imbalance(0, 0).buy_ratio is None
    assert order_flow.combined_extremes([[], []]) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=20))
def test_combined_extremes_of_one_stream(a: Any) -> None:
    """From bars of one trade each the combined extremes are the served ones."""
    bars = []
    for place, (lots, buy) in enumerate(a):
        bar = bar_of([(5, lots, buy)]).flow
        bars.append(msgspec.structs.replace(bar, start_ms=5_000 * place, end_ms=5_000 * place + 1))
    total = bars[0]
    for bar in bars[1:]:
        total = flow.then(total, bar)
    assert order_flow.combined_extremes([bars]) == order_flow.served_extremes(total)
