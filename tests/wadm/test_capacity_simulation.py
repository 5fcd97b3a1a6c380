"""The simulation: the same for a seed, no trade lost in it, and slow where costs say so."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from orderflow.errors import ConfigError
from wadm.capacity.__main__ import app
from wadm.capacity.costs import Costs, costs_to_json
from wadm.capacity.model import Load
from wadm.capacity.simulation import LEASE_S, Outcome, Scenario, Simulation, percentiles

CHEAP = Costs(
    engine_ns_per_trade=2_000,
    engine_ns_per_packet=20_000,
    bus_client_ns_per_packet=30_000,
    instrument_us_per_minute=5_000,
)
LOAD = Load(instruments=500, trades_per_s=2_000, burst=10)
CALM = Scenario(load=LOAD, processors=3, partitions=12, seconds=60, deaths=False)


def played(scenario: Scenario, costs: Costs = CHEAP) -> Outcome:
    return Simulation(scenario, costs).outcome()


def test_simulation_is_deterministic() -> None:
    """A seed says everything; another one another story."""
    storm = msgspec.structs.replace(CALM, deaths=True, seconds=200)
    first, again = played(storm), played(storm)
    other = played(msgspec.structs.replace(storm, seed=2))
    assert first == again
    assert first != other
    assert len(first.processor_use) == 3


def test_simulation_carries_what_fits() -> None:
    """With room everything is applied, and waits for about one step."""
    outcome = played(CALM)
    assert outcome.applied == outcome.trades > 100_000
    assert outcome.calm_lag.p99_ms < 250
    assert outcome.deaths == 0
    assert max(outcome.processor_use) < 0.6


def test_simulation_shows_what_does_not_fit() -> None:
    """Ten times the cost on one core: the backlog grows and the lag with it."""
    dear = msgspec.structs.replace(CHEAP, engine_ns_per_trade=400_000.0)
    outcome = played(msgspec.structs.replace(CALM, processors=1, seconds=20), dear)
    assert outcome.applied < outcome.trades
    assert outcome.lag.p99_ms > 1_000
    assert outcome.processor_use[0] > 0.9


def test_simulation_takes_over() -> None:
    """A dead processor's partitions wait for the lease, are replayed, and nothing is lost."""
    storm = msgspec.structs.replace(CALM, deaths=True, seconds=600, processors=4)
    outcome = played(storm)
    assert outcome.deaths >= 2
    assert outcome.takeovers_s
    assert outcome.takeovers_s[0] >= LEASE_S
    assert outcome.lag.max_ms > LEASE_S * 1_000
    waiting = outcome.trades - outcome.applied
    assert 0 <= waiting <= LOAD.trades_per_s * LOAD.burst * (LEASE_S + 2)


def test_percentiles_are_weighed() -> None:
    """By trades, not by steps."""
    lag = percentiles([(10.0, 989.0), (20.0, 10.0), (500.0, 1.0)])
    assert lag == (10.0, 20.0, 20.0, 500.0)
    assert percentiles([]) == (0.0, 0.0, 0.0, 0.0)


def test_simulation_refuses_too_few_partitions() -> None:
    """A processor without a partition would never do anything."""
    with pytest.raises(ConfigError, match="partition"):
        Simulation(msgspec.structs.replace(CALM, partitions=2), CHEAP)


def test_simulate_command(tmp_path: Path) -> None:
    """20,000 symbols as planned by the model, a short while; the JSON has everything shown."""
    file = tmp_path / "costs.json"
    file.write_bytes(costs_to_json(CHEAP))
    asked = ["simulate", "--seconds", "10", "--costs", str(file)]
    told = CliRunner().invoke(app, [*asked, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["scenario"]["load"]["instruments"] == 20_000
    assert found["outcome"]["trades"] > 250_000
    shown = CliRunner().invoke(app, asked)
    assert "take-overs until nothing waits" in shown.stdout
