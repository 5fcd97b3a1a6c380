"""Every study by the name of its rule card, and where the other cards are served."""

from __future__ import annotations

from collections.abc import Sequence

from orderflow.errors import ValidationError
from orderflow.footprint import FootprintBar
from orderflow.indicators import find_card
from orderflow.series import footprints
from orderflow.studies import aggression, auction, pressure, toxicity, value, wyckoff
from orderflow.studies.study import LONG_SPAN_MS, Options, Studied, Study
from orderflow.timeframe import DAY_MS, HOUR_MS, TIMEFRAMES

QUARTER, QUARTERS_MS = "15m", 61 * TIMEFRAMES["15m"]
BY_SESSION = ("session", "windows")

ALL: tuple[Study, ...] = (
    Study(
        "developing", value.find_developing, "POC and value area so far", "5m", DAY_MS, ("anchor",)
    ),
    Study("sessions", value.find_sessions, "a row per session", "1h", 8 * DAY_MS, BY_SESSION),
    Study("composite", value.find_composite, "N sessions as one", "1h", 8 * DAY_MS, BY_SESSION),
    Study("naked_levels", value.find_naked, "untested levels", "1h", LONG_SPAN_MS, ("session",)),
    Study(
        "value_migration",
        value.find_migration,
        "value against before",
        "1h",
        DAY_MS,
        closed_only=True,
    ),
    Study("shape", value.find_shape, "shape with its evidence", "5m", 4 * HOUR_MS),
    Study("nodes", value.find_shape, "HVN and LVN", "5m", 4 * HOUR_MS),
    Study(
        "market_profile",
        auction.find_market_profile,
        "TPO, initial balance, excess, poor extremes",
        "30m",
        2 * DAY_MS,
        ("session",),
        "30m",
    ),
    Study(
        "day_type", auction.find_day_type, "type of each day", "30m", 6 * DAY_MS, BY_SESSION, "30m"
    ),
    Study(
        "profile_algebra",
        auction.find_algebra,
        "two windows merged, subtracted or compared",
        "5m",
        HOUR_MS,
        ("operation", "other"),
    ),
    Study("vwap", pressure.find_vwap, "VWAP since an anchor", "5m", DAY_MS, ("anchor",)),
    Study("delta", pressure.find_delta, "delta and its extremes"),
    Study("cvd", pressure.find_cvd, "CVD candles", "5m", DAY_MS, ("anchor", "session")),
    Study("cot", pressure.find_cot, "delta at the extremes"),
    Study("flow_ladder", pressure.find_ladder, "pace of delta"),
    Study("sweeps", pressure.find_sweeps, "same-millisecond sweeps"),
    Study("trade_intensity", pressure.find_intensity, "decayed trades per second"),
    Study("size_distribution", pressure.find_sizes, "prints by size"),
    Study("size_class_cvd", pressure.find_size_cvd, "CVD by size of print", span_ms=4 * HOUR_MS),
    Study(
        "large_trades",
        pressure.find_large,
        "prints above a rolling p99",
        span_ms=3 * HOUR_MS,
        finest="1m",
    ),
    Study(
        "delta_divergence",
        pressure.find_divergences,
        "price without CVD",
        "5m",
        DAY_MS,
        closed_only=True,
    ),
    Study(
        "diagonal_imbalance",
        aggression.find_diagonal,
        "diagonal imbalances",
        "5m",
        HOUR_MS,
        closed_only=True,
    ),
    Study(
        "stacked_imbalance",
        aggression.find_stacked,
        "stacks of them",
        "5m",
        4 * HOUR_MS,
        closed_only=True,
    ),
    Study(
        "unfinished_auction",
        aggression.find_unfinished,
        "both sides at an end",
        QUARTER,
        QUARTERS_MS,
        closed_only=True,
    ),
    Study(
        "absorption",
        aggression.find_absorption,
        "delta without movement",
        "5m",
        4 * HOUR_MS,
        closed_only=True,
    ),
    Study(
        "exhaustion",
        aggression.find_exhaustion,
        "fading at an end",
        "5m",
        HOUR_MS,
        closed_only=True,
    ),
    Study(
        "trapped_traders",
        aggression.find_trapped,
        "stacks left behind",
        "5m",
        4 * HOUR_MS,
        closed_only=True,
    ),
    Study("vpin", toxicity.find_vpin, "VPIN from minutes", span_ms=16 * HOUR_MS, finest="1m"),
    Study("kyle", toxicity.find_kyle, "price per unit of delta", finest="1m"),
    Study("roll", toxicity.find_roll, "effective spread", finest="1m"),
    Study("amihud", toxicity.find_amihud, "move per turnover", finest="1m"),
    Study("impact", toxicity.find_impact, "slopes of the closes"),
    Study("wyckoff_climax", wyckoff.CLIMAX, "climax", QUARTER, QUARTERS_MS, closed_only=True),
    Study(
        "wyckoff_spring", wyckoff.SPRING, "spring, upthrust", QUARTER, QUARTERS_MS, closed_only=True
    ),
    Study(
        "wyckoff_effort",
        wyckoff.EFFORT,
        "effort and result",
        QUARTER,
        QUARTERS_MS,
        closed_only=True,
    ),
    Study(
        "wyckoff_absorption",
        wyckoff.ABSORPTION,
        "absorption in a range",
        QUARTER,
        QUARTERS_MS,
        closed_only=True,
    ),
    Study(
        "wyckoff_strength",
        wyckoff.STRENGTH,
        "strength, weakness",
        QUARTER,
        QUARTERS_MS,
        closed_only=True,
    ),
    Study(
        "wyckoff_retest", wyckoff.RETEST, "test of a level", QUARTER, QUARTERS_MS, closed_only=True
    ),
    Study("wyckoff_cause", wyckoff.CAUSE, "cause", QUARTER, QUARTERS_MS, closed_only=True),
)
"""Adding one is one function and one line here."""

STUDIES: dict[str, Study] = {study.name: study for study in ALL}
"""Every study by name."""

ELSEWHERE: dict[str, str] = {
    "volume_profile": "volume_profile",
    "order_flow": "order_flow",
    "spot_perp": "compare",
    "premium": "compare",
    "lead_lag": "compare",
    "cross_venue": "compare",
}
"""Cards whose numbers are answers of their own: several streams, or the summary of one."""


def find_study(name: str) -> Study:
    """The study of a card; ValidationError names the answer that has it, or all studies."""
    card = find_card(name)
    found = STUDIES.get(card.name)
    if found is None:
        raise ValidationError(f"{card.name} is part of the answer {ELSEWHERE[card.name]}")
    return found


def studied(name: str, bars: Sequence[FootprintBar], options: Options) -> Studied:
    """A study over bars of one stream (or of several beside each other) in time order."""
    return find_study(name).find(footprints(bars) if bars else [], options)
