"""`wadm capacity` and `python -m wadm.capacity simulate`: measure or load costs, plan or play."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from backbone.telemetry import configure_logs
from orderflow.errors import ConfigError
from wadm.capacity.costs import Costs, costs_from_json, costs_to_json
from wadm.capacity.model import Load, Plan, plan
from wadm.capacity.simulation import Outcome, Scenario, Simulation

out = Console()
notes = Console(stderr=True)
USUAL_RATE = 2.5
"""Trades a second of an instrument: 2,300 of both venues make 1,500 to 3,000 on average."""
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
CostsFile = Annotated[
    Path | None, typer.Option("--costs", help="Costs saved before, here or elsewhere.")
]
Instruments = Annotated[int | None, typer.Option(help="How many; or give --symbols.")]
Rate = Annotated[float | None, typer.Option(help="Trades a second, all together, on average.")]
Burst = Annotated[float, typer.Option(help="A burst is so many times that.")]


def capacity(  # noqa: PLR0913 (each is an option)
    symbols: Annotated[str, typer.Option(help="Symbols by comma: each on every market.")] = "",
    instruments: Instruments = None,
    rate: Rate = None,
    burst: Burst = 10.0,
    clients: Annotated[int, typer.Option(help="Clients that ask.")] = 100,
    asks_per_minute: Annotated[float, typer.Option(help="Questions of one client.")] = 60.0,
    streams: Annotated[int, typer.Option(help="Readers of the event stream.")] = 0,
    costs: CostsFile = None,
    save: Annotated[Path | None, typer.Option(help="Write the measured costs here.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a market and its readers need in cores, memory, disk, network and processes.

    Costs are measured here first, in about half a minute, unless --costs names a file of them.
    """
    load = _load(symbols, instruments, rate, burst)
    load = msgspec.structs.replace(
        load, clients=clients, asks_per_minute=asks_per_minute, streams=streams
    )
    known = _costs(costs)
    if save is not None:
        save.write_bytes(costs_to_json(known))
    found = plan(load, known)
    if as_json:
        _say(plan_data(found, known))
    else:
        _show(found, known)


def simulate(  # noqa: PLR0913 (each is an option)
    instruments: Annotated[int, typer.Option(help="How many.")] = 20_000,
    rate: Rate = None,
    burst: Burst = 10.0,
    processors: Annotated[int | None, typer.Option(help="None: as planned.")] = None,
    partitions: Annotated[int | None, typer.Option(help="None: as planned.")] = None,
    seconds: Annotated[float, typer.Option(help="Virtual time.")] = 600.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 1,
    costs: CostsFile = None,
    as_json: AsJson = False,
) -> None:
    """Play a market in virtual time: bursts, deaths, take-overs; lag and use of every role.

    Without --costs the figures that docs/scale.md was written with are taken.
    """
    load = _load("", instruments, rate, burst)
    known = Costs() if costs is None else _read(costs)
    planned = plan(load, known)
    wanted = next(part for part in planned.parts if part.role == "processor").processes
    count = processors or wanted
    scenario = Scenario(
        load=load,
        processors=count,
        partitions=partitions or max(planned.partitions, count),
        seconds=seconds,
        seed=seed,
    )
    outcome = Simulation(scenario, known).outcome()
    if as_json:
        _say({"scenario": scenario, "outcome": outcome})
    else:
        _show_outcome(scenario, outcome)


def plan_data(found: Plan, costs: Costs) -> dict[str, Any]:
    """The plan with its totals and the costs it was made of."""
    names = ("processes", "cores", "burst_cores", "memory_mb", "disk_gb", "network_mbit_s")
    totals = {name: found.total(name) for name in names}
    return {"plan": found, "total": totals, "costs": costs}


def _load(symbols: str, instruments: int | None, rate: float | None, burst: float) -> Load:
    names = [name for name in symbols.split(",") if name.strip()]
    if bool(names) == (instruments is not None):
        raise ConfigError("give either --symbols or --instruments")
    count = len(names) * 4 if instruments is None else instruments
    return Load(
        instruments=count,
        trades_per_s=count * USUAL_RATE if rate is None else rate,
        burst=burst,
    )


def _costs(path: Path | None) -> Costs:
    if path is not None:
        return _read(path)
    from wadm.capacity.measuring import measured

    configure_logs("error")
    return measured(lambda what: notes.print(f"measuring: {what}"))


def _read(path: Path) -> Costs:
    try:
        return costs_from_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {type(error).__name__}") from None


def _say(data: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n")


def _show(found: Plan, costs: Costs) -> None:
    load = found.load
    table = Table(
        "role",
        "processes",
        "cores",
        "cores in a burst",
        "memory MB",
        "disk GB",
        "network Mbit/s",
        title=f"{load.instruments:,} instruments, {load.trades_per_s:,.0f} trades/s "
        f"({load.burst:g} times in bursts), {load.clients:,} clients, {load.streams:,} streams",
    )
    for part in found.parts:
        figures = (part.cores, part.burst_cores)
        sizes = (part.memory_mb, part.disk_gb, part.network_mbit_s)
        table.add_row(
            part.role,
            str(part.processes),
            *(f"{value:.2f}" for value in figures),
            *(f"{value:,.1f}" for value in sizes),
        )
    out.print(table)
    word = "would do" if found.one_process_fits else "would not do"
    out.print(
        f"partitions: {found.partitions}; one process (`wadm up`) needs "
        f"{found.one_process_cores:.2f} cores in a burst and {word}"
    )
    for limit in found.limits:
        out.print(f"needs what is not built: {limit}")
    if costs.assumed:
        out.print(f"not measured here, taken as in docs/scale.md: {', '.join(costs.assumed)}")


def _show_outcome(scenario: Scenario, outcome: Outcome) -> None:
    load, use = scenario.load, sorted(outcome.processor_use)
    table = Table("figure", "value", title=f"{load.instruments:,} instruments in virtual time")
    rows = {
        "trades, and applied": f"{outcome.trades:,}, {outcome.applied:,}",
        "processors, partitions": f"{scenario.processors}, {scenario.partitions}",
        "bursts, deaths": f"{outcome.bursts}, {outcome.deaths}",
        "lag p50, p99, p99.9, worst, ms": _lags(outcome.lag),
        "the same outside bursts and take-overs": _lags(outcome.calm_lag),
        "take-overs until nothing waits, s": _spread(outcome.takeovers_s),
        "largest backlog of a partition, trades": f"{outcome.largest_backlog_trades:,}",
        "use of a processor's core: least, median, most": _spread(use),
        "collectors, cores": f"{outcome.collector_cores:.2f}",
        "brokers, cores": f"{outcome.broker_cores:.2f}",
        "each server, cores to follow": f"{outcome.server_follow_cores:.2f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    out.print(table)


def _lags(lag: Any) -> str:
    return ", ".join(f"{value:,.0f}" for value in lag)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{values[0]:.2f}, {values[len(values) // 2]:.2f}, {values[-1]:.2f}"
