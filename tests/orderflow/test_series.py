"""Series: in order, without overlap, on one scale."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flow_tape import closing, minutes, shaped

from orderflow.errors import MergeError
from orderflow.series import footprints, series, step_ms, with_current


def test_one_scale() -> None:
    """Bars of different steps come back in the largest steps that fit all of them."""
    one, other = closing(5, 6)
    found = series([one, other.rescaled(Decimal("0.5"), Decimal("0.1"))])
    assert {(bar.tick_size, bar.lot_size) for bar in found} == {(Decimal("0.5"), Decimal("0.1"))}
    assert found[0].close_ticks == 10
    assert series([one, other]) == [one, other]


def test_overlap_and_order() -> None:
    """A bar given twice, or one that is late, is an error and no wrong sum."""
    one, other = closing(5, 6)
    for wrong in ([one, one], [other, one]):
        with pytest.raises(MergeError, match="each bar once"):
            series(wrong)
    bars = minutes([[(5, 1, True)], [(6, 1, True)]])
    with pytest.raises(MergeError):
        with_current([bars[1]], bars[0])
    assert with_current(bars[:1], bars[1]) == (bars[:1], bars[1])
    assert footprints([]) == []


def test_steps() -> None:
    """One length on its own grid."""
    one, other = closing(5, 6)
    assert step_ms([one, other]) == 60_000
    assert step_ms([]) == 0
    with pytest.raises(MergeError):
        step_ms([shaped(one, start_ms=5, end_ms=60_005)])
