"""Takes the costs on this machine in about half a minute: the real code, no network but loopback.

Processor time of this process, so what else runs lengthens the wait and not the figures (much).
What can't be measured here keeps its default and is named in `assumed`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
from collections.abc import Callable
from time import process_time
from typing import Any

import msgspec

from backbone.bus.wire import decode, packets
from backbone.settings import read_settings
from backbone.store.base import FOOTPRINTS, ORDER_FLOW, VOLUME_PROFILE, Record
from backbone.store.memory import encode_body
from collectors.sockets import library
from collectors.venues.binance_codec import BinanceCodec
from orderflow.timeframe import DAY_MS, HOUR_MS, MINUTE_MS, TIMEFRAMES
from orderflow.trade import TradeBatch, instrument_of
from processor.records import FLOW_KEPT_MS, FOOTPRINT_KEPT_MS, PROFILE_KEPT_MS
from wadm.capacity.answering import answer_costs
from wadm.capacity.costs import FIGURES, Costs
from wadm.capacity.market import NAMES, Market, announced, trades_of

Progress = Callable[[str], None]
FRAMES, GROUP = 20_000, 20
FIRST_MS = 1_795_000_000_000
KEPT_MS = {
    FOOTPRINTS: FOOTPRINT_KEPT_MS,
    VOLUME_PROFILE: PROFILE_KEPT_MS,
    ORDER_FLOW: FLOW_KEPT_MS,
}
REPEATS = 3
WARM = 3
QUIET, LIVELY, BUSY = 20, 600, 6_000
"""Trades a minute of one instrument."""


def measured(progress: Progress) -> Costs:
    """Everything; `progress` is told what comes next."""
    found: dict[str, float] = {}
    progress("decoding frames")
    found |= decode_costs()
    progress("reading a socket")
    found |= asyncio.run(receive_costs())
    progress("packing for the bus")
    found |= packing_costs()
    progress("processing a market and answering about it")
    found |= asyncio.run(processing_costs())
    assumed = tuple(name for name in FIGURES if name not in found)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return Costs(**found, machine=machine, assumed=assumed)


def least_ns(work: Callable[[], object], units: int) -> float:
    """The least of a few runs, in nanoseconds of processor time per unit: what others add goes."""
    best = float("inf")
    for _ in range(REPEATS):
        began = process_time()
        work()
        best = min(best, process_time() - began)
    return best * 1e9 / units


def frames(count: int) -> list[bytes]:
    """Aggregates of Binance, ten symbols, as they come through a combined stream."""
    draw = random.Random(1)
    found = []
    for key in range(count):
        symbol = NAMES[int(draw.random() ** 2 * 10)].rpartition(":")[2]
        price = f"{100 + draw.randrange(1_000) / 100:.8f}"
        head = (
            f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{FIRST_MS + key},'
        )
        body = (
            f'"s":"{symbol}","a":{key},"p":"{price}","q":"{draw.randrange(1, 9_000) / 1_000:.8f}",'
        )
        tail = f'"f":{key},"l":{key},"T":{FIRST_MS + key},"m":true,"M":true}}}}'
        found.append((head + body + tail).encode())
    return found


def decode_costs() -> dict[str, float]:
    """Frames in groups of twenty, as one turn of the loop finds them in a busy hour."""
    made = frames(FRAMES)
    groups = [made[at : at + GROUP] for at in range(0, FRAMES, GROUP)]
    instruments = [instrument_of(announced(name)) for name in NAMES[:10]]

    def work() -> None:
        codec = BinanceCodec(instruments)
        for group in groups:
            codec.decode(group, 1)

    mean_bytes = sum(map(len, made)) / FRAMES
    return {"decode_ns_per_trade": least_ns(work, FRAMES), "frame_bytes_per_trade": mean_bytes}


async def receive_costs() -> dict[str, float]:
    """The WebSocket library that collectors use, from a process of its own over loopback.

    Without TLS, which adds about 60 to 180 ns a frame.
    """
    import sys

    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wadm.capacity.sender", str(FRAMES)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert sender.stdout is not None  # noqa: S101 (asked for)
    try:
        port = int(await asyncio.wait_for(sender.stdout.readline(), 60))
        best = float("inf")
        for _ in range(REPEATS):
            socket = await library("auto").connect(f"ws://127.0.0.1:{port}")
            await socket.recv(decode=False)
            began = process_time()
            for _ in range(FRAMES - 1):
                await socket.recv(decode=False)
            best = min(best, process_time() - began)
            await socket.close()
    finally:
        sender.kill()
        await sender.wait()
    return {"receive_ns_per_frame": best * 1e9 / FRAMES}


def packing_costs() -> dict[str, float]:
    """Batches of one and of a hundred trades: the difference is the trade's, the rest the packet's.

    The client library's work on a packet is another figure.
    """
    count, large = 2_000, 100
    small_batches = [trades_of(NAMES[0], 1, key, 0) for key in range(count)]
    large_batches = [trades_of(NAMES[0], large, key * large, 0) for key in range(count // 10)]

    def pack(batches: list[TradeBatch]) -> list[bytes]:
        return [packet.data for batch in batches for packet in packets("trades", [batch])]

    few, many = pack(small_batches), pack(large_batches)
    sizes = len(few[-1]), len(many[-1])
    packed = [least_ns(lambda: pack(small_batches), count)]
    packed.append(least_ns(lambda: pack(large_batches), len(large_batches)))
    read = [least_ns(lambda: [decode(data) for data in few], count)]
    read.append(least_ns(lambda: [decode(data) for data in many], len(many)))
    of_trade = [(two - one) / (large - 1) for one, two in (packed, read)]
    return {
        "pack_ns_per_packet": max(1.0, packed[0] - of_trade[0]),
        "unpack_ns_per_packet": max(1.0, read[0] - of_trade[1]),
        "pack_ns_per_trade": max(1.0, of_trade[0]),
        "unpack_ns_per_trade": max(1.0, of_trade[1]),
        "packet_bytes_per_trade": (sizes[1] - sizes[0]) / (large - 1),
        "packet_bytes": sizes[0] - (sizes[1] - sizes[0]) / (large - 1),
    }


async def processing_costs() -> dict[str, float]:
    """A market at three speeds through the real processor into a store that weighs records.

    Quiet: nearly nothing but time. Lively: a packet of one trade every tenth of a second. Busy: as
    many packets of ten trades. The differences are the packet's and the trade's.
    """
    market = Market(read_settings({}))
    async with market.running():
        await market.minutes(WARM, QUIET)  # windows, code and memory are warm
        quiet = await market.minutes(2, QUIET) / 2
        kilobytes = market.kilobytes_per_instrument()
        lively = await market.minutes(1, LIVELY)
        told = market.update_costs()
        busy = await market.minutes(1, BUSY)
        answered = await answer_costs(market)
    count = len(NAMES)
    trade_ns = max(1.0, (busy - lively) * 1e9 / count / (BUSY - LIVELY))
    packet_ns = max(1.0, (lively - quiet) * 1e9 / count / (LIVELY - QUIET) - trade_ns)
    minute_us = max(1.0, quiet * 1e6 / count - QUIET * (trade_ns + packet_ns) / 1e3)
    return {
        "engine_ns_per_trade": trade_ns,
        "engine_ns_per_packet": packet_ns,
        "instrument_us_per_minute": minute_us,
        **told,
        **answered,
        **store_bytes(market.records, WARM + 4),
        "processor_kb_per_instrument": kilobytes,
        "server_kb_per_instrument": kilobytes,
        "process_mb": market.base_mb,
    }


def store_bytes(records: list[Record], minutes: float) -> dict[str, float]:
    """Bytes an instrument writes a day and keeps, from the records of so many minutes.

    A bar of a timeframe comes once in its length, and those longer than five minutes are taken to
    be as large as those of five: their rows are coarser. Anything else comes as often as here, and
    is kept once for each of its pages (a minute, an hour or a day).
    """
    kinds: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        kinds.setdefault((record.collection, record.timeframe), []).append(record)
    written = kept = 0.0
    for (collection, timeframe), found in kinds.items():
        size = sum(len(encode_body(record)) for record in found) / len(found)
        kept_ms = min(found[0].expires_at_ms - found[0].published_at_ms, 365 * DAY_MS)
        length = TIMEFRAMES.get(timeframe)
        every_ms = length or MINUTE_MS * minutes / len(found)
        written += size * DAY_MS / every_ms
        kept += size * kept_ms / (length or _page_ms(found))
        if timeframe == "5m":
            for name, longer_ms in KEPT_MS[collection].items():
                if TIMEFRAMES[name] > TIMEFRAMES[timeframe]:
                    written += size * DAY_MS / TIMEFRAMES[name]
                    kept += size * longer_ms / TIMEFRAMES[name]
    return {"store_bytes_per_instrument_day": written, "store_kept_bytes_per_instrument": kept}


def _page_ms(records: list[Record]) -> int:
    starts = [record.start_ms for record in records]
    lengths = (DAY_MS, HOUR_MS, MINUTE_MS)
    return next((ms for ms in lengths if all(start % ms == 0 for start in starts)), MINUTE_MS)


def rounded(costs: Costs) -> dict[str, Any]:
    """For people: three digits."""
    return {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in msgspec.structs.asdict(costs).items()
    }
