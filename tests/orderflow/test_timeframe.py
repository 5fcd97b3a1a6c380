"""Windows in UTC milliseconds: aligned ones tile time, rolling ones end with the open step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.errors import ValidationError
from orderflow.timeframe import (
    CELL_MS,
    DAY_MS,
    MINUTE_MS,
    PERIODS,
    SPELLINGS,
    TIMEFRAMES,
    Window,
    aligned,
    floor_ms,
    parse_period,
    parse_timeframe,
    rolling,
)

LENGTHS = sorted({*TIMEFRAMES.values(), *PERIODS.values()})
moments = st.integers(10**12, 2 * 10**12)


@given(moments, st.sampled_from(LENGTHS))
def test_aligned_windows_tile_time(event_ms: int, length_ms: int) -> None:
    """Every moment is in exactly one aligned window; the next one starts where it ends."""
    window = aligned(event_ms, length_ms)
    assert window.start_ms <= event_ms < window.end_ms
    assert window.length_ms == length_ms
    assert window.start_ms == floor_ms(event_ms, length_ms)
    assert aligned(window.end_ms, length_ms) == Window(window.end_ms, window.end_ms + length_ms)
    assert aligned(window.start_ms, length_ms) == window
    assert aligned(window.end_ms - 1, length_ms) == window


@given(moments, st.sampled_from(LENGTHS))
def test_rolling_windows_end_with_now(now_ms: int, length_ms: int) -> None:
    """A rolling window is whole steps long and its last step contains now."""
    window = rolling(now_ms, length_ms)
    step = MINUTE_MS if length_ms >= MINUTE_MS else CELL_MS
    assert window.length_ms == length_ms
    assert window.end_ms % step == window.start_ms % step == 0
    assert window.end_ms - step <= now_ms < window.end_ms


def test_shorter_windows_tile_longer_ones() -> None:
    """Each timeframe is whole minutes and divides the day; every period is whole cells."""
    for length in TIMEFRAMES.values():
        assert length % MINUTE_MS == 0
        assert DAY_MS % length == 0
    assert all(length % CELL_MS == 0 for length in PERIODS.values())
    assert aligned(1_735_689_600_000, DAY_MS).start_ms == 1_735_689_600_000


@pytest.mark.parametrize("name", sorted(TIMEFRAMES))
def test_timeframes_by_name(name: str) -> None:
    """A canonical name means itself."""
    assert parse_timeframe(name) == name


@pytest.mark.parametrize("text", sorted(SPELLINGS))
def test_other_spellings(text: str) -> None:
    """Every other spelling leads to a timeframe or a period of the same length."""
    name = SPELLINGS[text]
    assert name in TIMEFRAMES
    assert parse_timeframe(text) == name
    units = {"s": 1_000, "m": MINUTE_MS, "h": 60 * MINUTE_MS, "D": DAY_MS}
    number, unit = text.rstrip("smhD") or "1", text[-1] if text[-1] in units else "m"
    assert int(number) * units[unit] == TIMEFRAMES[name]


@pytest.mark.parametrize(
    "text", ["", "2m", "1M", "1H", " 1h", "1h\n", "60.0", "\uff11h", "-5", "5s"]
)
def test_unknown_timeframes(text: str) -> None:
    """Anything else is refused with the allowed ones, and the text itself is not repeated."""
    with pytest.raises(ValidationError) as caught:
        parse_timeframe(text)
    assert str(caught.value) == "unknown timeframe; allowed: 1m, 5m, 15m, 30m, 1h, 4h, 1d"


def test_periods() -> None:
    """Periods have names of their own and are refused by their own list."""
    assert [parse_period(name) for name in PERIODS] == list(PERIODS)
    assert (parse_period("60s"), parse_period("60")) == ("1m", "1h")
    for text in ("30m", "4h", "1d", "1s"):
        with pytest.raises(ValidationError, match="unknown period; allowed: 5s, 15s, 30s, 1m"):
            parse_period(text)
