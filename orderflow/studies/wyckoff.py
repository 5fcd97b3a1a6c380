"""Studies of Wyckoff's situations: one evidence object each, held or not, never advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from orderflow.evidence import Evidence
from orderflow.footprint import FootprintBar
from orderflow.indicators.wyckoff_absorption import range_absorption
from orderflow.indicators.wyckoff_cause import cause
from orderflow.indicators.wyckoff_climax import climax
from orderflow.indicators.wyckoff_effort import effort
from orderflow.indicators.wyckoff_retest import retest
from orderflow.indicators.wyckoff_spring import spring
from orderflow.indicators.wyckoff_strength import strength
from orderflow.studies.aggression import evidence_row, steps
from orderflow.studies.study import NO_BARS, Find, Options, Studied, scale_of

Judge = Callable[[FootprintBar, Sequence[FootprintBar]], Evidence]


def studied(*judges: Judge) -> Find:
    """The newest bar against those before it, by every judge."""

    def find(bars: Sequence[FootprintBar], options: Options) -> Studied:
        """One item per kind; which checks held, failed or could not be made."""
        if not bars:
            return Studied(reason=NO_BARS)
        *before, bar = bars
        items = [evidence_row(found, scale_of(bar)) for found in _judged(judges, bar, before)]
        return Studied(steps(bars), items)

    return find


def _judged(
    judges: Sequence[Judge], bar: FootprintBar, before: Sequence[FootprintBar]
) -> Iterator[Evidence]:
    for judge in judges:
        yield judge(bar, before)


CLIMAX = studied(
    lambda bar, before: climax(bar, before, "selling"),
    lambda bar, before: climax(bar, before, "buying"),
)
SPRING = studied(
    lambda bar, before: spring(bar, before, "spring"),
    lambda bar, before: spring(bar, before, "upthrust"),
)
EFFORT = studied(
    lambda bar, before: effort(bar, before, "effort_without_result"),
    lambda bar, before: effort(bar, before, "result_without_effort"),
)
ABSORPTION = studied(range_absorption)
STRENGTH = studied(
    lambda bar, before: strength(bar, before, "sign_of_strength"),
    lambda bar, before: strength(bar, before, "sign_of_weakness"),
)
RETEST = studied(
    lambda bar, before: retest(bar, before, "support"),
    lambda bar, before: retest(bar, before, "resistance"),
)
CAUSE = studied(cause)
