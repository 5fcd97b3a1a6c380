"""The cost model: rate times cost, nothing else; and what `wadm capacity` prints of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from orderflow.errors import ConfigError
from wadm.__main__ import app
from wadm.capacity.costs import Costs, costs_from_json, costs_to_json
from wadm.capacity.model import (
    Load,
    collector_cores,
    packets_per_s,
    plan,
    processor_cores,
    server_shards,
    updates_per_s,
)

COSTS = Costs(
    receive_ns_per_frame=500,
    decode_ns_per_trade=1_500,
    pack_ns_per_trade=100,
    pack_ns_per_packet=10_000,
    bus_client_ns_per_packet=30_000,
    unpack_ns_per_trade=200,
    unpack_ns_per_packet=20_000,
    engine_ns_per_trade=3_000,
    engine_ns_per_packet=60_000,
    instrument_us_per_minute=12_000,
    publish_us_per_update=100,
    follow_us_per_update=100,
)
LOAD = Load(instruments=100, trades_per_s=1_000, burst=10, active=0.25)


def test_capacity_by_hand() -> None:
    """Every line of a small load, as one computes it on paper."""
    assert packets_per_s(LOAD, 1_000) == 250  # 25 active, ten times a second
    assert packets_per_s(LOAD, 100) == 100
    assert updates_per_s(LOAD) == 25 * 4 + 75 * 0.2
    collecting = 1_000 * (500 + 1_500 + 100) + 250 * (10_000 + 30_000)
    assert collector_cores(LOAD, COSTS, 1_000) == pytest.approx(collecting / 1e9)
    trades = 1_000 * (200 + 3_000) + 250 * (30_000 + 20_000 + 60_000)
    minutes, told = 100 * 12_000e-6 / 60, 115 * 100e-6
    assert processor_cores(LOAD, COSTS, 1_000) == pytest.approx(trades / 1e9 + minutes + told)
    twice = processor_cores(LOAD, COSTS, 1_000, copies=2)
    assert twice == pytest.approx(2 * trades / 1e9 + minutes + told)


def test_capacity_counts_processes() -> None:
    """A small market fits in one process; a large one needs several processors that share
    partitions, and names what this version can't do."""
    small = plan(msgspec.structs.replace(LOAD, instruments=20, trades_per_s=50), COSTS)
    assert small.one_process_fits
    assert small.partitions == 1
    assert not small.limits
    large = plan(Load(instruments=20_000, trades_per_s=50_000), COSTS)
    by_role = {part.role: part for part in large.parts}
    assert not large.one_process_fits
    assert by_role["processor"].processes > 5
    assert large.partitions >= 16 * by_role["processor"].processes
    assert by_role["processor"].cores / by_role["processor"].processes <= 0.6
    assert server_shards(large.load, COSTS) > 1
    assert any("shares" in text for text in large.limits)
    assert large.total("memory_mb") == sum(part.memory_mb for part in large.parts)


@given(st.integers(1, 50_000), st.floats(0.1, 1e6), st.integers(1, 20))
def test_capacity_grows_with_the_load(instruments: int, rate: float, more: int) -> None:
    """No figure falls when there is more to carry."""
    one = Load(instruments=instruments, trades_per_s=rate)
    two = Load(instruments=instruments * more, trades_per_s=rate * more, clients=100 * more)
    for less, most in zip(plan(one, COSTS).parts, plan(two, COSTS).parts, strict=True):
        for name in ("processes", "cores", "burst_cores", "memory_mb", "disk_gb"):
            assert getattr(less, name) <= getattr(most, name) * (1 + 1e-9), (less.role, name)


@pytest.mark.parametrize(
    "wrong", [{"instruments": 0}, {"trades_per_s": 0}, {"burst": 0.5}, {"active": 0}, {"known": 2}]
)
def test_capacity_refuses_what_cannot_be(wrong: dict[str, float]) -> None:
    """A load that can't be is refused in words."""
    with pytest.raises(ConfigError):
        plan(msgspec.structs.replace(LOAD, **wrong), COSTS)  # type: ignore[arg-type]


def test_capacity_costs_travel() -> None:
    """Costs saved here plan elsewhere; a broken file is named."""
    assert costs_from_json(costs_to_json(COSTS)) == COSTS
    for body in (b"[]", b"{", b'{"engine_ns_per_trade": 0}', b'{"engine_ns_per_trade": "x"}'):
        with pytest.raises(ConfigError):
            costs_from_json(body)


def test_capacity_command(tmp_path: Path) -> None:
    """A table for people, JSON with units in its names for programs."""
    file = tmp_path / "costs.json"
    file.write_bytes(costs_to_json(COSTS))
    asked = ["capacity", "--symbols", "BTCUSDT,ETHUSDT", "--clients", "1000", "--costs", str(file)]
    told = CliRunner().invoke(app, [*asked, "--json"])
    found = json.loads(told.stdout)
    assert found["plan"]["load"]["instruments"] == 8
    assert {part["role"] for part in found["plan"]["parts"]} == {
        *("collector", "broker", "processor", "server", "database")
    }
    assert found["total"]["memory_mb"] > 0
    assert found["costs"]["engine_ns_per_trade"] == 3_000
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0
    assert "partitions: " in shown.stdout
    refused = CliRunner().invoke(app, ["capacity", "--costs", str(file)])
    assert isinstance(refused.exception, ConfigError)
