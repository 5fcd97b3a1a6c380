"""Relations of a window's numbers to each other: what an agent would compute next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from orderflow import grid
from orderflow.fact_reports import BandReport, Facts, MigrationReport, NodeReport, ProfileReading
from orderflow.footprint import FootprintBar, on_one_grid
from orderflow.indicators import nodes, shape, value_migration, volume_profile, vwap
from orderflow.indicators.order_flow import ratio
from orderflow.indicators.volume_profile import Profile
from orderflow.parts import FootprintPart
from orderflow.wanted import iso

HUNDREDTH = Decimal("0.01")
PLACES = Decimal("0.0001")
Place = Literal["above_value", "inside_value", "below_value"]
NO_TRADES = "no trades in the window"
NO_BEFORE = "the window before was not collected"


def on_tick(value: Decimal, tick_size: Decimal) -> Decimal:
    """A price on the grid: the nearest tick."""
    return (value / tick_size).quantize(Decimal(1)) * tick_size


def profile_facts(
    bar: FootprintBar, found: Profile | None, parts: Sequence[FootprintPart]
) -> Facts:
    """Where the last price stands against value, in price, ticks and sigma."""
    flow = bar.flow
    average = vwap.vwap(flow)
    if found is None or average is None or flow.close_ticks is None:
        return Facts(
            price=None,
            place=None,
            to_poc=None,
            to_poc_ticks=None,
            to_poc_sigma=None,
            vwap=None,
            sigma=None,
            delta=Decimal(0),
            delta_pct=None,
            venues_agree=None,
            reason=NO_TRADES,
        )
    tick, price = flow.tick_size, flow.close_ticks * flow.tick_size
    low, high = _row(bar, found.poc_row)
    away = price - high if price > high else min(Decimal(0), price - low)
    sigma = average.sigma
    return Facts(
        price=price,
        place=_place(bar, found, price),
        to_poc=away,
        to_poc_ticks=int(away / tick),
        to_poc_sigma=(away / sigma).quantize(HUNDREDTH) if sigma else None,
        vwap=on_tick(average.price, tick),
        sigma=on_tick(sigma, tick),
        delta=flow.delta_lots * flow.lot_size,
        delta_pct=percent(flow.delta_lots, flow.volume_lots),
        venues_agree=agreement([part.bar.flow.delta_lots for part in parts]),
    )


def agreement(deltas: Sequence[int]) -> bool | None:
    """Whether all that took a side took the same one; None of fewer than two."""
    sides = [delta > 0 for delta in deltas if delta]
    return None if len(sides) < 2 else len(set(sides)) == 1


def percent(part: int, whole: int) -> Decimal | None:
    """part / whole in percent, to two places."""
    found = ratio(part * 100, whole)
    return None if found is None else found.quantize(HUNDREDTH)


def profile_reading(
    bar: FootprintBar, found: Profile | None, before: FootprintBar | None
) -> ProfileReading:
    """Shape, nodes, bands, and how value moved since the window before."""
    figure = shape.shape(bar.rows)
    average = vwap.vwap(bar.flow)
    bands = []
    if average is not None:
        tick = bar.flow.tick_size
        for k in vwap.BANDS:
            lower, upper = average.band(k)
            bands.append(BandReport(k=k, lower=on_tick(lower, tick), upper=on_tick(upper, tick)))
    moved = _migration(bar, before)
    return ProfileReading(
        shape=None if figure is None else figure.name,
        shapes=[] if figure is None else list(figure.holds),
        nodes=node_reports(bar),
        bands=bands,
        migration=moved,
        migration_reason=None if moved is not None else NO_BEFORE if found else NO_TRADES,
    )


def node_reports(bar: FootprintBar) -> list[NodeReport]:
    """HVN and LVN, lowest price first."""
    return [
        NodeReport(
            type="HVN" if node.kind == "hvn" else "LVN",
            price=grid.plain(node.row * bar.row_size),
            volume=node.lots * bar.flow.lot_size,
            strength=Decimal(node.strength.numerator * 10_000 // node.strength.denominator)
            * PLACES,
        )
        for node in nodes.nodes(bar.rows)
    ]


def _migration(bar: FootprintBar, before: FootprintBar | None) -> MigrationReport | None:
    if before is None:
        return None
    older, newer = on_one_grid([before, bar])
    was, now = volume_profile.profile(older.rows), volume_profile.profile(newer.rows)
    if was is None or now is None:
        return None
    moved = value_migration.migration(was, now)
    size = newer.row_size
    return MigrationReport(
        relation=moved.relation,
        overlap=_cut(moved.overlap),
        poc_shift=grid.plain(moved.poc_shift_rows * size),
        previous_poc=grid.plain(was.poc_row * size),
        previous_start=iso(before.flow.start_ms),
    )


def _row(bar: FootprintBar, row: int) -> tuple[Decimal, Decimal]:
    """Lowest and highest price of a row."""
    low = row * bar.row_size
    return low, low + bar.row_size - bar.flow.tick_size


def _place(bar: FootprintBar, found: Profile, price: Decimal) -> Place:
    if price > _row(bar, found.vah_row)[1]:
        return "above_value"
    return "below_value" if price < _row(bar, found.val_row)[0] else "inside_value"


def _cut(share: Fraction) -> Decimal:
    """A share of 0 to 1, cut at four places."""
    return Decimal(share.numerator * 10_000 // share.denominator) * PLACES
