"""Laws of every study: pure, neutral without bars, blind to the future, indifferent to grouping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from flow_tape import MINUTES, minutes
from hypothesis import given, settings
from hypothesis import strategies as st
from six_trades import Trade, bar_of

from orderflow import footprint
from orderflow.errors import ValidationError
from orderflow.footprint import FootprintBar
from orderflow.indicators import INDICATORS
from orderflow.studies import ELSEWHERE, STUDIES, find_study, studied
from orderflow.studies.study import Options, Studied
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, Window

ANY = Options(session="UTC 00:00-00:05", anchor_ms=0, other=Window(0, 3 * MINUTE_MS))
GROWING = (
    "developing", "vwap", "cvd", "delta", "cot", "sweeps", "value_migration", "diagonal_imbalance",
    "stacked_imbalance", "trapped_traders", "exhaustion", "absorption", "kyle", "roll", "amihud",
    "size_class_cvd", "large_trades", "delta_divergence", "vpin",
)  # fmt: skip
"""Studies whose items are said one bar at a time."""
WHOLE = ("shape", "nodes", "size_distribution")
"""Studies of the whole stretch together."""


def plain(found: Studied) -> Any:
    return msgspec.json.decode(msgspec.json.encode([found.facts, found.items, found.reason]))


def run(name: str, bars: Sequence[FootprintBar]) -> Studied:
    return studied(name, bars, ANY)


@pytest.mark.parametrize("name", sorted(STUDIES))
@given(tape=MINUTES)
@settings(max_examples=12, deadline=None)
def test_pure_and_plain(name: str, tape: list[list[Trade]]) -> None:
    """The same bars give the same answer, bars are not changed, and everything is plain data."""
    bars = minutes(tape)
    copy = msgspec.convert(msgspec.to_builtins(bars), list[FootprintBar])
    once = plain(run(name, bars))
    assert plain(run(name, bars)) == once
    assert bars == copy


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_neutral(name: str) -> None:
    """Without bars there is a reason, and bars without trades make no number up."""
    found = run(name, [])
    assert found.items == []
    assert found.reason
    nothing = run(name, [bar_of([], k * MINUTE_MS) for k in range(10)])
    for row in [nothing.facts, *nothing.items]:
        for key in ("poc", "vah", "val", "vwap", "price_per_unit", "spread", "illiquidity", "vpin"):
            assert row.get(key) is None
        assert row.get("held") is not True


@pytest.mark.parametrize("name", GROWING)
@given(tape=MINUTES, cut=st.integers(1, 11))
@settings(max_examples=12, deadline=None)
def test_truncating_the_future_changes_nothing(
    name: str, tape: list[list[Trade]], cut: int
) -> None:
    """What was said of the first bars stays as it was when more bars follow."""
    bars = minutes(tape)
    early, late = run(name, bars[:cut]).items, run(name, bars).items
    assert late[: len(early)] == early


@given(tape=MINUTES, cut=st.integers(1, 11))
@settings(max_examples=30, deadline=None)
def test_sessions_that_are_over_stay(tape: list[list[Trade]], cut: int) -> None:
    """A session that was over keeps its row, its type and its levels when more bars follow."""
    bars = minutes(tape)
    for name in ("sessions", "day_type"):
        early = [row for row in run(name, bars[:cut]).items if row["over"]]
        late = run(name, bars).items
        assert all(row in late for row in early), name


@pytest.mark.parametrize("name", WHOLE)
@given(tape=MINUTES, data=st.data())
@settings(max_examples=15, deadline=None)
def test_then_in_any_grouping(name: str, tape: list[list[Trade]], data: st.DataObject) -> None:
    """Folding bars first, in any grouping, gives the same answer about the stretch."""
    bars = minutes(tape)
    cut = data.draw(st.integers(1, len(bars)))
    groups = [part for part in (bars[:cut], bars[cut:]) if part]
    folded = [footprint.then(part) for part in groups]
    assert plain(run(name, folded)) == plain(run(name, bars))


@given(first=MINUTES, second=MINUTES)
@settings(max_examples=20, deadline=None)
def test_beside_adds_rows(first: list[list[Trade]], second: list[list[Trade]]) -> None:
    """Two streams beside each other: volume at price is their sum, whichever is named first."""
    count = min(len(first), len(second))
    one, two = minutes(first[:count]), minutes(second[:count])
    together = [footprint.beside([a, b]) for a, b in zip(one, two, strict=True)]
    swapped = [footprint.beside([b, a]) for a, b in zip(one, two, strict=True)]
    for name in WHOLE:
        assert plain(run(name, together)) == plain(run(name, swapped))
    volume = sum(bar.flow.volume_lots for bar in (*one, *two))
    assert sum(bar.flow.volume_lots for bar in together) == volume


@given(tape=MINUTES, cut=st.integers(1, 11))
@settings(max_examples=30, deadline=None)
def test_merge_and_subtract_undo_each_other(tape: list[list[Trade]], cut: int) -> None:
    """Two windows merged and one taken away leave the other, row by row."""
    bars = minutes(tape)
    end = len(bars) * MINUTE_MS
    cut = min(cut, len(bars) - 1)
    if not 0 < cut < len(bars):
        return
    first, other = Window(cut * MINUTE_MS, end), Window(0, cut * MINUTE_MS)
    merged = studied("profile_algebra", bars, Options(operation="merge", first=first, other=other))
    whole = studied("shape", bars, Options())
    assert merged.facts.get("poc") == whole.facts.get("poc")
    left = studied("profile_algebra", bars, Options(operation="subtract", other=other))
    alone = studied("shape", bars[cut:], Options())
    assert left.facts.get("poc") == alone.facts.get("poc")
    assert left.facts.get("shape") == alone.facts.get("shape")


def test_naked_levels_across_days() -> None:
    """Levels of closed days stay until price reaches or jumps them; the touching bar is named."""
    bars = [
        bar_of([(price, 5, True)], day * DAY_MS + hour * HOUR_MS, 100 * day + hour + 1)
        for day, price in enumerate((100, 110, 120, 105))
        for hour in range(24)
    ]
    hours = [
        msgspec.structs.replace(
            bar, flow=msgspec.structs.replace(bar.flow, end_ms=bar.flow.start_ms + HOUR_MS)
        )
        for bar in bars
    ]
    found = studied("naked_levels", hours, Options())
    pocs = {row["session_start"][:10]: row for row in found.items if row["kind"] == "poc"}
    assert pocs["1970-01-01"]["status"] == "untested"
    assert pocs["1970-01-02"]["status"] == "touched"
    assert pocs["1970-01-02"]["touch_start"] == "1970-01-04T00:00:00.000Z"
    assert pocs["1970-01-03"]["status"] == "untested"
    assert found.facts["untested"] + found.facts["touched"] == len(found.items)


def test_names_lead_somewhere() -> None:
    """Dashes and case do not matter; a card that is an answer of its own says which."""
    assert find_study("Market-Profile").name == "market_profile"
    for name, answer in ELSEWHERE.items():
        with pytest.raises(ValidationError, match=answer):
            find_study(name)
    assert {study.name for study in STUDIES.values()} <= set(INDICATORS)
