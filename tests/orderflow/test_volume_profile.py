"""POC and value area against a plain re-statement of the rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orderflow.indicators.volume_profile import METHODS, Method, Profile, profile

rows = st.dictionaries(
    st.integers(-20, 20),
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5)),
    max_size=15,
)


def restated(volumes: dict[int, int], method: Method) -> Profile | None:
    """The rule once more, with lists and fractions of a hundred instead of indexes."""
    occupied = {row: volume for row, volume in volumes.items() if volume}
    if not occupied:
        return None
    most = max(occupied.values())
    middle2 = min(occupied) + max(occupied)
    best = sorted(
        (row for row in occupied if occupied[row] == most), key=lambda r: (abs(2 * r - middle2), r)
    )[0]
    inside, total = [best], sum(occupied.values())
    above = sorted(row for row in occupied if row > best)
    below = sorted((row for row in occupied if row < best), reverse=True)
    width = 1 if method == "single" else 2
    while sum(occupied[r] for r in inside) * 100 < 70 * total:
        up, down = above[:width], below[:width]
        up_volume, down_volume = (sum(occupied[r] for r in side) for side in (up, down))
        if up and (not down or up_volume >= down_volume):
            inside, above = inside + up, above[width:]
        else:
            inside, below = inside + down, below[width:]
    return Profile(best, min(inside), max(inside), sum(occupied[r] for r in inside), total)


@given(rows)
def test_against_the_rule(found: dict[int, tuple[int, int, int]]) -> None:
    """Both walks equal the re-statement on any profile."""
    for method in METHODS:
        volumes = {row: buy + sell for row, (buy, sell, _) in found.items()}
        assert profile(found, method=method) == restated(volumes, method)


@given(rows)
def test_value_area_holds_enough(found: dict[int, tuple[int, int, int]]) -> None:
    """The area holds at least 70 % of the volume and the POC."""
    result = profile(found)
    if result is not None:
        assert 100 * result.value_area_lots >= 70 * result.total_lots
        assert result.val_row <= result.poc_row <= result.vah_row


def test_defect_top_row_counts() -> None:
    """The highest-priced trades are never dropped (100 of 102 units at the top)."""
    result = profile({1: (1, 0, 1), 2: (1, 0, 1), 3: (100, 0, 1)})
    assert result is not None
    assert (result.poc_row, result.total_lots) == (3, 102)


def test_defect_one_price() -> None:
    """A window of one price is a profile, not nothing."""
    assert profile({7: (2, 3, 2)}) == Profile(7, 7, 7, 5, 5)


def test_nothing_traded() -> None:
    """Without volume there is no POC."""
    assert profile({}) is None
    assert profile({3: (0, 0, 0)}) is None
