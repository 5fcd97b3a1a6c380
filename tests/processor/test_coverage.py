"""What is proven while connections come, go and die without a word."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.completeness import Gap
from processor.coverage import LAPSE_MS, NEVER, Coverage

NAMES = ("a.1", "b.1", "c.1")


@dataclass
class Truth:
    """What a venue delivered, second by second, and to whom."""

    alive: set[str]
    delivered: set[int]


Step = tuple[str, str]
steps = st.lists(
    st.tuples(
        st.sampled_from(["up", "down", "die", "settle", "wait", "wait"]), st.sampled_from(NAMES)
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(steps)
def test_nothing_undelivered_is_proven(script: list[Step]) -> None:
    """Whatever happens to three connections, every second up to the watermark was delivered to
    one that was alive, or is in an outage that was declared."""
    coverage, truth = Coverage(), Truth(set(), set())
    declared: set[int] = set()
    second = 1
    for what, name in [*script, *[("wait", "")] * 40]:
        if what == "up" and name not in truth.alive:
            coverage.connect(name, second * 1_000)
            truth.alive.add(name)
        elif what == "down" and name in truth.alive:
            coverage.disconnect(name, second * 1_000, "test")
            truth.alive.discard(name)
        elif what == "die":
            truth.alive.discard(name)
        elif what == "settle" and coverage.outage is not None and coverage.outage.end_ms < NEVER:
            declared |= _seconds(coverage.outage)
            coverage.outage = None
        else:
            if truth.alive:
                truth.delivered.add(second)
            second += 1
            for one in sorted(truth.alive):
                coverage.advance(one, second * 1_000)
        _check(coverage, truth, declared)


def _check(coverage: Coverage, truth: Truth, declared: set[int]) -> None:
    if coverage.observed_from_ms is None:
        return
    seen = set(range(coverage.observed_from_ms // 1_000, coverage.watermark_ms // 1_000))
    holes = declared | (set() if coverage.outage is None else _seconds(coverage.outage))
    assert seen - holes <= truth.delivered


def _seconds(gap: Gap) -> set[int]:
    return set(range(gap.start_ms // 1_000, min(gap.end_ms, 10**6) // 1_000))


def test_a_dead_collector_beside_a_living_one() -> None:
    """While both live, each proves the other's pauses; one that dies without a word is dropped
    after LAPSE_MS, and a pause of the living one meanwhile becomes an outage."""
    coverage = Coverage()
    for name in ("a.1", "b.1"):
        coverage.connect(name, 1_000)
    coverage.advance("a.1", 2_000)
    coverage.advance("b.1", 2_000)
    coverage.disconnect("b.1", 2_500, "closed")
    coverage.connect("b.1", 4_000)
    coverage.advance("b.1", 5_000)
    assert coverage.watermark_ms == 2_000
    coverage.advance("a.1", 5_000)
    assert (coverage.watermark_ms, coverage.outage) == (5_000, None)
    coverage.disconnect("b.1", 6_000, "closed")
    coverage.connect("b.1", 7_000)
    for at in range(8_000, 8_000 + LAPSE_MS, 1_000):
        coverage.advance("b.1", at)
    assert coverage.outage is not None
    assert (coverage.outage.start_ms, coverage.outage.end_ms) == (5_000, 7_000)
    assert coverage.watermark_ms == 7_000 + LAPSE_MS
    assert list(coverage.connections) == ["b.1"]
    coverage.advance("a.1", 30_000)
    assert list(coverage.connections) == ["b.1", "a.1"]


def test_the_earlier_life_of_one_collector() -> None:
    """`a.*` ends what collector a claimed and leaves the claims of the other; `*` ends all."""
    coverage = Coverage()
    for name in ("a.1", "a.2", "b.1", "plain"):
        coverage.connect(name, 1_000)
    coverage.advance("b.1", 2_000)
    coverage.disconnect("a.*", 0, "collector started")
    assert list(coverage.connections) == ["b.1", "plain"]
    assert coverage.outage is None
    coverage.disconnect("*", 0, "collector started")
    assert not coverage.connected
    assert coverage.outage is not None
