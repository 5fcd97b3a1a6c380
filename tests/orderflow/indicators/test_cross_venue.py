"""Disagreement of venues."""

from __future__ import annotations

from typing import Any

from flow_tape import MINUTES, closing, flows
from hypothesis import given
from six_trades import bar_of

from orderflow.indicators.cross_venue import disagreement
from orderflow.indicators.lead_lag import lead_lag


def test_a_dissenter_is_named() -> None:
    """The venue whose sign is opposite to the sum dissents; the largest is the reference."""
    found = disagreement(
        {
            "a": [bar_of([(100, 5, True)]).flow],
            "b": [bar_of([(101, 50, True)]).flow],
            "c": [bar_of([(100, 9, False)]).flow],
        }
    )
    assert (found.agree, found.dissenters, found.reference) == (False, ("c",), "b")
    assert found.delta_quote == 500 + 5_050 - 900
    by_name = {venue.name: venue for venue in found.venues}
    assert by_name["b"].premium is None
    assert sum(venue.share_pct or 0 for venue in found.venues) == 100
    assert str(by_name["a"].premium and by_name["a"].premium.last_bps) == "-99.0099"


def test_one_side_or_none() -> None:
    """Agreement needs two venues that took a side."""
    up = [bar_of([(100, 5, True)]).flow]
    flat = [bar_of([(100, 5, True), (100, 5, False)]).flow]
    assert disagreement({"a": up, "b": up}).agree is True
    assert disagreement({"a": up, "b": flat}).agree is None
    assert disagreement({"a": up, "b": []}).venues[0].name == "a"
    assert disagreement({}).reference is None


def test_the_leader_leads_all() -> None:
    """A leader leads every other venue."""
    path = [1_000 + (k * k * 7919) % 11 for k in range(120)]
    venues = {"a": closing(*path[:-2]), "b": closing(*path[2:])}
    assert lead_lag(venues["b"], venues["a"]).leader == "first"
    assert disagreement(venues).leader == "b"


@given(MINUTES, MINUTES)
def test_order_of_venues(a: Any, b: Any) -> None:
    """The order in which venues are given changes nothing."""
    one, other = flows(a), flows(b)
    assert disagreement({"x": one, "y": other}) == disagreement({"y": other, "x": one})
