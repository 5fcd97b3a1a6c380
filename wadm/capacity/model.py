"""The cost model: a market and its readers in, cores, bytes and processes out. Pure.

Every line is rate times cost of one unit; nothing is fitted. A burst must fit as well: processes
are counted for the burst, cores are given for the average and for the burst.
"""

from __future__ import annotations

from math import ceil
from typing import Literal

import msgspec

from orderflow.errors import ConfigError
from wadm.capacity.costs import Costs

TRADES_PER_FRAME = 1.0
"""Of Binance aggregates; Bybit's frames hold more, which is cheaper."""
UPDATES_PER_S = 4.0
"""A processor tells a changed instrument at most so often, an idle one every 5 s."""
IDLE_UPDATES_PER_S = 0.2
PACKETS_PER_S = 10.0
"""A collector sends what it has of an instrument ten times a second at most."""
UPDATES_PER_PACKET = 8.0
BUS_KEPT_S = 600.0
INSTRUMENTS_PER_CONNECTION = 200
FILL = 0.6
"""A process is planned for so much of a core: the rest is room for what is not in the model."""
PARTITIONS_PER_PROCESSOR = 16
PROCESSOR_FILL = 0.45
"""Partitions are dealt evenly, what is in them is not: some have several of the large symbols."""
MOST_FOLLOWING = 0.4
"""Of a server's core for following updates, before servers hold shares of the instruments."""
MOST_MB = 800.0
"""Of a process for instruments: compose gives a container 1 GB."""
MB, GB, BITS = 1e6, 1e9, 8.0
Role = Literal["collector", "broker", "processor", "server", "database"]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be carried.

    `trades_per_s`: average over all instruments; `burst`: how many times that, for seconds;
    `active`: share of the instruments that trade in a given second; `clients`: each asks
    `asks_per_minute` times, `mcp_share` of it by MCP; `known`: share of questions whose answer is
    known already; `streams`: readers of the event stream; `venues`, `redundancy`: collectors.
    """

    instruments: int
    trades_per_s: float
    burst: float = 10.0
    active: float = 0.25
    clients: int = 100
    asks_per_minute: float = 60.0
    mcp_share: float = 0.3
    known: float = 0.8
    streams: int = 0
    venues: int = 2
    redundancy: int = 2
    replicas: int = 3


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes of a role need together."""

    role: Role
    processes: int
    cores: float
    burst_cores: float
    memory_mb: float
    disk_gb: float = 0.0
    network_mbit_s: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The parts, and how many partitions the processors share."""

    load: Load
    parts: list[Part]
    partitions: int
    one_process_cores: float
    one_process_fits: bool
    limits: list[str]
    """What the plan needs that this version has not."""

    def total(self, name: str) -> float:
        """A figure of all parts together."""
        return float(sum(getattr(part, name) for part in self.parts))


def checked(load: Load) -> Load:
    """The same load; ConfigError names what can't be."""
    if load.instruments < 1 or load.trades_per_s <= 0 or load.burst < 1:
        raise ConfigError("instruments, rate and burst must be at least 1, above 0 and at least 1")
    if not (0 < load.active <= 1 and 0 <= load.mcp_share <= 1 and 0 <= load.known <= 1):
        raise ConfigError("shares must be between 0 and 1")
    if load.clients < 0 or load.streams < 0 or load.venues < 1 or load.redundancy < 1:
        raise ConfigError("numbers of clients, streams, venues and collectors can't be negative")
    return load


def plan(load: Load, costs: Costs) -> Plan:
    """What the load needs, role by role; ConfigError for a load that can't be."""
    load = checked(load)
    normal, burst = load.trades_per_s, load.trades_per_s * load.burst
    collector = _collectors(load, costs, normal, burst)
    processor = _processors(load, costs, normal, burst)
    server = _servers(load, costs)
    broker = _brokers(load, costs, normal, burst)
    alone = _alone(load, costs, burst)
    return Plan(
        load=load,
        parts=[collector, broker, processor, server, _database(load, costs)],
        partitions=_power_of_two(processor.processes * PARTITIONS_PER_PROCESSOR)
        if processor.processes > 1
        else 1,
        one_process_cores=alone,
        one_process_fits=alone <= FILL,
        limits=_limits(load, costs, broker),
    )


def _limits(load: Load, costs: Costs, broker: Part) -> list[str]:
    found = []
    if (shards := server_shards(load, costs)) > 1:
        found.append(f"servers that hold one of {shards} shares of the instruments each")
    if broker.cores > load.replicas:
        found.append("packets of several instruments: the brokers' work is per packet")
    return found


def packets_per_s(load: Load, trades_per_s: float) -> float:
    """Trades of one instrument that come within a tenth of a second travel together."""
    active = max(1.0, load.instruments * load.active)
    return min(trades_per_s, active * PACKETS_PER_S)


def updates_per_s(load: Load) -> float:
    """States that processors tell servers."""
    active = load.instruments * load.active
    return active * UPDATES_PER_S + (load.instruments - active) * IDLE_UPDATES_PER_S


def collector_cores(load: Load, costs: Costs, trades_per_s: float) -> float:
    """Of one full set of collectors, without redundancy."""
    frames = trades_per_s / TRADES_PER_FRAME
    packets = packets_per_s(load, trades_per_s)
    trades_ns = trades_per_s * (costs.decode_ns_per_trade + costs.pack_ns_per_trade)
    per_packet = costs.pack_ns_per_packet + costs.bus_client_ns_per_packet
    return (frames * costs.receive_ns_per_frame + trades_ns + packets * per_packet) / 1e9


def processor_cores(load: Load, costs: Costs, trades_per_s: float, *, copies: int = 1) -> float:
    """Redundant copies are unpacked and dropped by the ledger, which costs as much as a trade."""
    packets = packets_per_s(load, trades_per_s) * copies
    per_trade = costs.unpack_ns_per_trade + costs.engine_ns_per_trade
    trades = trades_per_s * copies * per_trade / 1e9
    minutes = load.instruments * costs.instrument_us_per_minute / 60e6
    told = updates_per_s(load) * costs.publish_us_per_update / 1e6
    per_packet = costs.bus_client_ns_per_packet + costs.unpack_ns_per_packet
    per_packet += costs.engine_ns_per_packet
    return packets * per_packet / 1e9 + trades + minutes + told


def asks_per_s(load: Load) -> float:
    """Questions of all clients."""
    return load.clients * load.asks_per_minute / 60.0


def asks_cores(load: Load, costs: Costs) -> float:
    """What answering takes, on all servers together."""
    rest = load.known * costs.rest_us_per_known_answer
    rest += (1 - load.known) * costs.rest_us_per_new_answer
    per_ask = load.mcp_share * costs.mcp_us_per_call + (1 - load.mcp_share) * rest
    streams = load.streams * costs.rest_us_per_known_answer  # one message a second each
    return (asks_per_s(load) * per_ask + streams) / 1e6


def _collectors(load: Load, costs: Costs, normal: float, burst: float) -> Part:
    cores = collector_cores(load, costs, burst)
    sets = max(load.venues, ceil(cores / FILL))
    processes = sets * load.redundancy
    connections = ceil(load.instruments / INSTRUMENTS_PER_CONNECTION)
    return Part(
        role="collector",
        processes=processes,
        cores=collector_cores(load, costs, normal) * load.redundancy,
        burst_cores=cores * load.redundancy,
        memory_mb=processes * costs.process_mb + connections * load.redundancy * 2.0,
        network_mbit_s=burst * costs.frame_bytes_per_trade * BITS / MB * load.redundancy,
    )


def _brokers(load: Load, costs: Costs, normal: float, burst: float) -> Part:
    def cores(trades_per_s: float) -> float:
        sent = packets_per_s(load, trades_per_s) * load.redundancy
        sent += updates_per_s(load) / UPDATES_PER_PACKET
        return sent * costs.broker_ns_per_packet * load.replicas / 1e9

    sent_bytes = normal * load.redundancy * costs.packet_bytes_per_trade
    sent_bytes += packets_per_s(load, normal) * load.redundancy * costs.packet_bytes
    told_bytes = updates_per_s(load) * costs.update_bytes
    return Part(
        role="broker",
        processes=load.replicas,
        cores=cores(normal),
        burst_cores=cores(burst),
        memory_mb=load.replicas * 256.0,
        disk_gb=(sent_bytes + told_bytes) * BUS_KEPT_S * load.replicas / GB,
        network_mbit_s=(sent_bytes + told_bytes) * (load.replicas + 1) * BITS / MB,
    )


def _processors(load: Load, costs: Costs, normal: float, burst: float) -> Part:
    cores = processor_cores(load, costs, normal, copies=load.redundancy)
    most = processor_cores(load, costs, burst, copies=load.redundancy)
    memory = load.instruments * costs.processor_kb_per_instrument / 1e3
    # Bursts wait on the bus for seconds; minutes and averages must fit with room.
    processes = max(ceil(cores / PROCESSOR_FILL), ceil(most), ceil(memory / MOST_MB), 1)
    return Part(
        role="processor",
        processes=processes,
        cores=cores,
        burst_cores=most,
        memory_mb=processes * costs.process_mb + memory,
        network_mbit_s=updates_per_s(load) * costs.update_bytes * BITS / MB,
    )


def server_shards(load: Load, costs: Costs) -> int:
    """Into how many shares of instruments servers are dealt, so that following leaves room."""
    follow = updates_per_s(load) * costs.follow_us_per_update / 1e6
    memory_mb = load.instruments * costs.server_kb_per_instrument / 1e3
    return max(1, ceil(follow / MOST_FOLLOWING), ceil(memory_mb / MOST_MB))


def _servers(load: Load, costs: Costs) -> Part:
    """Each follows every update of its share and holds those instruments, and answers its part."""
    shards = server_shards(load, costs)
    updates = updates_per_s(load) / shards
    follow = updates * costs.follow_us_per_update / 1e6
    asking = asks_cores(load, costs)
    each = max(load.redundancy, ceil(asking / shards / (FILL - follow)))
    processes = shards * each
    held_mb = load.instruments / shards * costs.server_kb_per_instrument / 1e3
    return Part(
        role="server",
        processes=processes,
        cores=follow * processes + asking,
        burst_cores=follow * processes + asking,
        memory_mb=processes * (costs.process_mb + held_mb),
        network_mbit_s=(
            (asks_per_s(load) + load.streams) * costs.answer_bytes
            + processes * updates * costs.update_bytes
        )
        * BITS
        / MB,
    )


def _database(load: Load, costs: Costs) -> Part:
    """Writes of a day and what is kept; what a mongod takes of a core is not measured here."""
    written = load.instruments * costs.store_bytes_per_instrument_day
    kept = load.instruments * costs.store_kept_bytes_per_instrument
    return Part(
        role="database",
        processes=load.replicas,
        cores=0.0,
        burst_cores=0.0,
        memory_mb=load.replicas * 1_000.0,
        disk_gb=kept * load.replicas / GB,
        network_mbit_s=written * load.replicas * BITS / 86_400 / MB,
    )


def _alone(load: Load, costs: Costs, burst: float) -> float:
    """`wadm up`: no bus, no second collector, no replica."""
    single = msgspec.structs.replace(load, redundancy=1)
    receive = burst * (costs.receive_ns_per_frame + costs.decode_ns_per_trade) / 1e9
    trades = burst * costs.engine_ns_per_trade / 1e9
    trades += packets_per_s(load, burst) * costs.engine_ns_per_packet / 1e9
    minutes = load.instruments * costs.instrument_us_per_minute / 60e6
    return receive + trades + minutes + asks_cores(single, costs)


def _power_of_two(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()
