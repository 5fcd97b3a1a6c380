"""Cross-venue flow: whether venues agree, who leads, who dissents, and at what premium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from orderflow import flow
from orderflow.flow import FlowBar
from orderflow.indicators.card import Example, Parameter, RuleCard
from orderflow.indicators.lead_lag import LeadLag, lead_lag
from orderflow.indicators.premium import Premium, premium
from orderflow.series import series

PLACES = Decimal("0.000001")

CARD = RuleCard(
    name="cross_venue",
    version=1,
    family="flow",
    summary=("Whether venues agree on the side, who leads, who dissents and at what premium."),
    formula=(
        "delta per venue and together in quote units; a venue dissents when its sign is opposite "
        "to the sum's; leader: the venue that leads every other by lead_lag; premium over the "
        "venue with the most quote volume"
    ),
    units="quote units, percent to six places, basis points to four",
    parameters=(Parameter("lags", "3", "steps", "lags of lead_lag"),),
    ties="a delta of 0 neither agrees nor dissents; equal volume: the first name is the reference",
    edges=(
        "A venue without bars is left out and named nowhere.",
        "Quote currencies must be the same; the caller checks.",
    ),
    merging="Sums exact over venues; leadership is computed again from the steps.",
    evidence="How far one venue's flow speaks for the others in the window.",
    not_evidence="Which venue is right.",
    source="own disagreement object; lead_lag and premium as their cards say",
    example=Example(
        "Odd trades on a, even trades on b, one a minute.",
        (
            ("delta_quote", "-205"),
            ("agree", "false"),
            ("dissenters", "a"),
            ("leader", "none"),
            ("reference", "b"),
        ),
    ),
)


class VenueFlow(msgspec.Struct, frozen=True):
    """One venue's part: net and gross in quote units, its share, its premium over the reference."""

    name: str
    delta_quote: Decimal
    volume_quote: Decimal
    delta_pct: Decimal | None
    share_pct: Decimal | None
    premium: Premium | None


class Disagreement(msgspec.Struct, frozen=True):
    """How venues stand to each other. `agree` is None when fewer than two took a side.

    `lead_lags`: per pair of names in alphabetical order.
    """

    delta_quote: Decimal
    agree: bool | None
    dissenters: tuple[str, ...]
    leader: str | None
    reference: str | None
    venues: tuple[VenueFlow, ...]
    lead_lags: tuple[tuple[str, str, LeadLag], ...]


def disagreement(venues: Mapping[str, Sequence[FlowBar]]) -> Disagreement:
    """Compare streams of one window and quote currency, given as bars of one step."""
    totals = {name: _total(series(bars)) for name, bars in sorted(venues.items()) if bars}
    nets = {name: bar.quote(bar.buy_quote - bar.sell_quote) for name, bar in totals.items()}
    gross = {name: bar.quote(bar.buy_quote + bar.sell_quote) for name, bar in totals.items()}
    reference = min(totals, key=lambda name: (-gross[name], name)) if totals else None
    net, all_gross = sum(nets.values(), Decimal(0)), sum(gross.values(), Decimal(0))
    sides = {value > 0 for value in nets.values() if value}
    takers = sum(1 for value in nets.values() if value)
    pairs = _pairs(venues, list(totals))
    return Disagreement(
        net,
        None if takers < 2 else len(sides) == 1,
        tuple(name for name, value in nets.items() if value * net < 0),
        _leader(list(totals), pairs),
        reference,
        tuple(
            VenueFlow(
                name,
                nets[name],
                gross[name],
                _pct(nets[name], gross[name]),
                _pct(gross[name], all_gross),
                premium(bar, totals[reference]) if reference and name != reference else None,
            )
            for name, bar in totals.items()
        ),
        pairs,
    )


def _total(bars: Sequence[FlowBar]) -> FlowBar:
    total = bars[0]
    for bar in bars[1:]:
        total = flow.then(total, bar)
    return total


def _pairs(
    venues: Mapping[str, Sequence[FlowBar]], names: Sequence[str]
) -> tuple[tuple[str, str, LeadLag], ...]:
    return tuple(
        (one, two, lead_lag(venues[one], venues[two]))
        for place, one in enumerate(names)
        for two in names[place + 1 :]
    )


def _leader(names: Sequence[str], pairs: Sequence[tuple[str, str, LeadLag]]) -> str | None:
    """The one venue that leads each of the others; None when there is none."""
    if len(names) < 2:
        return None
    wins = dict.fromkeys(names, 0)
    for one, two, found in pairs:
        if found.leader:
            wins[one if found.leader == "first" else two] += 1
    return next((name for name in names if wins[name] == len(names) - 1), None)


def _pct(part: Decimal, whole: Decimal) -> Decimal | None:
    return (100 * part / whole).quantize(PLACES) if whole else None
