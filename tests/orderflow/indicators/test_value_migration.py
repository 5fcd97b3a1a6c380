"""Value migration: one relation for every pair of areas, mirrored and complete."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.indicators.value_migration import migration, migrations
from orderflow.indicators.volume_profile import Profile

areas = st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(
    lambda v: Profile(v[0], v[0], v[0] + v[1], 7, 10)
)
MIRROR = {
    "higher": "lower",
    "lower": "higher",
    "overlapping_higher": "overlapping_lower",
    "overlapping_lower": "overlapping_higher",
}


def mirrored(area: Profile) -> Profile:
    return Profile(-area.poc_row, -area.vah_row, -area.val_row, 7, 10)


@pytest.mark.parametrize(
    ("after", "relation", "overlap"),
    [
        ((11, 15), "higher", 0),
        ((10, 15), "overlapping_higher", Fraction(1, 6)),
        ((0, 4), "lower", 0),
        ((0, 7), "overlapping_lower", Fraction(3, 8)),
        ((6, 9), "inside", 1),
        ((5, 9), "inside", 1),
        ((5, 11), "outside", Fraction(6, 7)),
        ((5, 10), "unchanged", 1),
    ],
)
def test_relations(after: tuple[int, int], relation: str, overlap: Fraction) -> None:
    """Each relation against an area of rows 5 to 10, touching ends included."""
    found = migration(Profile(7, 5, 10, 7, 10), Profile(after[0], *after, 7, 10))
    assert (found.relation, found.overlap) == (relation, overlap)


@given(areas, areas)
def test_mirrored_and_complete(before: Profile, after: Profile) -> None:
    """Upside down, up becomes down; overlap is a share, 0 exactly when the areas are apart."""
    found = migration(before, after)
    other = migration(mirrored(before), mirrored(after))
    assert other.relation == MIRROR.get(found.relation, found.relation)
    assert found.overlap == other.overlap
    assert 0 <= found.overlap <= 1
    assert (found.overlap == 0) == (found.relation in ("higher", "lower"))
    assert (found.overlap == 1) == (found.relation in ("inside", "unchanged"))
    assert found.poc_shift_rows == -migration(after, before).poc_shift_rows


@given(st.lists(areas, max_size=5))
def test_a_chain(found: list[Profile]) -> None:
    """One fewer than windows; the shifts add up to the whole way."""
    chain = migrations(found)
    assert len(chain) == max(0, len(found) - 1)
    if found:
        assert sum(m.val_shift_rows for m in chain) == found[-1].val_row - found[0].val_row
