"""Cumulative volume delta as candles, from an anchor that is always stated.

Each candle opens where the one before closed (tradetropy, flowsurface); the sum starts from 0 at
the anchor. A window that is computed twice gives the same candles twice: nothing is carried over
between calls.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from orderflow.errors import MergeError
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.order_flow import served_extremes
from orderflow.indicators.sessions import Session, sessions_within
from orderflow.series import series
from orderflow.timeframe import DAY_MS, Window, floor_ms

CARD = RuleCard(
    name="cvd",
    version=1,
    family="flow",
    summary=(
        "Delta summed up since a stated anchor, as candles that open where the last one closed."
    ),
    formula=(
        "close = open + delta; open = close before, or 0 at the anchor; "
        "high = open + max(0, running delta), low = open + min(0, running delta)"
    ),
    units="lots, since the stated anchor",
    parameters=(
        Parameter(
            "anchor",
            "utc_day",
            "name and reset times",
            "where the sum starts again: UTC day, sessions or one time",
        ),
    ),
    ties="high and low are null where the order of trades is unknown (merged venues)",
    edges=(
        "Bars that overlap are refused, so no trade counts twice.",
        ("since_ms states the first bar summed: later than the anchor when the history is."),
        "Before the first reset of a custom anchor there is no sum.",
        "A reset inside a bar is refused.",
    ),
    merging=(
        "Exact in time: prefix sums and prefix extremes; over venues close only, high and "
        "low at the step of the bars."
    ),
    evidence="Net aggression since the anchor, and how far it swung.",
    not_evidence=(
        "A forecast: on one whole BTC spot day delta explained 28 % (1 s) to 57 % (15 "
        "min) of the same bar's move and at most 0.7 % of the next one's."
    ),
    source="tradetropy 0.3.1 (chained candles), flowsurface (reset at the UTC day)",
    example=Example(
        "The six trades, two in a minute, three minutes.",
        (
            ("minute 1", "open 0 high 4 low -6 close -6"),
            ("minute 2", "open -6 high 2 low -6 close 2"),
            ("minute 3", "open 2 high 2 low -2 close -2"),
        ),
    ),
)


class Anchor(msgspec.Struct, frozen=True):
    """Where the sum starts again: at each of `resets_ms`, or at 00:00 UTC when there are none.

    Sessions are given by their opening times, a custom anchor by one time. Before the first reset
    there is no sum.
    """

    name: str
    resets_ms: tuple[int, ...] = ()

    def before(self, at_ms: int) -> int | None:
        """The newest reset at or before a time; None when the first one is still to come."""
        if not self.resets_ms:
            return floor_ms(at_ms, DAY_MS)
        place = bisect_right(self.resets_ms, at_ms)
        return self.resets_ms[place - 1] if place else None


UTC_DAY = Anchor("utc_day")


def session_anchor(session: Session, window: Window) -> Anchor:
    """The openings of a session that matter in a window, in UTC whatever its clock changes.

    The newest one before the window is among them.
    """
    around = Window(window.start_ms - 3 * DAY_MS, window.end_ms + 3 * DAY_MS)
    starts = [one.start_ms for one in sessions_within(session, around)]
    return Anchor(session.name, tuple(start for start in starts if start < window.end_ms))


class Candle(msgspec.Struct, frozen=True):
    """CVD over [start_ms, end_ms) in lots. `since_ms`: the first bar that was summed.

    `since_ms` is later than `anchor_ms` when the bars given begin after the anchor.
    """

    start_ms: int
    end_ms: int
    anchor_ms: int
    since_ms: int
    open_lots: int
    high_lots: int | None
    low_lots: int | None
    close_lots: int


def candles(bars: Sequence[FlowBar], anchor: Anchor = UTC_DAY) -> list[Candle]:
    """One candle per bar from the first anchor on; MergeError when a reset lies inside a bar."""
    found: list[Candle] = []
    for bar in series(bars):
        reset = anchor.before(bar.start_ms)
        if anchor.before(bar.end_ms - 1) != reset:
            raise MergeError(f"anchor {anchor.name} lies inside a bar: use shorter bars")
        if reset is None:
            continue
        last = found[-1] if found and found[-1].anchor_ms == reset else None
        start = last.close_lots if last else 0
        least, most = served_extremes(bar)
        found.append(
            Candle(
                bar.start_ms,
                bar.end_ms,
                reset,
                last.since_ms if last else bar.start_ms,
                start,
                None if most is None else start + most,
                None if least is None else start + least,
                start + bar.delta_lots,
            )
        )
    return found
