"""Clocks without waiting, settings without an environment of their own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backbone.clock import ForwardClock, VenueClock, monotonic_ms, wall_ms
from backbone.settings import read_settings
from orderflow.errors import ConfigError


def test_venue_clock() -> None:
    """It follows the newest exchange time, runs on with monotonic time and never goes back."""
    now = [100.0]
    clock = VenueClock(lambda: now[0])
    assert not clock.known
    assert clock.now_ms() == 0
    clock.observe(5_000)
    now[0] += 2
    assert clock.now_ms() == 7_000
    clock.observe(6_000)
    assert clock.now_ms() == 7_000
    clock.observe(90_000)
    assert clock.now_ms() == 90_000
    assert clock.known


def test_a_clock_set_back_stands_still() -> None:
    """What is stamped later never looks older, however the wall clock jumps."""
    times = iter((1_000, 3_600_000, 2_000, 3_600_001))
    clock = ForwardClock(lambda: next(times))
    assert [clock.now_ms() for _ in range(4)] == [1_000, 3_600_000, 3_600_000, 3_600_001]


def test_wall_and_monotonic() -> None:
    """Both count milliseconds."""
    assert wall_ms() > 1_700_000_000_000
    assert monotonic_ms() >= 0


def test_settings_from_an_environment() -> None:
    """Values are parsed and lists split; other variables are ignored."""
    found = read_settings(
        {"WADM_PORT": "9", "WADM_SYMBOLS": " btcusdt, ethusdt ", "HOME": "x", "WADM_SHARED": "y"},
        row_sizes="btcusdt=5",
    )
    assert found.port == 9
    assert found.symbols == " btcusdt, ethusdt "
    assert found.fixed_row_sizes == {"BTCUSDT": Decimal(5)}
    assert found.venue_list == ("binance", "bybit")
    assert found.market_list == ("spot", "perp")
    assert read_settings({}).symbols.count(",") == 9


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WADM_PORTS", "1", "WADM_PORTS"),
        ("WADM_PORT", "many", "must be of type int"),
        ("WADM_STORE", "paper", "sqlite, memory"),
        ("WADM_WS", "smoke", "auto, websockets, picows"),
    ],
)
def test_wrong_settings(variable: str, value: str, message: str) -> None:
    """A wrong variable is refused by name, with what is allowed."""
    with pytest.raises(ConfigError, match=message):
        read_settings({variable: value})


def test_wrong_row_sizes() -> None:
    """Row sizes need SYMBOL=SIZE."""
    with pytest.raises(ConfigError, match="SYMBOL=SIZE"):
        _ = read_settings({"WADM_ROW_SIZES": "BTCUSDT=wide"}).fixed_row_sizes


@pytest.mark.parametrize("name", ["a b", "a.b", "x" * 33, "a\n", "é"])
def test_an_instance_has_a_plain_name(name: str) -> None:
    """It stands in subjects, cursors and names of connections."""
    with pytest.raises(ConfigError, match="WADM_INSTANCE"):
        _ = read_settings({"WADM_INSTANCE": name}).instance_name
    assert read_settings({"WADM_INSTANCE": "collector-1_b"}).instance_name == "collector-1_b"
