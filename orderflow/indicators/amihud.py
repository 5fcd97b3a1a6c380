"""Amihud's illiquidity: how far price moves per quote unit traded."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import pairwise

import msgspec

from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.series import series

WINDOW = 60
SCALE = 1_000_000
WORKING_DIGITS = 50
DIGITS = 20

CARD = RuleCard(
    name="amihud",
    version=1,
    family="toxicity",
    summary="How far price moves per million quote units traded.",
    formula="10^6 x mean over bars of |close / close before - 1| / quote volume",
    units="relative move per million quote units; error below 1e-19 of the value",
    parameters=(Parameter("window", "60", "bars", "how many newest bars enter"),),
    ties="bars without trades are skipped; without a close before: no term; no terms: null",
    edges=(
        "The first bar has no change and no term.",
        "Bars without trades are skipped.",
    ),
    merging="Terms add; the term across a border needs the close before.",
    evidence="Illiquidity of the window against other windows of the same symbol.",
    not_evidence="Comparable across bar lengths or with daily values in papers.",
    source="Amihud 2002 (daily returns and dollar volume), here on bars",
    example=Example(
        "The six trades, one a minute.",
        (
            ("illiquidity", "69.813823"),
            ("bars", "5"),
        ),
    ),
)


class Amihud(msgspec.Struct, frozen=True):
    """Illiquidity and the number of bars it is the mean of."""

    illiquidity: Decimal | None
    bars: int


def amihud(bars: Sequence[FlowBar], *, window: int = WINDOW) -> Amihud:
    """Illiquidity of the newest `window` bars (minutes by default)."""
    newest = [bar for bar in series(bars)[-window:] if not bar.empty]
    count = 0
    with localcontext() as context:
        context.prec = WORKING_DIGITS
        total = Decimal(0)
        for before, bar in pairwise(newest):
            old, new = before.close_ticks or 0, bar.close_ticks or 0
            quote = bar.quote(bar.buy_quote + bar.sell_quote)
            if old > 0 and quote > 0:
                total += Decimal(abs(new - old)) / (Decimal(old) * quote)
                count += 1
        mean = SCALE * total / count if count else None
        context.prec = DIGITS
        return Amihud(None if mean is None else +mean, count)
