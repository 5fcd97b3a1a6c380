"""Kyle's lambda from bars: how far price moves per unit of signed volume.

Least squares of the change of the close on the delta of the same bar. The sums are whole numbers,
so stretches merge exactly in any grouping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from orderflow.evidence import shown
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.series import series

WINDOW = 60

CARD = RuleCard(
    name="kyle",
    version=1,
    family="toxicity",
    summary="How far price moves per unit of signed volume, from bars.",
    formula=(
        "lambda = (n Sxy - Sx Sy) / (n Sxx - Sx Sx), x = delta of a bar, y = its close - the close "
        "before; r_squared = (n Sxy - Sx Sy)^2 / ((n Sxx - Sx Sx)(n Syy - Sy Sy))"
    ),
    units="price per base unit; sums in ticks and lots, exact; 12 digits shown",
    parameters=(Parameter("window", "60", "bars", "how many newest bars enter"),),
    ties="bars without trades are skipped; no variation of delta: null",
    edges=(
        "Bars without trades are skipped, so the next change spans them.",
        "Without variation of delta there is no slope.",
    ),
    merging="Exact: sums and end points of a stretch merge in any grouping in time.",
    evidence="Price response to net aggression in the sample.",
    not_evidence=(
        "The cost of a future order; the mean of |move| / volume, which some packages "
        "call the same, is another number."
    ),
    source="Kyle 1985; orderflow-metrics 0.40 and wickra 2.0 agree on the slope",
    example=Example(
        "The six trades, one a minute.",
        (
            ("price_per_unit", "-0.028011"),
            ("r_squared", "0.009337"),
            ("pairs", "5"),
        ),
    ),
)


class Sums(msgspec.Struct, frozen=True):
    """Sums over the pairs of a stretch, and its ends for the pair across a border.

    Empty by default, which is neutral.
    """

    pairs: int = 0
    x: int = 0
    y: int = 0
    xx: int = 0
    xy: int = 0
    yy: int = 0
    first_close: int | None = None
    first_delta: int = 0
    last_close: int | None = None


class Kyle(msgspec.Struct, frozen=True):
    """The slope in ticks per lot and in price per base unit, and how much it explains."""

    ticks_per_lot: Decimal | None
    price_per_unit: Decimal | None
    r_squared: Decimal | None
    pairs: int


def sums(bars: Iterable[FlowBar]) -> Sums:
    """Sums of bars of one scale, in time order."""
    total = Sums()
    for bar in bars:
        if bar.close_ticks is not None:
            one = Sums(
                first_close=bar.close_ticks,
                first_delta=bar.delta_lots,
                last_close=bar.close_ticks,
            )
            total = then(total, one)
    return total


def then(a: Sums, b: Sums) -> Sums:
    """Consecutive stretches as one; the pair across the border included. Exact."""
    if a.last_close is None or b.first_close is None:
        return b if a.last_close is None else a
    x, y = b.first_delta, b.first_close - a.last_close
    return Sums(
        a.pairs + b.pairs + 1,
        a.x + b.x + x,
        a.y + b.y + y,
        a.xx + b.xx + x * x,
        a.xy + b.xy + x * y,
        a.yy + b.yy + y * y,
        a.first_close,
        a.first_delta,
        b.last_close,
    )


def fitted(total: Sums, tick_size: Decimal, lot_size: Decimal) -> Kyle:
    """The regression of the sums; None where there is no variation."""
    spread_x = total.pairs * total.xx - total.x * total.x
    spread_y = total.pairs * total.yy - total.y * total.y
    common = total.pairs * total.xy - total.x * total.y
    if not spread_x:
        return Kyle(None, None, None, total.pairs)
    slope = Fraction(common, spread_x)
    return Kyle(
        shown(slope),
        shown(slope * Fraction(tick_size) / Fraction(lot_size)),
        shown(Fraction(common * common, spread_x * spread_y)) if spread_y else None,
        total.pairs,
    )


def kyle(bars: Sequence[FlowBar], *, window: int = WINDOW) -> Kyle:
    """Kyle's lambda of the newest `window` bars (minutes by default)."""
    newest = series(bars)[-window:]
    if not newest:
        return Kyle(None, None, None, 0)
    return fitted(sums(newest), newest[-1].tick_size, newest[-1].lot_size)
