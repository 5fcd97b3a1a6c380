"""Costs: processor time and bytes of one unit of each kind of work. Pure.

All of it is of one core of one machine; figures of another machine are loaded from its JSON file.
"""

from __future__ import annotations

import msgspec

from orderflow.errors import ConfigError


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are those of the machine that docs/scale.md was written on.

    A frame is a message of a venue's WebSocket, a packet a message of the bus (trades of one
    instrument that travel together), an update what a processor tells the servers.
    `broker_ns_per_packet` is of each broker that keeps a copy, `bus_client_ns_per_packet` of the
    client library of each side; docs/scale.md says where these two come from.
    """

    receive_ns_per_frame: float = 486.0
    decode_ns_per_trade: float = 3_380.0
    pack_ns_per_packet: float = 4_650.0
    pack_ns_per_trade: float = 41.6
    unpack_ns_per_packet: float = 3_270.0
    unpack_ns_per_trade: float = 451.0
    bus_client_ns_per_packet: float = 314_000.0
    broker_ns_per_packet: float = 370_000.0
    engine_ns_per_packet: float = 56_000.0
    engine_ns_per_trade: float = 6_440.0
    instrument_us_per_minute: float = 33_900.0
    publish_us_per_update: float = 340.0
    follow_us_per_update: float = 301.0
    rest_us_per_new_answer: float = 6_580.0
    rest_us_per_known_answer: float = 497.0
    mcp_us_per_call: float = 3_810.0
    frame_bytes_per_trade: float = 185.0
    packet_bytes: float = 188.0
    packet_bytes_per_trade: float = 18.1
    update_bytes: float = 7_300.0
    answer_bytes: float = 8_630.0
    process_mb: float = 83.6
    processor_kb_per_instrument: float = 218.0
    server_kb_per_instrument: float = 218.0
    store_bytes_per_instrument_day: float = 12_200_000.0
    store_kept_bytes_per_instrument: float = 105_000_000.0
    machine: str = ""
    assumed: tuple[str, ...] = ()
    """Names of figures that were not measured in this run."""


FIGURES = tuple(name for name, kind in Costs.__annotations__.items() if kind == "float")


def costs_from_json(body: bytes) -> Costs:
    """Costs that were saved before; ConfigError says what is wrong with them."""
    try:
        found = msgspec.json.decode(body, type=Costs)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the file holds no costs of `wadm capacity`: {error}") from None
    wrong = [name for name in FIGURES if not getattr(found, name) > 0]
    if wrong:
        raise ConfigError(f"costs must be above 0: {', '.join(wrong)}")
    return found


def costs_to_json(costs: Costs) -> bytes:
    """For `--costs`, here or on another machine."""
    return msgspec.json.format(msgspec.json.encode(costs), indent=1)
