"""Roll's effective spread from the closes of bars."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import msgspec

from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.series import series

WINDOW = 60

CARD = RuleCard(
    name="roll",
    version=1,
    family="toxicity",
    summary="Effective spread implied by the bounce of closes.",
    formula="2 sqrt(-cov(dp_t, dp_t-1)), sample covariance of neighbouring changes of the close",
    units="price; covariance exact, the root to 28 digits",
    parameters=(Parameter("window", "60", "bars", "how many newest bars enter"),),
    ties="bars without trades are skipped; covariance not negative, or under 2 pairs: null",
    edges=(
        "Trending closes have a covariance that isn't negative and no spread.",
        "Under two pairs of changes there is none.",
    ),
    merging="Not mergeable: computed from the closes of the window.",
    evidence="Bounce between bid and ask in the sample.",
    not_evidence="The quoted spread; packages differ in window and covariance.",
    source="Roll 1984; orderflowkit 0.1 agrees (packages differ in window and covariance)",
    example=Example(
        "The six trades, one a minute.",
        (
            ("spread", "1.290994"),
            ("pairs", "4"),
        ),
    ),
)


class Roll(msgspec.Struct, frozen=True):
    """The spread in price; None when closes don't bounce. `pairs`: neighbouring changes used."""

    spread: Decimal | None
    pairs: int


def roll(bars: Sequence[FlowBar], *, window: int = WINDOW) -> Roll:
    """Roll's spread of the newest `window` bars (minutes by default)."""
    newest = series(bars)[-window:]
    closes = [bar.close_ticks for bar in newest if bar.close_ticks is not None]
    changes = [b - a for a, b in pairwise(closes)]
    pairs = list(pairwise(changes))
    count = len(pairs)
    if count < 2:
        return Roll(None, count)
    together = count * sum(a * b for a, b in pairs)
    spread = together - sum(a for a, _ in pairs) * sum(b for _, b in pairs)
    covariance = Fraction(spread, count * (count - 1))
    if covariance >= 0:
        return Roll(None, count)
    root = (Decimal(-covariance.numerator) / Decimal(covariance.denominator)).sqrt()
    return Roll(2 * root * newest[-1].tick_size, count)
