"""The circuit breaker: when it opens, for how long, and what one probe decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backbone.breaker import PROBE_S, Breaker


def made(chance: float = 1.0, **options: float) -> Breaker:
    values = {"threshold": 3, "first_s": 1.0, "longest_s": 8.0} | options
    return Breaker("x", lambda: chance, **values)  # type: ignore[arg-type]


def test_opens_after_failures_in_a_row() -> None:
    """A success in between starts the count again."""
    breaker = made()
    for fails in (2, 2, 3):
        assert breaker.state(0.0) == "closed"
        for _ in range(fails):
            assert breaker.wait_s(0.0) == 0.0
            breaker.failed(0.0)
        if fails < 3:
            breaker.succeeded()
    assert breaker.state(0.0) == "open"
    assert breaker.wait_s(0.25) == 0.75
    assert breaker.status(0.25).retry_in_ms == 750
    assert breaker.opened == 1


def test_one_probe_decides() -> None:
    """Half open lets one try pass; its failure doubles the ceiling, its success closes."""
    breaker = made()
    for _ in range(3):
        breaker.failed(0.0)
    delays = []
    at = 1.0
    for _ in range(4):
        assert breaker.state(at) == "half_open"
        assert breaker.wait_s(at) == 0.0
        assert breaker.wait_s(at) > 0
        breaker.failed(at)
        delays.append(breaker.wait_s(at))
        at += delays[-1]
    assert delays == [2.0, 4.0, 8.0, 8.0]
    assert breaker.wait_s(at) == 0.0
    breaker.succeeded()
    assert breaker.state(at) == "closed"
    assert (breaker.failures, breaker.opened) == (0, 1)


def test_a_stated_pause_is_obeyed() -> None:
    """A ban opens at once, for at least its time, and a shorter one does not shorten it."""
    breaker = made()
    breaker.failed(10.0, 600.0)
    breaker.failed(11.0, 5.0)
    assert breaker.state(609.9) == "open"
    assert breaker.wait_s(610.0) == 0.0


def test_a_lost_or_abandoned_probe_blocks_nobody() -> None:
    """A probe without a result is forgotten, at once or after its time."""
    breaker = made()
    breaker.failed(0.0, 1.0)
    assert breaker.wait_s(1.0) == 0.0
    breaker.abandoned()
    assert breaker.wait_s(1.0) == 0.0
    assert breaker.wait_s(1.0) > 0
    assert breaker.wait_s(1.0 + PROBE_S) == 0.0


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=80), st.floats(0, 0.99))
def test_never_more_than_one_probe_while_it_fails(
    steps: list[tuple[float, bool]], chance: float
) -> None:
    """Whatever happens: open lets nothing pass, delays stay within their bounds."""
    breaker, now = made(chance), 0.0
    for passed_s, good in steps:
        now += passed_s
        state = breaker.state(now)
        wait = breaker.wait_s(now)
        assert (wait == 0.0) or state != "closed"
        if state == "open":
            assert 0 < wait <= 8.0
        if wait == 0.0:
            if good:
                breaker.succeeded()
                assert breaker.state(now) == "closed"
            else:
                breaker.failed(now)
        assert breaker.status(now).state in ("closed", "half_open", "open")
